"""A dashboard for Grafana, of the metrics that there are: `qwf server dashboard`.

Source of the form: Grafana's documentation, "Dashboard JSON model", the classic one, which every Grafana imports.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

WIDTH: Final = 24
"""Columns of a dashboard, which the panels of a line share."""

SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}

STATE_HEIGHT: Final = 4
HEIGHT: Final = 7
"""Rows of a panel: of one that shows the state, and of another one."""

ON: Final = '{server=~"$server"}'
PER_SECOND: Final = "[$__rate_interval]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A panel of (query, legend). One of a state is red from 1 on, or below 1 if it is `up`. `most` ends its scale."""

    title: str
    queries: Sequence[tuple[str, str]]
    kind: str = "timeseries"
    unit: str = "short"
    up: bool = False
    most: float | None = None


def _state(title: str, query: str, legend: str = "{{server}}", *, up: bool = False) -> Panel:
    return Panel(title=title, queries=[(query, legend)], kind="stat", up=up)


def _rate(name: str, legend: str = "{{server}}", on: str = ON) -> tuple[str, str]:
    return f"rate({name}{on}{PER_SECOND})", legend


def _sum(name: str, legend: str, by: str = "") -> tuple[str, str]:
    return f"sum{by and f' by ({by})'} (rate({name}{PER_SECOND}))", legend


def _quantile(share: float) -> tuple[str, str]:
    buckets = f"sum by (le) (rate(qwf_batch_seconds_bucket{PER_SECOND}))"
    return f"histogram_quantile({share}, {buckets})", f"{share:.0%}"


_HITS, _MISSES = (_rate(f"qwf_server_key_{what}_total")[0] for what in ("hits", "misses"))

LINES: Final[Sequence[tuple[str, Sequence[Panel]]]] = (
    (
        "State",
        (
            _state("Servers", f"qwf_server_up{ON}", up=True),
            _state("Memory gate is shut", f"qwf_gate_shut{ON}"),
            _state("Chunks in spools", "sum(qwf_spool_chunks)", "chunks"),
            _state(
                "Rejected connections",
                f"sum(increase(qwf_server_rejected_connections_total{ON}[$__range]))",
                "rejected",
            ),
            _state("Evicted keys", f"sum(increase(qwf_server_evicted_keys_total{ON}[$__range]))", "evicted"),
            _state("Studies without their server", "sum(qwf_study_offline)", "offline"),
        ),
    ),
    (
        "Loads",
        (
            Panel(
                title="Progress",
                queries=[("qwf_load_progress_ratio", "{{name}}")],
                kind="bargauge",
                unit="percentunit",
                most=1,
            ),
            Panel(
                title="Points a second",
                queries=[
                    _sum("qwf_points_written_total", "written"),
                    _sum("qwf_points_read_total", "read"),
                    (
                        f"sum(deriv(qwf_load_progress_ratio{PER_SECOND}) * qwf_load_points)",
                        "of loads under way",
                    ),
                ],
            ),
            Panel(
                title="Bytes a second",
                unit="Bps",
                queries=[_sum("qwf_bytes_written_total", "written"), _sum("qwf_bytes_read_total", "read")],
            ),
        ),
    ),
    (
        "Batches",
        (
            Panel(
                title="Time of a batch", unit="s", queries=[_quantile(share) for share in (0.5, 0.95, 0.99)]
            ),
            Panel(title="Sent again", queries=[_sum("qwf_batches_retried_total", "{{reason}}", by="reason")]),
            Panel(title="Spools", unit="bytes", queries=[("sum(qwf_spool_bytes)", "waiting")]),
        ),
    ),
    (
        "Servers",
        (
            Panel(
                title="Memory",
                unit="bytes",
                queries=[
                    (f"qwf_server_memory_bytes{ON}", "{{server}}"),
                    (f"qwf_server_memory_limit_bytes{ON}", "limit of {{server}}"),
                ],
            ),
            Panel(title="Commands a second", queries=[_rate("qwf_server_commands_total")]),
            Panel(
                title="Network",
                unit="Bps",
                queries=[
                    _rate("qwf_server_input_bytes_total", "to {{server}}"),
                    _rate("qwf_server_output_bytes_total", "from {{server}}"),
                ],
            ),
            Panel(title="Clients", queries=[(f"qwf_server_clients{ON}", "{{server}}")]),
            Panel(
                title="Reads that found their key",
                unit="percentunit",
                most=1,
                queries=[(f"{_HITS} / ({_HITS} + {_MISSES})", "{{server}}")],
            ),
            Panel(
                title="Replication lag",
                unit="bytes",
                queries=[(f"qwf_server_replica_lag_bytes{ON}", "{{server}}")],
            ),
        ),
    ),
    (
        "This process",
        (
            Panel(
                title="Connections a second",
                queries=[
                    _sum(f"qwf_connections_{what}_total", what.replace("_", " "))
                    for what in ("opened", "failed", "turned_away", "lost", "timeouts")
                ],
            ),
            Panel(
                title="Trials of studies a second",
                queries=[_sum("qwf_study_trials_total", "{{state}}", by="state")],
            ),
            Panel(
                title="Memory",
                unit="bytes",
                queries=[("process_resident_memory_bytes and on (instance) qwf_build_info", "{{instance}}")],
            ),
        ),
    ),
)
"""Lines of panels, each under a title. At most six are side by side if they show a state, else three."""


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana imports it, JSON of its schema 39; the data source is asked for."""
    servers = "label_values(qwf_server_memory_bytes, server)"
    return {
        "title": "qwf_async",
        "uid": "qwf-async",
        "tags": ["qwf"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {
            "list": [
                {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
                {
                    "name": "server",
                    "label": "Server",
                    "type": "query",
                    "datasource": SOURCE,
                    "definition": servers,
                    "query": {"query": servers, "refId": "servers"},
                    "refresh": 2,
                    "multi": True,
                    "includeAll": True,
                    "allValue": ".*",
                    "current": {"text": "All", "value": "$__all"},
                },
            ]
        },
        "panels": [{"id": number, **panel} for number, panel in enumerate(_panels(), start=1)],
    }


def _panels() -> Iterator[dict[str, Any]]:
    y = 0
    for title, panels in LINES:
        yield {
            "type": "row",
            "title": title,
            "collapsed": False,
            "panels": [],
            "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1},
        }
        y += 1
        side = 6 if panels[0].kind == "stat" else 3
        height = STATE_HEIGHT if panels[0].kind == "stat" else HEIGHT
        for number, panel in enumerate(panels):
            row, column = divmod(number, side)
            place = {"x": column * WIDTH // side, "y": y + row * height, "w": WIDTH // side, "h": height}
            yield _made(panel) | {"gridPos": place}
        y += height * (1 + (len(panels) - 1) // side)


def _made(panel: Panel) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0}
    last: dict[str, Any] = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
    options = {"stat": last | {"colorMode": "background"}, "bargauge": last}.get(panel.kind, {})
    if panel.most is not None:
        defaults["max"] = panel.most
    if panel.kind == "stat":
        low, high = ("red", "green") if panel.up else ("green", "red")
        steps = [{"color": low, "value": None}, {"color": high, "value": 1}]
        defaults |= {"thresholds": {"mode": "absolute", "steps": steps}, "color": {"mode": "thresholds"}}
    if panel.up:
        words = {"0": {"text": "away"}, "1": {"text": "there"}}
        defaults["mappings"] = [{"type": "value", "options": words}]
    return {
        "title": panel.title,
        "type": panel.kind,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
        "targets": [
            {"refId": chr(ord("A") + number), "datasource": SOURCE, "expr": query, "legendFormat": legend}
            for number, (query, legend) in enumerate(panel.queries)
        ],
    }
