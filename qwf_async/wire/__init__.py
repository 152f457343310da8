"""Requests and replies as bytes: made and read without a Python object for each point."""
