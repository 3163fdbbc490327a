"""The page of live figures, before its script runs."""

from __future__ import annotations

import re

import httpx
import orjson

from tests.integration.experiment_calls import created

HOSTILE = "</script><script>alert(1)</script>"


def told(page: str, name: str) -> dict:
    """What the page tells its script."""
    (block,) = re.findall(rf'<script type="application/json" id="{name}">(.*?)</script>', page, flags=re.DOTALL)
    return orjson.loads(block)


async def test_a_hostile_name_stays_within_what_the_page_tells_its_script(client: httpx.AsyncClient) -> None:
    await created(client, name=HOSTILE)
    page = (await client.get("/studio/live")).text
    assert "alert(1)</script>" not in page
    (running,) = told(page, "first")["account"]["running"]
    assert running["name"] == HOSTILE


async def test_the_page_speaks_spanish_and_so_does_its_script(client: httpx.AsyncClient) -> None:
    answer = await client.get("/studio/live", headers={"accept-language": "es"})
    assert answer.status_code == 200
    assert "Experimentos en marcha" in answer.text
    assert told(answer.text, "words")["deployment"]["generator"] == "Redactor"
    assert not told(answer.text, "first")["system"]["supported"]
