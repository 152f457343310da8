"""What is counted, in the formats of Prometheus: read by its own parsers, and named by its rules."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import prometheus_client
import pytest
from prometheus_client import parser
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import parser as openmetrics_parser

import qwf_async
from qwf_async.client.counts import ConnectionCounts, ReadCounts
from qwf_async.events import (
    BatchWritten,
    CleanedUp,
    GateMoved,
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
from qwf_async.metrics.dashboard import dashboard
from qwf_async.metrics.text import exposition
from tests.support.command import Shell

HELP = Path(qwf_async.__file__).parent / "help" / "metrics.md"

FACTS = ServerFacts(
    where="redis://a:6379", used=850, limit=1000, peak=900, rss=950, clients=3, blocked_clients=0, max_clients=50,
    replicas=0, rejected=2, uptime=60, commands=10, input_bytes=100, output_bytes=200, hits=5, misses=1, evicted=0,
    expired=4, slow_commands=1, changes_since_save=7, last_save=1_700_000_000, last_save_ok=True,
)  # fmt: skip
LOAD = LoadSampled(
    name="run", generation="0" * 16, points=100, done=0.25, rate=5.0, owner="me", held=True, age=2.0
)


def whole() -> Metrics:
    """Metrics that have heard of everything."""
    metrics = Metrics("mine")
    metrics.add_store(
        SimpleNamespace(
            pool=SimpleNamespace(
                counts=ConnectionCounts(opened=4, borrowed=9),
                reads=ReadCounts(points=6, nbytes=96, seconds=0.5),
            )
        )
    )
    metrics.add_storage(
        SimpleNamespace(standing=SimpleNamespace(mode="offline", failovers=1, recoveries=0, merged=2))
    )
    for event in (
        BatchWritten(points=10, nbytes=300, seconds=0.002),
        BatchWritten(points=10, nbytes=300, seconds=99.0),
        Retried(chunk=1, attempt=1, reason="away"),
        Progress(points=3, total=20, phase="verifying"),
        Progress(points=8, total=20, phase="verifying"),
        Progress(points=10, total=20, bytes_sent=300),
        CleanedUp(scratch_fields=5, generations=2, abandoned_loads=1),
        GateMoved(shut=True, reason="full"),
        Noted(text="look", warning=True),
        Noted(text="fine"),
        ServerSampled(
            facts=(FACTS,),
            away=("redis://b:6379",),
            loads=(LOAD,),
            spools=(SpoolSampled(path="s", name="run", chunks=3, nbytes=99),),
        ),
    ):
        metrics(event)
    metrics.end(success=True)
    return metrics


def families_of(metrics: Metrics) -> Mapping[str, Metric]:
    text = exposition(metrics, "")[0].decode()
    return {family.name: family for family in parser.text_string_to_metric_families(text)}


def values_of(metrics: Metrics) -> Mapping[tuple[str, ...], float]:
    """Each value by the name of its sample and its labels' values."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families_of(metrics).values()
        for sample in family.samples
    }


def test_events_are_counted() -> None:
    values = values_of(whole())
    expected = {
        ("qwf_points_written_total",): 20, ("qwf_bytes_written_total",): 600, ("qwf_batch_seconds_count",): 2,
        ("qwf_batch_seconds_bucket", "0.0025"): 1, ("qwf_batch_seconds_bucket", "10.0"): 1,
        ("qwf_batch_seconds_bucket", "+Inf"): 2, ("qwf_batches_retried_total",): 1, ("qwf_points_verified_total",): 8,
        ("qwf_cleaned_fields_total",): 5, ("qwf_cleaned_generations_total",): 3, ("qwf_warnings_total",): 1,
        ("qwf_gate_shut",): 1, ("qwf_spool_bytes",): 99, ("qwf_spool_chunks",): 3,
        ("qwf_server_up", "redis://a:6379"): 1, ("qwf_server_up", "redis://b:6379"): 0,
        ("qwf_server_memory_bytes", "redis://a:6379"): 850, ("qwf_server_key_hits_total", "redis://a:6379"): 5,
        ("qwf_load_progress_ratio", "run"): 0.25, ("qwf_load_progress_ratio", "mine"): 0.5,
        ("qwf_connections_opened_total",): 4, ("qwf_points_read_total",): 6, ("qwf_study_offline",): 1,
        ("qwf_study_merged_entries_total",): 2, ("qwf_load_success",): 1,
    }  # fmt: skip
    assert {key: values[key] for key in expected} == expected


def test_what_is_not_known_is_absent() -> None:
    values = values_of(Metrics())
    assert not [key for key in values if key[0].startswith(("qwf_server", "qwf_load", "qwf_connections"))]


def test_an_ingest_alone_tells_of_its_server_and_its_spool() -> None:
    metrics = Metrics("mine")
    metrics(MemorySampled(where="a", used=5, limit=None))
    metrics(Spooled(where="s", chunks=2, nbytes=50, replaying=False))
    values = values_of(metrics)
    assert values["qwf_server_memory_bytes", "a"] == 5
    assert ("qwf_server_memory_limit_bytes", "a") not in values
    assert values["qwf_spool_bytes",] == 50
    assert metrics.problem == "the server is away: 2 chunks wait in the spool"
    metrics(Spooled(where="s", chunks=0, nbytes=0, replaying=False))
    assert metrics.problem is None


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [("", "text/plain"), ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text")],
)
def test_both_formats_say_the_same(accept: str, content_type: str) -> None:
    metrics = whole()
    text, given = exposition(metrics, accept)
    assert given.startswith(content_type)
    read = openmetrics_parser if accept else parser
    names = {
        family.name.removesuffix("_total") for family in read.text_string_to_metric_families(text.decode())
    }
    assert {"qwf_points_written", "qwf_batch_seconds", "qwf_server_up"} <= names


def test_names_keep_the_rules_of_promtool() -> None:
    units = {"milliseconds", "minutes", "hours", "kilobytes", "megabytes", "percent", "ms", "kb", "mb"}
    for name, family in families_of(whole()).items():
        if not name.startswith("qwf_"):
            continue
        assert family.documentation, f"{name} has no help"
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name), name
        assert not units & set(name.split("_")), f"{name} is not in base units"
        assert not {"counter", "gauge", "histogram", "summary"} & set(name.split("_")), (
            f"{name} has its type in it"
        )
        counted = family.type == "counter"
        assert all(sample.name.endswith("_total") == counted for sample in family.samples), name
        if family.type != "histogram":
            assert not name.endswith(("_count", "_sum", "_bucket")), name


def test_help_has_a_row_for_each_metric_and_no_other() -> None:
    rows = re.findall(r"^\| `(qwf_\w+)` \| (\w+) \|", HELP.read_text("utf-8"), re.MULTILINE)
    there = {
        name + "_total" * (family.type == "counter"): family.type
        for name, family in families_of(whole()).items()
        if name.startswith("qwf_")
    }
    assert dict(rows) == there
    assert len(rows) == len(there)


def test_the_dashboard_asks_for_metrics_that_there_are(tmp_path: Path) -> None:
    printed = json.loads(Shell.at(tmp_path).qwf("server", "dashboard").out)
    assert printed == dashboard()
    queries = [target["expr"] for panel in printed["panels"] for target in panel["targets"]]
    asked = {name for query in queries for name in re.findall(r"qwf_\w+", query)}
    there = {sample.name for family in families_of(whole()).values() for sample in family.samples}
    assert asked <= there
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in printed["panels"]]
    assert len(set(places)) == len(places)


def test_two_registries_know_nothing_of_each_other() -> None:
    one, other = Metrics(), Metrics()
    one(BatchWritten(points=10, nbytes=300, seconds=0.002))
    assert values_of(other)["qwf_points_written_total",] == 0
    assert b"qwf_" not in prometheus_client.generate_latest()
