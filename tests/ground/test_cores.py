"""The cores that a process may use, from files like those of the kernel."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwf_async.host.cores import cores

BOUND = len(os.sched_getaffinity(0))
VERSIONS = {
    1: (
        "4:cpu,cpuacct:/user/job\n0::/\n",
        "34 31 0:31 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n",
    ),
    2: ("0::/user/job\n", "30 23 0:26 / /sys/fs/cgroup/cpu rw - cgroup2 cgroup2 rw,nsdelegate\n"),
}
"""By the version of control groups: /proc/self/cgroup and /proc/self/mountinfo of a process in user/job."""

QUOTAS = st.none() | st.tuples(st.integers(1_000, 8_000_000), st.sampled_from([50_000, 100_000]))


def files_of(version: int, quota: tuple[int, int] | None) -> dict[str, str]:
    """The files of a group that may run for so many microseconds of a period; None: as long as it likes."""
    if version == 2:
        return {"cpu.max": "max 100000\n" if quota is None else "{} {}\n".format(*quota)}
    microseconds, period = quota or (-1, 100_000)
    return {"cpu.cfs_quota_us": f"{microseconds}\n", "cpu.cfs_period_us": f"{period}\n"}


@settings(max_examples=30)  # each writes a few files
@given(version=st.sampled_from([1, 2]), quotas=st.lists(QUOTAS, min_size=3, max_size=3))
def test_the_least_of_binding_and_control_groups_counts(
    version: int, quotas: list[tuple[int, int] | None]
) -> None:
    membership, mounts = VERSIONS[version]
    files = {"proc/self/cgroup": membership, "proc/self/mountinfo": mounts}
    for group, quota in zip(("", "user", "user/job"), quotas, strict=True):
        for name, text in files_of(version, quota).items():
            files[f"sys/fs/cgroup/cpu/{group}/{name}"] = text
    with tempfile.TemporaryDirectory() as directory:
        for name, text in files.items():
            path = Path(directory) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        limits = [quota[0] // quota[1] for quota in quotas if quota is not None]
        assert cores(Path(directory)) == max(1, min([BOUND, *limits]))


@pytest.mark.parametrize("text", ["", "max", "7 0", "many 100000"])
def test_what_is_no_limit_is_none(tmp_path: Path, text: str) -> None:
    membership, mounts = VERSIONS[2]
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(membership)
    (tmp_path / "proc/self/mountinfo").write_text(mounts)
    (tmp_path / "sys/fs/cgroup/cpu").mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup/cpu/cpu.max").write_text(text)
    assert cores(tmp_path) == BOUND


def test_this_process_may_use_the_cores_it_is_bound_to_at_most() -> None:
    assert 1 <= cores() <= BOUND
