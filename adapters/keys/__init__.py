"""Keys, secrets and API keys, each sealed under the key above it, up to one master key outside the data."""
