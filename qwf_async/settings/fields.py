"""The settings: one frozen object, whose values are checked wherever it is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, get_type_hints

from msgspec import Meta

from ..errors import UsageError
from .values import checked_value

_YEAR: Final = 31_536_000

# \Z, because $ would let a line feed at the end pass, and the prefix becomes part of every key.
Prefix = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,128}\Z")]
NonEmptyText = Annotated[str, Meta(min_length=1)]
Writers = Annotated[int, Meta(ge=1, le=64)]
Producers = Annotated[int, Meta(ge=1, le=64)]
Replicas = Annotated[int, Meta(ge=0, le=100)]
Rate = Annotated[float, Meta(gt=0, le=1e12)]
Fraction = Annotated[float, Meta(gt=0, le=1)]
Seconds = Annotated[float, Meta(ge=0, le=_YEAR)]
Timeout = Annotated[float, Meta(gt=0, le=_YEAR)]


def _default_data_dir() -> Path:
    import platformdirs

    return platformdirs.user_data_path("qwf_async")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All that a user can set; `load` makes one from file, environment and flags.

    Attributes
    ----------
    url: the server, `redis://…`, `rediss://…` or `unix://…`; None means the embedded server.
        Left out of the repr, because it may hold a password.
    data_dir: directory in which the embedded server keeps its data.
    prefix: first part of every key on the server.
    writers: connections that write at the same time.
    producers: threads that encode what is to be written, and read it if the source allows that;
        None means by the cores, and by what fits into stream_bytes.
    stream_bytes: encoded data that may wait between producers and writers, bytes.
    max_rate: most points written a second; None means no cap.
    replicas: replicas of each server that must have all of a wavefunction before it is published.
    high_watermark: share of the memory limit at which writing pauses and cleaning begins.
    low_watermark: share of the memory limit below which writing goes on.
    sample_interval: time between two looks at the server's memory, seconds.
    gate_timeout: how long writing may pause before an ingest gives up, seconds.
    memory_limit: memory that the server may use, bytes, where the server sets no limit
        itself; None means what the machine has.
    drain_timeout: how long an interrupted ingest may finish what is in flight, seconds.
    ownership_ttl: how long an ingest's claim on a name outlives its last renewal, seconds.
    keep_interrupted: age at which an interrupted load becomes expendable, seconds.
    clean_batch: fields looked at in one step of cleaning.
    deadline: how long a lost server is tried for, seconds.
    spool_after: how long a server may be away until batches go to the spool, seconds.
    spool_dir: directory of the spools; None means `spool` within data_dir.
    spool_limit: encoded data that a spool may hold, bytes; 0 means no spool.
    socket_timeout: how long a connection may go without any answer, seconds.
    socket_connect_timeout: how long opening a connection may take, seconds.
    health_check_interval: idle time after which a connection is checked, seconds; 0 means never.
    max_connections: most connections open at a time; None means 50, or two a node of a cluster and
        ten, up to 1000.
    node_map: where nodes of a cluster are reached: what it announces (a node's id, host:port or a
        host) → host:port, a host, or the path of a socket. Also as text, `announced=reachable,…`.
    read_from: whether values are read from a cluster's "primary" nodes or from a "replica" of each.
    password_file: file that holds the password; `load` reads it.
    password: the password, left out of the repr.
    tls_ca: file with the certificates to trust with `rediss://`, instead of the system's.
    tls_cert: file with the certificate that is shown to the server, if it wants one.
    tls_key: file with the key of tls_cert; None means that the key is in the same file.

    Raises UsageError if a value is out of its bounds, or low_watermark not below high_watermark.
    """

    url: NonEmptyText | None = field(default=None, repr=False)
    data_dir: Path = field(default_factory=_default_data_dir)
    prefix: Prefix = "qwf"
    writers: Writers = 4
    producers: Producers | None = None
    stream_bytes: Annotated[int, Meta(ge=64 * 1024, le=2**40)] = 8 * 1024 * 1024
    max_rate: Rate | None = None
    replicas: Replicas = 0
    high_watermark: Fraction = 0.85
    low_watermark: Fraction = 0.75
    sample_interval: Annotated[float, Meta(ge=0.01, le=60)] = 0.2
    gate_timeout: Seconds = 30.0
    memory_limit: Annotated[int, Meta(ge=2**20, le=2**50)] | None = None
    drain_timeout: Seconds = 10.0
    ownership_ttl: Annotated[float, Meta(ge=1, le=_YEAR)] = 30.0
    keep_interrupted: Seconds = 86_400.0
    clean_batch: Annotated[int, Meta(ge=1, le=100_000)] = 1000
    deadline: Seconds = 60.0
    spool_after: Seconds = 0.5
    spool_dir: Path | None = None
    spool_limit: Annotated[int, Meta(ge=0, le=2**50)] = 8 * 2**30
    socket_timeout: Timeout = 4.0
    socket_connect_timeout: Timeout = 5.0
    health_check_interval: Seconds = 30.0
    max_connections: Annotated[int, Meta(ge=1, le=65_535)] | None = None
    node_map: Mapping[str, str] = field(default_factory=dict, hash=False)
    read_from: Annotated[str, Meta(pattern="^(primary|replica)$")] = "primary"
    password_file: Path | None = None
    password: NonEmptyText | None = field(default=None, repr=False)
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None

    def __post_init__(self) -> None:
        for name, kind in KINDS.items():
            value = checked_value(name, getattr(self, name), "argument", kind=kind, text=False)
            object.__setattr__(self, name, value)
        check_watermarks(self.low_watermark, self.high_watermark, {})

    @property
    def spool_directory(self) -> Path:
        """Where the spools are."""
        return self.spool_dir or self.data_dir / "spool"


KINDS: Final[dict[str, Any]] = get_type_hints(Settings, include_extras=True)
"""Name of a setting → its type with its bounds."""


def check_watermarks(low: float, high: float, origins: Mapping[str, str]) -> None:
    """Raises UsageError unless `low` is below `high`; `origins` says where each of them came from."""
    if not low < high:
        low_from = origins.get("low_watermark", "argument")
        high_from = origins.get("high_watermark", "argument")
        raise UsageError(
            f"low_watermark = {low} ({low_from}) must be below high_watermark = {high} ({high_from})"
        )
