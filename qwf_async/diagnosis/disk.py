"""The directories of this machine: may they be written to, are they private, and is there room?"""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import InvalidInput, QwfError, ReplayOwed, SpoolFull
from ..host.private_files import check_private_directory
from ..human import counted, size
from ..settings import Settings
from ..spool import spools
from ..wording import option
from .check import Check, fit, unfit


def disk_checks(settings: Settings) -> list[Check]:
    """The data directory, if the embedded server is used, and the directory of spools. Blocking."""
    checks = []
    if settings.url is None:
        cure = f"choose another with {option('data_dir')} or QWF_DATA_DIR"
        checks.append(_directory("data", settings.data_dir, 0, cure))
    if settings.spool_limit == 0:
        return [
            *checks,
            unfit("spool", "spool_limit is 0: an outage ends an ingest", "unset QWF_SPOOL_LIMIT"),
        ]
    cure = "choose another with QWF_SPOOL_DIR, or a smaller QWF_SPOOL_LIMIT"
    return [
        *checks,
        _directory("spool", settings.spool_directory, settings.spool_limit, cure),
        *_waiting(settings),
    ]


def _directory(subject: str, directory: Path, needed: int, cure: str) -> Check:
    """One directory, or the one that it will be made in; `needed` bytes should be free there."""
    there = directory.expanduser().absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    try:
        if there == directory.expanduser().absolute():
            check_private_directory(there, f"{subject} directory", cure)
        disk = os.statvfs(there)
    except InvalidInput as error:
        return unfit(subject, str(error), cure, code=InvalidInput.exit_code)
    except OSError as error:
        return unfit(subject, f"{there}: {error.strerror}", cure, code=InvalidInput.exit_code)
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        return unfit(subject, f"{there} cannot be written to", cure, code=InvalidInput.exit_code)
    free = disk.f_bavail * disk.f_frsize
    made = "" if directory.exists() else ", which will be made"
    if free < needed:
        text = f"{directory}: {size(free)} free, and an outage may need {size(needed)} there"
        return unfit(subject, text, cure, code=SpoolFull.exit_code)
    return fit(subject, f"{directory}{made}: {size(free)} free")


def _waiting(settings: Settings) -> list[Check]:
    """What waits in spools for its server, if anything does."""
    try:
        found = spools(settings.spool_directory, prefix=settings.prefix)
    except QwfError as error:
        return [unfit("replay", str(error), code=error.exit_code)]
    if not found:
        return []
    nbytes = sum(each.path.stat().st_size for each in found if each.path.exists())
    names = ", ".join(sorted({each.head.name for each in found if each.head is not None}))
    text = f"{counted(len(found), 'load')} with {size(nbytes)} in spools: {names}"
    return [unfit("replay", text, "qwf resume", code=ReplayOwed.exit_code)]
