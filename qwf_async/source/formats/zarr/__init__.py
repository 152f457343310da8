"""Zarr hierarchies: read by zarr-python and beside it, and written."""
