"""Where a copy goes, from its text on the command line: `[URL/]NEW`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from ..client.address import Address
from ..errors import UsageError
from ..settings import Settings
from ..settings import load as load_settings

EMBEDDED: Final = "embedded://"
"""The beginning of the URL of an embedded server; the directory of its data follows, the usual one if none does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The name of a copy, and its server: that of the original if both are None.

    `url` is a server's; `data_dir` the directory of an embedded server, empty for the usual one.
    """

    name: str
    url: str | None = None
    data_dir: str | None = None

    @classmethod
    def parse(cls, text: str, original: str) -> Target:
        """What `[URL/]NEW` means: the text after the last slash is NEW, which is the original's name if it is empty.

        Raises UsageError if there is a URL without a name after it.
        """
        head, mark, options = text.partition("?")
        place, slash, name = head.rpartition("/")
        if (
            mark
            and head.startswith(("redis", "valkey"))
            and not place.endswith(":/")
            and not name.isdecimal()
        ):
            place = f"{place}?{options}"  # the name stands before the options, as the path of a URL does
        else:
            place, slash, name = text.rpartition("/")
        name = name or original
        if not slash:
            return cls(name=name)
        if not place.strip("/") or place.endswith(":/"):
            raise UsageError(
                "the target is NEW or URL/NEW, as in redis://host:6379/NEW, redis://host:6379/2/NEW (database 2), "
                "unix:///run/redis.sock/NEW, host:6379/NEW or embedded:///NEW; URL/ alone keeps the name"
            )
        if f"{place}/".startswith(EMBEDDED):
            return cls(name=name, data_dir=place.removeprefix(EMBEDDED.rstrip("/")).removeprefix("//"))
        return cls(name=name, url=place)

    def settings(
        self, original: Settings, *, prefix: str | None = None, password_file: Path | None = None
    ) -> Settings | None:
        """The settings of the store that it goes to; None if that is the original's own.

        The original's password is for its own server only. Raises UsageError if the URL does not parse.
        """
        if self.url is None and self.data_dir is None and prefix in (None, original.prefix):
            return None
        settings = original if prefix is None else replace(original, prefix=prefix)
        if self.url is None and self.data_dir is None:
            return settings
        password = None
        if password_file is not None:
            password = load_settings(password_file=password_file, url=self.url).password
        elif self.url is not None and original.url is not None and _same_server(self.url, original):
            password = original.password
        data_dir = Path(self.data_dir) if self.data_dir else original.data_dir
        return replace(settings, url=self.url, data_dir=data_dir, password=password)


def _same_server(url: str, original: Settings) -> bool:
    one, other = Address.parse(url), Address.parse(original.url or "")
    return (one.hosts, one.options.get("path")) == (other.hosts, other.options.get("path"))
