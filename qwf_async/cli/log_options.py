"""`--verbose` and `--log-file`, which every command takes, and `qwf` itself before the command."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    from .log import Log

_KEY: Final = "qwf_async.cli.log"


def _tell_more(context: typer.Context, steps: int) -> None:
    if steps and not context.resilient_parsing:
        _log_of(context).tell_more(steps)


def _write_to(context: typer.Context, path: Path | None) -> None:
    if path is not None and not context.resilient_parsing:
        _log_of(context).write_to(path)
        if context.parent is not None:
            log_begin(context.command_path)


VerboseOption = Annotated[
    int,
    typer.Option(
        "--verbose",
        "-v",
        count=True,
        help="Say what happens, with times; twice for details.",
        show_default=False,
        expose_value=False,
        callback=_tell_more,
    ),
]
LogFileOption = Annotated[
    Path | None,
    typer.Option(
        "--log-file",
        metavar="FILE",
        help="Write what happens to the end of this file.",
        show_default=False,
        expose_value=False,
        callback=_write_to,
    ),
]


def log_parameters() -> list[Any]:
    """Both options, for a command of typer."""
    app = typer.Typer(add_completion=False)

    @app.command()
    def command(verbose: VerboseOption = 0, log_file: LogFileOption = None) -> None:
        """It has nothing but the options."""

    return list(typer.main.get_command(app).params)


def log_begin(command: str) -> None:
    """Write to the log, if there is one, which command begins."""
    if f"{__package__}.log" in sys.modules:
        from .log import COMMAND

        COMMAND.info("%s begins", command)


def log_error(message: str) -> None:
    """Write an error to the log, if there is one."""
    if f"{__package__}.log" in sys.modules:
        from .log import COMMAND

        if COMMAND.hasHandlers():  # without one Python would print it
            COMMAND.error("%s", message)


def _log_of(context: typer.Context) -> Log:
    """The log of the command that runs: it is made when it is first asked for, and ends with the command."""
    from .log import Log

    root = context.find_root()
    if _KEY not in root.meta:
        root.meta[_KEY] = root.with_resource(Log())
    known: Log = root.meta[_KEY]
    return known
