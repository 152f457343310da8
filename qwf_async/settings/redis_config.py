"""The keys of the JSON file in which the older system, and others that use redis-py, name their server.

They are arguments of `redis.Redis`; the file may have comments. Source of the names: redis-py
8.1, `redis.client.Redis` and `redis.connection.BlockingConnectionPool`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final
from urllib.parse import quote

from msgspec import Meta

from ..errors import UsageError
from .values import checked_value

ADDRESS: Final[dict[str, Any]] = {
    "host": Annotated[str, Meta(pattern=r"^[A-Za-z0-9._:-]{1,253}\Z")],
    "port": Annotated[int, Meta(ge=1, le=65_535)],
    "db": Annotated[int, Meta(ge=0, le=2**31 - 1)],
    "username": str,
    "password": str,
    "ssl": bool,
}
"""Keys that name the server, instead of by `url`."""

RENAMED: Final = {"ssl_ca_certs": "tls_ca", "ssl_certfile": "tls_cert", "ssl_keyfile": "tls_key"}
"""Keys that have another name among the settings."""

MEANINGLESS: Final = frozenset(
    {
        "auto_close_connection_pool", "charset", "client_name", "connection_class", "decode_responses",
        "encoding", "encoding_errors", "errors", "lib_name", "lib_version", "protocol", "retry", "retry_on_error",
        "retry_on_timeout", "single_connection_client", "socket_keepalive", "socket_keepalive_options",
        "socket_read_size", "timeout",
    }
)  # fmt: skip
"""Keys for what this client decides by itself: retries, keep-alive, decoding."""

OLDER: Final = frozenset({*ADDRESS, *RENAMED, *MEANINGLESS})
"""All keys that such a file may have besides the settings' own."""

Warn = Callable[[str], object]
"""Called with a warning of one line."""

# A closing quote or the end of a comment may be missing. Then the rest of the text is one string or comment,
# so that the time stays linear in the length.
_COMMENTS: Final = re.compile(r'"(?:[^"\\]|\\.)*+"?|//[^\n]*|/\*.*?(?:\*/|\Z)', re.DOTALL)
_COMMAS: Final = re.compile(r'"(?:[^"\\]|\\.)*+"?|,(?=\s*+[}\]])', re.DOTALL)


def plain_json(text: str) -> str:
    """The JSON without comments (`//` and `/* */`) and without a comma after the last key."""
    return _COMMAS.sub(_string_only, _COMMENTS.sub(_string_only, text))


def _string_only(match: re.Match[str]) -> str:
    return match[0] if match[0].startswith('"') else " "


def take_older(entries: dict[str, Any], origin: str, warn: Warn) -> None:
    """Replace the older keys among the entries of a file by the settings' own, those of an address by `url`.

    Keys without a meaning here are removed, and `warn` is called with their names. Raises
    UsageError if a setting is there by two names, or if a value is out of its bounds.
    """
    if ignored := sorted(MEANINGLESS & entries.keys()):
        for name in ignored:
            del entries[name]
        verb = "has no meaning here and is" if len(ignored) == 1 else "have no meaning here and are"
        warn(f"{origin}: {', '.join(ignored)} {verb} ignored")
    for older, name in RENAMED.items():
        if older in entries:
            if name in entries:
                raise UsageError(f"{older} and {name} ({origin}) are the same: keep one")
            entries[name] = entries.pop(older)
    parts = {
        name: checked_value(name, entries.pop(name), origin, kind=kind, text=False)
        for name, kind in ADDRESS.items()
        if name in entries
    }
    if parts and "url" in entries:
        raise UsageError(f"url ({origin}) and {next(iter(parts))} both name the server: keep the url alone")
    if parts:
        entries["url"] = _url(parts)


def _url(parts: Mapping[str, Any]) -> str:
    """The URL of a server by values of keys of ADDRESS; the defaults are those of redis-py."""
    host = parts.get("host", "localhost")
    host = f"[{host}]" if ":" in host else host
    user = quote(parts.get("username", ""), safe="")
    secret = f":{quote(parts['password'], safe='')}" if parts.get("password") else ""
    at = "@" if user or secret else ""
    scheme = "rediss" if parts.get("ssl") else "redis"
    return f"{scheme}://{user}{secret}{at}{host}:{parts.get('port', 6379)}/{parts.get('db', 0)}"
