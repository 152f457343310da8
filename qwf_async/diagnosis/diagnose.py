"""The whole diagnosis: this machine first, then the server. What cannot be found out is a line and no error."""

from __future__ import annotations

import locale
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from shlex import join
from typing import Final

from anyio.to_thread import run_sync

from ..client.node import Node
from ..client.reply import is_text, is_texts
from ..errors import QwfError, Refused, ServerUnavailable
from ..human import counted
from ..server.facts import learn_all
from ..server.info import parse_info
from ..server.policy import cluster_findings, different_software
from ..settings import Settings
from ..store.connecting import connect
from ..store.store import Store
from .check import Check, fit, unfit, unknown
from .disk import disk_checks
from .packages import package_checks
from .rights import forbidden_commands, rights_check
from .server_state import clock_check, memory_checks, persistence_check, version_check

PATIENCE: Final = 5.0
"""Seconds for which a server that is busy or away is tried: a diagnosis is no ingest."""


async def diagnose(settings: Settings) -> list[Check]:
    """What is fit and what is not, of the server that the settings name and of this machine. Starts no server.

    Raises no error for what it finds, however bad.
    """
    local = [*await run_sync(package_checks), _locale(), *await run_sync(disk_checks, settings)]
    return [*await _server(replace(settings, deadline=min(settings.deadline, PATIENCE))), *local]


def _locale() -> Check:
    encoding = locale.getencoding()
    text = f"text is in {encoding}, {os.environ.get('TERM', 'no terminal')}"
    if encoding.lower().replace("-", "") == "utf8":
        return fit("locale", text)
    return fit("locale", f"{text}: ψ and × are written as escapes", "export LC_ALL=C.UTF-8")


async def _server(settings: Settings) -> list[Check]:
    try:
        if settings.url is None and (down := await _embedded(settings)) is not None:
            return [down]
        async with connect(settings=settings) as store:
            return [check for part in PARTS for check in await _looked(part, store)]
    except QwfError as error:
        cure = "qwf server start" if settings.url is None else ""
        if settings.url is not None:
            from ..client.address import Address

            with suppress(QwfError):
                cure = join(["redis-cli", *Address.parse(settings.url).cli_options, "PING"])
        return [unfit("server", str(error), cure, code=error.exit_code)]


async def _embedded(settings: Settings) -> Check | None:
    """What is to be said of an embedded server that does not run; None if it does, and can be asked itself."""
    from ..embedded.binary import find_binary
    from ..embedded.servers import status

    states = await status(settings.data_dir)
    if all(states.values()):
        return None
    if any(states.values()):
        names = ", ".join(place.name for place, state in states.items() if state is None)
        return unfit(
            "server", f"shards that do not run: {names}", "qwf server start", code=ServerUnavailable.exit_code
        )
    program = await run_sync(find_binary)
    return fit("server", f"the embedded one does not run, and starts when it is needed ({program})")


async def _looked(part: str, store: Store) -> list[Check]:
    """One part of the diagnosis; an error of it is one line, and the others follow."""
    try:
        return await PARTS[part](store)
    except QwfError as error:
        return [unknown(part, str(error))]


async def _facts(store: Store) -> list[Check]:
    every = await learn_all(store.pool)
    checks: list[Check] = []
    for node, facts in every.items():
        cli = join(["redis-cli", *node.address.cli_options])
        embedded = str(store.embedded.data_dir) if store.embedded else ""
        try:
            sample = await store.probe(node).sample()
        except Refused:
            sample = None
        about = [
            version_check(facts),
            *memory_checks(
                facts,
                sample,
                high_watermark=store.settings.high_watermark,
                sharing=store.probe(node).sharing,
                cli=cli,
            ),
            persistence_check(facts, await _persistence(node), embedded=embedded, cli=cli),
        ]
        if store.pool.is_cluster:
            about += [unfit("replicas", finding.text) for finding in cluster_findings(facts)]
        where = f"{facts.where}: " if len(every) > 1 else ""
        checks += [replace(each, text=f"{where}{each.text}") for each in about]
    if store.pool.is_cluster:
        checks.append(fit("cluster", f"{counted(len(every), 'primary', 'primaries')}, which have all slots"))
        if (text := different_software(list(every.values()))) is not None:
            checks.append(unfit("versions", text))
    return checks


async def _persistence(node: Node) -> dict[str, str]:
    try:
        return parse_info(await node.call("INFO", "persistence", expect=is_text, doing="asking how it saves"))
    except Refused:
        return {}


async def _rights(store: Store) -> list[Check]:
    user = str(store.pool.address.options.get("username") or "default")
    return [rights_check(await forbidden_commands(store.pool, store.settings.prefix), user)]


async def _clock(store: Store) -> list[Check]:
    before = time.time()
    seconds, microseconds = await store.pool.nodes[0].call("TIME", expect=is_texts, doing="asking the time")
    ours = (before + time.time()) / 2
    return [clock_check(int(seconds) + int(microseconds) / 1e6 - ours)]


PARTS: Final[Mapping[str, Callable[[Store], Awaitable[list[Check]]]]] = {
    "server": _facts,
    "rights": _rights,
    "clock": _clock,
}
"""The parts of what is asked of a server, each by its subject."""
