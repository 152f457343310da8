"""`qwf rm` removes wavefunctions, with their unfinished loads and spools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InvalidInput, QwfError, Refused
from .completion import stored_names
from .jobs import run_on_store
from .options import JsonOption, QuietOption, ServerOptions, with_option_groups
from .output import notes_said, print_result, raise_first, say

if TYPE_CHECKING:
    from ..store.store import Store


@with_option_groups
def rm(
    names: Annotated[
        list[str],
        typer.Argument(help="Names of wavefunctions.", show_default=False, autocompletion=stored_names),
    ],
    damaged: Annotated[
        bool,
        typer.Option(
            "--damaged", help="Delete only records that cannot be read; data that they meant stays."
        ),
    ] = False,
    *,
    server_options: ServerOptions,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Delete wavefunctions, and their unfinished loads; a name that is not there does not spare the others.

    \b
    Example: qwf rm hydrogen packet
    """
    removed: list[str] = []
    errors: list[QwfError] = []

    async def job(store: Store) -> None:
        for name in names:
            try:
                if damaged:
                    removed.extend(await store.remove_damaged(name))
                else:
                    await _remove(store, name, quiet=quiet)
                    removed.append(name)
            except (InvalidInput, Refused) as error:
                errors.append(error)

    run_on_store(job, server_options, reading=True, quiet=quiet)
    if as_json:
        print_result({"removed": removed}, next(iter(errors), None))
    elif removed and not quiet:
        rest = (
            "; what data they meant is not known, and what there is of it stays: "
            "the keys begin with the prefix and the name"
        )
        say(f"removed {', '.join(removed)}{rest if damaged else ''}")
    raise_first(errors)


async def _remove(store: Store, name: str, *, quiet: bool) -> None:
    """Remove a wavefunction and the spools of its name. Raises InvalidInput if there is neither."""
    from ..ingesting.leftover_spools import drop_expendable

    absent = None
    try:
        await store.remove(name)
    except InvalidInput as error:
        absent = error
    dropped = await drop_expendable(store, name, hook=notes_said(quiet=quiet), removed=True)
    if absent is not None and not dropped:
        raise absent
