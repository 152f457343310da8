"""A program that runs `qwf` commands one after the other, each in a process forked from this one.

Standard input has a JSON list of pairs: arguments, and variables to set. Standard output gets a list
of [exit status, [standard output, standard error]]. What a command imports takes more time
than most do; here that is done once.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import tempfile

import redis.asyncio
import typer.rich_utils
import uvloop

import qwf_async.exporting.export_file
import qwf_async.ingesting.ingestion
import qwf_async.ingesting.verification
from qwf_async.cli import app, main, progress

IMPORTED = (app, progress, qwf_async, redis, typer, uvloop)

with contextlib.redirect_stdout(io.StringIO()):
    app.app(["--version"], standalone_mode=False)  # what typer imports when it runs

sys.path[0] = os.getcwd()  # as with `python -m qwf_async`
ended: list[tuple[int, list[str]]] = []
for arguments, variables in json.load(sys.stdin):
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            os.environ.update(variables)
            sys.argv = ["qwf", *arguments]
            main()
            sys.exit()
        _, status = os.waitpid(child, 0)
        texts = [os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode() for file in (out, err)]
        ended.append((os.waitstatus_to_exitcode(status), texts))
json.dump(ended, sys.stdout)
