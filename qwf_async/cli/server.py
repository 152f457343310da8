"""`qwf server` runs the embedded server, and prints a configuration and users for a server of one's own."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import Refused
from .jobs import run_job
from .options import ConfigOption, DataDirOption, JsonOption, QuietOption
from .output import agreed, print_json, say, show
from .server_facts import shard_facts, started_text, status_json, status_lines

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
        help="Memory that the data may take, as in 3gb; shards get equal parts. Else $QWF_MEMORY_LIMIT, "
        "else three quarters of what this machine or its control group has.",
        show_default=False,
    ),
]
ShardsOption = Annotated[
    int | None,
    typer.Option(
        "--shards",
        metavar="N",
        help="Servers that share the data, so that as many cores take part. Decided for good when "
        "the data directory is new.",
        show_default="as it was made, else 1",
    ),
]


@server.command()
def start(
    shards: ShardsOption = None,
    data_dir: DataDirOption = None,
    maxmemory: MaxMemoryOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Start the embedded server in the background, unless it runs; print its URL, or that of each shard.

    \b
    Example: qwf server start --maxmemory 3gb
    """
    from ..embedded.servers import ensure

    settings = _settings(config, data_dir, maxmemory)
    running = run_job(partial(ensure, settings.data_dir, shards=shards, maxmemory=settings.memory_limit))
    if as_json:
        facts = [{**shard_facts(shard), "started": shard.started} for shard in running.shards]
        print_json(facts[0] if len(facts) == 1 else {"data_dir": str(running.data_dir), "shards": facts})
        return
    for shard in running.shards:
        show(shard.url)
    if not quiet:
        say(started_text(running))


@server.command()
def stop(
    purge: Annotated[
        bool, typer.Option("--purge", help="Do not save, but delete all that the server has stored.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --purge: do not ask.")] = False,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Let the embedded server, or all shards of it, save the data and end.

    With --purge it is deleted instead, after a question: the files of the server in its data
    directory, and this host's copies of its studies. Other files in the directory stay.

    \b
    Examples:
      qwf server stop
      qwf server stop --purge --yes
    """
    from ..embedded import servers

    settings = _settings(config, data_dir)
    directory, copies = settings.data_dir, _copies_of_studies(settings) if purge else []
    if purge and not yes and not agreed(f"delete all data of the server in {directory}?"):
        raise Refused("nothing was deleted")
    ended = run_job(partial(servers.purge if purge else servers.stop, directory))
    for file in copies:
        file.unlink(missing_ok=True)
    if as_json:
        print_json({"purged" if purge else "stopped": ended})
    elif quiet:
        return
    elif purge:
        say(f"all data of the server in {directory} is deleted" if ended else f"{directory} holds no data")
    else:
        say("stopped; the data is saved" if ended else "not running")


@server.command()
def status(data_dir: DataDirOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Say whether the embedded server runs, and what it holds; a row for each shard.

    \b
    Example: qwf server status --json
    """
    from ..embedded.servers import status as ask_servers

    directory = _settings(config, data_dir).data_dir
    states = run_job(partial(ask_servers, directory))
    if as_json:
        print_json(status_json(states))
        return
    for line in status_lines(directory, states):
        show(line)


@server.command()
def run(
    shards: ShardsOption = None,
    data_dir: DataDirOption = None,
    maxmemory: MaxMemoryOption = None,
    config: ConfigOption = None,
) -> None:
    """Run the embedded server in the foreground until Ctrl-C, which lets it save its data. Its log is printed.

    \b
    Example: qwf server run --data-dir /var/lib/qwf
    """
    from ..embedded.foreground import serve

    settings = _settings(config, data_dir, maxmemory)
    serve(settings.data_dir, shards=shards, maxmemory=settings.memory_limit)


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


@server.command()
def dashboard(as_json: JsonOption = False) -> None:
    """Print a dashboard for Grafana, of the metrics that qwf gives Prometheus: `qwf help metrics`.

    \b
    Example: qwf server dashboard > dashboard.json
    """
    import json

    from ..metrics.dashboard import dashboard as made

    typer.echo(json.dumps(made(), indent=None if as_json else 2))


def _settings(config: Path | None, data_dir: Path | None, maxmemory: str | None = None) -> Settings:
    from ..settings import load

    return load(config, warn=say, data_dir=data_dir, memory_limit=maxmemory)


def _copies_of_studies(settings: Settings) -> list[Path]:
    """The files of this host from which the embedded server would get back its studies."""
    from ..client.address import Address
    from ..embedded.data_dir import DataDir
    from ..embedded.shards import shards_of
    from ..study.host_directory import beside, files_on_host

    shards = [Address.parse(f"unix://{DataDir.of(place).socket}") for place in shards_of(settings.data_dir)]
    server = Address.of_shards(shards).identity
    found = files_on_host(settings.spool_directory, server=server, prefix=settings.prefix)
    return [file for study in found for file in (*beside(study), study)]
