"""A server of our own: found, started, watched and stopped."""
