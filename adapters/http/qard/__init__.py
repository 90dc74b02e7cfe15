"""The Qard-compatible door."""
