"""`make observe` without a product, without Prometheus, and what it writes for both servers."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from deployments.settings import ConfigError
from supervisor.observing import prepare, prepare_grafana
from supervisor.render import DASHBOARD, ROOT, RULES
from supervisor.running import NAME, Product, announce, find

PRODUCT = Product("http://0.0.0.0:8000", Path("/tmp/ray/session_1"), "http://127.0.0.1:8265")
KEY = "a-key-for-the-tests-0123456789"
CHILD_S = 300
pytestmark = pytest.mark.timeout(2 * CHILD_S)


def observe(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "supervisor.observing", "--data", str(folder)]
    return subprocess.run(
        command, env=os.environ | environment, cwd=ROOT, capture_output=True, text=True, timeout=CHILD_S, check=False
    )


def test_without_prometheus_it_says_what_to_install(tmp_path: Path) -> None:
    refused = observe(tmp_path, PATH="/nowhere")
    assert refused.returncode == 2
    assert "apt-get install prometheus" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_product_that_was_killed_is_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="make serve"):
        find(tmp_path)
    announce(tmp_path / NAME, "http://127.0.0.1:8000", "/tmp/ray/session_1", "http://127.0.0.1:8265")
    # The number is that of these tests, which are no cluster.
    with pytest.raises(ConfigError, match="make serve"):
        find(tmp_path)


def test_the_key_stands_in_a_file_of_its_own_that_nobody_else_reads(tmp_path: Path) -> None:
    prepare(tmp_path, PRODUCT, KEY, every_s=15)
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "key").read_text() == KEY
    assert KEY not in (tmp_path / "prometheus.yml").read_text()
    prepare(tmp_path, PRODUCT, None, every_s=15)
    assert not (tmp_path / "key").exists()
    assert "authorization" not in (tmp_path / "prometheus.yml").read_text()


def test_prometheus_scrapes_this_product_and_the_session_of_this_product(tmp_path: Path) -> None:
    prepare(tmp_path, PRODUCT, KEY, every_s=15)
    written = yaml.safe_load((tmp_path / "prometheus.yml").read_text())
    database, ray = written["scrape_configs"]
    assert database["static_configs"] == [{"targets": ["127.0.0.1:8000"]}]
    assert ray["file_sd_configs"] == [{"files": ["/tmp/ray/session_1/prom_metrics_service_discovery.json"]}]
    assert written["rule_files"] == [str(RULES)]


def test_prometheus_takes_the_configuration(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: prometheus): the configuration was not checked")
    prepare(tmp_path, PRODUCT, KEY, every_s=15)
    command = [promtool, "check", "config", str(tmp_path / "prometheus.yml")]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=CHILD_S, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_grafana_starts_with_our_prometheus_and_the_dashboard(tmp_path: Path) -> None:
    prepare_grafana(tmp_path, 9091)
    sources = yaml.safe_load((tmp_path / "provisioning/datasources/murmuration.yaml").read_text())["datasources"]
    assert [(source["url"], source["isDefault"]) for source in sources] == [("http://127.0.0.1:9091", True)]
    (boards,) = yaml.safe_load((tmp_path / "provisioning/dashboards/murmuration.yaml").read_text())["providers"]
    (board,) = Path(boards["options"]["path"]).glob("*.json")
    assert board.read_text() == DASHBOARD.read_text()


def test_the_panels_of_the_dashboard_stand_beside_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
