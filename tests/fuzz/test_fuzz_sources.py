"""Random sources, .npy files and settings files: used as they say, or refused in one line."""

from __future__ import annotations

import os
import random
import warnings
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib import format as npy_format

from qwf_async.errors import InvalidInput, QwfError, UsageError
from qwf_async.lattice.grid import Box, Grid, shape4
from qwf_async.settings import load
from qwf_async.source import default_name, open_source
from qwf_async.source.formats.npy import npy
from tests.support.fuzzing import check_error, fuzzed, mutated

SEEDS = st.integers(0, 2**64)

SOURCES = [
    "hydrogen:n=3,l=2,m=1",
    "hydrogen:n=2,l=1,m=-1,z=2",
    "gaussian:k=2,sigma=1",
    "gaussian:kx=1,kz=-2,sigma=1x2x3,x0=1",
    "box:n=2",
    "box:n=3x1x2",
    "plane:k=1x0x-1",
    "plane:n=3",
    "coherent:alpha=1-2j",
    "coherent:alpha=2x1jx0,omega=2",
    "harmonic:n=1x2x0,omega=0.5",
    "harmonic:n=7",
    "math:sin",
    "os.path:join",
    "numpy:exp",
    "psi.npy",
    "./psi.npy",
]
PIECES = [
    ",",
    "=",
    ":",
    "x",
    ".",
    "-",
    "+",
    "j",
    "i",
    "e",
    "_",
    " ",
    "/",
    "\\",
    "\0",
    "\n",
    "\udcff",
    "ψ",
    "٣",
    "²",
    "nan",
    "inf",
    "0",
    "-1",
    "1e308",
    "1e-308",
    "1e50",
    "9" * 20,
    "9" * 5000,
    "sigma=",
    "n=",
    "l=",
    "m=",
    "k=",
    "None",
    "__class__",
]
OPTIONS: dict[str, list[Any]] = {
    "grid": [
        None,
        "4",
        "3x2x5",
        "7",
        "1",
        "2x3",
        "0",
        "-1",
        "x",
        "99999999999",
        "9" * 18 + "x9x9",
        "9" * 5000,
        "\0",
    ],
    "box": [None, "4", "4x5x6", "0", "-1", "nan", "1e-300", "1e308", "x", "1e-320x1x1", "\0"],
    "frames": [None, 1, 2, 0, -1, 2**62, 10**30],
    "dt": [None, 0.1, 0.0, -1.0, float("nan"), float("inf"), 1e-320, 1e308],
}


def source_of(seed: int) -> tuple[str, dict[str, Any]]:
    """A source with a few changes, and options; half of the time such as could be meant."""
    chance = random.Random(seed)
    text = chance.choice(SOURCES)
    for _ in range(chance.choice([0, 1, 1, 2, 5])):
        place = chance.randrange(len(text) + 1)
        match chance.randrange(3):
            case 0:
                text = text[:place] + chance.choice(PIECES) + text[place:]
            case 1:
                text = text[:place] + chance.choice(PIECES) + text[place + chance.randint(1, 3) :]
            case 2:
                text = text[:place] + text[place + chance.randint(1, 6) :]
    few = chance.random() < 0.6
    options = {name: chance.choice(values[:4] if few else values) for name, values in OPTIONS.items()}
    return text, {"grid": "4"} | options if chance.random() < 0.8 else options


@fuzzed(250)
@given(chosen=SEEDS.map(source_of))
def test_any_source_is_read_or_refused_in_one_line(
    chosen: tuple[str, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, options = chosen
    monkeypatch.chdir(tmp_path)
    np.save("psi.npy", np.ones((2, 3), complex))
    try:
        with closing(open_source(text, **options)) as source:
            box = Box(start=(0, 0, 0, 0), stop=shape4(min(3, n) for n in source.grid.shape))
            with np.errstate(all="ignore"):
                values = source.read(box)
                source.fingerprint()
            assert values.shape == box.shape
            assert values.dtype in (np.dtype(np.complex64), np.dtype(np.complex128))
    except QwfError as error:
        check_error(error, InvalidInput, UsageError)
    assert len(default_name(text)) <= 128
    assert os.listdir(tmp_path) == ["psi.npy"]


DESCRIPTIONS = [
    "'<c16'",
    "'<c8'",
    "'>c16'",
    "'<f8'",
    "'<f4'",
    "'>f4'",
    "'<f2'",
    "'<i8'",
    "'|u1'",
    "'|b1'",
    "'|O'",
    "'<U4'",
    "'|S0'",
    "'|V8'",
    "'<M8[s]'",
    "'<m8'",
    "'<c32'",
    "'<f16'",
    "[('a', '<f8')]",
    "[('a', '<f8'), ('b', '|O')]",
    "('<f8', (2,))",
    "'|V0'",
    "[]",
    "''",
    "'x'",
    "None",
    "1",
    "'<c16,<c16'",
    "{'names': ['a'], 'formats': ['<f8']}",
    "'<c16'" * 2000,
    "(" * 300,
]
SHAPES = [
    "(2, 3)",
    "(6,)",
    "(1, 2, 3)",
    "(1, 1, 2, 3)",
    "()",
    "(0,)",
    "(2, 0)",
    "(1,) * 5",
    "(1, 1, 1, 1, 6)",
    "(-1, -6)",
    "(-6,)",
    "(2.0, 3)",
    "(9223372036854775807,)",
    "(4294967296, 4294967296)",
    "(3037000500, 3037000500, 3)",
    "(99999999999999999999,)",
    "[2, 3]",
    "6",
    "None",
    "('2', 3)",
    "(2, 3",
    "((2, 3),)",
    "(6, 1, 1, 1)",
]


def file_of(seed: int) -> bytes:
    """A .npy file with an odd header, or a sound one with a few bytes changed."""
    chance = random.Random(seed)
    body = np.arange(12.0).tobytes()
    if chance.random() < 0.4:
        file = BytesIO()
        values = np.arange(6).reshape(2, 3).astype(chance.choice(["<c16", ">c8", "<f8", "<f4", "<i4"]))
        version = chance.choice([(1, 0), (2, 0), (3, 0)])
        values = np.asarray(values, order=chance.choice(["C", "F"]))
        npy_format.write_array(file, values, version=version)
        return mutated(file.getvalue(), seed)
    often = chance.random() < 0.5
    entries = [
        f"'descr': {DESCRIPTIONS[0] if often else chance.choice(DESCRIPTIONS)}",
        f"'fortran_order': {chance.choice(['False', 'True', '1', 'None', '0'][: 2 if often else 5])}",
        f"'shape': {chance.choice(SHAPES)}",
        *chance.choice([[], [], [], ["'more': 1"], ["'shape': (12,)"]]),
    ]
    chance.shuffle(entries)
    text = (
        "{"
        + ", ".join(entries[: chance.choice([9, 9, 9, 2])])
        + chance.choice(["}", "}", ", }", "", "}\n\n"])
    )
    header = text.encode() + b" " * chance.randrange(64) + chance.choice([b"\n", b"\n", b"", b"\0"])
    major = chance.choice([1, 1, 2, 3, 3, 0, 4, 255])
    size = len(header) + chance.choice([0, 0, 0, 0, -3, 5, 10**6, 2**32 - 1 - len(header)])
    length = (size % 2**16).to_bytes(2, "little") if major == 1 else (size % 2**32).to_bytes(4, "little")
    nbytes = chance.choice([96, 96, 48, 0, 95, 97])
    return b"\x93NUMPY" + bytes([major, chance.choice([0, 0, 0, 1])]) + length + header + (body * 2)[:nbytes]


@fuzzed(300)
@given(content=SEEDS.map(file_of))
def test_any_npy_file_is_read_as_numpy_reads_it_or_refused_in_one_line(
    content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "some.npy"
    path.write_bytes(content)
    try:
        source = npy(path)
    except QwfError as error:
        check_error(error, InvalidInput, longest=1000, names=str(path))
        return
    with closing(source), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy's own, about headers of Python 2
        expected = np.load(path, allow_pickle=False)
        values = source.read(source.grid.whole)
        assert source.grid == Grid(shape=values.shape)
        assert values.size == expected.size
        np.testing.assert_array_equal(values.reshape(-1), expected.astype(values.dtype).reshape(-1))
        source.fingerprint()


TOML = b"""
# settings
[qwf]
url = "redis://:secret@host:6379/0"
data_dir = "/tmp/x"
prefix = "mine"
writers = 8
stream_bytes = "16mb"
max_rate = 1e6
high_watermark = 0.9
deadline = 60
password_file = "secret.txt"
"""
JSON = b"""{"redis": {"host": "localhost", "port": 6379, "db": 0, "password": "secret", "max_connections": 50,
"socket_timeout": 30.0, "stream_bytes": 1048576, "prefix": "mine", "health_check_interval": 30}}"""
DEEP = [
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"a = " + b"[" * 5000,
    b"a = " + b"{a=" * 3000,
    b"[" + b"a." * 4_000 + b"b]",
    b"a." * 4_000 + b"b = 1",  # tomllib takes time with the square of it
    b'{"writers": ' + b"9" * 100_000 + b"}",
    b"writers = " + b"9" * 5000,
    b"writers = 0x" + b"f" * 9000,
    b"\xff\xfe\0\0",
    b"\xef\xbb\xbf",
    b"",
    b"\0",
    b'"',
    b"null",
    b"[]",
    b"1e99999",
    b"writers = 4\nwriters = 4",
    b"writers = 1979-05-27",
    b'{"writers": 4, "writers": 5}',
    b'{"writers": 4, "a": {"writers": 4}}',
    b"[qwf]\n[qwf]",
    b"[[qwf]]",
    b'qwf = "x"',
    b"qwf = 1",
    b'{"\\ud800": 1}',
    b'{"prefix": "\\ud800"}',
    b'{"data_dir": "\\u0000"}',
    b'{"data_dir": "~\\ud800"}',
    b'data_dir = "~nobody/x"',
    b'{"host": "h", "port": 1e400}',
    b'{"host": "\\n"}',
    b'"\\u2028" = 1',
    b'{"a\\nb": 1}',
    b'{"url": "\\ud800"}',
]
WORTHS = [
    b"-1",
    b"1e999",
    b"-inf",
    b"nan",
    b"true",
    b"null",
    b"[]",
    b"[[1]]",
    b"{}",
    b'{"a" = 1}',
    b'""',
    b'"\\u0000"',
    b'"\\n"',
    b"'x'",
    b"9" * 30,
    b"0.5e-400",
    b'"10 tb"',
    b'"-1mb"',
    b"1979-05-27T07:32:00Z",
    b'"redis://[::1"',
    b'"' + b"x" * 5000 + b'"',
    b'"\xff"',
]


def settings_of(seed: int) -> tuple[str, bytes]:
    """A name of a settings file and what it holds: values of other types, a few bytes changed, or odd all over."""
    chance = random.Random(seed)
    name = chance.choice(["a.toml", "a.json"])
    content = TOML if name == "a.toml" else JSON
    match chance.randrange(4):
        case 0:
            return name, mutated(content, seed)
        case 1:
            return name, chance.choice(DEEP)
        case _:
            lines = content.splitlines() if name == "a.toml" else content.split(b",")
            mark, ends = (b"=", (b"",)) if name == "a.toml" else (b":", (b"}}", b"}", b""))
            for _ in range(chance.randint(1, 3)):
                i = chance.randrange(len(lines))
                before, found, after = lines[i].rpartition(mark)
                if found:
                    end = next(end for end in ends if after.rstrip().endswith(end))
                    lines[i] = before + mark + chance.choice(WORTHS) + end
            return name, (b"\n" if name == "a.toml" else b",").join(lines)


@fuzzed(300)
@given(named=SEEDS.map(settings_of))
def test_any_settings_file_is_taken_or_refused_in_one_line(named: tuple[str, bytes], tmp_path: Path) -> None:
    name, content = named
    path = tmp_path / name
    path.write_bytes(content)
    (tmp_path / "secret.txt").write_text("word\n")
    try:
        found = load(path, environ={})
    except QwfError as error:
        check_error(error, UsageError, hides="secret@")
        return
    assert 1 <= found.writers <= 64
    assert "secret" not in repr(found).replace("secret.txt", "")
