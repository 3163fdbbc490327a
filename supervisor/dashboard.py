"""The Grafana dashboard: what it shows stands here; `make k8s` writes it as Grafana's JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from pipelines.viral_predictor.drift import LARGE, SLIGHT

COLUMNS, HEIGHT = 24, 7
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
SERVED = 'application="murmuration"'
ENDPOINT = 'endpoint=~"$endpoint"'
REQUESTS = f'ray_murmuration_requests_total{{{ENDPOINT},endpoint!="/readyz"}}'
REPLICA = 'Component=~"ray::ServeReplica:murmuration:.+"'


@dataclass(frozen=True)
class Panel:
    """A picture of a few queries: legend -> PromQL. `width` in columns of 24; `steps` color values from each number."""

    title: str
    unit: str
    queries: dict[str, str]
    kind: str = "timeseries"
    width: int = 8
    description: str = ""
    steps: tuple[tuple[str, float | None], ...] = ()
    stacked: bool = False
    highest: float | None = field(default=None)


def _quantile(share: float) -> str:
    return (
        f"histogram_quantile({share}, sum by (le) (rate(ray_murmuration_request_seconds_bucket{{{ENDPOINT}}}"
        "[$__rate_interval])))"
    )


def _share(part: str, whole: str) -> str:
    return f"sum(rate({part}[$__rate_interval])) / sum(rate({whole}[$__rate_interval]))"


GOOD_IF_ZERO = (("green", None), ("red", 1.0))
ROWS: dict[str, tuple[Panel, ...]] = {
    "Now": (
        Panel(
            "Database",
            "short",
            {"up": "max(murmuration_store_up)"},
            "stat",
            4,
            "1: it answers.",
            (("red", None), ("green", 1.0)),
        ),
        Panel(
            "Requests/s",
            "reqps",
            {"requests": 'sum(rate(ray_murmuration_requests_total{endpoint!="/readyz"}[$__rate_interval]))'},
            "stat",
            4,
        ),
        Panel("Inside now", "short", {"requests": "sum(ray_murmuration_inside)"}, "stat", 4),
        Panel("Experiments running", "short", {"running": 'max(murmuration_experiments{state="running"})'}, "stat", 4),
        Panel(
            "Not split as planned",
            "short",
            {"experiments": "max(murmuration_experiments_sample_ratio_mismatch)"},
            "stat",
            4,
            "Running split tests whose sample ratio test fails (p below .001).",
            GOOD_IF_ZERO,
        ),
        Panel(
            "X's weights, age",
            "d",
            {"days": "max(murmuration_x_weights_age_days)"},
            "stat",
            4,
            "Stale from 60 days on.",
            (("green", None), ("orange", 60.0)),
        ),
    ),
    "Requests": (
        Panel("Requests/s by status", "reqps", {"{{status}}": f"sum by (status) (rate({REQUESTS}[$__rate_interval]))"}),
        Panel(
            "Time to answer",
            "s",
            {name: _quantile(share) for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))},
        ),
        Panel(
            "Errors (5xx)",
            "percentunit",
            {"share": _share(REQUESTS.replace("{", '{status=~"5..",'), REQUESTS)},
            steps=(("green", None), ("red", 0.02)),
        ),
        Panel(
            "Degraded answers",
            "percentunit",
            {"share": _share('ray_murmuration_answers_total{degraded="yes"}', "ray_murmuration_answers_total")},
            steps=(("green", None), ("orange", 0.05)),
        ),
        Panel(
            "What is missing in them",
            "short",
            {"{{part}}": "sum by (part) (increase(ray_murmuration_degraded_total[$__rate_interval]))"},
            stacked=True,
        ),
        Panel(
            "Answers that were not stored",
            "short",
            {
                "{{reason}}": 'sum by (reason) (increase(ray_murmuration_stage_failures_total{stage="store"}'
                "[$__rate_interval]))"
            },
        ),
    ),
    "Stages": (
        Panel(
            "Items in a call, mean",
            "short",
            {
                "{{stage}}": "sum by (stage) (rate(ray_murmuration_batch_items_sum[$__rate_interval])) "
                "/ sum by (stage) (rate(ray_murmuration_batch_items_count[$__rate_interval]))"
            },
        ),
        Panel(
            "Time of a call, p95",
            "s",
            {
                "{{stage}}": "histogram_quantile(0.95, sum by (stage, le) "
                "(rate(ray_murmuration_batch_seconds_bucket[$__rate_interval])))"
            },
        ),
        Panel(
            "Items without an answer",
            "short",
            {
                "{{stage}} {{reason}}": "sum by (stage, reason) "
                "(increase(ray_murmuration_stage_failures_total[$__rate_interval]))"
            },
        ),
        Panel(
            "Cache hits",
            "percentunit",
            {"share": _share('ray_murmuration_cache_total{result="hit"}', "ray_murmuration_cache_total")},
            highest=1.0,
        ),
        Panel(
            "Waiting for a replica",
            "short",
            {"{{deployment}}": f"sum by (deployment) (ray_serve_deployment_queued_queries{{{SERVED}}})"},
        ),
        Panel(
            "Healthy replicas",
            "short",
            {"{{deployment}}": f"sum by (deployment) (ray_serve_deployment_replica_healthy{{{SERVED}}})"},
        ),
        Panel(
            "Calls in work",
            "short",
            {"{{deployment}}": f"sum by (deployment) (ray_serve_replica_processing_queries{{{SERVED}}})"},
        ),
    ),
    "Machines": (
        Panel(
            "CPU of replicas",
            "percent",
            {"{{Component}}": f"sum by (Component) (ray_component_cpu_percentage{{{REPLICA}}})"},
            description="100 % is one core.",
        ),
        Panel(
            "Memory of replicas",
            "bytes",
            {"{{Component}}": f"sum by (Component) (ray_component_uss_bytes{{{REPLICA}}})"},
            description="What belongs to the replicas alone.",
        ),
        Panel("CPU of nodes", "percent", {"{{ip}}": "max by (ip) (ray_node_cpu_utilization)"}, highest=100.0),
        Panel(
            "Memory of nodes",
            "percentunit",
            {"{{ip}}": "max by (ip) (ray_node_mem_used) / max by (ip) (ray_node_mem_total)"},
            steps=(("green", None), ("orange", 0.9)),
            highest=1.0,
        ),
    ),
    "What it knows": (
        Panel("Experiments", "short", {"{{state}}": "max by (state) (murmuration_experiments)"}),
        Panel(
            "Drift of the score's inputs",
            "short",
            {"{{input}}": "max by (input) (murmuration_input_psi)"},
            description="Stability index of the newest scored queries against the posts of the training; of under 250 "
            "queries there is none. Briefs are no posts: what counts is that it moves.",
            steps=(("green", None), ("orange", SLIGHT), ("red", LARGE)),
            width=16,
        ),
        Panel(
            "Rows",
            "short",
            {
                "queries": "max(murmuration_stored_analyzed_queries)",
                "events": "max(murmuration_stored_experiment_events)",
                "templates": "max(murmuration_stored_content_templates)",
                "readings": "max(murmuration_stored_performance_metrics)",
            },
        ),
        Panel("Queries that drift is told from", "short", {"queries": "max(murmuration_input_queries)"}),
    ),
}


def dashboard() -> dict[str, Any]:
    """Return the dashboard as Grafana 10 and later import it."""
    panels: list[dict[str, Any]] = []
    y = 0
    for row, members in ROWS.items():
        panels.append(_placed({"type": "row", "title": row, "collapsed": False, "panels": []}, 0, y, COLUMNS, 1))
        y += 1
        lines = [(end - 1) // COLUMNS for end in accumulate(panel.width for panel in members)]
        ends = [0] * (lines[-1] + 1)
        for panel, line in zip(members, lines, strict=True):
            panels.append(_placed(_panel(panel), ends[line], y + line * HEIGHT, panel.width, HEIGHT))
            ends[line] += panel.width
        y += (lines[-1] + 1) * HEIGHT
    for number, panel_json in enumerate(panels, 1):
        panel_json["id"] = number
    return {
        "uid": "murmuration",
        "title": "Murmuration",
        "tags": ["murmuration"],
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [_source_variable(), _endpoint_variable()]},
        "panels": panels,
    }


def render() -> str:
    """Return the file's text."""
    return json.dumps(dashboard(), indent=1) + "\n"


def _source_variable() -> dict[str, Any]:
    return {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "current": {}}


def _endpoint_variable() -> dict[str, Any]:
    return {
        "name": "endpoint",
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": "label_values(ray_murmuration_requests_total, endpoint)", "refId": "endpoint"},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def _panel(panel: Panel) -> dict[str, Any]:
    steps = panel.steps or (("green", None),)
    defaults: dict[str, Any] = {
        "unit": panel.unit,
        "min": 0,
        "thresholds": {"mode": "absolute", "steps": [{"color": color, "value": value} for color, value in steps]},
    }
    if panel.highest is not None:
        defaults["max"] = panel.highest
    if panel.kind == "timeseries":
        defaults["custom"] = {
            "fillOpacity": 20 if panel.stacked else 0,
            "stacking": {"mode": "normal" if panel.stacked else "none"},
            "thresholdsStyle": {"mode": "line" if panel.steps else "off"},
        }
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + place), "datasource": SOURCE, "expr": expression, "legendFormat": legend}
            for place, (legend, expression) in enumerate(panel.queries.items())
        ],
    }


def _placed(panel: dict[str, Any], x: int, y: int, width: int, height: int) -> dict[str, Any]:
    return panel | {"gridPos": {"x": x, "y": y, "w": width, "h": height}}
