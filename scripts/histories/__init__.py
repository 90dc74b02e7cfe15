"""Simulated histories: the real service against a bank that lies and a machine that dies, told by one seed."""
