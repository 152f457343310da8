"""The command line: `qwf`."""

from .app import main

__all__ = ["main"]
