"""The door to what neither of the others has."""
