"""Benchmarks, run as `python -m benchmarks NAME`: programs that measure and print, nothing of the package."""
