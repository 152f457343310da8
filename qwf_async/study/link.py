"""The link of studies to their server: commands and scripts, tried again for a while, and followed to their node.

An outage becomes ServerUnavailable once it has lasted for `after` seconds; what is final is raised at once
(`client.failure` says which is which). What got no reply is sent again, so every command must be
one that may be applied twice.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from hashlib import sha1
from time import monotonic, sleep
from typing import Any, Final, Self, TypeGuard, TypeVar

from redis.exceptions import NoScriptError, ReadOnlyError, ResponseError

from ..client.address import Address
from ..client.commands import Command, key_of
from ..client.counts import ConnectionCounts
from ..client.failure import Asked, ConnectionLost, Redirected, ServerBusy, UnexpectedReply, translate
from ..client.following import MAX_HOPS
from ..client.reply import is_anything
from ..client.retry import Retry
from ..errors import ServerUnavailable
from ..settings import Settings
from ..wording import shortened
from .nodes import Nodes
from .place import Place

T = TypeVar("T")

_BACK_OFF: Final = Retry(deadline=0, base=0.01, cap=0.1)


class Server:
    """The server of studies, for one thread at a time. It can be pickled, and used after a fork: it connects anew.

    `shown` is the server's URL with its password masked, `prefix` the first part of every key. `counts`
    are those of its connections, `retries` how often anything was tried again, and `longest` the seconds that
    the longest call took: all since this process has it.
    """

    def __init__(self, place: Place, *, after: float = 0.5) -> None:
        self.place = place
        self.after = after
        self._begin()

    @classmethod
    def open(cls, url: str | None = None, *, settings: Settings | None = None, after: float = 0.5) -> Self:
        """The server that a URL or the settings name, else the embedded one. It need not be there yet.

        `after` (seconds) bounds all attempts of one call together. Raises as `Place.find`.
        """
        return cls(Place.find(url, settings=settings), after=after)

    @property
    def address(self) -> Address:
        return self.place.address

    @property
    def shown(self) -> str:
        return self.place.address.shown

    @property
    def prefix(self) -> str:
        return self.place.prefix

    def another(self) -> Server:
        """The same server for another thread, over connections of its own."""
        twin = Server(self.place, after=self.after)
        twin._nodes.known_by = lambda: self._nodes.table
        return twin

    def call(
        self,
        key: str | bytes,
        *command: str | bytes | int | float,
        expect: Callable[[Any], TypeGuard[T]] = is_anything,
        deadline: float | None = None,
    ) -> T:
        """The reply to one command, which goes to the node that has `key`. Texts are bytes.

        If `expect` is not true of the reply, the connections are closed, and UnexpectedReply is raised.

        `deadline` is a time of `time.monotonic()`; without one it is `after` seconds from now. Raises
        ServerUnavailable if there is no reply until then, and at once what is final: Refused, OutOfMemory.
        """
        reply = self._until(lambda end: self._ask(key, [command], end)[0], deadline)
        if not expect(reply):
            self.close()
            raise UnexpectedReply(
                f"{self.shown} while {command[0]!s}: unexpected reply ({shortened(repr(reply))}); is it a Redis server?"
            )
        return reply

    def eval(
        self,
        script: str,
        keys: Sequence[bytes],
        args: Sequence[bytes | str | int],
        deadline: float | None = None,
        *,
        read_only: bool = False,
    ) -> Any:
        """The reply to a script, whose keys have one slot. Its text is sent only if the server does not know it.

        With `read_only` it may write nothing, and needs no right to write. `deadline` and errors are as for `call`.
        """
        by_hash, by_text = ("EVALSHA_RO", "EVAL_RO") if read_only else ("EVALSHA", "EVAL")
        sha = self._shas.get(script)
        if sha is None:
            sha = self._shas[script] = sha1(script.encode(), usedforsecurity=False).hexdigest()

        def attempt(end: float) -> Any:
            try:
                return self._ask(keys[0], [(by_hash, sha, len(keys), *keys, *args)], end)[0]
            except _UnknownScript:
                return self._ask(keys[0], [(by_text, script, len(keys), *keys, *args)], end)[0]

        return self._until(attempt, deadline)

    def pipeline(self, commands: Sequence[Command], deadline: float | None = None) -> list[Any]:
        """The replies to commands that only read, sent together; their keys have one slot. Errors are as for `call`."""
        return self._until(lambda end: self._ask(key_of(commands[0]), commands, end), deadline)

    def on_each(self, *command: str | bytes | int, deadline: float | None = None) -> list[tuple[str, Any]]:
        """Where each server is, and its reply to a command without a key; an error reply is a ResponseError.

        Raises as `call` otherwise.
        """

        def attempt(end: float) -> list[tuple[str, Any]]:
            return [(node.where, node.exchange([command], end)[0]) for node in self._here().all(end)]

        return self._until(attempt, deadline)

    def close(self) -> None:
        """Close the connections; the next call opens them again."""
        self._nodes.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self.place, self.after)

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._shas: dict[str, str] = {}
        self.counts = ConnectionCounts()
        self.retries = 0
        self.longest = 0.0
        self._nodes = Nodes(self.place, self.counts)

    def _here(self) -> Nodes:
        """The nodes, over connections of this process: those of a parent are left to it."""
        if os.getpid() != self._pid:
            self._nodes.close()
            self._begin()
        return self._nodes

    def _until(self, attempt: Callable[[float], T], deadline: float | None) -> T:
        """The result of an attempt, which is given the deadline, and repeated until then while it is worth it."""
        begun = monotonic()
        end = begun + self.after if deadline is None else deadline
        failures = 0
        try:
            while True:
                try:
                    return attempt(end)
                except ServerUnavailable as error:
                    failures += 1
                    # A connection that broke while it lay idle says nothing of the server: it is replaced at once.
                    at_once = failures == 1 and isinstance(error, ConnectionLost)
                    pause = 0.0 if at_once else _BACK_OFF.backoff(failures)
                    if monotonic() + pause >= end:
                        raise
                self.retries += 1
                sleep(pause)
        finally:
            self.longest = max(self.longest, monotonic() - begun)

    def _ask(self, key: str | bytes, commands: Sequence[Command], end: float) -> list[Any]:
        """The replies of the node that has a key, found by following where it is sent on to."""
        nodes = self._here()
        node, asking = nodes.of(key, end), False
        for hop in range(MAX_HOPS + 1):
            sent = [part for command in commands for part in (("ASKING",), command)] if asking else commands
            try:
                replies = node.exchange(sent, end)
            except ServerBusy:
                raise
            except ServerUnavailable:
                nodes.look_again(node, end)
                raise
            if asking:
                replies = replies[1::2]
            for wrong in replies:
                if isinstance(wrong, ResponseError):
                    break
            else:
                return replies
            if isinstance(wrong, NoScriptError):
                raise _UnknownScript from wrong
            error = translate(wrong, where=node.where)
            if isinstance(error, Redirected) and hop < MAX_HOPS:
                node, asking = nodes.named_by(error, node, end), isinstance(error, Asked)
                continue
            if isinstance(
                wrong, ReadOnlyError
            ):  # it was the primary once: another may be at the address by now
                node.close()
                nodes.look_again(node, end)
            raise error from wrong
        raise AssertionError


class _UnknownScript(Exception):
    """The server does not have the script of this hash."""


def _again(place: Place, after: float) -> Server:
    return Server(place, after=after)
