"""The pages that a person meets on the way to the bank and back."""
