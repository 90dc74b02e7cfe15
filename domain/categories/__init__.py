"""Categories: what the wording, the type, the counterparty and the sign of a row say that it is for.

The rules are data: `rules/*.toml`. `vocabulary` has the labels, `categorise` the one way in.
"""
