"""Insights: every metric as a pure function of one consumer's books, with its definition. See `catalogue`."""
