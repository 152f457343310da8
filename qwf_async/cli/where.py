"""`qwf where` prints the command by which any client reads a point."""

from __future__ import annotations

from shlex import join
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .jobs import run_on_store
from .options import JsonOption, NameArgument, ServerOptions, with_option_groups
from .output import print_json, show
from .stored_wavefunction import open_stored

if TYPE_CHECKING:
    from ..store.store import Store


@with_option_groups
def where(
    name: NameArgument,
    x: Annotated[int, typer.Argument(help="Index along x.", show_default=False)],
    y: Annotated[int, typer.Argument(help="Index along y.")] = 0,
    z: Annotated[int, typer.Argument(help="Index along z.")] = 0,
    t: Annotated[int, typer.Option("--t", "-t", help="Index along t.")] = 0,
    *,
    server_options: ServerOptions,
    as_json: JsonOption = False,
) -> None:
    """Print the command by which redis-cli reads ψ at a point, and how its bytes become numbers.

    The first line can be pasted into a shell, and prints re and im, or nothing where nothing is.
    HGET with its key and field is what any other client sends. A password is not shown.

    \b
    Example: qwf where hydrogen 60 48 60
    """

    async def job(store: Store) -> dict[str, Any]:
        psi = await open_stored(store, name)
        place, form = psi.where(x, y, z, t), psi.manifest.form
        # Shards know nothing of each other, and of a cluster the node that has the key is asked at once.
        address = store.pool.node_of(place.key).address
        follow = ["-c"] if store.pool.is_cluster else []
        # -e: an error is no output. -D: no newline after the bytes, and no bytes for no value.
        output = ["-e"] if place.nbytes is None else ["-e", "-D", ""]
        fetch = ["HGET", place.key.decode(), place.field.decode()]
        facts = {
            "name": name,
            "x": x,
            "y": y,
            "z": z,
            "t": t,
            "layout": form.layout,
            "codec": form.codec,
            "key": place.key.decode(),
            "field": place.field.decode(),
            "offset": place.offset,
            "bytes": place.nbytes,
            "command": join(["redis-cli", *output, *address.cli_options, *follow, *fetch]),
            "password": "REDISCLI_AUTH" if address.wants_password else None,
        }
        if place.nbytes is None:
            return facts | {"shell": None, "python": "complex(*map(float, value.split(b',')))"}
        size = place.nbytes // 2
        return facts | {
            "shell": f"od -A n -t f{size} -j {place.offset} -N {place.nbytes}",
            "python": f"numpy.frombuffer(value, '<c{2 * size}')[{place.offset // place.nbytes}]",
        }

    facts = run_on_store(job, server_options)
    if as_json:
        print_json(facts)
        return
    shell = f" | {facts['shell']}" if facts["shell"] else ""
    show(f"{facts['command']}{shell}")
    show(f"# in Python, of the value that HGET returns: {facts['python']}")
    if facts["password"]:
        show(f"# redis-cli takes the password from the variable {facts['password']}")
