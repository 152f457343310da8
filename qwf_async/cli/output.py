"""What a command prints: results on standard output, messages on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from ..errors import UsageError
from ..wording import printable

if TYPE_CHECKING:
    from ..errors import QwfError
    from ..events import Event, Hook


def say(text: str) -> None:
    """Print a message for the user, a line on standard error; characters that would move the cursor are escaped."""
    typer.echo(printable(text), err=True)


def show(text: str) -> None:
    """Print a line of a result on standard output; characters that would move the cursor are escaped."""
    typer.echo(printable(text))


def agreed(question: str) -> bool:
    """Whether the user answers yes to a question. Raises UsageError if there is no terminal to ask on."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"{question} There is no terminal to answer on: --yes says yes")
    typer.echo(f"{printable(question)} [y/N] ", err=True, nl=False)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def print_json(value: Any) -> None:
    """Print a result on standard output, in ASCII: any terminal and any file takes it, whatever is in a name.

    Not-a-number and infinity become null: JSON has no word for them.
    """
    typer.echo(json.dumps(_finite(value)))


def print_result(result: dict[str, Any], error: QwfError | None) -> None:
    """Print a result as JSON, and in the same object the error in which the command ends, if there is one."""
    if error is not None:
        result = result | {"error": {"code": error.exit_code, "message": str(error)}}
        error.in_result = True
    print_json(result)


def notes_said(*, quiet: bool) -> Hook:
    """A hook that says the notes among events, unless `quiet`."""
    from ..events import Noted

    def hook(event: Event) -> None:
        if isinstance(event, Noted) and not quiet:
            say(event.text)

    return hook


def raise_first(errors: Sequence[QwfError]) -> None:
    """Raise the first error, if there is any, so that its code is the exit code; the others are said."""
    for error in errors[1:]:
        say(f"qwf: {error}")
    if errors:
        raise errors[0]


def _finite(value: Any) -> Any:
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
