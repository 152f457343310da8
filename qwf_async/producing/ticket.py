"""The ticket of a load: what a process must know to write a part of it. It can be pickled, and holds no password."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from ..catalog.keys import Keys
from ..catalog.manifest import Manifest
from ..layout import Layout
from .place import Place


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class Ticket:
    """A load that many processes write, and where.

    `place` is the server's, without a password: where the ticket is used, that comes from the
    settings (QWF_PASSWORD, `password_file`). The embedded server is found on its own machine only.
    `fields` are those of the manifest. `token` owns the load
    on the server, for `ttl` seconds after each renewal. So many `replicas` must confirm what is
    published. The load was begun at `began` (s since 1970), and had `resumed_chunks` then.
    """

    place: Place
    name: str
    fields: Mapping[str, str]
    token: str
    ttl: float
    by_restore: bool
    allow_nonfinite: bool
    replicas: int
    began: float
    resumed_chunks: int = 0

    @property
    def keys(self) -> Keys:
        return Keys(prefix=self.place.prefix, name=self.name)

    @property
    def manifest(self) -> Manifest:
        """What is being stored."""
        return _manifest(tuple(self.fields.items()))

    @property
    def layout(self) -> Layout:
        """The layout of the load's generation."""
        manifest = self.manifest
        return manifest.form.open(self.keys.base(manifest.generation), by_restore=self.by_restore)


@cache
def _manifest(fields: tuple[tuple[str, str], ...]) -> Manifest:
    return Manifest.from_fields(dict(fields), "the ticket")
