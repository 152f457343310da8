"""Zarr hierarchies: read by zarr-python, or without it where blocks are files, and written."""
