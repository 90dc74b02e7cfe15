"""The log: how facts are stored for ever, in SQLite and, for tests, in memory."""
