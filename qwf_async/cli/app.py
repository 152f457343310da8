"""The `qwf` application: its commands, and how errors become exit codes."""

from __future__ import annotations

import os
import sys

import typer

from ..errors import Interrupted, QwfError
from .config import config
from .ingest import ingest
from .runner import say
from .server import server
from .stored import get, info, ls, rm
from .upkeep import clean, watch

app = typer.Typer(
    name="qwf",
    help="Load quantum wavefunctions into Redis or Valkey, and get them back.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (ingest, ls, info, get, rm, clean, watch):
    app.command()(command)
app.add_typer(server)
app.add_typer(config)


@app.callback(invoke_without_command=True)
def _options(version: bool = typer.Option(False, "--version", help="Print the version.")) -> None:
    """Load quantum wavefunctions into Redis or Valkey, and get them back."""
    if version:
        from .. import __version__

        typer.echo(f"qwf {__version__}")
        raise typer.Exit


def main() -> None:
    """Entry point of the console commands. Exits with the code of the error, if there is one."""
    try:
        app()
    except Interrupted as error:
        _fail(str(error), error.status)
        sys.stdout.flush()
        os._exit(error.status)  # a thread that still reads the source must not hold the process
    except QwfError as error:
        _fail(str(error), error.exit_code)
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except BrokenPipeError:
        os._exit(141)  # the reader of our output has gone: 128 + SIGPIPE, as other programs


def _fail(message: str, status: int) -> None:
    say(f"qwf: {message} (exit {status})")
