"""Which loads of a store are under way, looked at again and again: cheap also with very many names.

Whoever begins a load gives its name another text in the index (`catalog.index`). So after the first
look only the index is read, and the names are looked at whose text has changed, or that had a load.
"""

from __future__ import annotations

from ..catalog.index import index_entries
from ..catalog.keys import Keys
from ..catalog.name_state import read_state
from ..client.connection import now
from ..client.failure import WrongType
from ..client.following import send_commands
from ..client.parallel import in_parallel
from ..client.pool import Pool
from ..client.reply import is_number
from ..errors import DamagedData
from ..events import LoadSampled
from .listing import AT_ONCE, load_status
from .load_rates import Rates

PAUSE = 20
"""So many times as long as a look has taken, none is taken again: it costs 5 % of one connection at most."""

NAMES_AT_ONCE = 1000
"""Names of which one exchange asks whether they have a load."""


class UnderWay:
    """The loads of a store that are under way or interrupted; `sample` is called by one task at a time."""

    def __init__(self, pool: Pool, prefix: str) -> None:
        self._pool = pool
        self._prefix = prefix
        self._texts: dict[str, bytes] = {}
        self._samples: dict[str, LoadSampled] = {}
        self._rates = Rates()
        self._due = 0.0

    async def sample(self) -> tuple[LoadSampled, ...]:
        """The loads, by their names: as they are now, or as they were when it was looked last, if that took long.

        Raises ServerUnavailable, and Refused if the server forbids to read.
        """
        if (began := now()) >= self._due:
            await self._look()
            ended = now()
            self._due = ended + PAUSE * (ended - began)
        return tuple(sample for _, sample in sorted(self._samples.items()))

    async def _look(self) -> None:
        texts = await index_entries(self._pool, self._prefix)
        changed = [name for name, text in texts.items() if self._texts.get(name) != text]
        begun = await self._with_load(changed)
        found: dict[str, LoadSampled] = {}

        async def look(name: str) -> None:
            keys = Keys(prefix=self._prefix, name=name)
            try:
                status = await load_status(self._pool, keys, await read_state(self._pool, keys))
            except (DamagedData, WrongType):  # listings say so
                return
            if status is None:
                return
            manifest = status.manifest
            found[name] = LoadSampled(
                name=name,
                generation=manifest.generation,
                points=manifest.points,
                done=status.done,
                rate=self._rates.of(manifest, status.done, now()),
                owner=status.owner,
                held=status.held,
                age=status.age,
            )

        await in_parallel(look, sorted(self._samples.keys() | begun), AT_ONCE)
        self._texts, self._samples = texts, found
        self._rates.keep({sample.generation for sample in found.values()})

    async def _with_load(self, names: list[str]) -> set[str]:
        """Those of the names that have the record of a load."""
        found = set()
        for start in range(0, len(names), NAMES_AT_ONCE):
            some = names[start : start + NAMES_AT_ONCE]
            commands = [["EXISTS", Keys(prefix=self._prefix, name=name).load] for name in some]
            replies = await send_commands(
                self._pool, commands, expect=is_number, doing="looking for loads under way"
            )
            found |= {name for name, reply in zip(some, replies, strict=True) if reply}
        return found
