"""The entries of a name's trash: generations that are to be removed, and how to find their keys."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from ..errors import InvalidInput, UsageError
from ..layout import Form
from .keys import is_generation
from .manifest import MALFORMED, Manifest

MAX_KEYS: Final = 2**30
"""Keys of a generation in the trash. An entry may name any shape.

With no more than a header each, so many keys take 60 GB of memory, and to unlink as many that
are not there takes some 20 minutes.
"""


@dataclass(frozen=True, slots=True)
class TrashEntry:
    """A generation in the trash hash, and as JSON what is needed to find its keys."""

    generation: str
    text: str

    @classmethod
    def of(cls, manifest: Manifest, now: int) -> TrashEntry:
        """The entry of a generation that becomes trash at the server's time `now` (ms)."""
        return cls(manifest.generation, json.dumps({**manifest.form.to_json(), "since": now}))

    def form(self) -> Form | None:
        """How the generation lies in its keys; None if the entry is none of ours, or of more than MAX_KEYS keys."""
        try:
            form = Form.from_json(json.loads(self.text))
        except (*MALFORMED, InvalidInput, UsageError):
            return None
        return form if form.scheme.counts.keys <= MAX_KEYS and is_generation(self.generation) else None
