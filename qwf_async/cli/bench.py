"""`qwf bench` measures how fast a server and the spool's disk take and give points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import UsageError
from ..human import count, share
from .jobs import run_on_store
from .options import JsonOption, QuietOption, ServerOptions, one_of, with_option_groups
from .output import print_json, say, show

if TYPE_CHECKING:
    from ..bench.bench import Result
    from ..store.store import Store


@with_option_groups
def bench(
    seconds: Annotated[
        float, typer.Option("--time", help="Seconds that it takes, about.", min=1.0, max=3600.0)
    ] = 20.0,
    layout: Annotated[
        str | None,
        typer.Option(
            help="One layout only.", autocompletion=one_of("flat", "packed", "tile"), show_default="each"
        ),
    ] = None,
    *,
    server_options: ServerOptions,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Measure how fast your server and disk take and give points, beside a plain pipeline, and what limits.

    The plain pipeline is that of redis-py: HSET and HGET of a point each, 1,000 a pipeline. All is stored
    under a scratch name and removed. Other clients of the server will wait longer meanwhile.

    \b
    Example: qwf bench -u redis://localhost
    """

    async def job(store: Store) -> Result:
        from ..bench.bench import bench as measure
        from ..layout import LAYOUTS

        if layout is not None and layout not in LAYOUTS:
            raise UsageError(f"--layout {layout!r} is none of {', '.join(LAYOUTS)}")
        return await measure(
            store,
            seconds=seconds,
            layouts=tuple(LAYOUTS) if layout is None else (layout,),
            signals=True,
            tell=_unsaid if quiet or as_json else say,
        )

    result = run_on_store(job, server_options, quiet=quiet)
    if as_json:
        print_json(result.to_json())
    else:
        _show(result)


def _show(result: Result) -> None:
    show(f"{'layout':7} {'':6} {'points/s':>13} {'× plain':>8}  {'client':>6} {'server':>6}  limit")
    for row in result.rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.1f}"
        server = "-" if row.server_share is None else share(row.server_share)
        show(
            f"{row.layout:7} {row.road:6} {count(row.rate):>13} {ratio:>8}  {share(row.client_share):>6} {server:>6}"
            f"  {row.limit}"
        )
    trip = 1e3 * result.machine.round_trip
    show(f"a single point takes {1e3 * result.single_point:.2g} ms, a round trip {trip:.2g} ms")
    if result.spool_rate is not None:
        show(f"the disk of the spool takes {count(result.spool_rate)} points/s")


def _unsaid(_: object) -> None:
    """Say nothing."""
