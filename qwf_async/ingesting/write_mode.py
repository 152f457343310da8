"""How a load is written: by HSET, or by RESTORE of ready-made hashes where layout and server take them.

RESTORE is several times faster and leaves the same on the server. It may be refused: its
ACL category is @dangerous, a server may not know the version of the payload, and it may take no
argument so large. So one hash is tried before the load begins, on every node, under a key of the
generation's own. If one node refuses, all is written by HSET: then nobody has to know which
chunk goes to which software. The sink deals with what is refused later.
"""

from __future__ import annotations

from typing import Final

from redis.exceptions import ResponseError

from ..client.every_node import ask_each, number_on_each
from ..client.node import Node
from ..client.pool import Pool
from ..client.reply import is_pairs, is_text_or_none
from ..client.retry import until_available
from ..errors import OutOfMemory, Refused, UsageError
from ..events import Hook, Noted
from ..layout import LAYOUTS, Form
from ..layout.base import Probe
from ..wire.resp import bulk, head
from ..wording import option
from .value_limit import LIMITS, accepts

WRITE_MODES: Final = ("auto", "hset", "restore")

PROBED_GROUP: Final = b"0}"
"""The end of the hash tag of what `Layout.probe` makes: it is in the group 0."""


def check_write_mode(mode: str, form: Form) -> None:
    """Raise UsageError if there is no such mode, or if the form cannot be written so."""
    if mode not in WRITE_MODES:
        raise UsageError(f"unknown write mode {mode!r}: one of {', '.join(WRITE_MODES)}")
    if mode == "restore" and form.open(b"").probe() is None:
        if form.one_hash:
            raise UsageError(
                f"write mode restore does not go with {option('slab', 'all')}: that is written by HSET"
            )
        forms = (
            Form.of(layout=name, codec=form.codec, shape=form.shape)
            for name, layout in LAYOUTS.items()
            if form.codec in layout.codecs
        )
        others = " or ".join(other.layout for other in forms if other.open(b"").probe())
        raise UsageError(f"write mode restore goes with layout {others}, not {form.layout}")


async def choose_restore(pool: Pool, base: bytes, form: Form, mode: str, hook: Hook) -> bool:
    """Whether a generation whose keys begin with `base` is to be written by RESTORE.

    If a server refuses RESTORE, the hook is told in mode auto, and Refused or OutOfMemory is
    raised in mode restore. Raises ServerUnavailable if the server stays away.
    """
    if mode == "hset" or form.open(base).probe() is None:
        return False
    numbers = number_on_each(pool, lambda number: _probe_base(base, number) + PROBED_GROUP)

    async def attempt(node: Node) -> None:
        probe = form.open(_probe_base(base, numbers.get(node, 0))).probe()
        if probe is not None:
            await until_available(lambda: _try_restore(pool, probe), pool.retry)
            await _check_size(node, probe.largest)

    try:
        await ask_each(pool, attempt)
    except (Refused, OutOfMemory) as error:
        if mode == "restore":
            raise
        hook(Noted(text=f"writing by HSET, which is slower than RESTORE: {error}"))
        return False
    return True


def _probe_base(base: bytes, number: int) -> bytes:
    return base + b"probe%d:" % number


async def _try_restore(pool: Pool, probe: Probe) -> None:
    """Write one hash by RESTORE, compare what the server then holds, and remove the hash.

    It is one transaction, so the hash is removed even if this process or its connection dies.
    Raises Refused if RESTORE is refused, or if the server then holds anything else than what
    was sent.
    """
    part, points = probe.part, len(probe.fields)
    look = head(b"HGETALL", part.key, 0) + head(b"OBJECT", b"ENCODING", 1) + bulk(part.key)
    unlink = head(b"UNLINK", part.key, 0)
    request = b"".join((b"*1\r\n", bulk(b"MULTI"), *part.buffers, look, unlink, b"*1\r\n", bulk(b"EXEC")))
    async with pool.connection(part.key) as connection:
        *queued, done = await connection.exchange([request], 6)
        replies = done if isinstance(done, list) else []
        where, doing = pool.node_of(part.key).address.shown, f"trying RESTORE with {part.key.decode()}"
        for reply in (*queued, *replies, done):
            if isinstance(reply, ResponseError):
                raise connection.error_of(reply, doing=doing) from reply
        if len(replies) != 4 or not is_pairs(replies[1]) or not is_text_or_none(replies[2]):
            raise connection.error_of(done, doing=doing)
    _, pairs, encoding, _ = replies
    stored = dict(zip(pairs[::2], pairs[1::2], strict=True))
    if stored != probe.fields:
        raise Refused(f"{where}: a hash that was written by RESTORE holds other values")
    if probe.listpack and encoding != b"listpack":
        made = (encoding or b"nothing").decode(errors="replace")
        raise Refused(
            f"{where}: the server made a {made} of a listpack of {points} points: "
            f"set hash-max-listpack-entries to {points} or more"
        )


async def _check_size(node: Node, size: int) -> None:
    """Raise Refused if the server takes no payload of so many bytes."""
    if not await accepts(node, size):
        limits = " or ".join(LIMITS)
        raise Refused(f"{node.address.shown} takes no RESTORE of {size:,} bytes: its {limits} forbids it")
