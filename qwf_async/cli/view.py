"""`qwf view` serves a page that shows what is stored and what is being loaded, and opens it in a browser."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import Interrupted
from .completion import stored_names
from .jobs import run_on_store
from .options import JsonOption, QuietOption, ServerOptions, with_option_groups
from .output import print_json, say, show

if TYPE_CHECKING:
    from ..store.store import Store


@with_option_groups
def view(
    name: Annotated[
        str | None,
        typer.Argument(
            help="Name of the wavefunction to show first.", show_default=False, autocompletion=stored_names
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            help="Port; 0 is any free one.", min=0, max=65535, show_default="8765, or the next free one"
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen at. Beyond this machine, whoever has the token can read.")
    ] = "127.0.0.1",
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Print the address, and open no browser.")
    ] = False,
    *,
    server_options: ServerOptions,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show what is stored, and what is being loaded, on a page in a browser, until a signal.

    The address has a token, without which nothing is shown. Nothing is changed on the server.

    \b
    Examples:
      qwf view
      qwf view run --port 8800 --no-browser
    """

    async def job(store: Store) -> None:
        from ..http_serving import is_loopback
        from ..ingesting.shutdown import shutdown_on_signals
        from ..web.viewing import viewing

        if name is not None:
            await _check_name(store, name)
        async with shutdown_on_signals(0) as shutdown:
            with shutdown.scope:
                async with viewing(store.settings, host=host, port=port) as viewed:
                    url = viewed.url(name)
                    if as_json:
                        print_json(
                            {"url": url, "host": viewed.host, "port": viewed.port, "token": viewed.token}
                        )
                    else:
                        show(url)
                    sys.stdout.flush()
                    if not quiet and not is_loopback(host):
                        say("others on the network who have this address can read all that is stored")
                    if not quiet:
                        say("the page is there until Ctrl-C")
                    note = None if no_browser else await _opened(url, viewed.port)
                    if note and not quiet:
                        say(note)
                    await shutdown.stopping.wait()
        raise shutdown.interrupted("the page is not shown any more")

    try:
        run_on_store(job, server_options, quiet=quiet)
    except Interrupted as ended:
        if ended.signum != signal.SIGTERM:
            raise
        if not quiet:
            say(str(ended))


async def _check_name(store: Store, name: str) -> None:
    """Raise UnknownName if nothing has this name, not even a load that is under way."""
    import difflib

    from ..errors import UnknownName

    try:
        await store.open(name)
    except UnknownName as error:
        names = [entry.name for entry in await store.entries()]
        if name in names:
            return
        near = difflib.get_close_matches(name, names, n=1)
        if not near:
            raise
        raise UnknownName(f"{error.args[0]} (did you mean {near[0]!r}?)") from error


async def _opened(url: str, port: int) -> str | None:
    """Open the address in the user's browser; or say in one line why not.

    It is opened by a process without a terminal: it can hold up nothing, says nothing here, a browser
    that would take the terminal over ends, and Ctrl-C does not end the browser.
    """
    import anyio

    by_display = not sys.platform.startswith(("darwin", "win32", "cygwin"))
    if by_display and not any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")):
        if os.environ.get("SSH_CONNECTION"):
            return f"no display here; on your own machine: ssh -L {port}:127.0.0.1:{port} HOST, and open the address"
        return "no display: open the address in a browser"
    code = "import sys, webbrowser; sys.exit(not webbrowser.open(sys.argv[1]))"
    try:
        ended = await anyio.run_process(
            [sys.executable, "-IS", "-c", code, url],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
            start_new_session=True,
        )
    except OSError as error:
        return f"no browser could be started ({error.strerror}): open the address yourself"
    return "no browser could be started: open the address yourself" if ended.returncode else None
