"""The one table from what a server or a network says to what it means for us.

The leaf of `errors` that an error becomes is also what is to be done about it:

- `ServerUnavailable`: try again on a new connection, with back-off, until the deadline.
- `OutOfMemory`: press back; try again when the memory gate opens.
- `Refused`: final; trying again cannot succeed.
"""

from __future__ import annotations

from typing import Final

from redis import exceptions as redis_errors

from ..errors import OutOfMemory, QwfError, Refused, ServerUnavailable


class ServerBusy(ServerUnavailable):
    """The server is there, and will serve us in a while."""


Meaning = tuple[type[QwfError], str]

_REPLIES: Final[dict[str, Meaning]] = {
    "OOM": (OutOfMemory, "the server is out of memory"),
    "LOADING": (ServerBusy, "the server is still loading its data"),
    "BUSY": (ServerBusy, "the server is busy with a script"),
    "TRYAGAIN": (ServerUnavailable, "the cluster is moving slots"),
    "CLUSTERDOWN": (ServerUnavailable, "the cluster is down"),
    "MASTERDOWN": (ServerUnavailable, "the primary of this replica is down"),
    "NOREPLICAS": (ServerUnavailable, "the server has too few replicas to accept writes"),
    "MISCONF": (ServerUnavailable, "the server cannot save to its disk and refuses writes"),
    "READONLY": (ServerUnavailable, "the server is a read-only replica; name its primary"),
    "MOVED": (ServerUnavailable, "the key is on another node of the cluster"),
    "ASK": (ServerUnavailable, "the key is moving to another node of the cluster"),
    "NOAUTH": (Refused, "the server wants a password: set QWF_PASSWORD or --password-file"),
    "WRONGPASS": (Refused, "the server does not accept this user name and password"),
    "NOPERM": (Refused, "this user lacks a permission: ask for the one named"),
    "WRONGTYPE": (Refused, "a key of another type is in the way: rename or delete it"),
}
"""Error prefix of a reply → leaf and meaning. Source: the servers' sources, `addReplyError`."""

_CUT: Final[dict[type[BaseException], str]] = {
    redis_errors.AskError: "ASK",
    redis_errors.BusyLoadingError: "LOADING",
    redis_errors.ClusterDownError: "CLUSTERDOWN",
    redis_errors.MasterDownError: "MASTERDOWN",
    redis_errors.MovedError: "MOVED",
    redis_errors.NoPermissionError: "NOPERM",
    redis_errors.OutOfMemoryError: "OOM",
    redis_errors.ReadOnlyError: "READONLY",
    redis_errors.TryAgainError: "TRYAGAIN",
}
"""Errors that redis-py has a class for: it cuts the prefix off their text (`BaseParser.parse_error`)."""

_SILENT: Final = ("NOAUTH", "WRONGPASS")
"""Prefixes whose text adds nothing, or could repeat what should not be shown."""


def translate(error: BaseException, *, where: str, doing: str = "") -> QwfError:
    """The error of ours that stands for `error`, met at `where` (a masked URL) while `doing`.

    Anything that is no reply of the server counts as a lost connection: a connection that
    dies can raise TypeError or AttributeError from inside the library (CPython 3.12+).
    """
    if isinstance(error, QwfError):
        return error
    if type(error) is redis_errors.ConnectionError and isinstance(error.__cause__, redis_errors.RedisError):
        error = error.__cause__  # over a unix socket the library wraps what the server said to AUTH
    task = f" while {doing}" if doing else ""
    text = str(error)
    prefix = _prefix(error, text)
    if isinstance(error, redis_errors.RedisError) and prefix in _REPLIES:
        leaf, meaning = _REPLIES[prefix]
        detail = "" if prefix in _SILENT else f" ({text})"
        return leaf(f"{where}{task}: {meaning}{detail}")
    if isinstance(error, redis_errors.RedisError) and "max number of clients" in text:
        return ServerBusy(f"{where}{task}: the server has no room for another client")
    if isinstance(error, redis_errors.ResponseError):
        return Refused(f"{where}{task}: the server refused: {text}")
    if isinstance(error, TimeoutError | redis_errors.TimeoutError):
        return ServerUnavailable(f"{where}{task}: no answer in time")
    if isinstance(error, redis_errors.ConnectionError | OSError):
        return ServerUnavailable(f"{where}{task}: {text or 'connection lost'}")
    return ServerUnavailable(f"{where}{task}: connection lost ({type(error).__name__}: {text})")


def _prefix(error: BaseException, text: str) -> str:
    """The prefix of the error reply that the library made `error` of."""
    if isinstance(
        error, redis_errors.AuthenticationError | redis_errors.AuthenticationWrongNumberOfArgsError
    ):
        return "NOAUTH" if "required" in text.lower() else "WRONGPASS"
    return _CUT.get(type(error)) or text.split(" ", 1)[0].rstrip(":")
