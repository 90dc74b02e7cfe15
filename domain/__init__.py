"""What the business knows and decides: pure functions over frozen facts."""
