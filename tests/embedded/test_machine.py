"""The memory of a machine and its control groups, from files like those of the kernel."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from qwf_async.embedded.machine import available_bytes, meminfo, memory_bytes

GB = 2**30
MEMINFO = (
    "MemTotal:       16777216 kB\nMemFree:  1 kB\nMemAvailable:    8388608 kB\nHugePages_Total:       0\n"
)


def machine(root: Path, *, membership: str, mounts: str, files: dict[str, str]) -> None:
    """Write the files of the kernel under `root`, with 16 GB of memory of which 8 GB are available."""
    files = files | {"proc/meminfo": MEMINFO, "proc/self/cgroup": membership, "proc/self/mountinfo": mounts}
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"


@settings(max_examples=30)  # each writes a dozen files
@given(limits=st.lists(st.one_of(st.none(), st.integers(1, 64 * GB)), min_size=4, max_size=4))
def test_the_smallest_limit_on_the_path_counts(limits: list[int | None]) -> None:
    files = {
        f"sys/fs/cgroup/{group}/memory.max": "max\n" if limit is None else f"{limit}\n"
        for group, limit in zip(("", "user", "user/job", "user/job/step"), limits, strict=True)
    }
    files["sys/fs/cgroup/user/job/step/child/memory.max"] = "1\n"
    files["sys/fs/cgroup/other/memory.max"] = "1\n"
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        machine(root, membership="0::/user/job/step\n", mounts=V2, files=files)
        assert memory_bytes(root) == min([16 * GB, *(limit for limit in limits if limit is not None)])


def test_what_a_group_could_drop_counts_as_available(tmp_path: Path) -> None:
    files = {
        "sys/fs/cgroup/job/memory.max": f"{4 * GB}\n",
        "sys/fs/cgroup/job/memory.current": f"{3 * GB}\n",
        "sys/fs/cgroup/job/memory.stat": f"anon 5\nfile 9\ninactive_file {2 * GB}\nactive_file 1\n",
    }
    machine(tmp_path, membership="0::/job\n", mounts=V2, files=files)
    assert memory_bytes(tmp_path) == 4 * GB
    assert available_bytes(tmp_path) == 3 * GB


def test_a_container_of_version_1_is_seen_through_its_mount(tmp_path: Path) -> None:
    mounts = (
        "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
        "34 31 0:31 / /sys/fs/cgroup/cpu\\040set rw shared:9 - cgroup cgroup rw,cpuset\n"
        "35 31 0:32 /docker/abc /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n"
    )
    membership = "8:memory:/docker/abc/inner\n3:cpuset:/\n0::/docker/abc\n"
    files = {
        "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{2 * GB}\n",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{GB}\n",
        "sys/fs/cgroup/memory/memory.stat": f"inactive_file 7\ntotal_inactive_file {GB // 2}\n",
        "sys/fs/cgroup/memory/inner/memory.limit_in_bytes": "9223372036854771712\n",
    }
    machine(tmp_path, membership=membership, mounts=mounts, files=files)
    assert memory_bytes(tmp_path) == 2 * GB
    assert available_bytes(tmp_path) == GB + GB // 2


def test_a_group_outside_the_mount_falls_back_to_the_mount(tmp_path: Path) -> None:
    files = {"sys/fs/cgroup/memory.max": f"{GB}\n"}
    machine(tmp_path, membership="0::/../../elsewhere\n", mounts=V2, files=files)
    assert memory_bytes(tmp_path) == GB


def test_this_machine_has_no_more_memory_than_it_says() -> None:
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < available_bytes() <= memory_bytes() <= total
    assert meminfo(MEMINFO)["MemAvailable"] == 8 * GB
