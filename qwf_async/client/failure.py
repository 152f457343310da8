"""The one table that translates errors of a server, a network or a library into errors of ours.

The class of `errors` that an error becomes also says what is to be done about it:

- `ServerUnavailable`: try again on a new connection, with back-off, until the deadline.
- `OutOfMemory`: press back; try again when the memory gate opens.
- `Refused`: final; trying again cannot succeed.

An error reply that has no row is `Refused`. Nothing that this package sends meets one of those
(EXECABORT, NOSCRIPT, NOTBUSY, UNKILLABLE …), unless there is a bug or the
server does not know a command.
"""

from __future__ import annotations

import errno
import re
import socket
from typing import Final, Self

from redis import exceptions as redis_errors

from ..errors import OutOfMemory, QwfError, Refused, ServerUnavailable, UsageError
from ..wording import option
from .guard import ReplyRefused
from .slots import PORTS, SLOTS, NodeAddress


class ServerBusy(ServerUnavailable):
    """The server is there, and will serve us in a while."""


class ServerCrowded(ServerBusy):
    """The server is there, and has no room for another client: stand in line."""


class Redirected(ServerBusy):
    """A node of a cluster names another node for the slot of a key. The slot's data are there, so it is no outage.

    `host` and `port` are those that the cluster announces. An empty host means that of the node
    that answered; "?" is a host that the cluster does not know.
    """

    def __init__(self, message: str, *, slot: int, host: str, port: int) -> None:
        super().__init__(message)
        self.slot, self.host, self.port = slot, host, port


class Moved(Redirected):
    """The slot belongs to the other node, from now on."""


class Asked(Redirected):
    """The slot is on its way to the other node. This one request is to be asked there, after ASKING."""


class SlotParted(ServerBusy):
    """One request names several keys of a slot that is on its way, and no node has all of them (TRYAGAIN)."""

    def at(self, slot: int) -> Self:
        """The same error, which says what slot it is."""
        return self.with_more(f"; the slot is {slot}")


class ConnectionLost(ServerUnavailable):
    """An open connection broke. The next attempt to open one shows whether the server is there."""


class HungUp(ServerUnavailable):
    """A connection was accepted and closed before the first reply, without a word.

    A server that is just ending does so, and a proxy that has no server behind it.
    """


class ShutOut(HungUp):
    """Over TLS a connection was accepted and closed before the server had said anything of the handshake.

    A server past maxclients does so for as long as it is full: it drops the connection and cannot
    say why. But a server that is ending, and a proxy without a server, look the same.
    """


class UnexpectedReply(ServerUnavailable):
    """A reply that its command cannot have: it is another command's, or the peer is no server."""


MAX_QUOTED: Final = 1000
"""Characters that a message repeats of what a server says: the peer may be no server."""

BROKEN: Final = (BrokenPipeError, ConnectionAbortedError, ConnectionResetError)
"""The errors of the operating system for an open connection that broke."""


class WrongType(Refused):
    """A key of another type is in the place of one of ours. It belongs to somebody else."""


class KeyExists(Refused):
    """A key that was to be made exists already."""


Meaning = tuple[type[QwfError], str]

_REPLIES: Final[dict[str, Meaning]] = {
    "OOM": (OutOfMemory, "the server is out of memory"),
    "LOADING": (ServerBusy, "the server is still loading its data"),
    "BUSY": (ServerBusy, "the server is busy with a script"),
    "TRYAGAIN": (
        SlotParted,
        "the cluster is moving the slot of these keys to another node; if that lasts, end it by {fix}",
    ),
    "CLUSTERDOWN": (
        ServerUnavailable,
        "the cluster is down; if that lasts, {check} says which slots have no node",
    ),
    "MASTERDOWN": (ServerUnavailable, "the primary of this replica is down"),
    "NOREPLICAS": (ServerUnavailable, "the server has too few replicas to accept writes"),
    "MISCONF": (ServerUnavailable, "the server cannot save to its disk and refuses writes"),
    "READONLY": (ServerUnavailable, "the server is a read-only replica; name its primary"),
    "UNBLOCKED": (ServerUnavailable, "the server changed its role meanwhile"),
    "DENIED": (
        Refused,
        "the server is in protected mode and takes only connections from its own machine: set a "
        "password there, or protected-mode no",
    ),
    "NOAUTH": (
        Refused,
        "the server wants a password: set QWF_PASSWORD or {password_file}",
    ),
    "WRONGPASS": (Refused, "the server does not accept this user name and password"),
    "NOPERM": (
        Refused,
        "this user lacks a permission: ask for the one named (qwf server acl prints all of them)",
    ),
    "CROSSSLOT": (
        Refused,
        "this address hides a node of a cluster (is it a proxy?): name the nodes by redis+cluster://host:port,host:port",
    ),
    "BUSYKEY": (KeyExists, "there is a key of this name already"),
    "WRONGTYPE": (WrongType, "a key of another type is in the way: rename or delete it"),
}
"""Error prefix of a reply → leaf and meaning. Source: the servers' sources, `addReplyError`."""

_CHECK: Final = "redis-cli --cluster check HOST:PORT"
_FIX: Final = "redis-cli --cluster fix HOST:PORT"

_REDIRECTIONS: Final[dict[str, tuple[type[Redirected], str]]] = {
    "MOVED": (Moved, f"has moved to {{}}; if that lasts, see what {_CHECK} says"),
    "ASK": (Asked, f"is moving to {{}}; if that lasts, end it by {_FIX}"),
}
"""Prefix of a reply that names another node → leaf and meaning, with {} for that node."""

_TARGET: Final = re.compile(r"([0-9]{1,5}) ([^ ]{0,255}):([0-9]{1,5})")
"""Slot, host and port of a redirection. An IPv6 address stands without brackets."""

_NO_SELECT: Final = ("SELECT is not allowed in cluster mode", "DB index is out of range")
"""How a cluster node of Redis refuses a database, and how Valkey does, and any server that has not so many."""

_NO_COMMAND: Final = re.compile(r"unknown command [^\w]?([\w|.-]{1,40})", re.IGNORECASE)
"""Finds the name of a command that the server does not have. Its arguments follow, and may be a whole script."""

_IN_A_SCRIPT: Final = ("The user executing the script can't", "ACL failure in script")
"""How a server reports that a script lacks a permission (`script.c` of Redis 7.0 and Valkey 9.1)."""

_OS_REASONS: Final[dict[int, str]] = {
    errno.ECONNREFUSED: "connection refused, nothing listens there",
    errno.ENOENT: "there is no such socket file",
    errno.ENOTDIR: "there is no such socket file",
    errno.EACCES: "permission denied on the socket",
    errno.EPERM: "permission denied on the socket",
    errno.EHOSTUNREACH: "there is no route to the host",
    errno.ENETUNREACH: "there is no route to the host",
    errno.ETIMEDOUT: "no answer in time",
    errno.EADDRNOTAVAIL: "this machine has no free port left for a connection",
    errno.EMFILE: "this process has too many files open: raise ulimit -n",
    errno.ENFILE: "this machine has too many files open",
}
"""Error number → why a connection could not be made. The library's text repeats the address and the number."""

_CUT_PREFIXES: Final[dict[type[BaseException], str]] = {
    redis_errors.AskError: "ASK",
    redis_errors.BusyLoadingError: "LOADING",
    redis_errors.ClusterCrossSlotError: "CROSSSLOT",
    redis_errors.ClusterDownError: "CLUSTERDOWN",
    redis_errors.MasterDownError: "MASTERDOWN",
    redis_errors.MovedError: "MOVED",
    redis_errors.NoPermissionError: "NOPERM",
    redis_errors.OutOfMemoryError: "OOM",
    redis_errors.ReadOnlyError: "READONLY",
    redis_errors.TryAgainError: "TRYAGAIN",
}
"""Class of redis-py → the prefix of the reply, which the class cuts off its text (`BaseParser.parse_error`)."""

_TLS_REASONS: Final[dict[str, str]] = {
    "CERTIFICATE_VERIFY_FAILED": "its certificate is not trusted: name its CA by QWF_TLS_CA, and the host as it does",
    "CERTIFICATE_REQUIRED": "the server wants a client certificate: set QWF_TLS_CERT and QWF_TLS_KEY",
    "ALERT_UNKNOWN_CA": "the server does not trust our client certificate: QWF_TLS_CERT must be of its CA",
    "ALERT_CERTIFICATE_EXPIRED": "our client certificate has expired: renew the file QWF_TLS_CERT",
    "ALERT_BAD_CERTIFICATE": "the server does not accept our client certificate",
}
"""OpenSSL's word for a failure that a new attempt cannot mend → meaning. Source: RFC 8446, section 6.2."""

_NOT_SHOWN: Final = ("DENIED", "NOAUTH", "WRONGPASS")
"""Prefixes whose text is not shown: it adds nothing, or could repeat a secret."""


def translate(error: BaseException, *, where: str, doing: str = "") -> QwfError:
    """The error of ours that stands for `error`, met at `where` (a masked URL) while `doing`.

    Any other error counts as a lost connection: a connection that dies can raise TypeError or
    AttributeError from inside the library (CPython 3.12+).
    """
    if isinstance(error, QwfError):
        return error
    task = f" while {doing}" if doing else ""
    text = f"{error!s:.{MAX_QUOTED}}"
    prefix = _prefix(error, text)
    if isinstance(error, redis_errors.RedisError) and prefix in _REDIRECTIONS:
        return _redirection(prefix, text.removeprefix(f"{prefix} "), f"{where}{task}")
    if isinstance(error, redis_errors.RedisError) and prefix in _REPLIES:
        leaf, words = _REPLIES[prefix]
        meaning = words.format(password_file=option("password_file"), check=_CHECK, fix=_FIX)
        detail = "" if prefix in _NOT_SHOWN else f" ({text})"
        return leaf(f"{where}{task}: {meaning}{detail}")
    if isinstance(error, redis_errors.RedisError) and "max number of clients" in text:
        return ServerCrowded(f"{where}{task}: the server has no room for another client")
    if isinstance(error, ReplyRefused):
        return UnexpectedReply(f"{where}{task}: {text}; is it a Redis server?")
    if isinstance(error, redis_errors.ResponseError) and text.startswith(_IN_A_SCRIPT):
        leaf, meaning = _REPLIES["NOPERM"]
        return leaf(f"{where}{task}: {meaning} ({text})")
    if isinstance(error, redis_errors.ResponseError) and text.startswith(_NO_SELECT):
        return UsageError(
            f"{where}{task}: there is no database of this number, in a cluster only 0: leave it out of the URL"
        )
    if isinstance(error, redis_errors.ResponseError) and (unknown := _NO_COMMAND.match(text)):
        return Refused(
            f"{where}{task}: unknown command {unknown[1].upper()}: it was renamed or disabled on this server, "
            "or needs a later version of it; ask for the right to use it"
        )
    if isinstance(error, redis_errors.ResponseError):
        return Refused(f"{where}{task}: the server refused: {text or 'it does not say why'}")
    if isinstance(error, TimeoutError | redis_errors.TimeoutError):
        return ServerUnavailable(f"{where}{task}: no answer in time")
    if isinstance(error, redis_errors.ConnectionError | OSError):
        for sign, meaning in _TLS_REASONS.items():
            if sign in text:
                return Refused(f"{where}{task}: {meaning} ({_tls_reason(text)})")
        return _no_connection(error, f"{where}{task}")
    return ConnectionLost(f"{where}{task}: connection lost ({type(error).__name__}: {text})")


def _redirection(prefix: str, text: str, where: str) -> ServerUnavailable:
    """The error for a reply that names another node, whose text without its prefix is given."""
    target = _TARGET.fullmatch(text)
    if target is None or not (int(target[1]) < SLOTS and int(target[3]) < PORTS):
        return UnexpectedReply(f"{where}: {prefix} {text}: this names no slot and node")
    leaf, words = _REDIRECTIONS[prefix]
    slot, host, port = int(target[1]), target[2], int(target[3])
    meaning = words.format(NodeAddress(id="", host=host, port=port).place)
    return leaf(f"{where}: the slot {slot} {meaning}", slot=slot, host=host, port=port)


def _no_connection(error: Exception, where: str) -> ServerUnavailable:
    """The error for a connection that could not be made, or broke."""
    cause = error if isinstance(error, OSError) else error.__context__
    if isinstance(cause, socket.gaierror):
        return ServerUnavailable(f"{where}: the host name does not resolve")
    if isinstance(cause, OSError) and not isinstance(cause, BROKEN):
        # A name with several addresses fails with the words for each, and no number.
        number = cause.errno or next(map(int, re.findall(r"\[Errno (\d+)\]", str(cause))), 0)
        if number in _OS_REASONS:
            return ServerUnavailable(f"{where}: {_OS_REASONS[number]}")
        return ServerUnavailable(f"{where}: {cause.strerror or cause}")
    return ConnectionLost(f"{where}: connection lost")


def _tls_reason(text: str) -> str:
    """OpenSSL's own text, without what the library puts around it."""
    return text.partition("] ")[2].partition(" (_ssl.c")[0].partition("failed: ")[2] or "alert of the server"


def _prefix(error: BaseException, text: str) -> str:
    """The prefix of the error reply that `error` was made of."""
    if isinstance(
        error, redis_errors.AuthenticationError | redis_errors.AuthenticationWrongNumberOfArgsError
    ):
        return "NOAUTH" if "required" in text.lower() else "WRONGPASS"
    return _CUT_PREFIXES.get(type(error)) or text.split(" ", 1)[0].rstrip(":")
