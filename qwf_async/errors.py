"""Every error that a user can cause or meet, with its exit code.

Errors of redis-py, the operating system and the data libraries are translated into these at
the boundary where they arise, `raise … from`. A message says in one line what happened, where,
and what to do about it.
"""

from __future__ import annotations

from typing import ClassVar, Final, Self

from .wording import printable

STORE_CLOSED: Final = (
    "the store is closed: work within `with qwf_async.open(…) as store`, or `async with qwf_async.connect(…)`"
)
"""The message of a UsageError to who uses a store that is closed."""


class QwfError(Exception):
    """The root of all errors that this package raises on purpose.

    `exit_code` is the exit code of the command line when the error reaches it. `in_result` says that the result which
    the command printed as JSON has the error in it.
    """

    exit_code: ClassVar[int] = 1
    in_result: bool = False

    def __str__(self) -> str:
        """The message with unprintable characters escaped: names of files and replies of servers may hold any."""
        return printable(self._text)

    def with_more(self, more: str) -> Self:
        """The same error, whose message goes on with `more`. It keeps what else it says, as of a slot or a signal."""
        longer = type(self).__new__(type(self), f"{self._text}{more}")
        longer.__dict__.update(self.__dict__)
        return longer

    @property
    def _text(self) -> str:
        return Exception.__str__(
            self
        )  # not that of KeyError, which some are too, and which quotes the message


class UsageError(QwfError):
    """The request itself makes no sense: an unknown option value, a URL that does not parse."""

    exit_code = 2


class ServerUnavailable(QwfError):
    """No connection to the server, or it was lost for longer than the deadline."""

    exit_code = 3


class DataLost(QwfError):
    """The server lost what it had been given: it was flushed, or came back empty or older."""

    exit_code = 3


class OutOfMemory(QwfError):
    """The data will not fit, the memory gate was shut for too long, or the server would evict it."""

    exit_code = 4


class DamagedData(QwfError):
    """Stored data is not what its manifest says, or a verification found a difference."""

    exit_code = 5


class ReplayOwed(QwfError):
    """The whole source is safe in the spool; only its replay to the server is owed."""

    exit_code = 6


class InvalidInput(QwfError):
    """A file, array, state, name or index that cannot be used, or that does not exist."""

    exit_code = 7


class UnknownName(InvalidInput, KeyError):
    """A name under which nothing is stored. `store[name]` raises it, and so it is a KeyError."""


class NothingStored(UnknownName):
    """No server is named, and there is no data of an embedded one: nothing can be read, and none is started."""


class UnusableIndex(InvalidInput, IndexError):
    """An index outside the grid, or of a kind that is not taken. `psi[index]` raises it, and so it is an IndexError."""


class SpoolFull(QwfError):
    """The spool's limit is reached or its disk is full. Nothing of what was to be put is in the file.

    It is not a ServerUnavailable, although the exit code is the same, because trying again at
    once cannot help. There is room again when batches were removed or the disk was cleared.
    """

    exit_code = 3


class Refused(QwfError):
    """Refused by the server (permission, password, wrong type) or by the state of things there."""

    exit_code = 8


class Interrupted(QwfError):
    """A signal asked the job to stop; what was begun can be resumed."""

    def __init__(self, message: str, signum: int) -> None:
        super().__init__(message)
        self.signum = signum

    @property
    def status(self) -> int:
        """The exit code of the command line."""
        return status_of(self.signum)


def status_of(signum: int) -> int:
    """The exit code of a command that a signal stopped, by the convention of shells."""
    return 128 + signum


def first_error(error: BaseException) -> BaseException:
    """The first error of nested groups: what went wrong before the other tasks were cancelled."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
