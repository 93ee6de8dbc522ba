"""Clients of servers that hold an export, and a runtime for one such server."""
