"""What the supervisor does with servers that ended, and whom it ends itself."""

import itertools
import logging
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from supervisor import main
from supervisor.embedded import EmbeddedPostgres, EmbeddedRedis
from supervisor.main import _keep
from supervisor.running import announce, has_served
from supervisor.stopping import Stop

pytestmark = pytest.mark.clock


def test_a_server_that_cannot_come_back_is_tried_again_and_takes_nothing_down(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    postgres = EmbeddedPostgres(tmp_path / "data")
    postgres.start()
    settings = tmp_path / "data" / "postgres" / "postgresql.conf"
    whole = settings.read_text()
    try:
        assert postgres.pid is not None
        process = psutil.Process(postgres.pid)
        settings.write_text(whole + "\nno_such_setting = 1\n")
        process.send_signal(signal.SIGQUIT)
        process.wait(20)

        with caplog.at_level(logging.WARNING, logger="murmuration"):
            _keep([postgres], Stop())
        assert not postgres.running()
        assert "no_such_setting" in caplog.text

        settings.write_text(whole)
        _keep([postgres], Stop())
        assert postgres.running()
    finally:
        postgres.stop()


def test_a_server_for_which_the_system_has_no_room_is_tried_again_and_takes_nothing_down(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Short: it holds a socket.
    room = Path(tempfile.mkdtemp(prefix="mm", dir="/tmp"))
    monkeypatch.setattr(tempfile, "tempdir", str(room))
    redis = EmbeddedRedis(tmp_path / "data")
    redis.start()
    lock = tmp_path / "data" / "redis.lock"
    try:
        assert redis.pid is not None
        process = psutil.Process(redis.pid)
        process.kill()
        process.wait(20)
        # What a full disk refuses first: the lock, then, in /tmp, the folder of the socket.
        lock.unlink()
        lock.mkdir()
        with caplog.at_level(logging.WARNING, logger="murmuration"):
            for _ in range(2):
                _keep([redis], Stop())
        lock.rmdir()
        shutil.rmtree(room)
        with caplog.at_level(logging.WARNING, logger="murmuration"):
            for _ in range(2):
                _keep([redis], Stop())
        assert not redis.running()
        said = [message for message in caplog.messages if "did not start" in message]
        assert [str(lock) in message for message in said] == [True, True, False, False]
        assert [str(room) in message for message in said[2:]] == [True, True]

        room.mkdir()
        _keep([redis], Stop())
        assert redis.running()
    finally:
        redis.stop()
        shutil.rmtree(room, ignore_errors=True)


def test_only_the_process_that_said_so_has_served(tmp_path: Path) -> None:
    path = tmp_path / "running.json"
    assert has_served(path, 1) is False
    announce(path, "http://127.0.0.1:8000", "/tmp/ray/session_1", "http://127.0.0.1:8265")
    assert has_served(path, psutil.Process().pid) is True
    assert has_served(path, 1) is False


def test_a_cluster_that_fails_at_every_start_is_started_less_and_less_often(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[float] = []
    running, stop = tmp_path / "running.json", Stop()
    serves = (
        "import sys, pathlib, supervisor.running as r; r.announce(pathlib.Path(sys.argv[1]), '', '', ''); sys.exit(1)"
    )

    def start(_environment: object, _arguments: object) -> subprocess.Popen[bytes]:
        starts.append(time.monotonic())
        if len(starts) == 4:
            stop.set()
        code = serves if len(starts) == 1 else "import sys; sys.exit(1)"
        return subprocess.Popen([sys.executable, "-c", code, str(running)])

    monkeypatch.setattr(main, "_start", start)
    monkeypatch.setattr(main, "end_children", lambda _: None)
    with caplog.at_level(logging.WARNING, logger="murmuration"):
        main._serve({}, [], running, [], stop)
    _, first, second = (later - sooner for sooner, later in itertools.pairwise(starts))
    assert (first >= 1, second >= 3) == (True, True)
    assert [record.getMessage().rpartition("again")[2] for record in caplog.records] == ["", " in 1 s", " in 3 s"]


ENDS = """
import subprocess, sys, psutil
from supervisor.orphans import end_children
spared, other = (subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) for _ in range(2))
end_children({spared.pid})
print(spared.poll(), psutil.pid_exists(other.pid))
spared.kill()
"""


def test_who_is_spared_lives_on() -> None:
    done = subprocess.run([sys.executable, "-c", ENDS], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["None", "False"]
