"""`python tests/support/notebook.py`: a notebook without a window.

Standard input has a path on each line. That file is run as a cell: `await` works at its top
level, and names stay. When it is done, that is printed; if it fails, this process ends.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import sys
from pathlib import Path
from types import CodeType
from typing import Any

DONE = "-- this is the end of what it prints --"


def compiled(cell: Path) -> CodeType:
    code = compile(cell.read_text("utf-8"), str(cell), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    assert isinstance(code, CodeType)
    return code


async def run_cells() -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    while line := await asyncio.to_thread(sys.stdin.readline):
        code = compiled(Path(line.strip()))
        if code.co_flags & inspect.CO_COROUTINE:
            await eval(code, names)  # noqa: S307 # the cell itself
        else:
            exec(code, names)  # noqa: S102 # the cell itself
        print(DONE, flush=True)  # noqa: T201 # to the reader of this process


sys.path[0] = os.getcwd()
asyncio.run(run_cells())
