"""An export that is damaged, foreign or made on purpose changes nothing, and says in one line what is the matter."""

from __future__ import annotations

import base64
import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
import xxhash

from qwf_async.errors import DamagedData, InvalidInput, QwfError
from qwf_async.study.exchange import export_studies, import_studies
from qwf_async.study.storage import StudyStorage
from tests.conftest import Server

LINES = 7


@pytest.fixture
def storage(server: Server) -> Iterator[StudyStorage]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = StudyStorage(server.url)
    yield storage
    storage.close()


@pytest.fixture
def file(storage: StudyStorage, tmp_path: Path) -> Path:
    """An export of two studies, which are not on the server any more: a head, two lines of studies, trials, an end."""
    path = tmp_path / "studies.jsonl"
    for name in ("a", "b"):
        study = optuna.create_study(storage=storage, study_name=name)
        study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1 + (name == "a"))
    export_studies(storage, None, path)
    for name in ("a", "b"):
        optuna.delete_study(study_name=name, storage=storage)
    assert path.read_bytes().count(b"\n") == LINES
    return path


def refused(file: Path, storage: StudyStorage, server: Server) -> str:
    """The message with which the file is refused. Nothing may have changed."""
    before = server.contents()
    with pytest.raises(QwfError) as caught:
        import_studies(file, storage)
    assert isinstance(caught.value, DamagedData | InvalidInput)
    assert "\n" not in str(caught.value)
    assert server.contents() == before
    return str(caught.value)


def rewritten(file: Path, number: int, change: Any) -> None:
    """Change a line of the file as if it had been written so: with a checksum that fits."""
    lines = [json.loads(line) for line in file.read_bytes().splitlines()]
    lines[number] = change(lines[number])
    raws = [json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in lines]
    lines[-1]["xxh3"] = xxhash.xxh3_64_hexdigest(b"".join(raws[:-1]))
    file.write_bytes(b"".join(raws[:-1]) + json.dumps(lines[-1]).encode() + b"\n")


def test_a_file_that_is_cut_is_damaged(file: Path, storage: StudyStorage, server: Server) -> None:
    whole = file.read_bytes()
    lines = whole.splitlines(keepends=True)
    for count in range(LINES):
        file.write_bytes(b"".join(lines[:count]))
        assert ("is damaged" if count else "is no export of studies") in refused(file, storage, server)
        file.write_bytes(b"".join([*lines[:count], lines[count][: len(lines[count]) // 2]]))
        refused(file, storage, server)
        file.write_bytes(b"".join([*lines[:count], lines[count], *lines[count:]]))
        refused(file, storage, server)
    file.write_bytes(whole + b"\n")
    assert "is damaged" in refused(file, storage, server)


def test_a_changed_byte_is_found(file: Path, storage: StudyStorage, server: Server) -> None:
    whole = file.read_bytes()
    before = server.contents()
    for place in range(0, len(whole), 3):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises((DamagedData, InvalidInput)):
            import_studies(file, storage)
    assert server.contents() == before


def test_what_is_no_export_and_what_is_newer_is_said(
    file: Path, storage: StudyStorage, server: Server
) -> None:
    rewritten(file, 0, lambda line: line | {"version": 2})
    assert "a newer release of qwf_async wrote it" in refused(file, storage, server)
    for content in (b"", b"\x80\x04", b"[]\n", b"{}\n", b"[" * 100_000, b'{"format":"other","version":1}\n'):
        file.write_bytes(content)
        assert "is no export of studies" in refused(file, storage, server)


@pytest.mark.parametrize(
    ("number", "change"),
    [
        pytest.param(0, {"studies": -1}, id="a negative number of studies"),
        pytest.param(0, {"studies": 10**400}, id="more studies than atoms"),
        pytest.param(1, {"directions": []}, id="no direction"),
        pytest.param(1, {"directions": ["sideways"]}, id="an unknown direction"),
        pytest.param(1, {"user_attrs": []}, id="attributes that are a list"),
        pytest.param(1, {"study": "b"}, id="two studies of one name"),
        pytest.param(1, {"study": 5}, id="a number for a name"),
        pytest.param(1, {"study": "a\nb"}, id="no name for a study"),
        pytest.param(1, {"trials": 1}, id="fewer trials than there are"),
        pytest.param(2, {0: "1"}, id="a text for an id"),
        pytest.param(2, {0: 1 << 60}, id="an id beyond a double"),
        pytest.param(2, {1: 1}, id="a number out of order"),
        pytest.param(2, {2: 9}, id="an unknown state"),
        pytest.param(2, {3: ["1.0"]}, id="a text for a value"),
        pytest.param(2, {4: "yesterday"}, id="a text for a time"),
        pytest.param(2, {6: [["x", 0.5, "{}"]]}, id="an empty distribution"),
        pytest.param(
            2, {6: [["x", 0.5, '{"name": "system", "attributes": {}}']]}, id="an unknown distribution"
        ),
        pytest.param(2, {6: [["x"]]}, id="a parameter without a value"),
        pytest.param(2, {7: [1]}, id="attributes of a trial that are a list"),
        pytest.param(2, {9: [["1", 0.5]]}, id="a text for a step"),
    ],
)
def test_what_was_written_on_purpose_is_refused(
    file: Path, storage: StudyStorage, server: Server, number: int, change: dict[Any, Any]
) -> None:
    def changed(line: Any) -> Any:
        if isinstance(line, dict):
            return line | change
        return [change.get(place, value) for place, value in enumerate(line)]

    rewritten(file, number, changed)
    refused(file, storage, server)


def test_a_pickle_in_an_attribute_stays_a_text(file: Path, storage: StudyStorage) -> None:
    bomb = base64.b64encode(pickle.dumps(_Bomb())).decode()
    rewritten(file, 1, lambda line: line | {"user_attrs": {"p": bomb, "__reduce__": [bomb]}})
    import_studies(file, storage)
    assert optuna.load_study(study_name="a", storage=storage).user_attrs == {"p": bomb, "__reduce__": [bomb]}


class _Bomb:
    """What fails the test when somebody unpickles it."""

    def __reduce__(self) -> tuple[object, ...]:
        return pytest.fail, ("a text was unpickled",)
