"""`qwf config` shows the settings, and where each value came from."""

from __future__ import annotations

from pathlib import Path

import typer

from ..errors import UsageError
from .options import JsonOption, ServerOptions, with_option_groups
from .output import print_json, say

config = typer.Typer(name="config", help="Look at the settings.", no_args_is_help=True)


@config.command()
@with_option_groups
def show(*, server_options: ServerOptions, as_json: JsonOption = False) -> None:
    """Print each setting, its value and where it came from. Passwords are masked.

    \b
    Example: qwf config show --config redis_config.json
    """
    # Imported here, because msgspec would slow down `qwf --help`.
    from ..settings import trace

    settings, origins = trace(server_options.config, warn=say, **server_options.settings)
    rows = {name: (_shown(name, getattr(settings, name), origin), origin) for name, origin in origins.items()}
    if as_json:
        print_json({name: {"value": value, "from": origin} for name, (value, origin) in rows.items()})
    else:
        _print_table(rows)


def _shown(name: str, value: object, origin: str) -> object:
    """The value of a setting as it may be printed: a path as text, passwords masked."""
    if isinstance(value, Path):
        return str(value)
    if value is None or name not in ("url", "password"):
        return value
    if name == "password":
        return "***"
    from ..client.address import Address

    try:
        return Address.parse(str(value)).shown
    except UsageError as error:  # its message quotes nothing of the URL
        raise UsageError(f"url ({origin}): {error}") from error


def _print_table(rows: dict[str, tuple[object, str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None)
    table.add_column("name", no_wrap=True)
    table.add_column("value", overflow="fold")
    table.add_column("from", overflow="fold")
    for name, (value, origin) in rows.items():
        # Text, because in plain strings rich takes [brackets] for markup; encoded once, because
        # a path that is not UTF-8 cannot be printed.
        cells = ("not set" if value is None else str(value), origin)
        table.add_row(name, *(Text(cell.encode(errors="replace").decode()) for cell in cells))
    Console().print(table)
