"""What is decided about a name that is to be loaded, from its state alone."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from qwf_async.catalog.beginning import Unfinished, decide_beginning
from qwf_async.catalog.name_state import LoadRecord, NameState
from qwf_async.catalog.owner import Owner
from qwf_async.errors import Refused
from qwf_async.lattice.grid import Axis, Grid
from qwf_async.layout import Form
from tests.support.handmade import FLAT, GRID, manifest

OUTCOMES: list[tuple[str, str, str, bool | str, str]] = [
    # load, published, unfinished, overwrite: outcome. "*" stands for anything; the first row that fits counts.
    ("live", "*", "*", "*", "is being loaded by process"),
    ("none", "none", "*", "*", "begins"),
    ("none", "same", "resume", "*", "is finished"),
    ("none", "*", "*", True, "begins"),
    ("none", "*", "*", False, "exists already: overwrite=True"),
    (
        "*",
        "*",
        "refuse",
        "*",
        "there is an unfinished load of psi: resume=True goes on with it, discard=True",
    ),
    ("dead", "*", "resume", "*", "resumes"),
    ("dead overwriter", "*", "resume", "*", "resumes"),
    ("dead and different", "*", "resume", "*", "cannot be resumed, it differs in source"),
    ("*", "none", "discard", "*", "discards"),
    ("*", "*", "discard", True, "discards"),
    ("dead overwriter", "*", "discard", False, "discards"),
    ("*", "*", "discard", False, "exists already: overwrite=True with discard=True"),
]
LOADS = ("none", "live", "dead", "dead overwriter", "dead and different")
CASES = list(product(LOADS, ("none", "same", "other"), ("refuse", "resume", "discard"), (False, True)))


@pytest.mark.parametrize(("load", "published", "unfinished", "overwrite"), CASES)
def test_what_is_decided_about_a_name(
    load: str, published: str, unfinished: Unfinished, overwrite: bool
) -> None:
    case = (load, published, unfinished, overwrite)
    outcome = next(
        row[4] for row in OUTCOMES if all(a in ("*", b) for a, b in zip(row[:4], case, strict=True))
    )
    wanted = manifest()
    there = {"none": None, "same": manifest(), "other": manifest(fingerprint="two")}[published]
    deadline = 2_000 if load == "live" else 1_000
    under_way = LoadRecord(
        manifest=manifest(fingerprint="two" if load == "dead and different" else "one"),
        overwrites="0123456789abcdef" if load == "dead overwriter" else "",
        owner=replace(Owner.here(), deadline=deadline),
    )
    seen = NameState(published=there, under_way=None if load == "none" else under_way, now=1_000)
    if outcome not in ("begins", "is finished", "resumes", "discards"):
        with pytest.raises(Refused, match=outcome):
            decide_beginning("psi", seen, wanted, unfinished=unfinished, overwrite=overwrite)
        return
    beginning = decide_beginning("psi", seen, wanted, unfinished=unfinished, overwrite=overwrite)
    assert beginning.finished is (outcome == "is finished")
    assert beginning.resumed is (outcome == "resumes")
    assert beginning.discards is (under_way.manifest if outcome == "discards" else None)
    if beginning.finished:
        assert beginning.manifest is there
    else:
        assert beginning.manifest is (under_way.manifest if beginning.resumed else wanted)
        assert beginning.overwrites is there


def form_of(layout: str, **parts: Any) -> Form:
    return Form.of(layout=layout, codec="c16", shape=GRID.shape, **parts)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fingerprint": "two"}, "source: stored a test .one., given a test .two.: discard=True"),
        ({"fingerprint": "two", "source": "another"}, "source: stored a test, given another: discard=True"),
        ({"form": replace(FLAT, codec="c8")}, "codec: stored c16, given c8"),
        ({"form": form_of("packed")}, "layout: stored flat, given packed"),
        ({"form": form_of("tile", tile=(2, 2, 4))}, "layout: stored flat, given tile tile .2, 2, 4."),
        ({"form": form_of("flat", slab="all")}, "layout: stored flat, given flat slab all"),
        (
            {"form": form_of("flat", slab=(1, 2, 2, 4))},
            "chunks: stored kind box chunk .1, 1, 4, 4. order C, given kind box chunk .1, 2, 2, 4. order C",
        ),
        ({"grid": Grid(shape=(1, 4, 4, 4), axes=(Axis(step=1.0),) * 4)}, "grid: stored"),
        (
            {
                "fingerprint": "two",
                "grid": Grid(shape=(1, 4, 4, 5), axes=(Axis(),) * 4),
                "form": Form.of(layout="flat", codec="c16", shape=(1, 4, 4, 5)),
            },
            "differs in grid: stored 1×4×4×4 points, given 1×4×4×5 points: discard=True",
        ),
        (
            {"grid": replace(GRID, axes=(*GRID.axes[:3], Axis(step=0.5, unit="bohr")))},
            "grid: stored z from 0.0 .*, given z from 0.0 in steps of 0.5 'bohr': discard=True",
        ),
        ({"fingerprint": "two", "form": replace(FLAT, codec="c8")}, "source: .*; codec: "),
    ],
)
def test_a_load_that_differs_is_not_resumed_and_the_difference_is_named(
    change: dict[str, Any], words: str
) -> None:
    under_way = LoadRecord(manifest=manifest(), overwrites="", owner=replace(Owner.here(), deadline=0))
    seen = NameState(published=None, under_way=under_way, now=1)
    with pytest.raises(Refused, match=words):
        decide_beginning("psi", seen, manifest(**change), unfinished="resume", overwrite=True)


def test_a_difference_at_the_end_of_a_long_name_is_seen_and_shown() -> None:
    long = "/a/long/path" * 100
    one, other = (
        manifest(source=long, fingerprint=f"{long};of 1"),
        manifest(source=long, fingerprint=f"{long};of 2"),
    )
    (difference,) = one.differences(other)
    assert difference.startswith("source: stored …")
    assert "of 1)" in difference
    assert "of 2)" in difference
    assert len(difference) < 300
    assert len(manifest(source="a" * 999, fingerprint="x").differences(one)[0]) < 500


def test_how_the_source_is_called_makes_no_difference() -> None:
    other = manifest(source="the same by another name", norm=1.0)
    assert manifest().differences(other) == []
