"""A server as a child process that listens on a unix socket alone, in a folder that only its user can enter.

It ends with this process, even if that is killed: the child asks the kernel for a signal (Linux), and it holds the
folder's lock until it is gone. Knows nothing of Postgres or Redis.
"""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from store.errors import ServerFailed
from supervisor.stopping import Stop

# How long a server may say nothing of itself before it answers.
START_TIMEOUT_S = 60.0
# After how long somebody who waits is told why.
LONG_START_S = 5.0
# How long the server of a parent that was killed may take to end.
LEFTOVER_TIMEOUT_S = 15.0
POLL_S = 0.02
MAX_SOCKET_PATH = 107

# The kernel's signal comes when the forking thread ends, not the process; this thread lives as long as the process.
_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")
logger = logging.getLogger("murmuration")


class StartEnded(ServerFailed):
    """The supervisor was told to stop before an embedded server answered."""


class Server:
    """The process, its lock, its log and its socket folder; a subclass says what to run and when it answers."""

    name: str
    socket_name: str
    death_signal: signal.Signals
    stop_signals: tuple[tuple[signal.Signals, float], ...]

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.log_path = self.folder / f"{self.name}.log"
        self.sockets = Path(tempfile.gettempdir()) / f"murmuration-{secrets.token_hex(6)}"
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: int | None = None

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        return self._process.pid if self._process is not None and self.running() else None

    def running(self) -> bool:
        """Whether the child lives."""
        return self._process is not None and self._process.poll() is None

    def start(self, stop: Stop | None = None) -> None:
        """Start the server and return when it answers; nothing happens if it runs already.

        Raises:
            ServerFailed: another instance uses the folder, or the log's last lines say why it did not start.
            StartEnded: `stop` was told meanwhile.
            OSError: the system gives no room, no file or no process.
        """
        if self.running():
            return
        # As root the server runs as another user, who must get through to the data.
        if not self.folder.exists():
            self.folder.mkdir(parents=True)
            self.folder.chmod(0o711 if os.geteuid() == 0 else 0o700)
        self._take_lock()
        try:
            if self.log_path.exists():
                self.log_path.replace(self.log_path.with_suffix(".log.1"))
            self._make_socket_folder()
            self._prepare()
            self._process = self._spawn(self._command())
            self._wait_until_ready(stop)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the server gracefully, else by force, and give the folder free."""
        if self._process is not None:
            for stop_signal, timeout_s in self.stop_signals:
                self._process.send_signal(stop_signal)
                try:
                    self._process.wait(timeout_s)
                    break
                except subprocess.TimeoutExpired:
                    continue
        self._process = None
        shutil.rmtree(self.sockets, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _prepare(self) -> None:
        pass

    def _end_leftovers(self) -> None:
        pass

    def _command(self) -> list[str]:
        raise NotImplementedError

    def _ready(self) -> bool:
        raise NotImplementedError

    def _starting(self) -> bool:
        """Whether the server says itself that it is on its way."""
        return False

    def _user(self) -> tuple[int, int]:
        return os.getuid(), os.getgid()

    def _needs_passage(self) -> bool:
        return False

    def _take_lock(self) -> None:
        # A new file description each time: the children hold the old one until the last of them is gone.
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        self._lock = os.open(self.folder / f"{self.name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        started = time.monotonic()
        while not _try_lock(self._lock):
            holder = int(os.pread(self._lock, 20, 0) or 0)
            crashed = self._process is not None and holder == os.getpid()
            waited_s = time.monotonic() - started
            if waited_s > LEFTOVER_TIMEOUT_S or (_alive(holder) and not crashed):
                os.close(self._lock)
                self._lock = None
                raise ServerFailed(
                    self.name, f"{self.folder} is in use by process {holder}; does `make serve` run here already?"
                )
            if crashed or waited_s > LEFTOVER_TIMEOUT_S / 2:
                self._end_leftovers()
            time.sleep(POLL_S)
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, str(os.getpid()).encode(), 0)

    def _make_socket_folder(self) -> None:
        if len(os.fsencode(self.sockets / self.socket_name)) > MAX_SOCKET_PATH:
            raise ServerFailed(self.name, f"the socket path in {self.sockets} is too long: set TMPDIR to a shorter one")
        if not self.sockets.exists():
            self.sockets.mkdir(mode=0o700)
            os.chown(self.sockets, *self._user())

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        assert self._lock is not None  # noqa: S101  # start() took it
        script = str(Path(__file__).with_name("child.py"))
        about = [os.getpid(), int(self.death_signal), *self._user(), int(self._needs_passage())]
        log = os.open(self.log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            started = _spawner.submit(
                subprocess.Popen,
                [sys.executable, "-I", "-S", script, *map(str, about), *command],
                cwd="/",
                # Not the caller's own: a PGPORT or a locale would change the server.
                env={"LD_LIBRARY_PATH": os.environ.get("LD_LIBRARY_PATH", ""), "LC_ALL": "C", "TZ": "UTC"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[self._lock],
                # Ctrl-C in a terminal is for the parent, which stops its servers last.
                start_new_session=True,
            )
            return started.result()
        finally:
            os.close(log)

    def _wait_until_ready(self, stop: Stop | None) -> None:
        """Wait as long as the server says that it is on its way, and START_TIMEOUT_S where it says nothing.

        What replays its log after a crash begins anew where it is ended: a deadline would keep it from ever starting.
        """
        started = heard = time.monotonic()
        told = False
        while not self._ready():
            now = time.monotonic()
            if not self.running():
                raise ServerFailed(self.name, f"it ended at once, {self._log_tail()}")
            if stop is not None and stop.is_set():
                raise StartEnded(self.name)
            if self._starting():
                heard = now
            if now - heard > START_TIMEOUT_S:
                raise ServerFailed(self.name, f"no answer after {START_TIMEOUT_S:.0f} s, {self._log_tail()}")
            if not told and heard - started > LONG_START_S:
                told = True
                logger.warning(
                    "%s is still starting: after a crash it recovers what it had written, which takes minutes where "
                    "that was much, and begins anew where it is ended; how far it is: tail -f %s",
                    self.name,
                    self.log_path,
                )
            time.sleep(POLL_S)

    def _log_tail(self, lines: int = 10) -> str:
        tail = self.log_path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
        return "\n".join([f"the end of {self.log_path}:", *tail])


def _try_lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _alive(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
