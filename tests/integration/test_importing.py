"""The command that sends a file, against the routes on a real socket."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvicorn

from deployments.http.gate import Gate
from supervisor.importing import Refused, describe, send
from tests.integration.conftest import KEYS
from tests.integration.test_import_api import CONTENT, EXPORTS, gate  # noqa: F401  # a fixture


@pytest.fixture
async def address(gate: Gate) -> AsyncIterator[str]:  # noqa: F811
    server = uvicorn.Server(uvicorn.Config(gate, port=0, log_level="error", lifespan="off", ws="none"))
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  # it tells nobody
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    await serving


async def run(*arguments: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "supervisor.importing", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_the_command_says_why_a_file_is_refused(address: str, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_bytes(b"PK\x03\x04 and so on")
    cases = [
        (tmp_path / "none.csv", address, KEYS["acme"], "No such file"),
        (other, address, KEYS["acme"], "file: This is a zip"),
        (other, address, "wrong", "valid API key"),
        (other, "http://127.0.0.1:9", None, "does not answer"),
    ]

    for path, url, key, said in cases:
        with pytest.raises(Refused, match=said):
            await asyncio.to_thread(send, path, url, key, None)
    code, out, err = await run(str(other), "--url", address, "--key", KEYS["acme"])
    assert (code, out) == (1, "")
    assert "Traceback" not in err


async def test_the_command_shows_progress_and_prints_the_report(address: str) -> None:
    code, out, err = await run(str(EXPORTS / CONTENT), "--url", address, "--key", KEYS["acme"])

    assert code == 0, err
    assert "100%" in err
    assert "content: 4 rows: 3 imported, 0 updated, 0 unchanged, 1 rejected" in out
    assert "  line 5: no id" in out


def test_of_many_rejected_rows_the_first_are_printed_and_the_rest_counted() -> None:
    report = {"source": "content", "id": "1", "captured_at": "2026-07-01", "rows": 1_500, "rejected_rows": 1_500}
    report |= dict.fromkeys(("imported", "updated", "unchanged"), 0)
    rejected = [{"line": line, "reason": "no id"} for line in range(2, 1_002)]

    lines = describe(report | {"rejected": rejected}).splitlines()

    assert len(lines) == 23
    assert lines[-1] == "  and 1,480 more"


async def test_a_folder_is_all_of_its_files_and_one_that_is_refused_costs_itself_alone(
    address: str, tmp_path: Path
) -> None:
    (tmp_path / CONTENT).write_bytes((EXPORTS / CONTENT).read_bytes())
    (tmp_path / "broken.csv").write_bytes(b"no header")
    (tmp_path / "notes.txt").write_text("not meant")

    code, out, err = await run(str(tmp_path), "--url", address, "--key", KEYS["acme"])

    assert code == 1
    assert "1 of 2 files" in out
    assert "refused" in err
