"""Every metric: in both formats, by the rules of promtool's linter, in the page of help, and in the dashboard.

The rules are those of Prometheus' `promlint` (client_golang, prometheus/testutil/promlint/validations).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import prometheus_client
import pytest
from prometheus_client.core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

from qwf_async.events import (
    BatchWritten,
    CleanedUp,
    GateMoved,
    LoadEnded,
    LoadSampled,
    MemorySampled,
    Noted,
    Progress,
    Retried,
    ServerFacts,
    ServerSampled,
    Spooled,
    SpoolSampled,
)
from qwf_async.metrics import Metrics
from qwf_async.metrics.metrics import MAX_LOADS
from qwf_async.metrics.table import METRICS, unit_of
from qwf_async.metrics.text import exposition
from tests.support.command import ROOT, Shell

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
NOT_BASE_UNITS = {
    *("milliseconds", "microseconds", "nanoseconds", "minutes", "hours", "days", "weeks", "percent"),
    *("kilobytes", "megabytes", "gigabytes", "kibibytes", "mebibytes", "bits", "celcius", "kelvins"),
}
ABBREVIATED = {"s", "ms", "us", "ns", "sec", "b", "kb", "mb", "gb", "tb", "pb", "m", "h", "d"}
TYPES = {"counter", "gauge", "histogram", "summary"}

WHERE = 'unix:///a "b"\\c'
"""An address with all that the formats must escape but a newline."""


@pytest.fixture
def filled() -> Metrics:
    """Metrics that have heard of everything."""
    metrics = Metrics()
    load = LoadSampled(
        name="run", generation="0", points=100, done=0.25, rate=None, owner="", held=False, age=3
    )
    spool = SpoolSampled(path="/spool", name="run", chunks=None, nbytes=10)
    facts = ServerFacts(where=WHERE, used=5, limit=10, rejected=2, last_save_ok=True)
    for event in (
        BatchWritten(points=10, nbytes=160, seconds=0.003),
        BatchWritten(points=10, nbytes=160, seconds=60.0),
        Retried(chunk=0, attempt=1, reason="gone", why="away"),
        Progress(points=60, total=100, phase="verifying"),
        Progress(points=100, total=100, phase="verifying"),
        Progress(points=20, total=100, phase="verifying"),
        Progress(points=50, total=100, name="mine"),
        CleanedUp(scratch_fields=7, generations=1, abandoned_loads=1),
        GateMoved(where=WHERE, shut=True, reason="full"),
        Noted(text="beware", warning=True),
        LoadEnded(name="other", published=True),
        ServerSampled(facts=(facts,), away=("unix:///gone",), loads=(load,), spools=(spool,)),
    ):
        metrics(event)
    metrics.end(success=False)
    return metrics


def families(metrics: Metrics, accept: str = "") -> dict[str, Metric]:
    text, _ = exposition(metrics, accept)
    parse: Any = openmetrics if accept else prometheus
    return {family.name: family for family in parse(text.decode())}


def documented_name(family: Metric) -> str:
    return f"{family.name}_total" if family.type == "counter" else family.name


def faults(found: Iterable[Metric]) -> list[str]:
    """What promtool would say of metrics."""
    said = []
    for family in found:
        name, words = documented_name(family), documented_name(family).split("_")
        labels = {label for sample in family.samples for label in sample.labels}
        wrong = {
            "no help": not family.documentation.strip(),
            "a counter without _total": family.type == "counter" and words[-1] != "total",
            "_total, and no counter": family.type != "counter" and words[-1] == "total",
            "its type in its name": bool(TYPES & set(words)),
            "no base unit": bool(NOT_BASE_UNITS & set(words)),
            "an abbreviated unit": bool(ABBREVIATED & set(words)),
            "characters that are reserved": not re.fullmatch(r"[a-z][a-z0-9_]*", name),
            "the end of a histogram's": family.type != "histogram"
            and words[-1] in ("bucket", "count", "sum"),
            "the label of a histogram": family.type != "histogram" and bool({"le", "quantile"} & labels),
            "camelCase": any(re.search(r"[a-z][A-Z]", word) for word in (name, *labels)),
            "no type": family.type in ("unknown", "untyped"),
        }
        said += [f"{name}: {what}" for what, is_so in wrong.items() if is_so]
    return said


@pytest.mark.parametrize("accept", ["", OPENMETRICS], ids=["prometheus", "openmetrics"])
def test_both_formats_are_read_by_their_parsers_and_hold_what_the_linter_asks(
    filled: Metrics, accept: str
) -> None:
    found = families(filled, accept)
    ours = [family for name, family in found.items() if name.startswith("qwf_")]
    assert faults(found.values()) == []
    assert {documented_name(family) for family in ours} == set(METRICS)
    if accept:
        assert {documented_name(family): family.unit for family in ours} == {
            name: unit_of(name) for name in METRICS
        }
    assert "process_resident_memory_bytes" in found


def test_the_linter_of_these_tests_finds_what_it_looks_for() -> None:
    assert len(faults([Metric("run_ms", "", "gauge"), Metric("gauge_percent", "x", "unknown")])) == 5


def test_what_is_asked_for_decides_the_format(filled: Metrics) -> None:
    browsers = "text/html,application/xhtml+xml,*/*;q=0.8"
    kinds = {
        accept: exposition(filled, accept)[1].partition(";")[0] for accept in ("", browsers, OPENMETRICS)
    }
    assert list(kinds.values()) == ["text/plain", "text/plain", "application/openmetrics-text"]
    assert exposition(filled, OPENMETRICS)[0].endswith(b"# EOF\n")


def test_values_are_what_the_events_said(filled: Metrics) -> None:
    def value(metric: str, /, **labels: str) -> float | None:
        found: float | None = filled.registry.get_sample_value(metric, labels)
        return found

    assert value("qwf_points_written_total") == 20
    assert value("qwf_bytes_written_total") == 320
    assert value("qwf_batch_seconds_bucket", le="0.0025") == 0
    assert value("qwf_batch_seconds_bucket", le="0.005") == 1
    assert value("qwf_batch_seconds_bucket", le="10.0") == 1
    assert value("qwf_batch_seconds_count") == 2
    assert value("qwf_batches_retried_total", reason="away") == 1
    assert value("qwf_batches_retried_total", reason="memory") == 0
    assert value("qwf_points_verified_total") == 120
    assert value("qwf_load_progress_ratio", name="run") == 0.25
    assert value("qwf_load_progress_ratio", name="mine") == 0.5
    assert value("qwf_load_held", name="run") == 0
    assert value("qwf_loads_total", result="published") == 1
    assert value("qwf_server_up", server=WHERE) == 1
    assert value("qwf_server_up", server="unix:///gone") == 0
    assert value("qwf_server_memory_limit_bytes", server=WHERE) == 10
    assert value("qwf_server_uptime_seconds", server=WHERE) is None
    assert value("qwf_gate_shut", server=WHERE) == 1
    assert value("qwf_cleaned_generations_total") == 2
    assert value("qwf_spool_bytes") == 10
    assert value("qwf_load_success") == 0


def test_labels_are_bounded_and_a_load_that_ended_has_none() -> None:
    metrics = Metrics()
    for number in range(MAX_LOADS + 5):
        metrics(Progress(points=1, total=2, name=f"n{number:04}"))
    assert len(families(metrics)["qwf_load_points"].samples) == MAX_LOADS
    for number in range(MAX_LOADS + 5):
        metrics(LoadEnded(name=f"n{number:04}", published=False))
    assert families(metrics)["qwf_load_points"].samples == []
    assert metrics.registry.get_sample_value("qwf_loads_total", {"result": "left"}) == MAX_LOADS + 5


def test_a_gate_that_opened_keeps_its_time_and_a_server_that_answers_is_well() -> None:
    metrics = Metrics()
    metrics(MemorySampled(where="a", used=1, limit=None))
    for shut in (True, True, False, False):
        metrics(GateMoved(where="a", shut=shut, reason=""))
    first = metrics.registry.get_sample_value("qwf_gate_shut_seconds_total", {"server": "a"})
    assert metrics.registry.get_sample_value("qwf_gate_shut", {"server": "a"}) == 0
    assert metrics.registry.get_sample_value("qwf_gate_shut_seconds_total", {"server": "a"}) == first
    assert metrics.problem is None
    metrics(Retried(chunk=1, attempt=1, reason="no answer"))
    assert metrics.problem == "no answer"
    metrics(BatchWritten(points=1, nbytes=1, seconds=0.1))
    assert metrics.problem is None
    metrics(Spooled(chunks=3, nbytes=3, replaying=False))
    assert metrics.problem == "the server is away: 3 chunks wait in the spool"


def test_the_page_of_help_has_every_metric_as_it_is(filled: Metrics) -> None:
    lines = (ROOT / "qwf_async/help/metrics.md").read_text("utf-8").splitlines()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `qwf_")
    ]
    found = families(filled)
    types = {documented_name(family): family.type for family in found.values()}
    assert rows == [
        [f"`{name}`", types[name], unit_of(name), metric.label, metric.about]
        for name, metric in METRICS.items()
    ]


def test_every_metric_of_the_dashboard_exists_and_every_place_of_it_is_its_own(tmp_path: Path) -> None:
    board = json.loads(Shell.at(tmp_path).qwf("server", "dashboard").out)
    expressions = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    expressions += [each["definition"] for each in board["templating"]["list"] if "definition" in each]
    named = {name for text in expressions for name in re.findall(r"\b(?:qwf|process)_[a-z_]+", text)}
    exposed = {sample.name for family in families(Metrics()).values() for sample in family.samples}
    assert named - set(METRICS) - exposed == set()
    assert {variable["name"] for variable in board["templating"]["list"]} == {"datasource", "server"}
    cells: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        if panel["type"] != "row":
            assert panel["datasource"]["uid"] == "${datasource}"
        at = panel["gridPos"]
        mine = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not mine & cells, panel["title"]
        assert at["x"] + at["w"] <= 24
        cells |= mine
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_what_is_not_known_is_absent_and_two_registries_know_nothing_of_each_other(filled: Metrics) -> None:
    named = {sample.name for family in families(Metrics()).values() for sample in family.samples}
    assert not [
        name for name in named if name.startswith(("qwf_server", "qwf_load_", "qwf_study", "qwf_gate_"))
    ]
    assert b"qwf_" not in prometheus_client.generate_latest()
