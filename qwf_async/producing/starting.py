"""The beginning of a load that many processes write: a request becomes a ticket."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256

from ..catalog.keys import Keys, new_generation
from ..catalog.load import Load
from ..catalog.manifest import Manifest
from ..catalog.name_state import read_state
from ..catalog.owner import Owner
from ..catalog.shared_load import find_load
from ..client.evenness import MOST_DRAWS
from ..errors import UsageError
from ..events import Hook
from ..ingesting.beginning import begin_load, in_utf8, unfinished_by
from ..ingesting.surviving_chunks import surviving_entries
from ..ingesting.write_mode import check_write_mode, choose_restore
from ..lattice.grid import Grid, Order, Shape3, Shape4
from ..layout import Form, Slab
from ..store.store import Store
from ..wording import flag
from .place import Place
from .ticket import Ticket


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be begun: a manifest by its fields, and the switches of `ingest`. It can be pickled.

    The load will be owned by `token`. So to begin a request twice is to begin it once.
    """

    name: str
    fields: Mapping[str, str]
    write_mode: str = "auto"
    replicas: int | None = None
    resume: bool = False
    overwrite: bool = False
    discard: bool = False
    configure_server: bool = False
    force: bool = False
    allow_nonfinite: bool = False
    can_resume: bool = True
    token: str = field(default_factory=lambda: secrets.token_hex(8))

    @classmethod
    def of(
        cls,
        name: str,
        grid: Grid,
        *,
        layout: str,
        codec: str,
        tile: Shape3 | None,
        slab: Slab | None,
        blocks: Shape4 | None,
        order: Order,
        fingerprint: str | None,
        source: str,
        write_mode: str,
        replicas: int | None,
        resume: bool,
        overwrite: bool,
        discard: bool,
        configure_server: bool,
        force: bool,
        allow_nonfinite: bool,
        usual: Shape4 | None = None,
        owner: Owner | None = None,
    ) -> Request:
        """A request that is checked as far as it can be without a server. Raises UsageError and InvalidInput.

        `usual`: about the shape of irregular blocks that `blocks` divides. `owner`: the process that
        owns the load, if it alone writes it.
        """
        unfinished_by(resume=resume, discard=discard)
        if resume and fingerprint is None:
            raise UsageError(
                "to resume a load needs its fingerprint, which says that the values are the same"
            )
        grid.in_atomic_units()  # a unit that is not known is refused before anything is written
        form = Form.of(
            layout=layout,
            codec=codec,
            shape=grid.shape,
            order=order,
            tile=tile,
            slab=slab,
            blocks=blocks,
            usual=usual,
        )
        check_write_mode(write_mode, form)
        manifest = Manifest(
            generation=new_generation(),
            form=form,
            grid=grid,
            source=in_utf8(source),
            fingerprint=in_utf8(fingerprint or f"none, {secrets.token_hex(8)}"),
        )
        return cls(
            name=name,
            fields=manifest.to_fields(),
            write_mode=write_mode,
            replicas=replicas,
            resume=resume,
            overwrite=overwrite,
            discard=discard,
            configure_server=configure_server,
            force=force,
            allow_nonfinite=allow_nonfinite,
            can_resume=fingerprint is not None,
            **({} if owner is None else {"token": owner.token}),
        )

    def what_is_left(self, *, removed: bool) -> str:
        """What is left of the load that is given up, and what can be done with it, in words."""
        if removed:
            return "nothing of it is left, as it has no fingerprint by which it could be resumed"
        if self.can_resume:
            return f"what was stored can be resumed with {flag('resume')}"
        return f"what was stored has no fingerprint by which it could be resumed: begin anew with {flag('discard')}"

    @property
    def manifest(self) -> Manifest:
        return Manifest.from_fields(self.fields, "the request")

    def generations(self) -> Iterator[str]:
        """The generations of which a new load takes the most even: the same ones in every process."""
        return (
            sha256(f"generation {n} of {self.token}".encode()).hexdigest()[:16] for n in range(MOST_DRAWS)
        )


async def start_load(
    store: Store, request: Request, hook: Hook, owner: Owner | None = None
) -> tuple[Ticket, Load | None]:
    """Begin the load of a request, or find the one that it began before. There is no load if all is published already.

    It is owned by all who know its token, or else by `owner`, who has that token.

    Raises as `ingest`.
    """
    keys = Keys(prefix=store.settings.prefix, name=request.name)
    requested, pool, ttl = request.manifest, store.pool, store.settings.ownership_ttl
    load: Load | Manifest | None = await find_load(pool, keys, token=request.token, ttl=ttl)
    published = None if load else (await read_state(pool, keys)).published
    if published is not None and published.generation in request.generations():
        load, by_restore = published, False
    elif isinstance(load, Load):
        base = keys.base(load.manifest.generation)
        by_restore = await choose_restore(pool, base, load.manifest.form, request.write_mode, hook)
    else:
        begun = await begin_load(
            store,
            keys,
            requested,
            write_mode=request.write_mode,
            unfinished=unfinished_by(resume=request.resume, discard=request.discard),
            overwrite=request.overwrite,
            replicas=store.settings.replicas if request.replicas is None else request.replicas,
            configure_server=request.configure_server,
            force=request.force,
            hook=hook,
            owner=owner or Owner.shared(request.token),
            draw=partial(next, request.generations()),
        )
        load, by_restore = begun.load, begun.by_restore
    resumed = 0
    if isinstance(load, Load) and load.resumed:
        entries = await surviving_entries(store, keys, load, readers=store.settings.writers, hook=hook)
        resumed = len(entries)
    ticket = Ticket(
        place=Place.of(store),
        name=keys.name,
        fields=(load.manifest if isinstance(load, Load) else load).to_fields(),
        token=request.token,
        ttl=ttl,
        by_restore=by_restore,
        allow_nonfinite=request.allow_nonfinite,
        replicas=store.settings.replicas if request.replicas is None else request.replicas,
        began=time.time(),
        resumed_chunks=resumed,
    )
    return ticket, load if isinstance(load, Load) else None
