"""How a store is opened: which server it connects to, with which settings, and whether that lets us in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from anyio import to_thread

from ..checked import checked
from ..client.address import Address
from ..client.cluster import Uncovered
from ..client.failure import ConnectionLost, ServerBusy
from ..client.pool import Pool
from ..client.reach import check_reach
from ..client.retry import Retry, until_available
from ..client.tls import TLSFiles, check_files
from ..errors import NothingStored, ServerUnavailable
from ..settings import Settings
from ..settings import load as load_settings
from ..wording import option
from .store import Store

MAX_REOPENING_TIME: Final = 2.0
"""Seconds for which a server is tried again that accepted the first connection and then broke it."""


def pool_to(address: Address, settings: Settings) -> Pool:
    """A pool of connections to a server, as the settings say; none is open yet."""
    return Pool(
        address,
        size=settings.max_connections,
        connect_timeout=settings.socket_connect_timeout,
        answer_timeout=settings.socket_timeout,
        keep_idle=settings.health_check_interval,
        deadline=settings.deadline,
        node_map=settings.node_map,
    )


def _check_stored(settings: Settings) -> None:
    """Raise NothingStored where the embedded server has never been, and nothing waits in the spool. Blocking."""
    from ..embedded.shards import was_used

    with suppress(OSError):  # absent, or not to be read, which the server will say
        if any(settings.spool_directory.iterdir()):
            return
    if not was_used(settings.data_dir):
        raise NothingStored(
            "there is no such wavefunction: nothing is stored yet (no server is named, and no data of an embedded one "
            f"is in {settings.data_dir})"
        )


@checked
@asynccontextmanager
async def connect(
    url: str | None = None,
    *,
    data_dir: Path | str | None = None,
    settings: Settings | None = None,
    reading: bool = False,
) -> AsyncIterator[Store]:
    """Connect to a server, and close the connections at the end.

    `url` is `redis://`, `rediss://`, `valkey://` or `unix://`. Without one the settings decide
    (QWF_URL, REDIS_URL). If they name no server, the embedded one is used, and started if it does
    not run. It keeps its data in `data_dir`. With `reading` none is started where there is nothing
    to be read: no data of an embedded server, and no spool.

    Raises NothingStored if that is so, ServerUnavailable if there is no server, Refused if it does not
    let us in, and UsageError if the URL does not parse or a TLS file cannot be used.
    """
    if settings is None:
        settings = await to_thread.run_sync(load_settings)
    if url is not None:
        settings = replace(settings, url=url)
    if data_dir is not None:
        settings = replace(settings, data_dir=Path(data_dir))
    embedded = None
    if settings.url is None:
        if reading:
            await to_thread.run_sync(_check_stored, settings)
        from ..embedded.servers import ensure

        embedded = await ensure(settings.data_dir, maxmemory=settings.memory_limit)
    tls = TLSFiles(ca=settings.tls_ca, cert=settings.tls_cert, key=settings.tls_key)
    if embedded:  # it has no password: that of the settings is for another server
        address = Address.of_shards([Address.parse(shard.url) for shard in embedded.shards])
    else:
        address = Address.parse(settings.url or "", password=settings.password, tls=tls)
    await to_thread.run_sync(check_files, address.options)
    pool = pool_to(address, settings)
    store = Store(pool, settings, embedded)
    try:
        try:
            await pool.probe()
        except ServerBusy:
            await until_available(pool.probe, pool.retry)
        except ConnectionLost:
            await until_available(pool.probe, Retry(deadline=MAX_REOPENING_TIME))
        except Uncovered:
            raise
        except ServerUnavailable as error:
            seeds = len(address.seeds)
            several = (
                f"none of the {seeds} nodes of {address.shown} answers; the last one: " if seeds > 1 else ""
            )
            raise ServerUnavailable(
                f"{several}{error} (is the server there, and is rediss:// (TLS) or redis:// right for it? "
                f"Without {option('url')}, QWF_URL and REDIS_URL the embedded one is used)"
            ) from error
        await check_reach(pool)
        yield store
    finally:
        await store.aclose()
