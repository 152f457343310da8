"""The `qwf` application: its commands, and how errors become exit codes."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import Any, Final, NoReturn

import typer
from typer.core import TyperGroup

from ..errors import Interrupted, QwfError, status_of
from ..wording import messages_for_command_line
from .coercion import coerce_quickly
from .commands import deferred
from .output import say

INTERRUPTED: Final = status_of(signal.SIGINT)


class Qwf(TyperGroup):
    """All commands, each imported only when it is run."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes | {"commands": deferred()})
        coerce_quickly(self)


app = typer.Typer(
    cls=Qwf,
    name="qwf",
    help="Load quantum wavefunctions into Redis or Valkey, and get them back.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context, version: bool = typer.Option(False, "--version", "-V", help="Print the version.")
) -> None:
    """Load quantum wavefunctions into Redis or Valkey, and get them back."""
    context.with_resource(messages_for_command_line())
    if version:
        from .. import __version__

        typer.echo(f"qwf {__version__}")
        raise typer.Exit


def run() -> None:
    """Run the command that the arguments name, and exit with the code of the error if there is one."""
    try:
        app()
    except QwfError as error:
        _fail(str(error), error.status if isinstance(error, Interrupted) else error.exit_code)
    except SystemExit as end:
        if end.code != INTERRUPTED:  # typer's exit code for a KeyboardInterrupt
            raise
        _fail("stopped by SIGINT", INTERRUPTED)
    except OSError as error:
        # Other OSErrors are translated where they arise: this is standard output, on a full disk.
        _fail(error.strerror or str(error), 1)


def _fail(message: str, status: int) -> NoReturn:
    with suppress(OSError):  # standard error may be closed
        say(f"qwf: {message} (exit {status})")
    with suppress(OSError):
        sys.stdout.flush()
    os._exit(status)  # a thread that still reads the source must not hold the process
