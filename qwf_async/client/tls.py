"""TLS: the certificates that a connection shows to the server, and those that it trusts."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, cast

from redis.asyncio.connection import RedisSSLContext

from ..errors import UsageError
from ..host.small_files import read_small_file
from .redis_private import BlockingSSLConnection, PreparedSSLConnection


@dataclass(frozen=True, slots=True, kw_only=True)
class TLSFiles:
    """Files in PEM form. `ca`: certificates to trust instead of the system's. `cert`: our own certificate.

    `key` is the key of our certificate; None means that it is in the same file.
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    def options(self) -> dict[str, str]:
        """The files that are set, as arguments for redis-py's connection class."""
        files = {"ssl_ca_certs": self.ca, "ssl_certfile": self.cert, "ssl_keyfile": self.key}
        return {name: str(path) for name, path in files.items() if path is not None}


class TLSConnection(PreparedSSLConnection):
    """redis-py's connection over TLS, except that a CA that was named is the only one trusted.

    The library would trust the system's certificates, too.
    """

    @property
    def heard(self) -> bool:
        """Whether the server sent anything in the last handshake."""
        return bool(cast("Any", self.ssl_context.context).steps > 1)

    def prepare(self) -> None:
        if self.ssl_context.context is None:
            self.ssl_context.context = _context(self.ssl_context)
        cast("Any", self.ssl_context.context).steps = 0


class BlockingTLSConnection(BlockingSSLConnection):
    """The same for threads: redis-py's blocking connection over TLS, which trusts a CA that was named alone."""

    def context(self) -> ssl.SSLContext:
        return _context(cast("RedisSSLContext", self))  # it has the same attributes


class _Handshake(ssl.SSLObject):
    """Counts the steps of a handshake in its context: one at the beginning, and one whenever something came."""

    def do_handshake(self) -> None:
        cast("Any", self.context).steps += 1
        super().do_handshake()


def check_files(options: Mapping[str, Any]) -> None:
    """Raises UsageError, naming the file, if one among a connection's arguments cannot be used."""
    cert = options.get("ssl_certfile")
    if options.get("ssl_keyfile") and not cert:
        raise UsageError("a TLS key was given without its certificate: set QWF_TLS_CERT")
    names = ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile")
    paths = [options[name] for name in names if options.get(name)]
    if not paths:
        return  # to load the system's certificates for nothing takes 25 ms
    for path in paths:
        try:
            if not Path(path).is_dir():
                read_small_file(Path(path))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UsageError(f"the TLS file {path} cannot be read: {reason}") from error
    try:
        _context(TLSConnection(**{n: options[n] for n in options if n.startswith("ssl_")}).ssl_context)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise UsageError(
            f"the TLS files {', '.join(map(str, paths))} cannot be used: PEM files are wanted, "
            f"a key that fits its certificate and is not encrypted ({error})"
        ) from error


def cli_options(host: str, options: Mapping[str, Any]) -> list[str]:
    """The options by which redis-cli makes the same connection, from a connection's arguments.

    redis-cli itself names no server in the handshake, and wants the key of a certificate named. The
    paths are absolute, so that the command may be run elsewhere.
    """
    cert = options.get("ssl_certfile")
    files = {
        "--cacert": options.get("ssl_ca_certs"),
        "--cacertdir": options.get("ssl_ca_path"),
        "--cert": cert,
        "--key": options.get("ssl_keyfile") or cert,
    }
    named = [word for name, path in files.items() if path for word in (name, os.path.abspath(path))]
    server = [] if _is_ip_address(host) else ["--sni", host]
    insecure = ["--insecure"] if options.get("ssl_cert_reqs") == "none" else []
    return ["--tls", *server, *named, *insecure]


def _is_ip_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _context(options: RedisSSLContext) -> ssl.SSLContext:
    # Without a CA of its own this loads the system's.
    context = ssl.create_default_context(cafile=options.ca_certs, capath=options.ca_path)
    context.check_hostname = options.check_hostname
    context.verify_mode = options.cert_reqs
    if options.certfile:
        # An empty passphrase, or OpenSSL would stop and ask the terminal for that of an encrypted key.
        context.load_cert_chain(options.certfile, options.keyfile, password="")
    context.sslobject_class = _Handshake
    return context
