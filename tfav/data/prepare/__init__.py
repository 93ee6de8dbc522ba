"""Offline: from files to a data set on disk."""
