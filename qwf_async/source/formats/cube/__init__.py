"""Gaussian cube files: read, and written."""
