"""Stored wavefunctions copied and moved between names and servers, and kept in a directory as a backup."""
