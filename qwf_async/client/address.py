"""The address of a server: parses its URL, and shows it without the password."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit, urlunsplit

from ..errors import UsageError
from ..wording import option

if TYPE_CHECKING:
    from .tls import TLSFiles

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_FORMS = (
    "redis://user:password@host:port/database, where a password has %23 for #, %3F for ?, %2F for /, %40 for @, "
    "%25 for %, %20 for a space, %5B and %5D for [ and ]; or give it by QWF_PASSWORD or by the setting password_file; "
    "a cluster is redis+cluster://host:port,host:port"
)
_SCHEMES = {"valkey": "redis", "valkeys": "rediss"}
_CLUSTER = "+cluster"
_PLAIN = re.compile(
    r"(?!.*\.sock\Z)([A-Za-z0-9_][A-Za-z0-9_.-]{0,252}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?(/[0-9]{0,5})?"
)
_PLAIN_IPV6 = re.compile(r"([0-9A-Fa-f]{0,4}:[0-9A-Fa-f:.]*:[0-9A-Fa-f.:]{0,15})(/[0-9]{0,5})?")
_PORT = 6379

_OPTIONS = {"client_name", "db", "password", "username"}
_TLS_OPTIONS = {
    "ssl_ca_certs", "ssl_ca_path", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname", "ssl_keyfile"
}  # fmt: skip
"""Options of the library that a URL may set; `Connection` sets the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A parsed server URL: `redis://`, `rediss://` (TLS), `valkey://`, `valkeys://` or `unix://`.

    A host, `host:port`, several of them with commas between, and the absolute path of a socket are URLs, too.
    `redis+cluster://` and its like name a cluster by one or several of its nodes, and so does any
    URL with several hosts. Whether another URL names one, the server says.

    `shown` is the URL with its password masked: the only form that may be printed.
    `options` are arguments for redis-py's connection class, the password among them; of several
    hosts they name the first. `hosts` are all hosts and ports of the URL; empty for a socket.
    `shards` are the servers of an address that `of_shards` made of several.
    """

    shown: str
    options: dict[str, Any] = field(repr=False)
    hosts: tuple[tuple[str, int], ...] = ()
    is_cluster: bool = False
    shards: tuple[Address, ...] = ()

    @classmethod
    def of_shards(cls, shards: Sequence[Address]) -> Address:
        """The address of servers of their own that share the slots in equal ranges, in this order."""
        first, *more = shards
        if not more:
            return first
        return replace(first, shown=f"{first.shown} and {len(more)} more", shards=tuple(shards))

    @property
    def seeds(self) -> tuple[Address, ...]:
        """The address of each node that the URL names, in its order: one, unless it names a cluster."""
        return tuple(self.with_host(host, port) for host, port in self.hosts) or (self,)

    @property
    def is_local(self) -> bool:
        """Whether the server, with all nodes that were named, runs on this machine, as far as names tell."""
        return all(host in _LOOPBACK for host, _ in self.hosts)

    @property
    def place(self) -> str:
        """Host and port, or the path of the socket, as one text."""
        if not self.hosts:
            return str(self.options["path"])
        host, port = self.hosts[0]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    @property
    def machine(self) -> str:
        """The host of the server, one name for this machine, as far as names tell."""
        host = str(self.options.get("host", "localhost"))
        return "localhost" if host in _LOOPBACK else host.lower()

    @property
    def identity(self) -> str:
        """One text for one database of one server, the same for all ways to write its URL that can be recognized.

        For a cluster it is that of the first of the nodes named, in the order of the alphabet. So two
        lists of nodes are recognized as the same cluster if their first nodes are the same.
        """
        database = self.options.get("db", 0)
        if not self.hosts:
            return f"unix://{os.path.realpath(self.options['path'])}/{database}"
        names = [(host.lower(), port) for host, port in self.hosts]
        host, port = min(("localhost" if host in _LOOPBACK else host, port) for host, port in names)
        return f"redis://{host}:{port}/{database}"

    @property
    def cli_options(self) -> list[str]:
        """The options by which redis-cli and valkey-cli reach the server, without the password."""
        options, given = [], self.options
        host = str(given.get("host", "localhost"))
        if "path" in given:
            options += ["-s", str(given["path"])]
        else:
            options += ["-h", host, "-p", str(given.get("port", _PORT))]
        if self.is_cluster:
            options.append("-c")
        if self._is_encrypted:
            from .tls import cli_options

            options += cli_options(host, given)
        if given.get("username"):
            options += ["--user", str(given["username"])]
        if given.get("db"):
            options += ["-n", str(given["db"])]
        return options

    @property
    def _is_encrypted(self) -> bool:
        return self.shown.startswith("rediss")

    def with_host(self, host: str, port: int) -> Address:
        """The address of another node, for the same user and with the same password and TLS."""
        options = {name: value for name, value in self.options.items() if name != "path"}
        if "path" in self.options:
            del options["connection_class"]
        hosts = ((host, port),)
        shown = _shown("rediss" if self._is_encrypted else "redis", options, hosts)
        return Address(shown=shown, options=options | {"host": host, "port": port}, hosts=hosts)

    def with_path(self, path: str) -> Address:
        """The address of another node behind a socket, for the same user and password, without TLS."""
        from redis.asyncio.connection import UnixDomainSocketConnection

        options = {name: value for name, value in self.options.items() if name in _OPTIONS}
        options |= {"path": path, "connection_class": UnixDomainSocketConnection}
        return Address(shown=f"unix://{_on_one_line(path)}", options=options)

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

        url = full_url(url)
        names = _options_of(url)
        urls, says_cluster = _single_urls(url)
        try:
            parts = [urlsplit(one) for one in urls]
            ports = [part.port or _PORT for part in parts]
        except ValueError:
            raise UsageError(f"the server URL does not parse: {_FORMS}") from None
        scheme, path = _SCHEMES.get(parts[0].scheme, parts[0].scheme), parts[0].path
        if scheme not in ("redis", "rediss", "unix") or (scheme == "unix" and says_cluster):
            raise UsageError(
                "the server URL must begin with redis://, rediss://, redis+cluster://, rediss+cluster:// "
                f"or unix://, or be plain, as localhost, host:6379, [::1]:6379 or /run/redis.sock: {_FORMS}"
            )
        if scheme == "unix" and (parts[0].netloc.rpartition("@")[2] or not path):
            raise UsageError("a unix:// URL needs the path of a socket, as in unix:///run/redis.sock")
        database = path.strip("/")
        if scheme != "unix" and database and not database.isdecimal():
            raise UsageError(f"the path of a server URL is a database number: {_FORMS}")
        try:
            several = [dict(parse_url(urlunsplit(part._replace(scheme=scheme)))) for part in parts]
        except ValueError:
            raise UsageError(f"the server URL does not parse: {_FORMS}") from None
        options: dict[str, Any] = several[0]
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
            return cls(shown=f"unix://{_on_one_line(unquote(path))}", options=options)
        if says_cluster and options.get("db"):
            raise UsageError("a cluster has only the database 0: leave its number out of the URL")
        found = [str(each.get("host", "localhost")) for each in several]
        hosts = tuple(dict.fromkeys(zip(found, ports, strict=True)))
        shown = _shown(scheme + _CLUSTER * says_cluster, options, hosts)
        return cls(shown=shown, options=options, hosts=hosts, is_cluster=says_cluster)


def _shown(scheme: str, options: Mapping[str, Any], hosts: Iterable[tuple[str, int]]) -> str:
    """The URL of a server that listens on TCP, with its password masked."""
    user = f"{_on_one_line(options.get('username') or '')}:***@" if options.get("password") else ""
    names = ((_on_one_line(host), port) for host, port in hosts)
    places = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in names)
    database = f"/{options['db']}" if options.get("db") else ""
    return f"{scheme}://{user}{places}{database}"


def full_url(text: str) -> str:
    """The URL that a plain host, `host:port`, `host:port/2` or path of a socket stands for; any other text as it is."""
    if text.startswith("/"):
        return f"unix://{quote(text, errors='surrogateescape')}"
    if match := _PLAIN_IPV6.fullmatch(text):
        return f"redis://[{match[1]}]{match[2] or ''}"
    return f"redis://{text}" if all(map(_PLAIN.fullmatch, text.split(","))) else text


def without_password(url: str) -> str:
    """The URL of a server without the password in it, whether it stands before the host or is an option."""
    head, mark, query = url.partition("?")
    scheme, slashes, rest = head.partition("://")
    authority, slash, path = rest.partition("/")
    user, at, hosts = authority.rpartition("@")
    name = user.partition(":")[0]
    options = [option for option in query.split("&") if option and option.partition("=")[0] != "password"]
    query = (mark + "&".join(options)) if options else ""
    return f"{scheme}{slashes}{f'{name}{at}' if name else ''}{hosts}{slash}{path}{query}"


def _single_urls(url: str) -> tuple[list[str], bool]:
    """A URL for each host that a URL names, and whether it says that they are nodes of a cluster.

    Raises UsageError if a host is missing between commas.
    """
    head, mark, query = url.partition("?")
    scheme, slashes, rest = head.partition("://")
    authority, slash, path = rest.partition("/")
    user, at, hosts = authority.rpartition("@")
    several = hosts.split(",")
    if len(several) > 1 and not all(several):
        raise UsageError(f"a host is missing in the server URL: {_FORMS}")
    plain = scheme.lower().removesuffix(_CLUSTER)
    says_cluster = len(several) > 1 or plain != scheme.lower()
    rest = f"{slash}{path}{mark}{query}"
    return [f"{plain}{slashes}{user}{at}{host}{rest}" for host in several], says_cluster


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


def _on_one_line(plain: str) -> str:
    """A part of a URL without escapes, unless it would then move a terminal's cursor."""
    return plain if plain.isprintable() else quote(plain, errors="backslashreplace")


def _is_utf8(text: str) -> bool:
    """Whether a text can be sent. Bytes of an environment variable that are not UTF-8 are surrogates in Python."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
