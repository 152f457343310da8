"""`qwf verify` compares a stored wavefunction with the digests of what was written, or with a source."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ..errors import DamagedData
from ..human import count
from .completion import sources
from .jobs import run_on_store
from .options import (
    JsonOption,
    NameArgument,
    QuietOption,
    ServerOptions,
    SourceOptions,
    with_option_groups,
)
from .output import print_result, say
from .source_argument import opened_source
from .stored_wavefunction import open_stored

if TYPE_CHECKING:
    from ..ingesting.verification import Difference, Verification
    from ..store.store import Store

MAX_DESCRIBED: Final = 3
"""Chunks that a message describes; all of them are in the JSON."""


@with_option_groups
def verify(
    name: NameArgument,
    source: Annotated[
        str | None,
        typer.Argument(
            help="Compare with this source, given as for ingest.",
            show_default=False,
            autocompletion=sources,
        ),
    ] = None,
    *,
    source_options: SourceOptions,
    server_options: ServerOptions,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Read a wavefunction back and compare it, chunk by chunk, with the digests of what was written, or with a source.

    Exit 5 if a chunk differs; to ingest the source again with --overwrite is the repair.
    Chunks that were changed on purpose (qwf set) are told; they differ only from a source.

    \b
    Examples:
      qwf verify hydrogen
      qwf verify psi psi.npy
      qwf verify old redis-hash:wave_function
    """
    with nullcontext() if source is None else opened_source(source, source_options) as argument:

        async def job(store: Store) -> Verification:
            from ..events import progress_of
            from ..ingesting.verification import verify as read_back
            from .progress import shown_progress

            total = (await open_stored(store, name)).manifest.points
            with shown_progress(quiet=quiet) as hook:
                psi = None if argument is None else await argument.on(store, warn=True)
                return await read_back(store, name, psi, done=progress_of(hook, total, phase="verifying"))

        result = run_on_store(job, server_options, reading=True, quiet=quiet)
    other, error = "what was written" if source is None else source, None
    if result.differences:
        error = DamagedData(
            f"{count(len(result.differences))} of {count(result.chunks)} chunks of {name} differ from {other}: "
            f"{_described(result.differences)}; ingest its source with --overwrite"
        )
    if as_json:
        facts = {
            "name": name,
            "chunks": result.chunks,
            "differing": result.differing,
            "changed": result.changed,
            "differences": [difference.to_json() for difference in result.differences],
        }
        print_result(facts, error)
    if error is not None:
        raise error
    if not quiet and not as_json:
        changed = len(result.changed)
        if source is None and changed:
            rest = "the others are as they were written" if changed < result.chunks else "no value is missing"
            say(
                f"{name}: {count(changed)} of {count(result.chunks)} chunks were changed on purpose since; {rest}"
            )
        else:
            as_it = "they were written" if source is None else source
            say(f"{name}: all {count(result.chunks)} chunks are as {as_it}")


def _described(differences: list[Difference]) -> str:
    """The first differences in words."""
    first = (
        f"chunk {difference.chunk} ({difference.place}{_REASONS[difference.what]}{difference.detail or ''})"
        for difference in differences[:MAX_DESCRIBED]
    )
    return ", ".join(first) + (", …" if len(differences) > MAX_DESCRIBED else "")


_REASONS: Final = {"differs": "", "missing": ": ", "unrecorded": ": no digest of it was kept"}
