"""A format is added by one module and one entry of the table: then all the rest of the package knows it."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import anyio
import numpy as np
import pytest
from typer.testing import CliRunner

import qwf_async
from qwf_async.cli.app import app
from qwf_async.cli.export import offered_formats
from qwf_async.errors import InvalidInput
from qwf_async.lattice.grid import Box, Grid
from qwf_async.source import default_name, files, open_source
from qwf_async.source.formats import table
from qwf_async.source.formats.content import Content
from qwf_async.source.formats.contiguous import check_length, contiguous
from qwf_async.source.formats.detection import detect
from qwf_async.source.formats.format import Format, FormatWriter
from qwf_async.source.formats.open_files import open_files
from qwf_async.source.formats.regular_file import open_regular
from qwf_async.source.formats.variable_source import VariableSource, variable_source
from qwf_async.source.formats.writing import ExportHeader, WriteBox
from tests.conftest import Server
from tests.source.contract import sample
from tests.source.format_contract import Array, CanBeWritten

# The module: a mark of five bytes, four sizes, and complex128 in C order.

MARK: Final = b"WAVE\x01"
HEADER: Final = struct.Struct("<5s4q")


def read(path: str, chosen: str | None, **options: Any) -> VariableSource:
    with open_files(path, format="wave") as opened:
        file = opened.keep.enter_context(open_regular(opened.path))
        mark, *shape = HEADER.unpack(file.read(HEADER.size))
        if mark != MARK:
            raise InvalidInput(f"{path} is no wave file: it begins with {mark!r}")
        dtype = np.dtype("<c16")
        check_length(path, Path(opened.path).stat().st_size, HEADER.size, tuple(shape), dtype)
        part = contiguous(path, what=path, shape=tuple(shape), dtype=dtype, offset=HEADER.size, file=file)
        return variable_source(
            [part], spec=path, format="wave", files=opened.files, release=opened.keep.close, **options
        )


@contextmanager
def written(paths: Sequence[Path], header: ExportHeader) -> Iterator[WriteBox]:
    (path,) = paths
    values = np.empty(header.grid.shape, "<c16")

    def write(box: Box, block: Array) -> None:
        values[box.slices] = block

    yield write
    path.write_bytes(HEADER.pack(MARK, *header.grid.shape) + values.tobytes())


def recognises(content: Content) -> bool:
    return content.head.startswith(MARK)


WAVE: Final = Format(
    name="wave",
    label="WAVE",
    endings=(".wave", ".wv"),
    recognises=recognises,
    has_members=False,
    read=read,
    writer=FormatWriter(endings=(".wave",), open=written),
)


@pytest.fixture(autouse=True)
def _in_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """The entry of the table."""
    monkeypatch.setitem(table.FORMATS, WAVE.name, WAVE)


class TestNewFormat(CanBeWritten):
    """It keeps the promises of all formats."""

    name = "wave"
    dtypes = ("<c16",)

    def write(self, directory: Path, psi: Array, grid: Grid) -> str:
        (directory / "psi.wave").write_bytes(HEADER.pack(MARK, *psi.shape) + psi.tobytes())
        return f"{directory}/psi.wave"

    def read_by_library(self, paths: Sequence[Path], psi: Array) -> Array:
        return np.frombuffer(paths[0].read_bytes(), "<c16", offset=HEADER.size).reshape(psi.shape)

    def rounded(self, psi: Array) -> Array:
        return psi.astype("c16")


def test_command_line_ingests_and_exports_it(server: Server, tmp_path: Path) -> None:
    psi, _ = sample()
    (tmp_path / "mystery").write_bytes(HEADER.pack(MARK, *psi.shape) + psi.tobytes())
    for arguments in (
        ["ingest", f"{tmp_path}/mystery", "--name", "psi", "--verify"],
        ["export", "psi", f"{tmp_path}/again.wave"],
    ):
        outcome = CliRunner().invoke(app, [*arguments, "--url", server.url, "--quiet"])
        assert outcome.exit_code == 0, (outcome.output, outcome.exception)

    async def stored() -> Array:
        async with qwf_async.connect(server.url) as store:
            found = await store.open("psi")
            return await found.read[...]

    np.testing.assert_array_equal(anyio.run(stored), psi)
    assert (tmp_path / "again.wave").read_bytes() == (tmp_path / "mystery").read_bytes()


def test_content_and_name_tell_it(tmp_path: Path) -> None:
    psi, _ = sample()
    path = tmp_path / "run_3.wave"
    path.write_bytes(HEADER.pack(MARK, *psi.shape) + psi.tobytes())
    assert detect(str(path)).format == "wave"
    assert default_name(str(path)) == "run_3"
    with pytest.raises(InvalidInput, match=r"gone\.wv cannot be opened: No such file"):
        open_source(f"{tmp_path}/gone.wv")
    with pytest.raises(InvalidInput, match=r"is one array: nothing can follow it as in .*run_3\.wave:psi"):
        files(f"{path}:psi")


def test_messages_list_it(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(bytes(range(200)))
    with pytest.raises(InvalidInput, match=r"is none of npy, .*, Gaussian cube and WAVE; if it is numbers"):
        files(f"{tmp_path}/data")
    with pytest.raises(InvalidInput, match=r"a source is a \.npy file \(or .*\.raw, \.wave\)"):
        open_source("hydrogn")


@pytest.mark.parametrize("typed", ["", "wa"])
def test_the_shell_is_offered_it(typed: str) -> None:
    assert "wave" in offered_formats(typed)
