"""The space that is searched: the values that each setting may take, and a candidate as parameters of a trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from ..errors import UsageError
from ..layout import LAYOUTS
from ..wording import option, quoted
from .candidate import MIB, Candidate

WRITERS: Final = (1, 2, 3, 4, 6, 8)
PRODUCERS: Final = (None, 1, 2, 4)
STREAM_BYTES: Final = tuple(n * MIB for n in (2, 4, 8, 16, 32))
SLAB_POINTS: Final = (None, 4096, 8192, 32_768, 65_536)
"""Points of a hash of layout flat, which are one batch. None is the layout's own, 16,384."""
TILE_POINTS: Final = (None, 64, 4096, 32_768)
"""Points of a tile. None is the layout's own, 512."""


class Suggests(Protocol):
    """A trial of Optuna, as far as it is used here."""

    def suggest_categorical(self, name: str, choices: Any) -> Any: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """The values to choose from, around the candidate that is the default. The codec is never chosen."""

    usual: Candidate
    layouts: Sequence[str]

    @classmethod
    def of(cls, usual: Candidate, layout: str) -> Space:
        """The space for `layout`: "keep", a layout's name, or "any". Raises UsageError for another word."""
        return cls(usual=usual, layouts=tuple(LAYOUTS) if layout == "any" else (usual.layout,))

    def suggested(self, trial: Suggests) -> Candidate:
        """The candidate that a trial is to measure."""
        usual = self.usual
        layout = usual.layout
        if len(self.layouts) > 1:
            layout = trial.suggest_categorical("layout", list(self.layouts))
        slab = tile = None
        if LAYOUTS[layout].slabs:
            slab = trial.suggest_categorical("slab_points", list(SLAB_POINTS))
        if _has_tiles(layout):
            tile = trial.suggest_categorical("tile_points", list(TILE_POINTS))
        return Candidate(
            writers=trial.suggest_categorical("writers", _with(WRITERS, usual.writers)),
            producers=trial.suggest_categorical("producers", _with(PRODUCERS, usual.producers)),
            stream_bytes=trial.suggest_categorical("stream_bytes", _with(STREAM_BYTES, usual.stream_bytes)),
            layout=layout,
            slab_points=slab,
            tile_points=tile,
        )

    def chosen(self, parameters: Mapping[str, Any]) -> Candidate:
        """The candidate that a trial with these parameters measured."""
        return self.suggested(_Recorder(parameters))

    def parameters(self, candidate: Candidate) -> dict[str, Any]:
        """The parameters of the trial that measures a candidate: what `suggested` then gives back."""
        recorder = _Recorder(
            {
                "layout": candidate.layout,
                "slab_points": candidate.slab_points,
                "tile_points": candidate.tile_points,
                "writers": candidate.writers,
                "producers": candidate.producers,
                "stream_bytes": candidate.stream_bytes,
            }
        )
        self.suggested(recorder)
        return recorder.asked


def layout_of(word: str) -> str:
    """The layout of the defaults: that of an ingest for "keep" and "any". Raises UsageError for another word."""
    if word in ("keep", "any"):
        return "flat"
    if word not in LAYOUTS:
        raise UsageError(
            f"{option('layout')} {quoted(word)} must be keep, any, or one of {', '.join(LAYOUTS)}"
        )
    return word


class _Recorder:
    """Answers like a trial from given values, and notes which of them it was asked for."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self.asked: dict[str, Any] = {}

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        self.asked[name] = self._values[name]
        return self._values[name]


def _has_tiles(layout: str) -> bool:
    return LAYOUTS[layout].default_tile((1, 1, 1, 1)) is not None


def _with(values: Sequence[Any], usual: Any) -> list[Any]:
    """The values, and the usual one if it is not among them."""
    return [*values, *([] if usual in values else [usual])]
