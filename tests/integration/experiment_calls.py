"""Calls of the routes under /ab-test that several tests make."""

from __future__ import annotations

from typing import Any

import httpx

TWO = {"name": "hooks", "variants": [{"name": "control"}, {"name": "b"}]}


async def created(client: httpx.AsyncClient, **fields: object) -> dict[str, Any]:
    response = await client.post("/ab-test/create", json=TWO | fields)
    assert response.status_code == 201, response.text
    return response.json()


async def told(client: httpx.AsyncClient, experiment: dict[str, Any], *events: dict[str, Any]) -> dict[str, Any]:
    response = await client.post(f"/ab-test/{experiment['id']}/events", json={"events": events})
    assert response.status_code == 200, response.text
    return response.json()


async def results(client: httpx.AsyncClient, experiment: dict[str, Any]) -> dict[str, Any]:
    response = await client.get(f"/ab-test/{experiment['id']}/results")
    assert response.status_code == 200, response.text
    return response.json()


def event(
    number: object, unit: str = "u", variant: str = "control", kind: str = "impression", **fields: object
) -> dict:
    return {"event_id": str(number), "unit": unit, "variant": variant, "type": kind, **fields}


def counts(variant: str, exposed: int, engaged: int) -> list[dict[str, Any]]:
    """Events of `exposed` units of their own, of which `engaged` engage."""
    units = [f"{variant}-{number}" for number in range(exposed)]
    seen = [event(f"{unit}-seen", unit, variant) for unit in units]
    return seen + [event(f"{unit}-liked", unit, variant, "engagement") for unit in units[:engaged]]
