"""Events: what a reader tells of its progress, and that they are of the ground."""

from __future__ import annotations

import subprocess
import sys

from qwf_async.events import Event, Progress, progress_of


def test_parts_that_are_done_are_summed_and_never_exceed_the_whole() -> None:
    events: list[Event] = []
    done = progress_of(events.append, 10, point_bytes=16)
    for points in (4, 4, 4):
        done(points)
    assert events == [
        Progress(points=4, total=10, bytes_sent=64),
        Progress(points=8, total=10, bytes_sent=128),
        Progress(points=10, total=10, bytes_sent=192),
    ]


def test_events_import_nothing_of_ours_but_the_package() -> None:
    program = (
        "import sys, qwf_async.events; print(*(name for name in sys.modules if name.startswith('qwf_async')))"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert set(out.split()) == {"qwf_async", "qwf_async.events"}
