"""The space: what is suggested is a candidate, whose options every ingest takes, and whose settings a file holds."""

from __future__ import annotations

import math
import re
import tempfile
from pathlib import Path

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwf_async.errors import UsageError
from qwf_async.lattice.grid import Order, Shape4
from qwf_async.layout import LAYOUTS, Form
from qwf_async.layout.tile import Tile
from qwf_async.settings import Settings, load
from qwf_async.tuning.candidate import Candidate, tile_of
from qwf_async.tuning.names import study_names
from qwf_async.tuning.part import part_shape
from qwf_async.tuning.report import SettingsFile, settings_of
from qwf_async.tuning.space import Space, layout_of
from qwf_async.tuning.tuner import Plan
from tests.tuning.figures import staged

SHAPES = st.tuples(*[st.integers(1, 70)] * 4)
LAYOUT_WORDS = ("keep", "any", *LAYOUTS)


def suggested(
    word: str, seed: int, usual: Settings | None = None
) -> tuple[Space, Candidate, dict[str, object]]:
    """A space, a candidate that Optuna draws in it, and its parameters."""
    space = Space.of(Candidate.usual(usual or Settings(), layout_of(word)), word)
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed)).ask()
    return space, space.suggested(trial), trial.params


@pytest.fixture(autouse=True)
def _silent() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@given(st.sampled_from(LAYOUT_WORDS), st.integers(0, 1000), SHAPES, st.sampled_from("CF"))
def test_a_candidate_fits_every_grid_and_is_its_parameters(
    word: str, seed: int, shape: Shape4, order: Order
) -> None:
    space, candidate, parameters = suggested(word, seed)
    assert space.chosen(parameters) == candidate
    assert space.parameters(candidate) == parameters
    assert candidate.layout in (LAYOUTS if word == "any" else [layout_of(word)])
    options = candidate.options(shape, order)
    form = Form.of(
        layout=options["layout"],
        codec="c16",
        shape=shape,
        order=order,
        slab=options["slab"],
        tile=options["tile"],
    )
    assert form.shape == shape
    part = part_shape(shape, order, 1000)
    assert math.prod(part) <= 1000
    candidate.options(part, order)


@given(SHAPES)
def test_a_tile_of_the_usual_points_is_the_usual_tile(shape: Shape4) -> None:
    assert tile_of(shape, 512) == Tile.default_tile(shape)


def test_what_the_user_has_set_is_what_a_candidate_is_compared_with() -> None:
    settings = Settings(writers=12, producers=3, stream_bytes=3_000_000)
    usual = Candidate.usual(settings, "tile")
    space = Space.of(usual, "tile")
    assert space.chosen(space.parameters(usual)) == usual
    assert usual.described(usual) == "the defaults"


def test_a_word_that_is_no_layout_is_refused() -> None:
    with pytest.raises(UsageError, match="must be keep, any, or one of flat, packed, tile"):
        layout_of("cube")


@given(st.integers(0, 300))
def test_the_settings_file_is_read_as_what_was_chosen(seed: int) -> None:
    space, candidate, _ = suggested("any", seed)
    stage = staged(space.usual, candidate, [1.2] * 7)
    file = SettingsFile(source="psi\n.npy", stage=stage, shape=(1, 64, 64, 64), order="C")
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "qwf.toml"
        path.write_text(file.text, "utf-8")
        settings = load(path, environ={})
    assert Candidate.usual(settings, "flat").changed(space.usual) == settings_of(stage)
    assert settings.writers == candidate.writers
    assert ("layout=" in file.flags) == (candidate.layout != "flat")
    assert f"# with {file.flags}\n" in file.text or not file.flags


def test_a_new_run_of_the_same_question_has_studies_of_its_own() -> None:
    storage = optuna.storages.InMemoryStorage()
    plan = Plan(space=Space.of(Candidate.usual(Settings(), "flat"), "keep"), jobs=(1, 2), trials=1, seconds=1)
    first = study_names(storage, plan, {"source": "a"}, resume=False)(2)
    assert re.fullmatch(r"tune-[0-9a-f]{8}\.1-j2", first)
    optuna.create_study(storage=storage, study_name=first)
    assert study_names(storage, plan, {"source": "a"}, resume=True)(2) == first
    assert study_names(storage, plan, {"source": "a"}, resume=False)(2) == first.replace(".1-", ".2-")
    assert study_names(storage, plan, {"source": "b"}, resume=True)(2).partition(".")[0] not in first
