"""The parts of a diagnosis that ask nobody: versions, clocks, persistence, directories, and the exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from qwf_async.diagnosis.check import error_of, fit, unfit, unknown
from qwf_async.diagnosis.disk import disk_checks
from qwf_async.diagnosis.packages import Requirement, package_checks, requirements, within
from qwf_async.diagnosis.rights import CHANGING, REQUESTS
from qwf_async.diagnosis.server_state import clock_check, persistence_check, version_check
from qwf_async.events import ServerFacts
from qwf_async.lattice.grid import Grid
from qwf_async.server import acl
from qwf_async.settings import Settings
from qwf_async.spool import SpoolFile
from tests.support.spool_processes import head_of


def test_the_exit_code_is_that_of_the_worst_finding() -> None:
    assert error_of([fit("a", ""), unknown("b", "")]) is None
    for codes, worst in (((1, 4, 8), 8), ((1, 3, 8), 3), ((1, 1), 1), ((7, 6), 6)):
        error = error_of([unfit(str(code), "", code=code) for code in codes])
        assert error is not None
        assert error.exit_code == worst
        assert str(error) == f"not fit: {', '.join(dict.fromkeys(map(str, codes)))}"


@pytest.mark.parametrize(
    ("installed", "bounds", "is_within"),
    [("2.4.6", ">=2.0", True), ("2.0", ">=2.0.0", True), ("1.26.4", ">=2.0", False), ("9.0.0", ">=7.2.1,<9", False),
     ("8.1.0rc1", ">=7.2.1,<9", True), ("2025.1.2", ">=2025.1", True), ("3", "", True)],
)  # fmt: skip
def test_versions_are_compared_with_their_bounds(installed: str, bounds: str, is_within: bool) -> None:
    assert within(installed, bounds) is is_within


def test_requirements_are_read_with_their_extras() -> None:
    lines = ["numpy>=2.0", "dask[array]>=2025.1; extra == 'dask'", 'uvloop>=0.21; sys_platform != "win32"']
    numpy, dask, uvloop = requirements(lines)
    assert numpy == Requirement(name="numpy", bounds=">=2.0", extra="")
    assert dask == Requirement(name="dask", bounds=">=2025.1", extra="dask")
    assert uvloop.extra == ""
    assert numpy.problem("1.26") == "numpy 1.26 is not >=2.0"
    assert numpy.problem(None) == "numpy is not installed"


def test_what_this_machine_has_is_fit() -> None:
    assert [check.subject for check in package_checks()] == ["python", "packages", "extras"]
    assert {check.verdict for check in package_checks()} == {"fit"}


def test_a_clock_that_differs_is_unfit_in_either_direction() -> None:
    assert clock_check(0.2).verdict == "fit"
    assert clock_check(200).text == "the server's is 3 min 20 s ahead of this machine's"
    assert clock_check(-200).text == "the server's is 3 min 20 s behind this machine's"


def test_persistence_is_told_and_a_failed_save_is_unfit() -> None:
    bare = ServerFacts(settings={"save": "", "appendonly": "no"})
    assert (
        persistence_check(bare, {}, embedded="", cli="redis-cli").cure
        == "redis-cli CONFIG SET appendonly yes"
    )
    assert persistence_check(bare, {}, embedded="/data", cli="").verdict == "fit"
    assert (
        persistence_check(bare, {"rdb_last_bgsave_status": "err"}, embedded="/data", cli="").verdict
        == "not fit"
    )
    assert persistence_check(ServerFacts(), {}, embedded="", cli="").verdict == "unknown"


def test_an_old_redis_is_unfit() -> None:
    assert version_check(ServerFacts(software="redis", version="6.2.14")).verdict == "not fit"
    assert version_check(ServerFacts(software="redis", version="7.0.15")).verdict == "fit"
    assert version_check(ServerFacts()).verdict == "unknown"


def test_every_right_that_is_given_is_also_asked_for() -> None:
    given = {rule[1:] for rule in acl.writer("qwf") if rule.startswith("+")}
    assert given - {*REQUESTS, *CHANGING} == {"multi", "exec"}  # the first is tried, the second would end it


def test_directories_must_be_private_and_have_room(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    settings = Settings(url="redis://localhost", spool_dir=spool, spool_limit=2**50)
    (full,) = disk_checks(settings)
    assert (full.verdict, full.code) == ("not fit", 3)
    spool.mkdir(mode=0o700)
    (room,) = disk_checks(Settings(url="redis://localhost", spool_dir=spool, spool_limit=1))
    assert room.verdict == "fit"
    spool.chmod(0o777)
    shared, *_ = disk_checks(Settings(url="redis://localhost", spool_dir=spool, spool_limit=1))
    assert (shared.verdict, shared.code) == ("not fit", 7)
    (off,) = disk_checks(Settings(url="redis://localhost", spool_dir=spool, spool_limit=0))
    assert off.verdict == "not fit"


def test_what_waits_in_a_spool_is_owed(tmp_path: Path) -> None:
    head = head_of(Grid(shape=(1, 4, 4, 4)))
    SpoolFile.create(tmp_path / f"{head.manifest.generation}.spool", head, limit=10**6).close()
    *_, owed = disk_checks(Settings(url="redis://localhost", spool_dir=tmp_path, spool_limit=1))
    assert (owed.subject, owed.code, owed.cure) == ("replay", 6, "qwf resume")
    assert owed.text.startswith("1 load with ")
