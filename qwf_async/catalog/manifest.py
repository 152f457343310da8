"""The manifest: all that is stored about a wavefunction besides its points.

Pure values: nothing here talks to a server. The fields are a public contract, for other clients
read them. This is format version 2.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from ..errors import DamagedData, InvalidInput, UsageError
from ..lattice.grid import AXIS_NAMES, Axis, Grid
from ..lattice.plan import Plan
from ..layout import Form
from ..wording import cut_where_they_differ, quoted, shortened
from .keys import generation_of

FORMAT: Final = 2

MALFORMED: Final = (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError)
"""Errors of reading a text as a record of ours. It may be any JSON, nested ten thousand deep, or none."""


class NewerFormat(DamagedData):
    """A record has a format that a later version of this program made."""


MAX_POINTS: Final = 2**40
"""Points of a wavefunction: 17 TB of values. A record with more was not written by an ingest."""

MAX_FRAMES: Final = 2**27
"""Frames of a wavefunction: their times alone are 1 GB."""

MAX_CHUNK_POINTS: Final = 2**26
"""Points of a chunk, which is read as a whole: 1 GB. A server stores no larger tile in a field."""

MAX_FIELD_CHARACTERS: Final = 2**18
"""Characters of a field: the source and its fingerprint may name many files."""

RESTORED: Final = "backup of "
"""What `copy_of` begins with if the copy came from a backup."""

CONVENTIONS: Final = {"index": "t,x,y,z", "units": "hartree", "hbar": 1, "mass": 1, "norm": "sum |psi|^2 dV"}
"""What the numbers mean. `mass` is that of the particle in electron masses, and may be another than 1."""


def conventions_of(grid: Grid) -> dict[str, Any]:
    """The conventions of a wavefunction on this grid."""
    return CONVENTIONS if grid.mass == 1 else CONVENTIONS | {"mass": grid.mass}


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Everything that is needed to find and understand the points of one generation.

    `source` is the source's text and `fingerprint` its fingerprint. `norm` is Σ|ψ|²dV
    averaged over the frames, None while loading or if the grid spacing is not known. `copy_of` names
    the stored wavefunction that this is a copy of, with a digest of all its values; `source` and
    `fingerprint` are then those of that wavefunction.
    """

    generation: str
    form: Form
    grid: Grid
    source: str
    fingerprint: str
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    norm: float | None = None
    copy_of: str | None = None

    def __post_init__(self) -> None:
        """Raises InvalidInput for more than can be stored."""
        frames, points = self.grid.shape[0], self.grid.points
        if points > MAX_POINTS:
            raise InvalidInput(
                f"{points:,} points ({_times(self.grid)}) are more than can be stored ({MAX_POINTS:,})"
            )
        if frames > MAX_FRAMES:
            raise InvalidInput(f"{frames:,} frames are more than can be stored ({MAX_FRAMES:,})")
        if self.plan.largest > MAX_CHUNK_POINTS:
            raise InvalidInput(
                f"chunks of {self.plan.largest:,} points are more than is read as a whole ({MAX_CHUNK_POINTS:,}): "
                "give smaller tiles"
            )
        if max(len(self.source), len(self.fingerprint)) > MAX_FIELD_CHARACTERS:
            raise InvalidInput(f"the source {shortened(self.source)} is named by too many words to be stored")

    @property
    def points(self) -> int:
        return self.grid.points

    @property
    def plan(self) -> Plan:
        """The chunks in which it is read, sent and stored."""
        return self.form.plan

    def published(self, norm: float | None) -> Manifest:
        """The same manifest with its norm, created now; what comes from a backup was created when it was."""
        restored = self.copy_of is not None and self.copy_of.startswith(RESTORED)
        created = self.created if restored else datetime.now(UTC).isoformat(timespec="seconds")
        return replace(self, norm=norm, created=created)

    def is_same(self, requested: Manifest) -> bool:
        """Whether a load of `requested` would publish this again: a copy counts as what its original was."""
        known = self if requested.copy_of else replace(self, copy_of=None)
        return not known.differences(requested)

    def differences(self, other: Manifest) -> list[str]:
        """In words, why a load of `other` cannot continue one of this manifest; empty if it can."""
        source = (self.source, other.source)
        if self.source == other.source and self.grid == other.grid:  # as if a file was written again
            source = (f"{self.source} ({self.fingerprint})", f"{other.source} ({other.fingerprint})")
        pairs = {
            "source": source,
            "layout": (_described(self.form), _described(other.form)),
            "codec": (self.form.codec, other.form.codec),
            "grid": _differing(self.grid, other.grid),
        }
        if self.copy_of != other.copy_of:
            pairs["source"] = (_origin(self), _origin(other))
        elif self.fingerprint == other.fingerprint:
            del pairs["source"]
        if _subject(self.form) == _subject(other.form):
            pairs["chunks"] = (_chunks(self.plan), _chunks(other.plan))
        return [
            "{}: stored {}, given {}".format(subject, *cut_where_they_differ(str(a), str(b)))
            for subject, (a, b) in pairs.items()
            if a != b
        ]

    def to_fields(self) -> dict[str, str]:
        """The fields of the meta hash. The load hash has these and others."""
        grid = self.grid.to_json()
        fields = {
            "format": str(FORMAT),
            "generation": self.generation,
            "layout": self.form.layout,
            "parameters": json.dumps(self.form.parameters),
            "codec": self.form.codec,
            "shape": json.dumps(grid["shape"]),
            "axes": json.dumps(grid["axes"]),
            "conventions": json.dumps(conventions_of(self.grid)),
            "plan": json.dumps(self.plan.to_json()),
            "source": self.source,
            "fingerprint": self.fingerprint,
            "created": self.created,
            "points": str(self.points),
        }
        if self.copy_of is not None:
            fields["copy_of"] = self.copy_of
        return fields if self.norm is None else fields | {"norm": repr(self.norm)}

    @classmethod
    def from_fields(cls, fields: Mapping[str, str], where: str) -> Manifest:
        """The inverse of `to_fields`; `where` names the key. Raises DamagedData if they are not a manifest."""
        try:
            long = [name for name, text in fields.items() if len(text) > MAX_FIELD_CHARACTERS]
            if long:
                raise ValueError(
                    f"its field {quoted(long[0])} has more than {MAX_FIELD_CHARACTERS:,} characters"
                )
            version = int(fields["format"])
            if version > FORMAT:
                raise NewerFormat(
                    f"{where} has format version {fields['format'][:20]}; "
                    f"this program reads up to {FORMAT}: update it"
                )
            if version < FORMAT:
                raise ValueError(f"format version {version} is not read any more")
            grid = Grid.from_json(
                {name: json.loads(fields[name]) for name in ("shape", "axes")}
                | {"mass": json.loads(fields.get("conventions", "{}")).get("mass", 1)}
            )
            if grid.points != int(fields["points"]):
                raise ValueError(f"{fields['points']} points do not fit the shape {grid.shape}")
            if datetime.fromisoformat(fields["created"]).tzinfo is None:
                raise ValueError(f"{fields['created']} has no time zone")
            form = Form.from_json(
                {"layout": fields["layout"], "codec": fields["codec"], "shape": grid.shape}
                | json.loads(fields["parameters"])
                | {"plan": json.loads(fields["plan"])}
            )
            return cls(
                generation=generation_of(fields["generation"]),
                form=form,
                grid=grid,
                source=fields["source"],
                fingerprint=fields["fingerprint"],
                created=fields["created"],
                norm=float(fields["norm"]) if "norm" in fields else None,
                copy_of=fields.get("copy_of"),
            )
        except (*MALFORMED, InvalidInput, UsageError) as error:
            raise DamagedData(f"{where} is not the metadata of a wavefunction: {reason(error)}") from error


def reason(error: Exception) -> str:
    """Why a record is not one of ours, in few words."""
    if isinstance(error, KeyError):
        return f"it lacks {error.args[0]!r:.100}"
    return shortened(str(error) or type(error).__name__)


def _origin(manifest: Manifest) -> str:
    return manifest.source if manifest.copy_of is None else f"a copy: {manifest.copy_of}"


def _described(form: Form) -> str:
    return " ".join([form.layout, *(f"{name} {value}" for name, value in form.parameters.items())])


def _subject(form: Form) -> tuple[object, ...]:
    """What the chunks of two forms must have in common, lest they differ for a reason that is told anyway."""
    return form.layout, form.tile, form.shape


def _chunks(plan: Plan) -> str:
    return " ".join(f"{name} {value}" for name, value in plan.to_json().items() if name != "count")


def _times(grid: Grid) -> str:
    return "×".join(map(str, grid.shape))


def _differing(a: Grid, b: Grid) -> tuple[str, str]:
    """Two grids in words: their points if those differ, else the axes or the masses that differ."""
    if a.shape != b.shape:
        return f"{_times(a)} points", f"{_times(b)} points"
    axes = zip(AXIS_NAMES, a.axes, b.axes, strict=True)
    pairs = [
        (f"{name} {_along(first)}", f"{name} {_along(second)}")
        for name, first, second in axes
        if first != second
    ]
    if a.mass != b.mass:
        pairs.append((f"mass {a.mass}", f"mass {b.mass}"))
    return ", ".join(first for first, _ in pairs), ", ".join(second for _, second in pairs)


def _along(axis: Axis) -> str:
    step = "of unknown step" if axis.step is None else f"in steps of {axis.step}"
    end = "" if axis.periodic else ", end included"
    return f"from {axis.origin} {step} {quoted(axis.unit) if axis.unit else 'without a unit'}{end}"


def text_fields(pairs: Any) -> dict[str, str]:
    """The fields of a hash as text, from names and values in turn (HGETALL in RESP2). Other bytes are escaped."""
    texts = [item.decode("utf-8", "backslashreplace") for item in pairs]
    return dict(zip(texts[::2], texts[1::2], strict=True))
