"""An attacker in the place of the server: whatever it answers, only errors of ours, soon, and in little memory.

This is no fake Redis: it is a real socket at whose other end somebody writes what he likes.
Nothing is tested here of what a server does.
"""

from __future__ import annotations

import ast
import random
import socket
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import qwf_async
import qwf_async.client.pool_state as pool_state
import qwf_async.store.connecting as connecting
from qwf_async.client.address import Address
from qwf_async.client.pool import Pool
from qwf_async.client.reply import is_text, is_text_or_none
from qwf_async.client.retry import Retry
from qwf_async.errors import QwfError, ServerUnavailable
from qwf_async.lattice.grid import Box
from qwf_async.layout import Form, Layout
from qwf_async.settings import Settings
from qwf_async.store.reading import read_box, read_scattered
from tests.support.fuzzing import check_error, fuzzed

PATIENCE = 0.05
"""Seconds for which the client waits for an answer, and as long again while it tries anew."""

TOKEN = b"in step"
SECONDS = 60.0
ROOM = 64 * 2**20
"""Bytes by which this process may grow at most meanwhile."""

DEEP = 10_000
FRAGMENTS: list[bytes] = [
    b"+OK\r\n", b"+\r\n", b":1\r\n", b":-9223372036854775808\r\n", b":99999999999999999999\r\n", b":x\r\n",
    b"$-1\r\n", b"*-1\r\n", b"$0\r\n\r\n", b"*0\r\n", b"$5\r\nhello\r\n", b"$5\r\nhel", b"$1000000000\r\n",
    b"$1000000000\r\nx", b"$-2\r\n", b"*-2\r\n", b"$99999999999999999999\r\n", b"*1000000000\r\n",
    b"*4294967295\r\n:1\r\n", b"*99999999999999999999\r\n", b"*3\r\n*0\r\n*1000000000\r\n:1\r\n",
    b"*9999999\r\n*9999999\r\n:1\r\n", b"+OK\r\n+OK\r\n", b":1\r\n$3\r\nold\r\n", b"$x\r\n", b"*\r\n",
    b"*1\r\n" * DEEP, b"*1\r\n" * DEEP + b":1\r\n", b"*2\r\n:1\r\n" * 9, b"*2\r\n$1\r\na\r\n$-1\r\n",
    b"*1\r\n$-1\r\n", b"*1\r\n*0\r\n", b"*1\r\n:1\r\n", b"*1\r\n$16\r\n" + bytes(16) + b"\r\n",
    b"*1\r\n$8\r\n" + bytes(8) + b"\r\n", b"*1\r\n+x\r\n", b"*1\r\n-ERR in it\r\n",
    b"*27\r\n" + (b"$16\r\n" + bytes(16) + b"\r\n") * 27,
    b"*256\r\n" + (b"$1\r\n0\r\n$16\r\n" + bytes(16) + b"\r\n") * 128, b"-ERR no\r\n", b"-\r\n",
    b"-OOM command not allowed\r\n", b"-LOADING x\r\n", b"-BUSY x\r\n", b"-NOAUTH x\r\n", b"-WRONGPASS x\r\n",
    b"-MOVED 1 nowhere:1\r\n", b"-MOVED\r\n", b"-ASK x\r\n", b"-READONLY\r\n", b"-WRONGTYPE x\r\n",
    b"-" + b"x" * 100_000 + b"\r\n", b"-ERR \xff\xfe\x1b[31m\r\n", b"-NOSCRIPT x\r\n",
    b"-ERR max number of clients reached\r\n", b"-DENIED x\r\n", b"-UNBLOCKED\r\n",
    b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0" * 100, b"\r\n", b"\n", b"%1\r\n+a\r\n+b\r\n", b"~1\r\n+a\r\n",
    b">1\r\n+a\r\n", b"_\r\n", b"#t\r\n", b",1.5\r\n", b"(99\r\n", b"|1\r\n+a\r\n+b\r\n", b"=5\r\ntxt:x\r\n",
    b"\x16\x03\x01\x02\x00", b"x" * 200_000, b"",
]  # fmt: skip
FRAGMENTS += [
    b">100000000\r\n", b"~1000000000\r\n", b"%1000000000\r\n", b"|1000000000\r\n", b"*9999999\r\n" * 100,
    b"*3\r\n*1\r\n>100000000\r\n", b"*27\r\n" + (b"$16\r\n" + bytes(16) + b"\r\n") * 26 + b"*99999999\r\n",
    b"$400000000000\r\n", b"*3\r\n$400000000000\r\n", b"$16777216\r\n", b"+" + b"a" * 100, b"-ERR ",
    b"*400\r\n" + b"*0\r\n" * 400, b":" + b"9" * 1000 + b"\r\n", b"-NOPERM " + b"x" * 1_000_000 + b"\r\n",
]  # fmt: skip
FLOODS = [b"a" * 65_536, b"$-1\r\n" * 10_000, b":1234567\r\n" * 5000, b"*0\r\n" * 10_000, b"*1\r\n" * 10_000]
INFO = (
    b"redis_version:7\r\nused_memory:x\r\nmaxmemory:-1\r\nused_memory\r\n:\r\n"
    b"instantaneous_input_kbps:x\r\nuptime_in_seconds:\xb2\r\n"
)
FRAGMENTS += [
    b"$%d\r\n%s\r\n" % (len(INFO), INFO),
    b"*2\r\n$9\r\nmaxmemory\r\n$1\r\nx\r\n",
    b"*3\r\n*1\r\n+x\r\n*0\r\n:1\r\n",
]


@dataclass(slots=True, kw_only=True)
class Attacker:
    """Listens on a socket; answers what it is asked with the `script`, piece by piece, and then as `ending` says.

    A number means that it floods the client with that of FLOODS.

    As long as it is `polite`, requests of an opening connection are answered with OK. Once
    it is `honest`, it answers every request as a server does that knows nothing but ECHO.
    """

    path: str
    script: list[bytes] = field(default_factory=list)
    ending: str = "close"
    polite: bool = True
    honest: bool = False
    talks: list[threading.Thread] = field(default_factory=list)

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.talks = [talk for talk in self.talks if talk.is_alive()]
            self.talks.append(threading.Thread(target=self._talk, args=(connection,)))
            self.talks[-1].start()

    def _talk(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(SECONDS)
            for piece in self.script:
                self._await_request(connection)
                connection.sendall(piece)
            while self.ending == "dribble" and not self.honest:
                connection.sendall(b"*1\r\n")
                time.sleep(0.01)
            while self.ending.isdecimal() and not self.honest:
                connection.sendall(FLOODS[int(self.ending)])
            while self.ending != "close" or self.honest:
                self._await_request(connection)

    def _await_request(self, connection: socket.socket) -> None:
        """Until something is asked that is to be answered by the script. Raises OSError at the end."""
        while True:
            asked = connection.recv(65_536)
            if not asked:
                raise ConnectionResetError
            opening = asked.count(b"PING") + asked.count(b"CLIENT") + asked.count(b"SELECT")
            if self.honest and b"ECHO" in asked:
                connection.sendall(b"$%d\r\n%s\r\n" % (len(TOKEN), TOKEN))
            elif opening and (self.polite or self.honest):
                connection.sendall(b"+OK\r\n" * opening)
            else:
                return


@pytest.fixture(scope="module")
def attacker() -> Iterator[Attacker]:
    with tempfile.TemporaryDirectory(prefix="qwf-") as directory:
        path = str(Path(directory, "s"))
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(64)
            found = Attacker(path=path)
            thread = threading.Thread(target=found.serve, args=(listener,))
            thread.start()
            try:
                with pytest.MonkeyPatch.context() as patch:
                    # Who says that there is no room, or hangs up, is waited for: longer than a test can.
                    patch.setattr(pool_state, "QUEUE", Retry(deadline=PATIENCE))
                    patch.setattr(pool_state, "MAX_SILENCE", PATIENCE)
                    patch.setattr(connecting, "MAX_REOPENING_TIME", PATIENCE)
                    yield found
            finally:
                listener.shutdown(socket.SHUT_RDWR)
                thread.join()
                for talk in found.talks:
                    talk.join()


def layouts() -> list[Layout]:
    shapes = {"flat": (1, 3, 3, 3), "packed": (1, 4, 8, 8), "tile": (1, 3, 3, 3)}
    forms = [
        Form.of(layout=layout, codec=codec, shape=shapes[layout])
        for layout in shapes
        for codec in ("c16", "c8")
    ]
    forms.append(Form.of(layout="flat", codec="text10", shape=shapes["flat"]))
    return [form.open(b"qwf:psi:0") for form in forms]


def whole(layout: Layout) -> Box:
    return Box(start=(0, 0, 0, 0), stop=getattr(layout, "shape", (1, 3, 3, 3)))


def requests(chance: random.Random, pool: Pool) -> Callable[[], Awaitable[Any]]:
    """Something that is asked of a server."""
    layout = chance.choice(layouts())
    box = chance.choice([whole(layout), Box(start=(0, 1, 1, 1), stop=(1, 2, 2, 2))])

    async def connected() -> None:
        settings = Settings(
            url=f"unix://{pool.address.options['path']}", socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE,
            deadline=PATIENCE,
        )  # fmt: skip
        async with qwf_async.connect(settings=settings) as store:
            await store.entries()
            await (await store.open("psi")).info()
            await store.clean()
            await store.probe(store.pool.nodes[0]).sample()
            await store.server_info()
            await store.remove("psi")

    async def scattered() -> None:
        points = np.array([[0, 0, 0, 0], [0, 1, 2, 1]])
        await read_scattered(pool, layout, points, np.empty(2, complex), readers=2)

    async def pipelined() -> None:
        async with pool.connection("a") as connection:
            replies = await connection.pipeline([("GET", "a"), ("GET", "b")])
            assert len(replies) == 2

    async def raw() -> None:
        async with pool.connection("a") as connection:
            into = memoryview(bytearray(64))
            await connection.exchange_raw(
                [b"*1\r\n$4\r\nTIME\r\n"], into, lambda start, stop: into[start] == 42
            )

    async def box_read() -> None:
        values = await read_box(pool, layout, box)
        assert values.shape == box.shape

    return chance.choice(
        [
            connected,
            connected,
            box_read,
            box_read,
            scattered,
            pipelined,
            raw,
            lambda: pool.call("GET", "a", expect=is_text_or_none),
        ]
    )


def script_of(chance: random.Random) -> list[bytes]:
    pieces = [chance.choice(FRAGMENTS) for _ in range(chance.randint(1, 4))]
    return [piece[: chance.randrange(len(piece) + 1)] if chance.random() < 0.2 else piece for piece in pieces]


def peak() -> int:
    """The most memory that this process had since `forget_peak`, bytes (proc(5))."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


@fuzzed(60)
@given(seed=st.integers(0, 2**64))
def test_whatever_is_answered_ends_with_errors_of_ours_soon_and_in_little_memory(
    seed: int, attacker: Attacker
) -> None:
    chance = random.Random(seed)
    attacker.script = script_of(chance)
    attacker.ending = chance.choice(["close", "hang", "dribble", *map(str, range(len(FLOODS)))])
    attacker.polite = chance.random() < 0.8
    attacker.honest = False
    anyio.run(ask, attacker, chance, backend="asyncio", backend_options={"use_uvloop": chance.random() < 0.5})


async def ask(attacker: Attacker, chance: random.Random) -> None:
    pool = Pool(
        Address.parse(f"unix://{attacker.path}"),
        connect_timeout=PATIENCE,
        answer_timeout=PATIENCE,
        deadline=PATIENCE,
    )
    forget_peak()
    before = peak()
    request = requests(chance, pool)
    try:
        with anyio.fail_after(SECONDS):
            await request()
    except QwfError as error:
        check_error(error)
    assert peak() - before < ROOM, attacker.script
    # Whatever came before, a connection that is lent again is in step, or it is another one.
    attacker.script, attacker.honest = [], True
    pool.retry = Retry(deadline=SECONDS)
    try:
        assert await pool.call("ECHO", TOKEN, expect=is_text) == TOKEN
    finally:
        await pool.aclose()


def test_no_reply_is_used_without_a_look() -> None:
    """Every command of the package that is sent through `call` or `call_once` says what reply it expects."""
    root = Path(qwf_async.__file__).parent
    calls = [
        (path, node)
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("call", "call_once")
    ]
    assert len(calls) > 30
    bare = [
        f"{path}:{node.lineno}"
        for path, node in calls
        if "expect" not in [keyword.arg for keyword in node.keywords]
    ]
    assert bare == []


@pytest.mark.parametrize(
    ("piece", "said"),
    [
        (b"+OK\r\n+OK\r\n", "more replies than requests"),
        (b":1\r\n", "unexpected reply"),
        (b"*1\r\n*1000000000\r\n:1\r\n", "an array of 1000"),
    ],
)
def test_a_connection_is_not_used_again_after_a_reply_that_is_none(
    attacker: Attacker, piece: bytes, said: str
) -> None:
    attacker.script, attacker.ending, attacker.polite, attacker.honest = [piece], "hang", True, False

    async def meet() -> None:
        pool = Pool(Address.parse(f"unix://{attacker.path}"), deadline=0)
        with pytest.raises(ServerUnavailable, match=said):
            await pool.call("GET", "a", expect=is_text_or_none)
        attacker.script, attacker.honest = [], True
        assert await pool.call("ECHO", TOKEN, expect=is_text) == TOKEN
        assert pool.counts.opened == 2
        await pool.aclose()

    anyio.run(meet)
