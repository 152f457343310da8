"""The `qwf` application: its commands, and how errors become exit codes."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import Final, NoReturn

import typer

from ..errors import Interrupted, QwfError, status_of
from ..wording import messages_for_command_line
from .bench import bench
from .clean import clean
from .config import config
from .cp import cp
from .estimate import estimate
from .export import export
from .get import get
from .help import help_
from .info import info
from .ingest import ingest
from .ls import ls
from .mv import mv
from .observe import observe
from .output import say
from .plot import plot
from .resume import resume
from .rm import rm
from .server import server
from .set import set_
from .signed_words import SignedWords
from .slice import slice_
from .study import study_app
from .tune import tune
from .verify import verify
from .watch import watch
from .where import where

INTERRUPTED: Final = status_of(signal.SIGINT)

app = typer.Typer(
    name="qwf",
    help="Load quantum wavefunctions into Redis or Valkey, and get them back.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    ingest,
    resume,
    ls,
    info,
    get,
    where,
    observe,
    plot,
    export,
    verify,
    estimate,
    tune,
    bench,
    cp,
    mv,
    rm,
    clean,
    watch,
):
    app.command(cls=SignedWords)(command)
app.command("help")(help_)
app.command("slice", cls=SignedWords)(slice_)
app.command("set", cls=SignedWords)(set_)
app.add_typer(server)
app.add_typer(config)
app.add_typer(study_app)


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context, version: bool = typer.Option(False, "--version", help="Print the version.")
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
