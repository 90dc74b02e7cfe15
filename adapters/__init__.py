"""Everything with a plug. Siblings are strangers to each other, and meet in `composition` and `storage` alone."""
