"""`qwf server` runs the embedded server, and prints a configuration and users for a server of one's own."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .jobs import run_job
from .options import ConfigOption, DataDirOption, JsonOption, QuietOption
from .output import print_json, say, show

if TYPE_CHECKING:
    from ..settings import Settings

server = typer.Typer(
    name="server",
    help="The embedded server, which is used when no --url is given; and a configuration for your own.",
    no_args_is_help=True,
)

MaxMemoryOption = Annotated[
    str | None,
    typer.Option(
        "--maxmemory",
        "--memory-limit",
        metavar="SIZE",
        help="Memory that the data may take, as in 3gb. Else $QWF_MEMORY_LIMIT, "
        "else three quarters of what this machine or its control group has.",
        show_default=False,
    ),
]


@server.command()
def start(
    data_dir: DataDirOption = None,
    maxmemory: MaxMemoryOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Start the embedded server in the background, unless it runs; print its URL.

    \b
    Example: qwf server start --maxmemory 3gb
    """
    from ..embedded.lifecycle import ensure

    settings = _settings(config, data_dir, maxmemory)
    running = run_job(partial(ensure, settings.data_dir, maxmemory=settings.memory_limit))
    if as_json:
        facts = {
            "url": running.url,
            "socket": str(running.socket),
            "pid": running.pid,
            "started": running.started,
            "binary": running.binary,
            "data_dir": str(running.data_dir),
        }
        print_json(facts)
        return
    show(running.url)
    if not quiet:
        state = "started; it stays until 'qwf server stop'" if running.started else "was running already"
        say(f"embedded server (process {running.pid}) {state}")


@server.command()
def stop(
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Let the embedded server save its data and end.

    \b
    Example: qwf server stop
    """
    from ..embedded.lifecycle import stop as stop_server

    settings = _settings(config, data_dir)
    stopped = run_job(partial(stop_server, settings.data_dir))
    if as_json:
        print_json({"stopped": stopped})
    elif not quiet:
        say("stopped; the data is saved" if stopped else "not running")


@server.command()
def status(data_dir: DataDirOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Say whether the embedded server runs, and what it holds.

    \b
    Example: qwf server status --json
    """
    from ..embedded.lifecycle import status as ask_server

    settings = _settings(config, data_dir)
    state = run_job(partial(ask_server, settings.data_dir))
    if state is None:
        if as_json:
            print_json({"running": False})
        else:
            show(f"not running (data directory {settings.data_dir})")
        return
    facts: dict[str, Any] = {
        "url": state.server.url,
        "socket": str(state.server.socket),
        "pid": state.server.pid,
        "version": state.version,
        "binary": state.server.binary,
        "data_dir": str(state.server.data_dir),
        "uptime_seconds": state.uptime,
        "keys": state.keys,
        "memory_used": state.memory_used,
        "maxmemory": state.maxmemory,
        "allocator": state.allocator.name,
        "huge_pages": state.allocator.huge_pages,
    }
    if as_json:
        print_json({"running": True, **facts})
        return
    for name, fact in facts.items():
        if fact is not None:
            shown = f"{fact / 2**20:,.1f} MiB" if name in ("memory_used", "maxmemory", "huge_pages") else fact
            show(f"{name.replace('_', ' '):<16}{shown}")


@server.command()
def run(
    data_dir: DataDirOption = None, maxmemory: MaxMemoryOption = None, config: ConfigOption = None
) -> None:
    """Run the embedded server in the foreground until Ctrl-C, which lets it save its data. Its log is printed.

    \b
    Example: qwf server run --data-dir /var/lib/qwf
    """
    from ..embedded.foreground import serve

    settings = _settings(config, data_dir, maxmemory)
    serve(settings.data_dir, maxmemory=settings.memory_limit)


@server.command()
def conf(maxmemory: MaxMemoryOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Print a configuration for a Redis or Valkey of your own, with a reason for each setting.

    \b
    Example: qwf server conf --maxmemory 3gb > redis.conf
    """
    from ..embedded.configuration import default_maxmemory, documented_text, server_configuration
    from ..embedded.machine import memory_bytes

    limit = _settings(config, None, maxmemory).memory_limit
    if limit is None:
        limit = default_maxmemory(memory_bytes())
    settings = server_configuration(maxmemory=limit)
    if as_json:
        print_json(dict(settings))
    else:
        typer.echo(documented_text(settings), nl=False)


@server.command()
def acl(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Print two users for the ACL of a server of your own: qwf, and qwf-reader, who only reads.

    The lines fit redis.conf, an ACL file, and ACL SETUSER. Neither user can log in before
    you add a password: >PASSWORD, or # and its SHA-256. The key prefix is that of the settings.

    \b
    Example: qwf server acl >> users.acl
    """
    from ..server.acl import reader, writer

    prefix = _settings(config, None).prefix
    users = {"qwf": writer(prefix), "qwf-reader": reader(prefix)}
    if as_json:
        print_json(users)
        return
    for name, rules in users.items():
        show(" ".join(["user", name, *rules]))


def _settings(config: Path | None, data_dir: Path | None, maxmemory: str | None = None) -> Settings:
    from ..settings import load

    return load(config, warn=say, data_dir=data_dir, memory_limit=maxmemory)
