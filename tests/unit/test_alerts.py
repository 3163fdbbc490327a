"""The alerts on made-up series: each fires on its own and on nothing else (promtool of Debian's prometheus)."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from supervisor.render import K8S

RULES = K8S / "monitoring" / "rules.yaml"
# Of a PrometheusRule, whose spec is what promtool reads: no cluster of ours exports what they are about.
_, POSTGRES = yaml.safe_load_all((K8S / "monitoring" / "postgres.yaml").read_text())
ALERTS = {
    rule["alert"]: rule
    for group in (*yaml.safe_load(RULES.read_text())["groups"], *POSTGRES["spec"]["groups"])
    for rule in group["rules"]
}
STEPS = 80
# Drift looks a week back: on gauges alone, as rates need steps of a minute.
WEEK, LATER = 7 * 24, 3
DEPLOYMENT = 'application="murmuration",deployment="sentiment"'
BACKUP = "barman_cloud_cloudnative_pg_io_last_available_backup_timestamp"
PRIMARY, STANDBY = (f'namespace="murmuration",cnpg_io_cluster="murmuration-postgres",pod="{n}"' for n in (1, 2))
VOLUME = 'kubelet_volume_stats_%s_bytes{namespace="murmuration",persistentvolumeclaim="data-gcs-redis-0"}'
BUCKET = 'ray_murmuration_request_seconds_bucket{endpoint="%s",le="%s"}'
HEALTHY = {
    "murmuration_store_up": "1",
    "murmuration_experiments_sample_ratio_mismatch": "0",
    # Far from the training ever since: briefs are no posts.
    'murmuration_input_psi{input="links"}': "1.2",
    "murmuration_x_weights_stale": "0",
    f"ray_serve_deployment_status{{{DEPLOYMENT}}}": "6",
    f'ray_serve_deployment_replica_healthy{{{DEPLOYMENT},replica="a"}}': "1",
    f'ray_serve_deployment_replica_healthy{{{DEPLOYMENT},replica="b"}}': "1",
    # Waits now and then.
    f'ray_serve_deployment_queued_queries{{{DEPLOYMENT},handle="a"}}': "0 3",
    'ray_murmuration_requests_total{endpoint="/predict",status="200"}': "+30",
    'ray_murmuration_requests_total{endpoint="/analyze-query",status="200"}': "+30",
    'ray_murmuration_requests_total{endpoint="/predict",status="422"}': "+10",
    # Told to come back, one in sixty.
    'ray_murmuration_requests_total{endpoint="/analyze-query",status="503"}': "+0.5",
    # Not ready, and seldom asked.
    'ray_murmuration_requests_total{endpoint="/readyz",status="503"}': "+30",
    'ray_murmuration_requests_total{endpoint="/audience/{segment}",status="200"}': "+0.1",
    BUCKET % ("/predict", "0.1"): "+30",
    BUCKET % ("/predict", "+Inf"): "+30",
    BUCKET % ("/analyze-query", "5"): "+20",
    BUCKET % ("/analyze-query", "10"): "+30",
    BUCKET % ("/analyze-query", "+Inf"): "+30",
    # The writer took its time.
    'ray_murmuration_requests_total{endpoint="/studio/write/stream",status="200"}': "+3",
    BUCKET % ("/studio/write/stream", "5"): "+0",
    BUCKET % ("/studio/write/stream", "10"): "+3",
    BUCKET % ("/studio/write/stream", "+Inf"): "+3",
    BUCKET % ("/audience/{segment}", "10"): "+0",
    BUCKET % ("/audience/{segment}", "30"): "+0.1",
    BUCKET % ("/audience/{segment}", "+Inf"): "+0.1",
    'ray_murmuration_answers_total{degraded="yes"}': "+1",
    'ray_murmuration_answers_total{degraded="no"}': "+29",
    # Failed once, long ago.
    'ray_murmuration_stage_failures_total{stage="store",reason="Late"}': "2",
    'ray_murmuration_stage_failures_total{stage="sentiment",reason="Late"}': "+1",
    'ray_node_mem_used{ip="10.0.0.1"}': "60",
    'ray_node_mem_total{ip="10.0.0.1"}': "100",
    # Seconds since 1970, as the clock of these tests: always fresh.
    f"{BACKUP}{{{PRIMARY}}}": "+60",
    f"{BACKUP}{{{STANDBY}}}": "+60",
    f"cnpg_pg_replication_in_recovery{{{PRIMARY}}}": "0",
    f"cnpg_pg_replication_in_recovery{{{STANDBY}}}": "1",
    # Failed once; the standby did while it was the primary.
    f"cnpg_pg_stat_archiver_last_failed_time{{{PRIMARY}}}": "100",
    f"cnpg_pg_stat_archiver_last_archived_time{{{PRIMARY}}}": "+60",
    f"cnpg_pg_stat_archiver_last_failed_time{{{STANDBY}}}": "100",
    f"cnpg_pg_stat_archiver_last_archived_time{{{STANDBY}}}": "50",
    VOLUME % "available": "30",
    VOLUME % "capacity": "100",
    # Those of others are theirs to watch.
    BACKUP + '{namespace="elsewhere",pod="1"}': "-200000",
}
GONE = None
# Of each alert what differs from a healthy product; two ways to fire stand in two rows.
SICK: list[tuple[str, dict[str, str | None]]] = [
    ("MurmurationDown", {"murmuration_store_up": GONE}),
    (
        "MurmurationNoReplica",
        {f'ray_serve_deployment_replica_healthy{{{DEPLOYMENT},replica="{one}"}}': "0" for one in "ab"},
    ),
    ("MurmurationNoReplica", {f"ray_serve_deployment_status{{{DEPLOYMENT}}}": "2"}),
    ("MurmurationErrors", {'ray_murmuration_requests_total{endpoint="/predict",status="500"}': "+3"}),
    ("MurmurationSlow", {BUCKET % ("/predict", "0.1"): "+0", BUCKET % ("/predict", "5"): "+30"}),
    ("MurmurationSlow", {BUCKET % ("/analyze-query", "10"): "+20", BUCKET % ("/analyze-query", "30"): "+30"}),
    ("MurmurationDegraded", {'ray_murmuration_answers_total{degraded="yes"}': "+3"}),
    ("MurmurationOverloaded", {'ray_murmuration_stage_failures_total{stage="sentiment",reason="Overloaded"}': "+1"}),
    ("MurmurationOverloaded", {'ray_murmuration_requests_total{endpoint="/analyze-query",status="503"}': "+3"}),
    # Too many at once for the gate, which refuses them before it knows what they ask for.
    ("MurmurationOverloaded", {'ray_murmuration_requests_total{endpoint="unknown",status="503"}': "+3"}),
    ("MurmurationQueueGrows", {f'ray_serve_deployment_queued_queries{{{DEPLOYMENT},handle="a"}}': "1+1"}),
    ("MurmurationMemory", {'ray_node_mem_used{ip="10.0.0.2"}': "95", 'ray_node_mem_total{ip="10.0.0.2"}': "100"}),
    ("MurmurationStoreDown", {"murmuration_store_up": "0"}),
    ("MurmurationWritesRefused", {'ray_murmuration_stage_failures_total{stage="store",reason="Late"}': "+1"}),
    # The counter is born with the failure.
    ("MurmurationWritesRefused", {'ray_murmuration_stage_failures_total{stage="store",reason="Failed"}': "born 1"}),
    ("MurmurationSampleRatioMismatch", {"murmuration_experiments_sample_ratio_mismatch": "1"}),
    ("MurmurationWeightsStale", {"murmuration_x_weights_stale": "1"}),
    # Older than these tests' clock.
    ("MurmurationBackupOld", {f"{BACKUP}{{{pod}}}": "-200000" for pod in (PRIMARY, STANDBY)}),
    ("MurmurationArchiveFails", {f"cnpg_pg_stat_archiver_last_archived_time{{{PRIMARY}}}": "50"}),
    # It never worked.
    ("MurmurationArchiveFails", {f"cnpg_pg_stat_archiver_last_archived_time{{{PRIMARY}}}": "-1"}),
    ("MurmurationVolumeFull", {VOLUME % "available": "19"}),
]


def series(name: str, told: str, steps: int) -> dict[str, str]:
    """A series in promtool's notation: `+n` grows by n a step, `a b` alternates, `born` is late, `moved` jumps."""
    first, *others = told.split()
    if first == "born":
        values = f"_x{steps - 2} {others[0]}x2"
    elif first == "moved":
        values = f"{others[0]}x{steps - LATER} {others[1]}x{LATER}"
    elif first.startswith("+"):
        values = f"0{first}x{steps}"
    elif "+" in first:
        values = f"{first}x{steps}"
    else:
        values = " ".join([first, *others] * ((steps + 1) // (1 + len(others)))) if others else f"{first}x{steps}"
    return {"series": name, "values": values}


def case(
    name: str, fires: str | None, changes: dict[str, str | None], *, week: bool = False, gap: bool = False
) -> dict[str, Any]:
    told = {key: value for key, value in (HEALTHY | changes).items() if value is not None}
    if week:
        told = {key: value for key, value in told.items() if "+" not in value}
    steps, seconds = (WEEK + LATER, 3600) if week else (STEPS, 60)
    fired = [{"labels": f'{{alertname="{fires}"}}', "value": 1}] if fires else []
    return {
        "name": name,
        "interval": f"{seconds}s",
        "input_series": [
            # Prometheus knows Ray's for five minutes only.
            series(key, value, 5) | {"values": f"_x{steps - 6} {series(key, value, 5)['values']}"}
            if gap and key.startswith("ray_")
            else series(key, value, steps)
            for key, value in told.items()
        ],
        "promql_expr_test": [
            {
                "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": f"{steps * seconds}s",
                "exp_samples": fired,
            }
        ],
    }


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not installed (Debian: prometheus): the alerts were not tried on their series")
    return subprocess.run([found, *arguments], capture_output=True, text=True, timeout=100, check=False)


def files(folder: Path) -> list[str]:
    (folder / "postgres.yaml").write_text(yaml.safe_dump(POSTGRES["spec"]))
    return [str(RULES), str(folder / "postgres.yaml")]


def test_prometheus_takes_the_rules(tmp_path: Path) -> None:
    checked = promtool("check", "rules", *files(tmp_path))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_alert_has_a_series_that_it_must_fire_on() -> None:
    assert {"MurmurationInputsDrift", *(alert for alert, _ in SICK)} == ALERTS.keys()


def tried(folder: Path, seconds: int, *cases: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    tests = {"rule_files": files(folder), "evaluation_interval": f"{seconds}s", "tests": list(cases)}
    (folder / "tests.yaml").write_text(yaml.safe_dump(tests))
    return promtool("test", "rules", str(folder / "tests.yaml"))


def test_each_alert_fires_on_its_series_alone_and_none_on_a_healthy_product(tmp_path: Path) -> None:
    sick = [case(f"{alert} {n}", alert, changes) for n, (alert, changes) in enumerate(SICK)]
    test = tried(tmp_path, 60, case("healthy", None, {}), case("gap", None, {}, gap=True), *sick)
    assert test.returncode == 0, test.stdout + test.stderr


def test_drift_is_called_where_an_input_moved_within_a_week_and_not_where_it_was_always_far(tmp_path: Path) -> None:
    moved = {'murmuration_input_psi{input="emoji"}': "moved 0.12 0.3"}
    slight = {
        'murmuration_input_psi{input="emoji"}': "moved 0.2 0.29",
        'murmuration_input_psi{input="lines"}': "moved 0.02 0.2",
    }
    cases = [case("moved", "MurmurationInputsDrift", moved, week=True), case("slight", None, slight, week=True)]
    test = tried(tmp_path, 3600, case("healthy", None, {}, week=True), *cases)
    assert test.returncode == 0, test.stdout + test.stderr


def test_an_alert_that_does_not_fire_is_noticed(tmp_path: Path) -> None:
    assert tried(tmp_path, 60, case("healthy", "MurmurationDown", {})).returncode != 0


def test_every_alert_says_how_bad_it_is_and_what_it_means() -> None:
    for name, alert in ALERTS.items():
        assert alert["labels"]["severity"] in {"critical", "warning", "info"}, name
        assert set(alert["annotations"]) == {"summary", "description"}, name
