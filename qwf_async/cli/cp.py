"""`qwf cp` copies a wavefunction, to another name or another server."""

from __future__ import annotations

from typing import Annotated

import typer

from .copy_options import CopyOptions, TargetArgument, run_copy
from .options import JsonOption, NameArgument, QuietOption, ServerOptions, with_option_groups


@with_option_groups
def cp(
    name: NameArgument,
    target: TargetArgument,
    *,
    copy_options: CopyOptions,
    verify: Annotated[bool, typer.Option("--verify", help="Read all back before it is published.")] = False,
    server_options: ServerOptions,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Copy a wavefunction, to another name or another server, and publish the copy whole.

    What is not named stays as it is, bit for bit. Each chunk is compared with the digest of what was written.

    \b
    Examples:
      qwf cp packet before
      qwf cp packet redis://other:6379/packet --resume
      qwf cp packet packed --layout packed --codec c8
    """
    run_copy(
        name,
        target,
        copy_options,
        server_options,
        quiet=quiet,
        as_json=as_json,
        verify=verify,
        move=False,
    )
