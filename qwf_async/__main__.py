"""`python -m qwf_async` is `qwf`."""

from .cli import main

main()
