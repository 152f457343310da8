"""The scripts: each stands beside the one function that knows the order of its arguments."""

from __future__ import annotations

import re
from pathlib import Path

import qwf_async
from qwf_async.catalog import scripts

SOURCE = Path(qwf_async.__file__).parent
FAMILIES = sorted((SOURCE / "catalog" / "scripts").glob("*.py"))


def test_no_other_file_sends_a_script_but_the_one_that_changes_points() -> None:
    senders = {file for file in SOURCE.rglob("*.py") if re.search(r'"EVAL(_RO)?"', file.read_text())}
    finds_their_keys = SOURCE / "client" / "commands.py"
    sends_those_of_studies = SOURCE / "study" / "link.py"
    asks_for_the_right = SOURCE / "diagnosis" / "rights.py"
    others = senders - set(FAMILIES) - {finds_their_keys, sends_those_of_studies, asks_for_the_right}
    assert others == {SOURCE / "wire" / "change.py"}


def test_every_script_is_exported_with_its_function() -> None:
    made = {
        name
        for file in FAMILIES
        for name in re.findall(r"^([A-Z_]+): Final = (?:\(|\"\"\"\n--)", file.read_text(), re.MULTILINE)
    }
    assert made <= set(scripts.__all__)
    assert {"PUBLISH", "BEGIN", "FORGET"} <= made
    assert {name.lower() for name in made - {"TOUCH", "REWRITE"}} <= set(scripts.__all__)


def test_the_flag_of_a_script_that_runs_on_a_full_server_is_written_once() -> None:
    writers = [file.name for file in SOURCE.rglob("*.py") if "allow-oom" in file.read_text()]
    assert writers == ["evaluate.py"]
