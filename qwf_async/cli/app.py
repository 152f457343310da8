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
from .commands import deferred, loaded
from .completion import words_of_bash
from .log_options import LogFileOption, VerboseOption, log_begin, log_error
from .options import ConfigOption, DataDirOption, UrlOption
from .output import print_json, say

INTERRUPTED: Final = status_of(signal.SIGINT)


BEFORE: Final = ("url", "data_dir", "config")
"""Options of commands that may also stand before the command."""


class Qwf(TyperGroup):
    """All commands, each imported only when it is run. `failure` is what typer says of a request without sense."""

    failure: str | None = None

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes | {"commands": deferred()})
        coerce_quickly(self)

    def make_context(self, *arguments: Any, **more: Any) -> Any:
        try:
            return super().make_context(*arguments, **more)
        except Exception as error:
            self._note(error)
            raise

    def invoke(self, context: Any) -> Any:
        try:
            return super().invoke(context)
        except Exception as error:
            self._note(error)
            raise

    def main(self, *arguments: Any, **more: Any) -> Any:
        with words_of_bash():
            return super().main(*arguments, **more)

    def resolve_command(self, context: Any, args: list[str]) -> Any:
        """As of every group, and the options before the command go behind its words, where a later one wins."""
        name, command, rest = super().resolve_command(context, args)
        log_begin(f"{context.command_path} {name}")
        given = [
            text
            for option in BEFORE
            if (value := context.params.get(option)) is not None
            for text in (f"--{option.replace('_', '-')}", str(value))
        ]
        if command is None or not given:
            return name, command, rest
        words = int(hasattr(loaded(command), "commands") and bool(rest) and not rest[0].startswith("-"))
        return name, command, [*rest[:words], *given, *rest[words:]]

    def _note(self, error: Exception) -> None:
        """Keep what typer will say of an error, and write the error to the log."""
        if hasattr(error, "format_message"):
            self.failure = error.format_message()
        message = self.failure or (str(error) if isinstance(error, QwfError | OSError) else repr(error))
        if not isinstance(error, typer.Exit | typer.Abort):
            log_error(message)


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
    context: typer.Context,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    verbose: VerboseOption = 0,
    log_file: LogFileOption = None,
    version: bool = typer.Option(False, "--version", "-V", help="Print the version."),
) -> None:
    """Load quantum wavefunctions into Redis or Valkey, and get them back."""
    context.with_resource(messages_for_command_line())
    if version:
        from .. import __version__

        typer.echo(f"qwf {__version__}")
        raise typer.Exit


def run(*, chain: bool = False) -> None:
    """Run the command that the arguments name, or the chain, and exit with the code of the error if there is one."""
    command: Any = typer.main.get_command(app)
    try:
        if chain:
            from . import chain as chain_of_the_older_project

            chain_of_the_older_project.chain()
        else:
            command()
    except QwfError as error:
        status = error.status if isinstance(error, Interrupted) else error.exit_code
        _fail(str(error), status, in_result=error.in_result)
    except SystemExit as end:
        if end.code == INTERRUPTED:  # typer's exit code for a KeyboardInterrupt
            _fail("stopped by SIGINT", INTERRUPTED)
        if end.code and command.failure:
            _print_error(command.failure, int(end.code))
        raise
    except BrokenPipeError:  # who reads the output has ended, as in `| head`: no error to tell of
        os._exit(1)
    except OSError as error:
        # Other OSErrors are translated where they arise: this is standard output, on a full disk.
        _fail(error.strerror or str(error), 1)
    except Exception as error:
        _print_error(repr(error), 1)
        raise


def _fail(message: str, status: int, *, in_result: bool = False) -> NoReturn:
    with suppress(OSError):  # standard error may be closed
        say(f"qwf: {message} (exit {status})")
    if not in_result:
        _print_error(message, status)
    with suppress(OSError):
        sys.stdout.flush()
    os._exit(status)  # a thread that still reads the source must not hold the process


def _print_error(message: str, status: int) -> None:
    """With --json, print an error as one line of JSON on standard output, beside what standard error says."""
    words = sys.argv[1:]
    if "--json" in words[: words.index("--")] if "--" in words else "--json" in words:
        with suppress(OSError):
            print_json({"error": {"code": status, "message": message}})
