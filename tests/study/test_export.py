"""Studies go to a file and come back as they were, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from qwf_async.errors import InvalidInput, Refused, UsageError
from qwf_async.study.exchange import Exchanged, export_studies, import_studies
from qwf_async.study.storage import StudyStorage
from tests.conftest import Server
from tests.study.stock_studies import told, write_many_kinds

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


@contextmanager
def opened(server: Server) -> Iterator[StudyStorage]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = StudyStorage(server.url)
    try:
        yield storage
    finally:
        storage.close()


@pytest.fixture
def storage(server: Server) -> Iterator[StudyStorage]:
    with opened(server) as storage:
        yield storage


def test_a_study_comes_back_with_all_that_it_held(each_server: Server, tmp_path: Path) -> None:
    file = tmp_path / "all.jsonl"
    with opened(each_server) as storage:
        study = write_many_kinds(storage)
        optuna.create_study(storage=storage, study_name="empty", directions=["minimize", "maximize"])
        both = [Exchanged(name="empty", trials=0), Exchanged(name="kinds", trials=len(study.trials))]
        assert export_studies(storage, None, file) == both
        before = told(study.trials), repr(study.user_attrs), study.metric_names, study.best_trial.number
        for name in ("kinds", "empty"):
            optuna.delete_study(study_name=name, storage=storage)
        assert import_studies(file, storage) == both
    with opened(each_server) as storage:
        back = optuna.load_study(study_name="kinds", storage=storage)
        assert (told(back.trials), repr(back.user_attrs), back.metric_names, back.best_trial.number) == before
        assert len(optuna.load_study(study_name="empty", storage=storage).directions) == 2
        back.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
        assert [trial.number for trial in back.trials] == list(range(both[1].trials + 1))  # one was queued
    with each_server.plain as client:
        assert {client.ttl(key) for key in client.scan_iter("qwf:study:*") if not key.endswith(b"gone")} == {
            -1
        }


def test_a_copy_under_another_name_stands_beside_the_original(storage: StudyStorage, tmp_path: Path) -> None:
    study = optuna.create_study(
        storage=storage, study_name="first", sampler=optuna.samplers.NSGAIISampler(population_size=4, seed=1)
    )
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=9)
    file = tmp_path / "one.jsonl"
    export_studies(storage, ["first"], file)
    import_studies(file, storage, rename="second")
    copy = optuna.load_study(study_name="second", storage=storage)
    assert told(copy.trials, ids=False) == told(study.trials, ids=False)
    assert not {trial._trial_id for trial in copy.trials} & {trial._trial_id for trial in study.trials}
    assert parents(copy) == parents(study) != {}


def parents(study: optuna.Study) -> dict[str, list[int]]:
    """The numbers of the parents of each generation."""
    numbers = {trial._trial_id: trial.number for trial in study.trials}
    system = study._storage.get_study_system_attrs(study._study_id)
    return {name: [numbers[parent] for parent in system[name]] for name in system if ":parent:" in name}


def test_what_is_in_the_way_is_said_and_nothing_changes(
    server: Server, storage: StudyStorage, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        optuna.create_study(storage=storage, study_name=name).optimize(lambda trial: 1.0, n_trials=2)
    file = tmp_path / "both.jsonl"
    with pytest.raises(InvalidInput, match="there is no study 'c'"):
        export_studies(storage, ["a", "c"], file)
    assert list(tmp_path.glob("*jsonl*")) == []
    export_studies(storage, ["a", "b", "a"], file)
    with pytest.raises(InvalidInput, match="is there already: overwrite=True"):
        export_studies(storage, None, file)
    export_studies(storage, None, file, overwrite=True)
    optuna.delete_study(study_name="a", storage=storage)
    before = server.contents()
    with pytest.raises(Refused, match=r"there is a study 'b' at .* already"):
        import_studies(file, storage)
    with pytest.raises(UsageError, match="holds 2 studies, and rename is for one"):
        import_studies(file, storage, rename="d")
    with pytest.raises(InvalidInput, match="cannot read"):
        import_studies(tmp_path, storage)
    one = tmp_path / "one.jsonl"
    export_studies(storage, ["b"], one)
    with pytest.raises(InvalidInput, match="may hold only letters"):
        import_studies(one, storage, rename="a b")
    assert server.contents() == before
    assert sorted(path.name for path in tmp_path.glob("*jsonl*")) == ["both.jsonl", "one.jsonl"]


def test_names_that_are_taken_meanwhile_leave_nothing_behind(
    server: Server, storage: StudyStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        optuna.create_study(storage=storage, study_name=name).optimize(lambda trial: 1.0, n_trials=2)
    file = tmp_path / "both.jsonl"
    export_studies(storage, None, file)
    optuna.delete_study(study_name="a", storage=storage)
    before = server.contents()
    monkeypatch.setattr(
        "qwf_async.study.exchange.check_names", lambda names, server: None
    )  # another was first
    with pytest.raises(Refused, match="there is a study 'b'"):
        import_studies(file, storage)
    assert server.contents() == before


VALUES = st.floats(width=64)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | VALUES | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
ATTRIBUTES = st.dictionaries(st.text(max_size=8), JSON, max_size=2)
PARAMETERS: dict[str, tuple[BaseDistribution, st.SearchStrategy[Any]]] = {
    "float": (FloatDistribution(-5, 5), st.floats(-5, 5)),
    "log": (FloatDistribution(1e-300, 1e300, log=True), st.floats(1e-300, 1e300)),
    "int": (IntDistribution(0, 9, step=3), st.sampled_from([0, 3, 6, 9])),
    "kind": (CategoricalDistribution(["a", None, 1.5, True]), st.sampled_from(["a", None, 1.5, True])),
}


@st.composite
def trials(draw: st.DrawFn) -> FrozenTrial:
    state = draw(st.sampled_from(TrialState))
    names = draw(st.lists(st.sampled_from(sorted(PARAMETERS)), unique=True))
    times = st.none() | st.datetimes().map(lambda time: time.replace(fold=0))
    return FrozenTrial(
        number=0,
        trial_id=0,
        state=state,
        value=None,
        values=draw(st.lists(VALUES, min_size=2, max_size=2)) if state is TrialState.COMPLETE else None,
        datetime_start=draw(times),
        datetime_complete=draw(times) if state.is_finished() else None,
        params={name: draw(PARAMETERS[name][1]) for name in names},
        distributions={name: PARAMETERS[name][0] for name in names},
        user_attrs=draw(ATTRIBUTES),
        system_attrs=draw(ATTRIBUTES),
        intermediate_values=draw(st.dictionaries(st.integers(0, 1 << 40), VALUES, max_size=3)),
    )


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some=st.lists(trials(), max_size=5), user=ATTRIBUTES, system=ATTRIBUTES)
def test_any_trials_survive(
    storage: StudyStorage,
    tmp_path: Path,
    some: list[FrozenTrial],
    user: dict[str, Any],
    system: dict[str, Any],
) -> None:
    source = InMemoryStorage()
    source_id = source.create_new_study([StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE], "s")
    for trial in some:
        source.create_new_trial(source_id, trial)
    for name, value in user.items():
        source.set_study_user_attr(source_id, name, value)
    for name, value in system.items():
        source.set_study_system_attr(source_id, name, value)
    file = tmp_path / "s.jsonl"
    export_studies(source, ["s"], file, overwrite=True)
    import_studies(file, storage, rename="s")
    study_id = storage.get_study_id_from_name("s")
    read = storage.get_all_trials(study_id)
    attributes = storage.get_study_user_attrs(study_id), storage.get_study_system_attrs(study_id)
    storage.delete_study(study_id)
    for mine, true in zip(read, some, strict=True):
        true.number = mine.number
        (mine_told,), (true_told,) = told([mine], ids=False), told([true], ids=False)
        assert {name: pair for name, pair in mine_told.items() if true_told[name] != pair} == {}
    assert repr(attributes) == repr((user, system))
