"""Random requests, and what must hold of each: one line or a result, and nothing of anybody else's changed.

`QWF_FUZZ=50 pytest tests/fuzz` tries fifty times as many examples, other ones each time.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest
from hypothesis import HealthCheck, settings

from qwf_async.cli.app import app
from qwf_async.errors import Interrupted, QwfError
from tests.conftest import PATIENCE, Server, new_server

Test = TypeVar("Test", bound=Callable[..., Any])

TIMES: Final = int(os.environ.get("QWF_FUZZ", "1"))
DESIGNED: Final = frozenset(range(9)) | {129, 130, 143}
"""The exit codes there are. Source: the table of exit codes in README.md."""


def fuzzed(examples: int) -> Callable[[Test], Test]:
    """So many examples of a property, always the same ones unless more are asked for."""
    return settings(
        max_examples=examples * TIMES,
        derandomize=TIMES == 1,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )


def check_error(
    error: BaseException, *kinds: type[QwfError], longest: int = 12_000, names: str = "", hides: str = "\0"
) -> None:
    """It is one of ours, of these kinds if any are given, in one line that can be printed, and not too long.

    It has `names` in it, and `hides` not.
    """
    assert isinstance(error, QwfError), f"{type(error).__name__}: {error}"
    assert type(error) is not QwfError, error
    assert not kinds or isinstance(error, kinds)
    said = str(error)
    assert said
    assert names in said
    assert hides not in said
    assert said.isprintable(), said
    assert len(said) <= longest, f"{said[:200]}… has {len(said)} characters"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a command ended: its exit code, and what it wrote."""

    status: int
    out: str
    err: str


def qwf(*arguments: str, stdin: str = "") -> Ended:
    """A command, run in this process. What is no error of ours and no way to exit propagates."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", errors) for errors in ("strict", "backslashreplace"))
    status = 0
    before = sys.stdin
    sys.stdin = io.StringIO(stdin)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                app(list(arguments))
            except SystemExit as end:
                status = end.code if isinstance(end.code, int) else 0
            except QwfError as error:
                check_error(error)
                status = error.status if isinstance(error, Interrupted) else error.exit_code
                err.write(f"qwf: {error} (exit {status})\n")
    finally:
        sys.stdin = before
    assert status in DESIGNED
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode())
    assert "Traceback" not in texts[1], texts[1]
    return Ended(status=status, out=texts[0], err=texts[1])


NEIGHBOURS: Final = (
    "qwf", "qwf ", "qw", "qwf2:{psi}:meta", "qwff:names", "Qwf:names", "{qwf}:names", " qwf:names",
    "xqwf:{psi}:load", "{psi}:meta", "psi", "names", "qwf\0:names", "qwf;:names", "*", "qwf*", "",
)  # fmt: skip
"""Keys of others, whose names are nearly those of ours."""


def settle_neighbours(server: Server) -> dict[bytes, Any]:
    """Keys of every type that belong to others, each with what it holds."""
    with server.plain as client:
        for number, name in enumerate(NEIGHBOURS):
            kinds: list[Callable[[str], Any]] = [
                lambda key: client.hset(key, mapping={"generation": "0" * 16, "psi": "x"}),
                lambda key: client.set(key, b"\0value\xff"),
                lambda key: client.rpush(key, "a", "b"),
                lambda key: client.sadd(key, "a", "b"),
                lambda key: client.zadd(key, {"a": 1.5}),
                lambda key: client.xadd(key, {"a": "b"}),
            ]
            client.delete(name)
            kinds[number % len(kinds)](name)
    return others(server)


def others(server: Server) -> dict[bytes, Any]:
    """What the keys hold that are not ours."""
    return {key: held for key, held in server.contents().items() if not key.startswith(b"qwf:")}


@dataclass(slots=True, kw_only=True, repr=False)
class Ground:
    """A server that holds keys of others, and a directory with files, to be as they were after each example."""

    server: Server
    directory: Path
    ours: dict[bytes, bytes] = field(default_factory=dict)
    others: dict[bytes, Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    def remember(self) -> None:
        """Take what there is for what there should be, together with keys of others."""
        with self.server.plain as client:
            self.ours = {key: client.dump(key) for key in client.scan_iter("qwf:*")}
        self.others = settle_neighbours(self.server)
        self.files = self._files()

    def renew(self) -> None:
        """Let the server hold again what it held."""
        with self.server.plain as client:
            kept = client.keys("qwf:*")
            if kept:
                client.delete(*kept)
            for key, held in self.ours.items():
                client.restore(key, 0, held)

    def check(self, *, asked: Callable[[str], bool] = lambda path: False) -> None:
        """Nothing of others has changed, and no file but those that `asked` is true of, which are put back."""
        found = self._files()
        for name in [name for name in found if found[name] != self.files.get(name) and asked(name)]:
            (self.directory / name).unlink()
            if name in self.files:
                (self.directory / name).write_bytes(self.files[name])
        assert self._files() == self.files
        assert others(self.server) == self.others

    def _files(self) -> dict[str, bytes]:
        found = {}
        for place, _, names in os.walk(self.directory):
            for name in names:
                path = Path(place, name)
                found[str(path.relative_to(self.directory))] = path.read_bytes() if path.is_file() else b""
        return found


@contextmanager
def ground(directory: Path, patch: pytest.MonkeyPatch) -> Iterator[Ground]:
    """A small server of its own, and this process set up to use it and nothing else of the user's."""
    for name in list(os.environ):
        if name.startswith(("QWF_", "REDIS_")):
            patch.delenv(name)
    for server in new_server("valkey", maxmemory="64mb"):
        variables = {
            "XDG_DATA_HOME": str(directory / "data"),
            "XDG_CONFIG_HOME": str(directory / "config"),
            "XDG_RUNTIME_DIR": str(server.directory),
            "QWF_URL": server.url,
            "QWF_DEADLINE": "0.3",
            "QWF_GATE_TIMEOUT": "0.3",
            "QWF_SOCKET_CONNECT_TIMEOUT": str(PATIENCE),
            "QWF_SOCKET_TIMEOUT": str(PATIENCE),
            "COLUMNS": "100",
        }
        for name, value in variables.items():
            patch.setenv(name, value)
        patch.chdir(directory)
        yield Ground(server=server, directory=directory)


def mutated(original: bytes, seed: int) -> bytes:
    """The bytes with a few of them replaced, left out, doubled or cut off."""
    data = bytearray(original)
    chance = random.Random(seed)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(data) + 1)
        match chance.randrange(5):
            case 0 if place < len(data):
                data[place] = chance.randrange(256)
            case 1:
                data[place:place] = chance.choice([b"0", b"-", b"9" * 30, b"\n", b"\0", b"\xff", b"{", b"'"])
            case 2:
                del data[place : place + chance.randint(1, 8)]
            case 3:
                data[place:place] = data[place : place + chance.randint(1, 20)]
            case 4 if chance.random() < 0.3:
                del data[place:]
    return bytes(data)
