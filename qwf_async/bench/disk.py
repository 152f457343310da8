"""How fast the spool's disk takes chunks: those of layout flat, committed as an ingest commits them in an outage."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Final

import numpy as np

from ..catalog.keys import new_generation
from ..catalog.manifest import Manifest
from ..errors import InvalidInput
from ..lattice.grid import Grid
from ..layout import Form
from ..spool.directory import spool_path
from ..spool.file import SpoolFile
from ..spool.head import SpoolHead
from ..wire.batch import Batch

COMMIT_POINTS: Final = 65_536
"""Points of a commit, 1 MiB."""

LIMIT: Final = 1 << 30
"""Bytes that are written at most."""

_PREFIX: Final = "bench-"
_ABANDONED: Final = 3600.0
"""Age in seconds from which a directory of ours is one that was left by a process that was killed."""


def spooled_rate(directory: Path, seconds: float) -> float:
    """Points per second that a spool in this directory takes, measured for so long. Blocks.

    What is written is removed again. Raises InvalidInput and SpoolFull as a spool does.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _remove_abandoned(directory)
        with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=directory) as beside:
            return _rate(Path(beside), seconds)
    except OSError as error:
        raise InvalidInput(f"the spool directory {directory} cannot be used: {error.strerror}") from error


def _rate(directory: Path, seconds: float) -> float:
    form = Form.of(layout="flat", codec="c16", shape=(1, COMMIT_POINTS, 1, 1), order="C")
    manifest = Manifest(
        generation=new_generation(),
        form=form,
        grid=Grid.of((COMMIT_POINTS,)),
        source="bench",
        fingerprint="bench",
    )
    head = SpoolHead(server="bench", prefix="qwf", name="bench", manifest=manifest)
    values = np.random.default_rng(1).normal(size=2 * COMMIT_POINTS).view(np.complex128)
    spool = SpoolFile.create(spool_path(directory, manifest.generation), head, limit=LIMIT)
    try:
        begun = time.perf_counter()
        commits, took = 0, 0.0
        while took < seconds and (commits + 2) * values.nbytes < LIMIT:
            spool.put(
                [Batch(chunk=commits, points=len(values), parts=(), digest=0, weight=1.0, values=values)]
            )
            commits, took = commits + 1, time.perf_counter() - begun
        return commits * COMMIT_POINTS / took
    finally:
        spool.close()


def _remove_abandoned(directory: Path) -> None:
    for path in directory.glob(f"{_PREFIX}*"):
        status = path.lstat()
        if path.is_dir() and status.st_uid == os.geteuid() and time.time() - status.st_mtime > _ABANDONED:
            shutil.rmtree(path, ignore_errors=True)
