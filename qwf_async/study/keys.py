"""The names of a study's keys.

    prefix:study:names           hash: name of a study → its id;
    prefix:study:{id}:head       hash: format, and what compaction says of the entries that it trimmed away;
    prefix:study:{id}:log        list of entries (`entry.py`), the oldest trimmed away;
    prefix:study:{id}:done       list of the finished trials among the entries that were trimmed away;
    prefix:study:{id}:seq        hash: lane → the last sequence number of it in the log;
    prefix:study:{id}:writers    hash: lane → which process writes by it, as JSON;
    prefix:study:{id}:beats      hash: trial id, or w and a lane → ms of the server's clock when it was last alive;
    prefix:study:{id}:gone       says for a while that the study was removed on purpose.

The braces are Redis's hash tag: all keys of a study lie in one slot of a cluster, and on one node.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..catalog.keys import check_name

FORMAT = 1
"""The number in the head of studies that this release writes. It reads no other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyKeys:
    """The keys of one study. Raises InvalidInput if the prefix may not stand in a key."""

    prefix: str
    study_id: int

    def __post_init__(self) -> None:
        check_name(self.prefix, "key prefix")

    @property
    def head(self) -> bytes:
        """What is to be known before the log is read."""
        return self._key("head")

    @property
    def log(self) -> bytes:
        """The entries."""
        return self._key("log")

    @property
    def done(self) -> bytes:
        """The finished trials of entries that were trimmed away."""
        return self._key("done")

    @property
    def seq(self) -> bytes:
        """How far each lane is in the log."""
        return self._key("seq")

    @property
    def writers(self) -> bytes:
        """Which process writes by which lane."""
        return self._key("writers")

    @property
    def beats(self) -> bytes:
        """When trials and writers were last alive."""
        return self._key("beats")

    @property
    def gone(self) -> bytes:
        """The mark of a study that was removed."""
        return self._key("gone")

    @property
    def lock(self) -> bytes:
        """Held for seconds by the process that gives the server back what it lost."""
        return self._key("lock")

    @property
    def stored(self) -> tuple[bytes, ...]:
        """All keys that hold the study, without the mark of its removal."""
        return self.head, self.log, self.done, self.seq, self.writers, self.beats

    def _key(self, ending: str) -> bytes:
        return f"{self.prefix}:study:{{{self.study_id}}}:{ending}".encode()


def study_names_key(prefix: str) -> bytes:
    """The key of the index of studies. Raises InvalidInput if the prefix may not stand in a key."""
    return f"{check_name(prefix, 'key prefix')}:study:names".encode()
