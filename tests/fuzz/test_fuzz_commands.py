"""Random command lines against a real server that others use too: a result, or one line and a designed exit code."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from qwf_async.cli.app import app
from qwf_async.layout import LAYOUTS
from tests.support.fuzzing import Ended, Ground, fuzzed, ground, qwf

ENDLESS = {("watch",), ("view",), ("server", "run"), ("server", "start")}
"""Commands that run until a signal, or start what goes on running."""


def commands(group: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], list[Any]]:
    """The parameters of each command that ends by itself."""
    if not hasattr(group, "commands"):
        return {} if path in ENDLESS else {path: group.params}
    found: dict[tuple[str, ...], list[Any]] = {}
    for name, inner in group.commands.items():
        found |= commands(inner, (*path, name))
    return found


COMMANDS = commands(typer.main.get_command(app))

ODD = [
    "",
    " ",
    "-",
    "--",
    "---",
    "-1",
    "--json",
    "--help",
    "-u",
    "=",
    ":",
    ",",
    "x",
    "\x00",
    "a\x00b",
    "a\nb",
    "\r\n",
    "\x1b[31m",
    "ψ",
    "é",
    "\udcff",
    "\u2028",
    "\u202e",
    "💥",
    "../up",
    "qwf:names",
    "{psi}",
    "*",
    "?",
    "%s",
    "{}",
    "nan",
    "inf",
    "-inf",
    "1e400",
    "0x10",
    "1_000",
    "٣",
    "9" * 40,
    "9" * 5000,
    "-" + "9" * 40,
    "0",
    "007",
    "1" * 300,
    "a" * 129,
    "psi psi",
    "None",
    "true",
]
NAMES = ["psi", "tiles", "packed", "psi", "tiles", "nobody", "qwf", "new", "."]
SOURCES = [
    "psi.npy",
    "real.npy",
    "psi.npy",
    "psi.raw:shape=3x3x3",
    "psi.raw:shape=27,dtype=>f8,offset=216",
    "psi.raw:shape=3x3",
    "psi.npz:psi",
    "psi.npz:phi",
    "redis-hash:psi",
    "psi.npy,psi.npy",
    "none.h5:/psi",
    "none.cube,none.cube",
    "gaussian",
    "gaussian:k=2,sigma=1",
    "hydrogen:n=3,l=2,m=1",
    "box:n=2",
    "plane",
    "coherent",
    "harmonic:n=1",
    "math:sin",
    "os:getcwd",
    "math:pi",
    "no:such",
    "os:",
    "missing.npy",
    "text.toml",
    "sub",
    ".",
    "/",
    "/dev/null",
    "fifo",
    "gaussian:sigma=1e-40",
    "harmonic:n=100000",
    "hydrogen:n=200,l=3,m=0",
]
INTEGERS = ["0", "1", "2", "3", "-1", "4", "99", "2147483648", "9223372036854775808", "1" + "0" * 30]
POOLS: dict[str, list[str]] = {
    "name": NAMES,
    "names": NAMES,
    "source": SOURCES,
    "out": [
        "out.npy",
        "out.h5",
        "out.cube",
        "re.cube,im.cube",
        "out",
        "sub/out.npy",
        "./out.npy",
        "none/out.npy",
        "sub",
        ".",
        "psi.npy",
        "fifo",
        "link.npy",
    ],
    "index": [
        "0",
        "...",
        ":",
        ":,1",
        "0,1:3,:,::-1",
        "0,0,0,0",
        "0,0,0,0,0",
        "::0",
        "::2",
        "5",
        "-1",
        ":::",
        "1:",
        "0,9",
        "...,...",
        "0,99999999999999999999",
        ":99999999999999999999",
        "::-99999999999999999999",
        ",",
        "1:2:3:4",
    ],
    "file_format": ["npy", "hdf5", "cube", "netcdf", "tiff"],
    "dims": ["x,y,z", "z,y,x", "t,x,y", "x,y", "x,y,z,t", "a=x", "c,x,y", ",", "x,x,x"],
    "value": ["1,2", "1", "nan", "1e309,0", "1,", ",1", "1,2,3", "1e39,0", "-0.0,inf"],
    "grid": ["2", "3x2", "2x2x2", "2x2x2x2", "0", "-1", "10000", "999999999x999999999x99", "1x1x1", "2x0"],
    "box": ["4", "4x4x4", "0", "-1", "1e-300", "1e300", "nan", "4x4", "1e308x1e308x1e308"],
    "frames": ["1", "2", "0", "-1", "1000000000000", "9223372036854775808"],
    "dt": ["0.1", "0", "-1", "nan", "inf", "1e-320", "1e308"],
    "layout": [*LAYOUTS, "heap", "FLAT"],
    "codec": ["c16", "c8", "text10", "c99"],
    "tile": ["2", "2x2x2", "1x1x1", "0", "9x9x9", "2x", "²", "1" + "0" * 20],
    "write_mode": ["auto", "hset", "restore", "both"],
    "writers": ["1", "4", "64", "65", "0", "-1"],
    "producers": ["1", "3", "64", "65", "0", "-1"],
    "max_rate": [
        "1e9",
        "1e12",
        "1e13",
        "0",
        "-1",
        "nan",
        "inf",
        "x",
    ],  # a low rate is obeyed, which takes long
    "points": ["points.txt", "odd.txt", "none.txt", "-", "sub", "psi.npy", "empty.txt"],
    "url": [
        "redis://127.0.0.1:1",
        "unix:///none",
        "redis://[::1",
        "http://h",
        "redis://:pw@127.0.0.1:1/0",
        "unix://",
    ],
    "config": ["text.toml", "good.toml", "odd.json", "sub", "psi.npy", "none.toml"],
    "password_file": ["points.txt", "empty.txt", "psi.npy", "none", "sub"],
    "node_map": ["h=g", "h:1=g:2,h:2=/s", "h", "=", "h=g:x"],
    "data_dir": ["sub", "none", "psi.npy", "/dev/null"],
    "maxmemory": ["1gb", "1", "0", "-1", "3 gb", "10tb", "99999999999999999999gb"],
}
BOUNDED = {"max_rate", "url", "data_dir"}
"""Parameters of which only the pool is tried: others could take long, or name what is not the test's."""


def line_of(seed: int) -> list[str]:
    """A command line: mostly something that could be meant, often with a thing or two wrong."""
    chance = random.Random(seed)
    path = chance.choice(sorted(COMMANDS))
    oddity = chance.choice([0.0, 0.0, 0.1, 0.4])

    def value(name: str) -> str:
        pool = POOLS.get("config" if name == "config_file" else name, INTEGERS)
        if name not in BOUNDED and chance.random() < oddity:
            return chance.choice([*ODD, "".join(chr(chance.randrange(0xD000)) for _ in range(5))])
        return chance.choice(pool if oddity else pool[: -(-len(pool) // 2)])

    words, last = [], []
    for parameter in COMMANDS[path]:
        options = list(parameter.opts)
        if not options[0].startswith("-"):
            if parameter.required or chance.random() < 0.6:
                times = 1 if parameter.nargs == 1 else chance.randint(1, 3)
                last += [value(parameter.name) for _ in range(times)]
            continue
        rarely = parameter.name in ("url", "config", "config_file", "password_file", "data_dir")
        if parameter.required or chance.random() < (0.05 if rarely else 0.25):
            for _ in range(chance.choice([1, 1, 1, 2])):
                option = chance.choice(options)
                if parameter.is_flag:
                    words.append(option)
                elif option.startswith("--") and chance.random() < 0.5:
                    words.append(f"{option}={value(parameter.name)}")
                else:
                    words += [option, value(parameter.name)]
    if chance.random() < oddity:
        last.insert(chance.randrange(len(last) + 1), chance.choice(ODD))
    guard = ["--"] if chance.random() < 0.3 else []
    return [*path, *words, *guard, *last]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    directory = tmp_path_factory.mktemp("commands")
    psi = np.arange(1, 28).reshape(3, 3, 3) * (1 + 0.5j)
    np.save(directory / "psi.npy", psi)
    np.savez(directory / "psi.npz", psi=psi, other=psi.real)
    (directory / "psi.raw").write_bytes(psi.tobytes())
    np.save(directory / "real.npy", np.asfortranarray(psi.real))
    texts = {
        "points.txt": "0 0 0\n1,1,1\n2 2 2 0\n",
        "odd.txt": "1 2 3 4 5\n",
        "empty.txt": "",
        "text.toml": "url = 3\n",
        "good.toml": "writers = 2\n",
        "odd.json": '{"a": {"b": [[[1e999]]]}}',
        "sub/file": "",
    }
    (directory / "sub").mkdir()
    for name, text in texts.items():
        (directory / name).write_text(text)
    (directory / "link.npy").symlink_to("psi.npy")
    os.mkfifo(directory / "fifo")
    with pytest.MonkeyPatch.context() as patch, ground(directory, patch) as found:
        yield found


@pytest.fixture
def stored(place: Ground) -> Ground:
    with place.server.plain as client:
        client.flushall()
    for name, layout in (("psi", "flat"), ("tiles", "tile"), ("packed", "packed")):
        assert qwf("ingest", "psi.npy", "--name", name, "--layout", layout, "--quiet").status == 0
    place.remember()
    return place


@fuzzed(60)
@given(
    line=st.integers(0, 2**64).map(line_of), stdin=st.sampled_from(["", "0 0 0\n", "x\n", "\x00", "9" * 5000])
)
def test_any_command_line_ends_with_a_result_or_one_line_and_leaves_others_alone(
    line: list[str], stdin: str, stored: Ground
) -> None:
    stored.renew()
    ended = qwf(*line, stdin=stdin)
    check_said(line, ended)
    stored.check(asked=lambda path: path.endswith("out.npy") or any(path in word for word in line))
    if ended.status not in (0, 5) and line[0] in (
        "ls",
        "info",
        "get",
        "slice",
        "export",
        "verify",
        "estimate",
        "config",
    ):
        assert ended.out == "" or "Usage: " in ended.out  # a group of commands alone shows its help


def check_said(line: list[str], ended: Ended) -> None:
    lines_said = ended.err.splitlines()
    if ended.status and lines_said and lines_said[-1].startswith("qwf: "):
        assert lines_said[-1].endswith(f"(exit {ended.status})")
    elif ended.status:
        assert ended.status == 2, (line, ended)  # found wrong by typer, which puts a box around it
    elif "--json" in line and ended.out and "--help" not in line and line[0] != "server":
        for text in ended.out.splitlines():
            json.loads(text)
