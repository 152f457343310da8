"""`qwf where` prints the command by which any client reads a point."""

from __future__ import annotations

from shlex import join
from typing import TYPE_CHECKING, Any

from .jobs import run_on_store
from .options import JsonOption, NameArgument, ServerOptions, with_option_groups
from .output import print_json, say, show
from .point import AtOption, PointRequest, TOption, XArgument, YArgument, ZArgument
from .stored_wavefunction import open_stored

if TYPE_CHECKING:
    from ..store.store import Store


@with_option_groups
def where(
    name: NameArgument,
    x: XArgument = None,
    y: YArgument = None,
    z: ZArgument = None,
    t: TOption = None,
    at: AtOption = None,
    *,
    server_options: ServerOptions,
    as_json: JsonOption = False,
) -> None:
    """Print the command by which redis-cli reads ψ at a point, and how its bytes become numbers.

    The first line can be pasted into a shell, and prints re and im, or nothing where nothing is.
    HGET with its key and field is what any other client sends. A password is not shown.

    \b
    Examples:
      qwf where hydrogen 60 48 60
      qwf where hydrogen --at x=5,y=0,z=5
    """
    request = PointRequest.read(x, y, z, t, at)

    async def job(store: Store) -> dict[str, Any]:
        psi = await open_stored(store, name)
        point, form = request.on(psi.manifest.grid), psi.manifest.form
        place = psi.where(*point.xyzt)
        if point.text and not as_json:
            say(f"at {point.text}")
        # Shards know nothing of each other, and of a cluster the node that has the key is asked at once.
        address = store.pool.node_of(place.key).address
        follow = ["-c"] if store.pool.is_cluster else []
        # -e: an error is no output. -D: no newline after the bytes, and no bytes for no value.
        output = ["-e"] if place.nbytes is None else ["-e", "-D", ""]
        fetch = ["HGET", place.key.decode(), place.field.decode()]
        facts = {
            "name": name,
            **point.to_json(),
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

    facts = run_on_store(job, server_options, reading=True)
    if as_json:
        print_json(facts)
        return
    shell = f" | {facts['shell']}" if facts["shell"] else ""
    show(f"{facts['command']}{shell}")
    show(f"# in Python, of the value that HGET returns: {facts['python']}")
    if facts["password"]:
        show(f"# redis-cli takes the password from the variable {facts['password']}")
