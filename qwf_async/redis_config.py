"""The JSON file by which the older system, and others that use redis-py, name their server.

It holds arguments of `redis.Redis`, perhaps with comments. Source of the names: redis-py 8.1,
`redis.client.Redis` and `redis.connection.BlockingConnectionPool`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final
from urllib.parse import quote

from msgspec import Meta

from .errors import UsageError

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
"""Keys that choose what this client decides by itself: retries, keep-alive, decoding."""

OLDER: Final = frozenset({*ADDRESS, *RENAMED, *MEANINGLESS})
"""All keys that such a file may have besides the settings' own."""

Said = Callable[[str], object]
"""Is told of something in one line."""

# The closing quote and the end of a comment may be missing: then the rest is one, and no second look is taken.
_COMMENTS: Final = re.compile(r'"(?:[^"\\]|\\.)*+"?|//[^\n]*|/\*.*?(?:\*/|\Z)', re.DOTALL)
_COMMAS: Final = re.compile(r'"(?:[^"\\]|\\.)*+"?|,(?=\s*+[}\]])', re.DOTALL)


def plain_json(text: str) -> str:
    """The same JSON without comments (`//` and `/* */`), and without a comma that they leave behind the last key."""
    return _COMMAS.sub(_text_only, _COMMENTS.sub(_text_only, text))


def _text_only(found: re.Match[str]) -> str:
    return found[0] if found[0].startswith('"') else " "


def take_names(entries: dict[str, Any], origin: str, said: Said) -> None:
    """Put the settings' names in the place of the older ones, and remove and tell of the keys without a meaning here.

    Raises UsageError if a key is there under both of its names.
    """
    if ignored := sorted(MEANINGLESS & entries.keys()):
        for name in ignored:
            del entries[name]
        verb = "has no meaning here and is" if len(ignored) == 1 else "have no meaning here and are"
        said(f"{origin}: {', '.join(ignored)} {verb} ignored")
    for older, name in RENAMED.items():
        if older in entries:
            if name in entries:
                raise UsageError(f"{older} and {name} ({origin}) are the same: keep one")
            entries[name] = entries.pop(older)


def url_of(parts: Mapping[str, Any]) -> str:
    """The URL of a server by values of the keys of ADDRESS; what is not given is as redis-py has it."""
    host = parts.get("host", "localhost")
    host = f"[{host}]" if ":" in host else host
    user = quote(parts.get("username", ""), safe="")
    secret = f":{quote(parts['password'], safe='')}" if parts.get("password") else ""
    at = "@" if user or secret else ""
    scheme = "rediss" if parts.get("ssl") else "redis"
    return f"{scheme}://{user}{secret}{at}{host}:{parts.get('port', 6379)}/{parts.get('db', 0)}"
