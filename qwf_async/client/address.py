"""The address of a server: parses its URL, and shows it without the password."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit, urlunsplit

from ..errors import UsageError
from ..wording import option

if TYPE_CHECKING:
    from .tls import TLSFiles

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_FORMS = (
    "redis://user:password@host:port/database, where a password has %23 for #, %3F for ?, %2F for /, %40 for @, "
    "%25 for %, %20 for a space, %5B and %5D for [ and ]; or give it by QWF_PASSWORD or by the setting password_file"
)
_SCHEMES = {"valkey": "redis", "valkeys": "rediss"}

_OPTIONS = {"client_name", "db", "password", "username"}
_TLS_OPTIONS = {
    "ssl_ca_certs", "ssl_ca_path", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname", "ssl_keyfile"
}  # fmt: skip
"""Options of the library that a URL may set; `Connection` sets the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A parsed server URL: `redis://`, `rediss://` (TLS), `valkey://`, `valkeys://` or `unix://`.

    `shown` is the URL with its password masked: the only form that may be printed.
    `options` are arguments for redis-py's connection class, the password among them.
    """

    shown: str
    options: dict[str, Any] = field(repr=False)

    @property
    def is_local(self) -> bool:
        """Whether the server runs on this machine, as far as its name tells."""
        return "path" in self.options or self.options.get("host", "localhost") in _LOOPBACK

    @property
    def identity(self) -> str:
        """One text for one database of one server, the same for all ways to write its URL that can be recognized."""
        database = self.options.get("db", 0)
        if "path" in self.options:
            return f"unix://{os.path.realpath(self.options['path'])}/{database}"
        host = self.options.get("host", "localhost").lower()
        host = "localhost" if host in _LOOPBACK else host
        return f"redis://{host}:{self.options.get('port', 6379)}/{database}"

    @property
    def cli_options(self) -> list[str]:
        """The options by which redis-cli and valkey-cli reach the server, without the password."""
        options, given = [], self.options
        host = str(given.get("host", "localhost"))
        if "path" in given:
            options += ["-s", str(given["path"])]
        else:
            options += ["-h", host, "-p", str(given.get("port", 6379))]
        if self.shown.startswith("rediss"):
            from .tls import cli_options

            options += cli_options(host, given)
        if given.get("username"):
            options += ["--user", str(given["username"])]
        if given.get("db"):
            options += ["-n", str(given["db"])]
        return options

    @property
    def wants_password(self) -> bool:
        """Whether a password was given for the server."""
        return bool(self.options.get("password"))

    @classmethod
    def parse(cls, url: str, *, password: str | None = None, tls: TLSFiles | None = None) -> Address:
        """The address that a URL gives. Raises UsageError if the URL or the password cannot be understood.

        `password` replaces that of the URL. `tls` is used for `rediss://` where the options of the
        URL name no file. No file is read. The message quotes nothing of the URL: where it is
        wrong, any part may be the password.
        """
        from redis.asyncio.connection import parse_url

        names = _options_of(url)
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise UsageError(f"the server URL does not parse: {_FORMS}") from None
        scheme = _SCHEMES.get(parts.scheme, parts.scheme)
        if scheme not in ("redis", "rediss", "unix"):
            raise UsageError(f"the server URL must begin with redis://, rediss:// or unix://: {_FORMS}")
        if scheme == "unix" and (parts.netloc.rpartition("@")[2] or not parts.path):
            raise UsageError("a unix:// URL needs the path of a socket, as in unix:///run/redis.sock")
        database = parts.path.strip("/")
        if scheme != "unix" and database and not database.isdecimal():
            raise UsageError(f"the path of a server URL is a database number: {_FORMS}")
        try:
            options: dict[str, Any] = dict(parse_url(urlunsplit(parts._replace(scheme=scheme))))
        except ValueError:
            raise UsageError(f"the server URL does not parse: {_FORMS}") from None
        known = _OPTIONS | (_TLS_OPTIONS if scheme == "rediss" else set())
        if set(names) - known:
            raise UsageError(
                f"the options of a server URL are {', '.join(sorted(known))}; the rest are settings"
            )
        if options.get("ssl_cert_reqs", "required") not in ("none", "optional", "required"):
            raise UsageError("ssl_cert_reqs in the server URL is none, optional or required")
        if password is not None:
            options["password"] = password
        if not _is_utf8(options.get("password", "")):
            raise UsageError(
                f"the password is not UTF-8 text: give it by {option('password_file')}, written in UTF-8"
            )
        if scheme == "rediss":
            from .tls import TLSConnection

            options = (tls.options() if tls else {}) | options | {"connection_class": TLSConnection}
        if scheme == "unix":
            shown = f"unix://{_on_one_line(parts.path)}"
        else:
            user = f"{_on_one_line(parts.username or '')}:***@" if options.get("password") else ""
            host = _on_one_line(parts.hostname or "localhost")
            host = f"[{host}]" if ":" in host else host
            shown = f"{scheme}://{user}{host}:{port or 6379}{'/' + database if database else ''}"
        return cls(shown=shown, options=options)


def _options_of(url: str) -> list[str]:
    """The names of the options in a URL.

    Raises UsageError if the parts of the URL cannot be told apart for certain, because a
    separator stands unescaped in one of them. The rest of a password would then be taken for a
    host, a path or an option. Raises it also if escaped bytes are no text, or if an option is
    given twice.
    """
    head, _, query = url.partition("?")
    scheme, _, rest = head.partition("://")
    authority, _, path = rest.partition("/")
    user = authority.rpartition("@")[0]
    is_path = scheme == "unix" and not authority  # of a socket, whose name may have an @
    if (
        re.search(r"[#\s\x00-\x20\x7f]|%(?![0-9A-Fa-f]{2})", url)
        or re.search(r"[@\[\]]", user)
        or re.search(r"[@+]", query)  # a + there means a space
        or ("@" in path and not is_path)
    ):
        raise UsageError(f"the parts of the server URL cannot be told apart: {_FORMS}")
    try:
        unquote(head, errors="strict")
        pairs = (
            parse_qsl(query, keep_blank_values=True, strict_parsing=True, errors="strict") if query else []
        )
    except ValueError:
        raise UsageError(f"the server URL does not parse: {_FORMS}") from None
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise UsageError("an option is given twice in the server URL")
    return names


def _on_one_line(quoted: str) -> str:
    """A part of a URL with its escapes resolved, unless that would move a terminal's cursor."""
    plain = unquote(quoted)
    return plain if plain.isprintable() else quote(plain)


def _is_utf8(text: str) -> bool:
    """Whether a text can be sent. Bytes of an environment variable that are not UTF-8 are surrogates in Python."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
