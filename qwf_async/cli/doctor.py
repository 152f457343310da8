"""`qwf doctor` says what is fit about the server and this machine, what is not, and the cure."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from .jobs import run_job
from .options import JsonOption, QuietOption, ServerOptions, with_option_groups
from .output import print_result, say, show

if TYPE_CHECKING:
    from ..diagnosis.check import Check


@with_option_groups
def doctor(*, server_options: ServerOptions, as_json: JsonOption = False, quiet: QuietOption = False) -> None:
    """Look at the server and at this machine: what is fit, what is not, and the command that cures it.

    It changes nothing, and starts no server. With -q only what is not fit is shown.

    Exit 0 if all is fit or unknown; else the code of the worst finding, in this order: 3 no server, or no room
    for an outage; 8 rights; 4 memory or eviction; 6 a replay is owed; 7 a directory; 2 the URL; 1 anything else.

    \b
    Example: qwf doctor -u redis://localhost:6379
    """
    from ..diagnosis.check import error_of
    from ..diagnosis.diagnose import diagnose
    from ..settings import load

    settings = load(server_options.config, warn=say, **server_options.settings)
    checks = run_job(partial(diagnose, settings))
    error = error_of(checks)
    if as_json:
        print_result({"fit": error is None, "checks": [check.to_json() for check in checks]}, error)
    else:
        _show([check for check in checks if not quiet or check.verdict == "not fit"])
    if error is not None:
        raise error


def _show(checks: list[Check]) -> None:
    for check in checks:
        show(f"{check.verdict:<8} {check.subject:<13} {check.text}")
        if check.cure:
            show(f"{'':<22} cure: {check.cure}")
