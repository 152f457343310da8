"""CONTRIBUTING names files and what is in them: all of it is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import qwf_async

PACKAGE = Path(qwf_async.__file__).parent
PROJECT = PACKAGE.parent
TEXT = (PROJECT / ".github" / "CONTRIBUTING.md").read_text("utf-8")
PATHS = sorted(set(re.findall(r"`([\w./]+\.(?:py|md)|[\w/]+/|\.ci/\w+)`", TEXT)))
NAMES = sorted(
    (path, name)
    for path, names in set(re.findall(r"`([\w/]+\.py)` \(((?:`\w+`(?:, )?)+)\)", TEXT))
    for name in re.findall(r"\w+", names)
)


def located(path: str) -> Path:
    return next((root / path for root in (PACKAGE, PROJECT) if (root / path).exists()), PACKAGE / path)


@pytest.mark.parametrize("path", [path for path in PATHS if "NAME" not in path])
def test_a_file_that_is_named_is_there(path: str) -> None:
    assert located(path).exists()


@pytest.mark.parametrize(("path", "name"), NAMES)
def test_a_name_that_is_said_to_be_in_a_file_is_there(path: str, name: str) -> None:
    names = set()
    for node in ast.parse(located(path).read_text("utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    assert name in names


def test_every_room_stands_in_the_tree() -> None:
    tree = TEXT.partition("## The house")[2].partition("Rules that hold")[0]
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    rooms |= {path.stem for path in PACKAGE.glob("*.py") if not path.stem.startswith("_")}
    assert {room for room in rooms if not re.search(rf"\b{room}\b", tree)} == set()
