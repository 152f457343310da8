"""Where a node of a cluster can be reached: where it says, or where the user says (`settings.node_map`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..errors import Refused
from ..settings.node_map import reachable_of
from ..wording import option
from .address import Address
from .slots import UNKNOWN_HOST, NodeAddress


def mapped(node: NodeAddress, node_map: Mapping[str, str]) -> Path | tuple[str, int]:
    """The path of a socket, or the host and port, at which a node can be reached. Pure.

    The node's id outranks its host and port, and these its host alone. A host without a port
    keeps the port that is announced. Raises Refused if nothing says where the node is.
    """
    names = (node.id, node.place, f"[{node.host}]", node.host)
    text = next((node_map[name] for name in names if name in node_map), None)
    reachable = (node.host, None) if text is None else reachable_of(text)
    if isinstance(reachable, Path):
        return reachable
    host, port = reachable[0], reachable[1] or node.port
    if host == UNKNOWN_HOST or not port:
        raise Refused(
            f"the cluster does not say where its node {node.id} is ({node.place}): set cluster-announce-hostname "
            f"or cluster-announce-port there, or name its address by {option('node_map', f'{node.id}=HOST:PORT')}"
        )
    return host, port


def address_of(node: NodeAddress, named: Address, node_map: Mapping[str, str]) -> Address:
    """The address of a node, for the user, the password and the TLS of the address that was named. Raises Refused."""
    place = mapped(node, node_map)
    return named.with_path(str(place)) if isinstance(place, Path) else named.with_host(*place)
