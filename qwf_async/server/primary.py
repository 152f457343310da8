"""Which data a server holds: what tells whether it still is the same as at an earlier look."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

from ..client.connection import Connection
from ..client.reply import is_text
from ..errors import Refused
from .info import parse_info, whole_number


@dataclass(frozen=True, slots=True, kw_only=True)
class Primary:
    """The process that answers at an address, and the history of its data.

    `run` is another after a restart and after a failover. `replication` is another after the
    server became a replica, whose data is that of its primary. It may change, too, though no
    data does: when a first replica comes, or when the last was gone for `repl-backlog-ttl`. Both
    are "" if the server forbids INFO. `replicas` are those that are connected; they do not count
    when two looks are compared. Source: `changeReplicationId` in the server's replication.c.
    """

    run: str = ""
    replication: str = ""
    replicas: int = field(default=0, compare=False)

    @classmethod
    async def over(cls, connection: Connection) -> Self:
        """The server at the other end of a connection. Raises as `Connection.call`, but for Refused."""
        texts = []
        for section in ("server", "replication"):
            try:
                texts.append(await connection.call("INFO", section, expect=is_text, doing="asking who it is"))
            except Refused:
                return cls()
        info = parse_info(b"\r\n".join(texts))
        return cls(
            run=info.get("run_id", ""),
            replication=info.get("master_replid", ""),
            replicas=whole_number(info.get("connected_slaves", "")) or 0,
        )
