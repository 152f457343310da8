"""The slots of a cluster: which slot a key has, and which node has a slot.

The rules of keys are those of the Redis cluster specification: CRC16 (XMODEM) of the key's hash
tag, modulo 16,384. CRC is linear: the digits of a group's number have a CRC of their own, to
which that of the text before them is added by XOR. So the digits of many groups are looked at
once, for as many generations as wished.
"""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SLOTS: Final = 16_384
"""Slots of every cluster."""

PORTS: Final = 65_536
"""Every port is below this."""

NOBODY: Final = -1
"""The owner of a slot that no node has."""

UNKNOWN_HOST: Final = "?"
"""What a cluster gives for a host that it ought to name, and does not know."""

_CRC_OF_BYTE: Final = np.array([crc_hqx(bytes([byte]), 0) for byte in range(256)], dtype=np.uint16)
_MOST_DIGITS: Final = 19


def slot_of(key: bytes | str) -> int:
    """The slot of a key: what stands between its first `{` and the next `}` decides, if that is not empty."""
    if isinstance(key, str):
        key = key.encode()
    start = key.find(b"{")
    if start >= 0:
        end = key.find(b"}", start + 1)
        if end > start + 1:
            key = key[start + 1 : end]
    return crc_hqx(key, 0) & (SLOTS - 1)


class GroupDigits(NamedTuple):
    """The decimal digits of groups: their CRC after a state of zero, and how many each group has."""

    crc: NDArray[np.uint16]
    lengths: NDArray[np.int8]


def digits_of(groups: NDArray[np.int64]) -> GroupDigits:
    """The digits of groups. Raises ValueError if one is negative."""
    if groups.size and groups.min() < 0:
        raise ValueError("a group has no negative number")
    most = len(str(int(groups.max()))) if groups.size else 1
    crc = np.zeros(groups.shape, dtype=np.uint16)
    lengths = np.ones(groups.shape, dtype=np.int8)
    for place in range(most - 1, -1, -1):
        rest = groups // 10**place
        there = rest > 0 if place else np.ones(groups.shape, dtype=bool)
        digit = (rest % 10 + ord("0")).astype(np.uint16)
        crc = np.where(there, (crc << 8) ^ _CRC_OF_BYTE[(crc >> 8) ^ digit], crc)
        lengths += there if place else False
    return GroupDigits(crc, lengths)


def slots_of_groups(base: bytes, groups: NDArray[np.int64] | GroupDigits) -> NDArray[np.int16]:
    """The slots of the keys of groups: `slot_of(base + b"%d}…" % group)` for each of them.

    `base` is the beginning of every key of a generation: it has one `{`, and no `}` after it.
    Raises ValueError if it has not, or if a group is negative.
    """
    _, brace, tag = base.partition(b"{")
    if not brace or b"}" in tag:
        raise ValueError(f"{base!r} does not end within a hash tag")
    digits = groups if isinstance(groups, GroupDigits) else digits_of(groups)
    before = crc_hqx(tag, 0)
    moved = np.array([crc_hqx(bytes(count), before) for count in range(_MOST_DIGITS + 1)], dtype=np.uint16)
    return ((moved[digits.lengths] ^ digits.crc) & (SLOTS - 1)).astype(np.int16)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeAddress:
    """A node as the cluster announces it: its id, and a host and port, which need not be reachable from here.

    The id is `host:port` where the cluster gave none. The host may be UNKNOWN_HOST.
    """

    id: str
    host: str
    port: int

    @property
    def place(self) -> str:
        """Host and port as one text."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SlotTable:
    """Which node has which slot.

    `owners` holds for each slot an index into `nodes`, or NOBODY; int16, read only.
    `replicas` holds for each of `nodes` its replicas. Raises ValueError if they do not fit together.
    """

    nodes: tuple[NodeAddress, ...]
    owners: NDArray[np.int16]
    replicas: tuple[tuple[NodeAddress, ...], ...]

    def __post_init__(self) -> None:
        if self.owners.shape != (SLOTS,) or self.owners.dtype != np.int16:
            raise ValueError(f"owners must be {SLOTS} of int16")
        if len(self.replicas) != len(self.nodes):
            raise ValueError("replicas must be given for each node")
        if self.owners.min() < NOBODY or self.owners.max() >= len(self.nodes):
            raise ValueError("a slot has an owner that is not among the nodes")
        self.owners.flags.writeable = False

    @property
    def uncovered(self) -> int:
        """How many slots no node has."""
        return int(np.count_nonzero(self.owners == NOBODY))

    def owner(self, slot: int) -> NodeAddress | None:
        """The node that has a slot, if one has."""
        index = int(self.owners[slot])
        return None if index == NOBODY else self.nodes[index]

    @classmethod
    def even(cls, count: int) -> SlotTable:
        """Equal ranges for so many nodes, named "0", "1", … in their order. Raises ValueError unless 1 to 16,384."""
        if not 1 <= count <= SLOTS:
            raise ValueError(f"{SLOTS} slots cannot be shared by {count} nodes")
        nodes = tuple(NodeAddress(id=str(index), host="", port=0) for index in range(count))
        owners = (np.arange(SLOTS) * count // SLOTS).astype(np.int16)
        return cls(nodes=nodes, owners=owners, replicas=((),) * count)

    @classmethod
    def parse(cls, reply: Any, *, asked: tuple[str, int]) -> SlotTable:
        """The table that a reply to CLUSTER SLOTS gives (RESP2, undecoded).

        `asked` is the host and port that gave the reply: a node without a host is there, with its
        own port. Raises ValueError if this is no such reply, or if a slot is named twice.
        """
        indices: dict[Any, int] = {}
        nodes: list[NodeAddress] = []
        replicas: list[tuple[NodeAddress, ...]] = []
        ranges: list[tuple[int, int, int]] = []
        if not isinstance(reply, list):
            raise ValueError("this is no reply to CLUSTER SLOTS")  # noqa: TRY004 # what a peer sends is a value
        try:
            for item in reply:
                primary = item[2]
                # A node is listed once for each of its ranges, which may be thousands.
                known = primary[2] if len(primary) > 2 else (primary[0], primary[1])
                index = indices.get(known)
                if index is None:
                    index = indices[known] = len(nodes)
                    nodes.append(_node(primary, asked[0]))
                    replicas.append(tuple(_node(other, asked[0]) for other in item[3:]))
                ranges.append((item[0], item[1], index))
            owners = _owners(ranges)
        except (TypeError, AttributeError, IndexError, UnicodeDecodeError) as error:
            raise ValueError("this is no reply to CLUSTER SLOTS") from error
        return cls(nodes=tuple(nodes), owners=owners, replicas=tuple(replicas))

    def moved(self, slot: int, host: str, port: int) -> SlotTable:
        """The table in which `slot` belongs to the node announced as host and port, as MOVED says.

        It may be a replica that has become a primary, or a node that is new here. A host that the
        cluster does not know leaves the slot without an owner, unless one node alone fits.
        Raises ValueError if there is no such slot or port.
        """
        if not (0 <= slot < SLOTS and 0 <= port < PORTS):
            raise ValueError(f"the cluster moved the slot {slot} to the port {port}")
        nodes, replicas = self.nodes, self.replicas
        fitting = [index for index, node in enumerate(nodes) if (node.host, node.port) == (host, port)]
        if host == UNKNOWN_HOST and len(fitting) != 1:
            fitting = [NOBODY]
        if not fitting:
            fitting = [len(nodes)]
            nodes = (*nodes, self._replica(host, port) or _unnamed(host, port))
            replicas = (*replicas, ())
        owners = self.owners.copy()
        owners[slot] = fitting[0]
        return replace(self, nodes=nodes, owners=owners, replicas=replicas)

    def _replica(self, host: str, port: int) -> NodeAddress | None:
        """The replica announced as host and port, if there is one."""
        every = (node for replicas in self.replicas for node in replicas)
        return next((node for node in every if (node.host, node.port) == (host, port)), None)


def _owners(ranges: list[tuple[int, int, int]]) -> NDArray[np.int16]:
    """The owners by ranges of slots: the first, the last, and the index of the owner.

    Raises ValueError or TypeError if they are not numbers of slots, or if ranges overlap.
    """
    owners = np.full(SLOTS, NOBODY, dtype=np.int16)
    if not ranges:
        return owners
    numbers = np.array(sorted(ranges))
    if numbers.dtype != np.int64:
        raise TypeError("a slot is a number")
    first, last, index = numbers.T
    if first[0] < 0 or (last < first).any() or last.max() >= SLOTS:
        raise ValueError(f"the cluster names slots that are not within 0 to {SLOTS - 1}")
    if (first[1:] <= last[:-1]).any():
        raise ValueError("the cluster names a slot twice")
    lengths = last + 1 - first
    before = np.cumsum(lengths) - lengths
    owners[np.repeat(first - before, lengths) + np.arange(lengths.sum())] = np.repeat(index, lengths)
    return owners


def _unnamed(host: str, port: int) -> NodeAddress:
    """A node of which the id is not known."""
    node = NodeAddress(id="", host=host, port=port)
    return replace(node, id=node.place)


def _node(item: Sequence[Any], asked: str) -> NodeAddress:
    """A node of a reply. Raises ValueError, TypeError or AttributeError if it is none."""
    host = (item[0] or b"").decode() or asked
    port = item[1]
    if not 0 <= port < PORTS:
        raise ValueError(f"the cluster names the port {port}")
    # Servers before Redis 4 give no id.
    return NodeAddress(id=item[2].decode(), host=host, port=port) if len(item) > 2 else _unnamed(host, port)
