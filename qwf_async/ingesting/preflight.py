"""The checks before anything is written: is every server fit for stored data, and is there room for the data?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final

from ..catalog.beginning import Unfinished, decide_beginning
from ..catalog.confirmation import TooFewReplicas
from ..catalog.keys import Keys
from ..catalog.manifest import Manifest
from ..catalog.name_state import read_state
from ..client.node import Node
from ..client.places import USUAL_SIZE
from ..errors import OutOfMemory, Refused
from ..events import Hook, Noted, ServerFacts
from ..layout import Form
from ..server.facts import learn_all
from ..server.policy import (
    Finding,
    cluster_findings,
    configure,
    different_software,
    findings,
    listpack_findings,
    shortened,
)
from ..store.store import Store
from ..wording import flag
from .room import check_room
from .value_limit import check_value_limit

BESIDE_WRITERS: Final = 2
"""Connections that an ingest takes besides those of its writers: of the watchdog, and to renew its claim."""


async def check_server(
    store: Store,
    keys: Keys,
    manifest: Manifest,
    *,
    unfinished: Unfinished,
    overwrite: bool,
    replicas: int,
    configure_server: bool,
    force: bool,
    hook: Hook,
) -> None:
    """Check the name and the server. The hook is told what is unfit; `configure_server` cures it.

    Raises Refused if the name cannot be taken, if settings should be changed and must not be,
    or if the server takes no values of this size. Raises TooFewReplicas if there are fewer
    `replicas`. Then, unless `force`, raises OutOfMemory if the server evicts stored data, or if
    the data is predicted not to fit below the high watermark.
    """
    pool, form = store.pool, manifest.form
    state = await read_state(pool, keys)
    beginning = decide_beginning(keys.name, state, manifest, unfinished=unfinished, overwrite=overwrite)
    every = await learn_all(pool)
    closed = [facts.where for facts in every.values() if "CONFIG" in facts.forbidden]
    if closed:  # the watchdog warns of INFO
        if configure_server:
            raise Refused(f"{shortened(closed)} forbids CONFIG: go on without {flag('configure_server')}")
        hook(Noted(text="the server forbids CONFIG: going on without it", warning=True))
    for facts in every.values():
        if facts.replicas is not None and facts.replicas < replicas and not beginning.finished:
            raise TooFewReplicas(
                f"{facts.where}: {facts.replicas} of {replicas} replicas are there to confirm what is stored"
            )
    for node, facts in every.items():
        await check_value_limit(node, form, facts)
    if (text := different_software(list(every.values()))) is not None:
        hook(Noted(text=text, warning=True))
    unfit = {node: _unfit(store, form, node, facts) for node, facts in every.items()}
    if configure_server:
        changes = {node: await configure(node, found) for node, found in unfit.items()}
        for text, where in _by_text(changes, len(every)):
            hook(Noted(text=f"{where}set {text}"))
    else:
        _tell(unfit, force, hook)
    if force or beginning.finished:
        return
    await check_room(
        store,
        keys,
        manifest,
        beginning,
        left=state.under_way.manifest if state.under_way else None,
        sizes={
            node: partial(bytes_on, facts=facts, listpacks=configure_server) for node, facts in every.items()
        },
    )


def _unfit(store: Store, form: Form, node: Node, facts: ServerFacts) -> list[Finding]:
    """What makes a server unfit for data of this form."""
    settings = store.settings
    connections = min(settings.writers + BESIDE_WRITERS, settings.max_connections or USUAL_SIZE)
    unfit = findings(facts, sharing=store.probe(node).sharing, connections=connections)
    return unfit + _unpacked(form, facts) + (cluster_findings(facts) if store.pool.is_cluster else [])


def _tell(unfit: Mapping[Node, Sequence[Finding]], force: bool, hook: Hook) -> None:
    """Tell the hook what is unfit, and where. Raises OutOfMemory if stored data would be lost, unless `force`."""
    texts: dict[str, Finding] = {}
    said: dict[Node, list[str]] = {}
    for node, found in unfit.items():
        said[node] = []
        for finding in found:
            cure = "; ".join(f"{setting} {value}" for setting, value in finding.cure)
            text = f"{finding.text}" + (f" ({flag('configure_server')} sets {cure})" if cure else "")
            said[node].append(text)
            texts[text] = finding
    for text, where in _by_text(said, len(unfit)):
        finding = texts[text]
        if finding.loses_data and not force:
            raise OutOfMemory(f"{where}{text}; {flag('force')} stores there all the same")
        hook(Noted(text=f"{where}{text}", warning=finding.loses_data or finding.wastes_memory))


def _by_text(said: Mapping[Node, Iterable[str]], count: int) -> Iterator[tuple[str, str]]:
    """Each text once, with the names of the nodes that it is said of; without a name for the only one of `count`."""
    places: dict[str, list[str]] = {}
    for node, texts in said.items():
        for text in texts:
            places.setdefault(text, []).append(node.address.shown)
    for text, where in places.items():
        named = f"all {count} nodes" if len(where) == count else shortened(where)
        yield text, f"{named}: " if count > 1 else ""


def bytes_on(form: Form, *, facts: ServerFacts, listpacks: bool) -> float:
    """The bytes that all of a form would take on a server; `listpacks` are allowed there, or as its settings say."""
    return form.predicted_bytes(facts.software, listpacks=listpacks or not _unpacked(form, facts))


def _unpacked(form: Form, facts: ServerFacts) -> list[Finding]:
    """The settings of the server that would turn listpacks into hash tables, where the layout wants listpacks."""
    scheme = form.scheme
    if not scheme.listpack_fields:
        return []
    return listpack_findings(facts, fields=scheme.listpack_fields, value_bytes=scheme.field_bytes)
