"""How a script is sent: EVAL with its keys and arguments, and what its reply must be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeGuard, TypeVar

R = TypeVar("R")

EVEN_IF_FULL: Final = "#!lua flags=allow-oom\n"
"""The first line of a script that may write on a server that is out of memory.

The control keys are small, and must be true.
"""

NOW: Final = """
local function now()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
"""
"""For scripts that need the time: the server's, in milliseconds."""


class Call(Protocol):
    """Sends one command and checks its reply: `Pool.call`, which tries again, `Pool.call_once` or `Connection.call`."""

    async def __call__(
        self, *command: str | bytes | int | float, expect: Callable[[Any], TypeGuard[R]], doing: str
    ) -> R: ...


async def evaluate(
    call: Call,
    script: str,
    keys: Sequence[str],
    arguments: Iterable[str | bytes | int] = (),
    *,
    expect: Callable[[Any], TypeGuard[R]],
    doing: str = "",
    read_only: bool = False,
) -> R:
    """The reply to a script. `expect` and `doing` are as for `Connection.call`, which also names the errors.

    With `read_only` it is sent by EVAL_RO, which needs no right to write.
    """
    command = "EVAL_RO" if read_only else "EVAL"
    return await call(command, script, len(keys), *keys, *arguments, expect=expect, doing=doing)


def flattened(fields: Mapping[str, str]) -> list[str]:
    """The fields of a hash as HSET takes them: names and values in turn."""
    return [text for field in fields.items() for text in field]
