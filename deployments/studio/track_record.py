"""Track record: what the scores were worth, by what the account's posts did."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request, Response

from deployments.studio.pages import ask, page
from pipelines.outcomes.calibration import FEWEST_MATCHES as NEEDED_TO_CALIBRATE
from pipelines.outcomes.track_record import FEWEST_MATCHES

BASES = ("stored", "backtest")
router = APIRouter(include_in_schema=False)


@router.get("/studio/track-record")
async def track_record_page(request: Request) -> Response:
    """What was predicted beside what came of it."""
    basis = request.query_params.get("basis")
    basis = basis if basis in BASES else BASES[0]
    found, weighted = await asyncio.gather(
        ask(request, "GET", "/predict/track-record", parameters={"basis": basis}),
        ask(request, "GET", "/predict/x-weighted"),
    )
    return await page(
        request,
        "track_record.html",
        basis=basis,
        found=found.body if found.ok else None,
        weighted=weighted.body if weighted.ok else None,
        needed=FEWEST_MATCHES,
        needed_to_calibrate=NEEDED_TO_CALIBRATE,
    )
