"""What one may ask of Passbook, and what it needs in order to answer."""
