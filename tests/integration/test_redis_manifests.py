"""The two Redis of k8s/components, started by the very commands of their manifests on the bundled server."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from redis import AuthenticationError, OutOfMemoryError, Redis

from supervisor.embedded import program_of_redis
from tests.kustomize import built

pytestmark = pytest.mark.clock

PASSWORD = "0123456789abcdef"


class Pod:
    """The container's command, with the folder of the volume and the port of the network replaced by a folder here."""

    def __init__(self, kind: str, name: str, folder: Path) -> None:
        (container,) = built("overlays/cpu")[kind, name]["spec"]["template"]["spec"]["containers"]
        shell, flag, script = container["command"]
        here = f"{program_of_redis()} --port 0 --unixsocket {folder}/socket"
        script = re.sub(r"--dir \S+", f"--dir {folder}", script).replace("redis-server", here)
        self.command, self.folder = [shell, flag, script], folder
        self.environment = {"REDIS_PASSWORD": PASSWORD, "PATH": os.environ["PATH"]}

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, env=self.environment, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while True:
            try:
                with self.client() as client:
                    client.ping()
            except redis.ConnectionError:
                assert time.monotonic() < deadline
                assert self.process.poll() is None
                time.sleep(0.02)
            else:
                return

    def client(self, password: str | None = PASSWORD) -> Redis:
        return Redis(unix_socket_path=f"{self.folder}/socket", password=password)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process.poll() is None:
            self.process.send_signal(how)
        self.process.wait(10)


@pytest.fixture
def pod(request: pytest.FixtureRequest) -> Iterator[Pod]:
    folder = Path(tempfile.mkdtemp(prefix="murmuration-tests-"))
    pod = Pod(*request.param, folder)
    pod.start()
    yield pod
    pod.stop()
    shutil.rmtree(folder)


cache = pytest.mark.parametrize("pod", [("Deployment", "murmuration-cache")], indirect=True)
heads = pytest.mark.parametrize("pod", [("StatefulSet", "gcs-redis")], indirect=True)


@pytest.mark.parametrize("pod", [("Deployment", "murmuration-cache"), ("StatefulSet", "gcs-redis")], indirect=True)
def test_it_asks_for_a_password_that_its_command_line_does_not_show(pod: Pod) -> None:
    with pod.client(None) as stranger, pytest.raises(AuthenticationError):
        stranger.ping()
    assert PASSWORD not in Path(f"/proc/{pod.process.pid}/cmdline").read_text()


def fill(client: Redis, megabytes: int) -> Any:
    for number in range(megabytes):
        client.set(f"key{number}", os.urandom(2**20))


@cache
def test_the_cache_forgets_what_was_used_least_and_writes_nothing(pod: Pod) -> None:
    with pod.client() as client:
        client.config_set("maxmemory", "8mb")
        fill(client, 20)
        assert 0 < client.dbsize() < 20
    pod.stop()
    assert [path.name for path in pod.folder.iterdir() if path.suffix in {".rdb", ".aof"}] == []


@heads
def test_the_head_finds_what_it_knew_after_its_redis_was_killed(pod: Pod) -> None:
    with pod.client() as client:
        assert client.config_get("appendfsync") == {"appendfsync": "everysec"}
        client.set("cluster", "known")
    time.sleep(1.5)
    pod.stop(signal.SIGKILL)
    pod.start()
    with pod.client() as client:
        assert client.get("cluster") == b"known"


@heads
def test_the_redis_of_the_head_refuses_rather_than_forgets(pod: Pod) -> None:
    with pod.client() as client:
        client.set("cluster", "known")
        client.config_set("maxmemory", "8mb")
        with pytest.raises(OutOfMemoryError):
            fill(client, 20)
        assert client.get("cluster") == b"known"
