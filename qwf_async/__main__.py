"""`python -m qwf_async` is `qwf`, and so is `python qwf_async/__main__.py`."""

import os
import sys

if not __package__:
    # Started as a file, Python looks for modules beside it first, where `dask` is ours. With -m it looks here.
    sys.path[0:1] = [os.getcwd(), os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]

from qwf_async.cli import main

main()
