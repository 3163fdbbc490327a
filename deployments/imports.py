"""What takes longer than a request usually may: files into the store, everything out of it, deletions.

A file is read and stored by a task of its own on this node, which keeps the event loop and the GIL of the ingress free
and ends with it, or with whoever waits for the report; the transaction that it did not commit ends with the task.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import IO, TYPE_CHECKING
from uuid import UUID

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from deployments.http.problems import Problem, unavailable
from pipelines.outcomes.files import FileRefused
from pipelines.outcomes.tables import TableContent
from store import imports
from store.errors import StoreError, StoreUnavailable
from store.imports import Report, Upload
from store.postgres import load_queries

if TYPE_CHECKING:
    import asyncpg

AT_ONCE = 4
# Ray itself kills a process after half of it that does not end when it is told to.
END_S = 10.0
RunImport = Callable[[str, Upload], Awaitable[Report]]
# On a disk: /tmp is memory on many systems. Where there is none, what Python finds.
WAITING_ROOMS = (Path("/var/tmp"),)  # noqa: S108  # files without a name, which nobody else can open  # nosec B108


class Imports:
    """The long calls of one ingress replica; `run` is what imports a file.

    Up to `at_once` of all of them run, half of that of one account: a caller who takes its time leaves room for others.
    """

    def __init__(self, database_url: str, run: RunImport, *, at_once: int = AT_ONCE) -> None:
        self._database_url = database_url
        self._run = run
        self._queries = load_queries()
        self._free = at_once
        self._of_one_account = max(1, at_once // 2)
        self._taken: Counter[str] = Counter()

    @contextmanager
    def turn(self, account_id: str) -> Iterator[None]:
        """One of the places for a long call.

        Raises:
            Problem: 429 where the account has as many as it may, 503 where none is free.
        """
        if self._taken[account_id] >= self._of_one_account:
            detail = f"More than {self._of_one_account} imports and exports of this account at once."
            raise Problem(HTTPStatus.TOO_MANY_REQUESTS, detail, headers={"Retry-After": "1"})
        if self._free <= 0:
            raise unavailable("Too many imports and exports at once.")
        self._free -= 1
        self._taken[account_id] += 1
        try:
            yield
        finally:
            self._free += 1
            self._taken[account_id] -= 1
            # Adding nothing keeps the accounts that have a place alone.
            self._taken += Counter()

    async def run(self, upload: Upload) -> Report:
        """Import a file.

        Raises:
            Problem: 422 where the file is refused, of which nothing is stored then; 503 where the database or the task
                is lost: then all of it may be stored where that happened after the commit, and the same file again
                changes nothing.
        """
        try:
            return await self._run(self._database_url, upload)
        except FileRefused as error:
            refusal = [{"field": "file", "message": str(error)}]
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "The file was refused.", errors=refusal) from error
        except StoreUnavailable as error:
            raise unavailable("The database does not answer; nothing of the file was stored.") from error
        except RayError as error:
            raise unavailable("The import ended early; send the file again.") from error

    def rows(self, account_id: str, content: TableContent) -> AsyncGenerator[Sequence[asyncpg.Record], None]:
        """Every reading of an account with its post, or its days, some rows at a time."""
        return imports.export_rows(self._database_url, self._queries, account_id, content)

    async def delete_import(self, account_id: str, import_id: UUID) -> dict[str, int] | None:
        """As store.imports.delete_import."""
        return await imports.delete_import(self._database_url, self._queries, account_id, import_id)

    async def delete_post(self, account_id: str, post_id: str) -> dict[str, int] | None:
        """As store.imports.delete_post."""
        return await imports.delete_post(self._database_url, self._queries, account_id, post_id)

    async def delete_account(self, account_id: str) -> dict[str, int]:
        """As store.imports.delete_account."""
        return await imports.delete_account(self._database_url, self._queries, account_id)


def waiting_file() -> IO[bytes]:
    """A file without a name on the disk: it is gone with its process, however that ends."""
    folder = next((room for room in WAITING_ROOMS if room.is_dir()), None)
    try:
        return tempfile.TemporaryFile(dir=folder)
    except OSError:
        return tempfile.TemporaryFile()


async def import_in_thread(database_url: str, upload: Upload) -> Report:
    """Import a file in a thread of this process; for tools and tests, which have no cluster."""
    return await asyncio.to_thread(import_now, database_url, upload)


async def import_in_task(database_url: str, upload: Upload) -> Report:
    """Import a file in a Ray task on this node, where the file is; who is cancelled leaves once the task has ended.

    Until then the task has the file open and a connection to the database, so that the caller's place is still taken.
    """
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    reference = TASK.options(scheduling_strategy=here).remote(database_url, upload)
    try:
        outcome: Report | FileRefused | StoreError = await reference
    except asyncio.CancelledError:
        # By force, which ends its process: an event loop of its own that waits for the database hears nothing else.
        ray.cancel(reference, force=True)
        with suppress(RayError, TimeoutError):
            async with asyncio.timeout(END_S):
                await reference
        raise
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _told(database_url: str, upload: Upload) -> Report | FileRefused | StoreError:
    """The report or the refusal as a value: Ray would wrap what is raised."""
    try:
        return import_now(database_url, upload)
    except (FileRefused, StoreError) as error:
        return error


# Not repeated: a lost one is told, and whoever sent the file sends it again.
TASK = ray.remote(num_cpus=0, max_retries=0)(_told)


def import_now(database_url: str, upload: Upload) -> Report:
    """Import a file, on an event loop of its own; raises as store.imports.import_file."""
    return asyncio.run(imports.import_file(database_url, load_queries(), upload))
