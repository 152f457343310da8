"""A dashboard for Grafana, made of the metrics that there are: `qwf server dashboard`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

WIDTH: Final = 24
"""Columns of a dashboard."""

PANEL: Final = (12, 8)
"""Columns and rows of a panel."""

ROWS: Final = (
    ("Points written", "rate(qwf_points_written_total[$__rate_interval])", "short", "{{instance}}"),
    ("Loads under way", "qwf_load_progress_ratio", "percentunit", "{{name}}"),
    (
        "Time of a batch, 95 %",
        "histogram_quantile(0.95, sum by (le) (rate(qwf_batch_seconds_bucket[$__rate_interval])))",
        "s",
        "95 %",
    ),
    (
        "Memory of servers",
        "qwf_server_memory_bytes / qwf_server_memory_limit_bytes",
        "percentunit",
        "{{server}}",
    ),
    ("Servers that answer", "qwf_server_up", "short", "{{server}}"),
    ("Writing is paused", "qwf_gate_shut", "short", "{{instance}}"),
    ("Network in", "rate(qwf_server_input_bytes_total[$__rate_interval])", "Bps", "{{server}}"),
    ("Network out", "rate(qwf_server_output_bytes_total[$__rate_interval])", "Bps", "{{server}}"),
    ("Clients", "qwf_server_clients", "short", "{{server}}"),
    ("Connections lost", "rate(qwf_connections_lost_total[$__rate_interval])", "short", "{{instance}}"),
    ("Evicted keys", "rate(qwf_server_evicted_keys_total[$__rate_interval])", "short", "{{server}}"),
    ("Waiting in spools", "qwf_spool_bytes", "bytes", "{{instance}}"),
)
"""Title, query, unit and legend of each panel."""


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana imports it, JSON of its schema 39; the data source is asked for."""
    return {
        "title": "qwf_async",
        "uid": "qwf-async",
        "tags": ["qwf"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {
            "list": [
                {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
            ]
        },
        "panels": list(_panels()),
    }


def _panels() -> Iterator[dict[str, Any]]:
    columns, rows = PANEL
    source = {"type": "prometheus", "uid": "${datasource}"}
    for number, (title, query, unit, legend) in enumerate(ROWS):
        row, column = divmod(number * columns, WIDTH)
        yield {
            "id": number + 1,
            "title": title,
            "type": "timeseries",
            "datasource": source,
            "gridPos": {"x": column, "y": row * rows, "w": columns, "h": rows},
            "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
            "targets": [{"refId": "A", "datasource": source, "expr": query, "legendFormat": legend}],
        }
