"""The Account Insights-compatible door."""
