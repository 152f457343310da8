"""Where studies are kept: the server that the settings name, or the embedded one."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Self

from ..client.address import Address
from ..client.tls import TLSFiles, check_files
from ..settings import Settings
from ..settings import load as load_settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """All that a process needs to reach the server. It can be pickled, and then holds the password.

    `node_map` is that of the settings. `started`: whether the embedded server was started for it, whose
    data are in `data_dir`; that is None for another server.
    """

    address: Address
    prefix: str
    node_map: Mapping[str, str] = field(default_factory=dict)
    data_dir: Path | None = None
    started: bool = False

    @classmethod
    def find(cls, url: str | None = None, *, settings: Settings | None = None) -> Self:
        """The place that a URL names; else that of the settings (QWF_URL, REDIS_URL); else the embedded server.

        That one is started if it does not run. No other server is connected to. Raises UsageError if
        the URL does not parse or a TLS file cannot be used, and as `embedded.servers.ensure` does.
        """
        settings = load_settings() if settings is None else settings
        if url is not None:
            settings = replace(settings, url=url)
        if settings.url is None:
            return cls._embedded(settings)
        tls = TLSFiles(ca=settings.tls_ca, cert=settings.tls_cert, key=settings.tls_key)
        address = Address.parse(settings.url, password=settings.password, tls=tls)
        check_files(address.options)
        return cls(address=address, prefix=settings.prefix, node_map=dict(settings.node_map))

    @classmethod
    def _embedded(cls, settings: Settings) -> Self:
        import anyio

        from ..embedded.servers import ensure

        job = partial(ensure, settings.data_dir, maxmemory=settings.memory_limit)
        # In a thread, because the caller may have an event loop that runs, as notebooks do.
        with ThreadPoolExecutor(1) as thread:
            servers = thread.submit(anyio.run, job).result()
        return cls(
            address=Address.of_shards([Address.parse(shard.url) for shard in servers.shards]),
            prefix=settings.prefix,
            data_dir=servers.data_dir,
            started=servers.started,
        )
