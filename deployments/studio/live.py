"""What is going on now: the account's figures and the cluster's, as the WebSocket of the API tells them."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, Request, Response

from deployments.studio.languages import language_of, translations
from deployments.studio.pages import ask, page

router = APIRouter(include_in_schema=False)


@router.get("/studio/live")
async def live_page(request: Request) -> Response:
    """The figures as they are now; the page's script keeps them so."""
    first = await ask(request, "GET", "/metrics/live")
    return await page(request, "live.html", first=first.body, words=_words(translations(language_of(request)).gettext))


def _words(_: Callable[[str], str]) -> dict[str, dict[str, str]]:
    """What the page's script says."""
    return {
        "state": {
            "connecting": _("Connecting …"),
            "live": _("Live: the figures move by themselves."),
            "lost": _("The connection was lost. Next try in {seconds} s; the figures below are the last ones."),
            "full": _("Too many people are watching. Next try in {seconds} s."),
            "refused": _("The server does not let this page watch. Load the page again to sign in."),
        },
        "deployment": {
            "ingress": _("Front of the API"),
            "query_analyzer": _("Query analyzer"),
            "sentiment": _("Sentiment"),
            "generator": _("Writer"),
            "viral_predictor": _("Score"),
        },
        "node": {
            "head": _("{name} (head)"),
            "silent": _("does not answer"),
        },
    }
