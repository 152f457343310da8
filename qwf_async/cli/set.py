"""`qwf set` changes a stored value in place."""

from __future__ import annotations

import cmath
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InvalidInput, UsageError
from .jobs import run_on_store
from .options import JsonOption, NameArgument, QuietOption, ServerOptions, with_option_groups
from .output import print_json, say
from .point import AtOption, FoundPoint, PointRequest, TOption, XArgument, YArgument, ZArgument
from .stored_wavefunction import open_stored

if TYPE_CHECKING:
    from ..store.store import Store


@with_option_groups
def set_(
    name: NameArgument,
    x: XArgument = None,
    y: YArgument = None,
    z: ZArgument = None,
    t: TOption = None,
    at: AtOption = None,
    *,
    value: Annotated[
        str, typer.Option(metavar="RE,IM", help="The new value; RE alone if it is real.", show_default=False)
    ],
    allow_nonfinite: Annotated[
        bool, typer.Option("--allow-nonfinite", help="Store NaN and infinity as they are.")
    ] = False,
    server_options: ServerOptions,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Change ψ at one point, in place. The stored norm stays that of what was ingested.

    \b
    Examples:
      qwf set hydrogen 60 48 60 --value 0.5,-0.25
      qwf set hydrogen --at x=5,y=0,z=5 --value 0.5,-0.25
    """
    request = PointRequest.read(x, y, z, t, at)
    psi_value = _value(value)
    if not (cmath.isfinite(psi_value) or allow_nonfinite):
        raise InvalidInput(f"--value {value} is not finite: --allow-nonfinite stores it as it is")

    async def job(store: Store) -> FoundPoint:
        psi = await open_stored(store, name)
        point = request.on(psi.manifest.grid)
        await psi.update(*point.xyzt, value=psi_value, allow_nonfinite=allow_nonfinite)
        await store.secure()
        return point

    point = run_on_store(job, server_options, reading=True, quiet=quiet)
    if as_json:
        print_json({"name": name, **point.to_json(), "re": psi_value.real, "im": psi_value.imag})
    elif not quiet:
        where = point.text or f"x {point.x}, y {point.y}, z {point.z}, t {point.t}"
        say(f"{name} at {where} is {psi_value.real!r} {psi_value.imag:+}i now")


def _value(text: str) -> complex:
    re, _, im = text.partition(",")
    try:
        return complex(float(re), float(im or "0"))
    except ValueError as error:
        raise UsageError(f"--value {text!r} is no value: write RE,IM, as in 0.5,-0.25") from error
