"""`qwf mv` moves a wavefunction, to another name or another server."""

from __future__ import annotations

from .copy_options import CopyOptions, TargetArgument, run_copy
from .options import JsonOption, NameArgument, QuietOption, ServerOptions, with_option_groups


@with_option_groups
def mv(
    name: NameArgument,
    target: TargetArgument,
    *,
    copy_options: CopyOptions,
    server_options: ServerOptions,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Move a wavefunction: it is copied and verified, the copy is published, and then the original is removed.

    The original stays if it was changed meanwhile. Keys hold the name, so on one server it is copied too, and
    takes its memory twice until the original is removed.

    \b
    Examples:
      qwf mv packet packet-2026
      qwf mv packet redis://other:6379/ --resume
    """
    run_copy(
        name,
        target,
        copy_options,
        server_options,
        quiet=quiet,
        as_json=as_json,
        verify=True,
        move=True,
    )
