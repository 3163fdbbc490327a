"""The first page: a brief or a draft comes in, and what to post goes out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response

from deployments.http.streams import ClosedStream
from deployments.studio.counting import counting_url
from deployments.studio.drafting import (
    Asked,
    Card,
    card_of,
    cards_of,
    length_limit,
    may_be_tested,
    silence_of,
    verdict_of,
)
from deployments.studio.forms import read_form
from deployments.studio.labels import labels, rule_messages
from deployments.studio.languages import language_name, language_of, translations
from deployments.studio.listening import listen
from deployments.studio.marking import finding_spans, pieces
from deployments.studio.pages import HEADERS, Answered, ask, page
from deployments.studio.said import advice_in_words, note_in_words
from pipelines.records import MAX_TEXT_CHARACTERS

STREAM_HEADERS = HEADERS | {"x-accel-buffering": "no"}
# Fewer points than these are a dot on the page; they are summed up.
SMALL_POINTS = 0.05
# Of an unread language nothing is known: it may be one of them.
WRITTEN = frozenset({"en", "es", "und", None})
REFUSED = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY})
router = APIRouter(include_in_schema=False)


@router.get("/")
async def write_page(request: Request) -> Response:
    """The place to write; `?draft=` brings a text along."""
    draft = request.query_params.get("draft", "")
    return await page(
        request,
        "write.html",
        draft=draft[:MAX_TEXT_CHARACTERS],
        limit=await length_limit(request),
        counting=counting_url(),
        **_words(request),
    )


@router.post("/studio/write/findings")
async def findings(request: Request) -> Response:
    """What X's rules and the count of things say about a draft, while it is typed."""
    asked = Asked.of(await read_form(request))
    answer = await ask(request, "POST", "/analyze", {"texts": [asked.draft]}) if asked.draft else None
    return await page(
        request,
        "write/findings.html",
        draft=asked.draft,
        analysis=answer.body["results"][0] if answer and answer.ok else None,
        refusal=_refusal(request, asked, answer) if answer and answer.status in REFUSED else None,
        **_words(request),
    )


@router.post("/studio/write")
async def result(request: Request) -> Response:
    """The analysis, the score, what would help, and what to post instead."""
    asked = Asked.of(await read_form(request))
    body = asked.body() | {"n_templates": asked.n, "engine": "templates"}
    answer = await ask(request, "POST", "/analyze-query", body)
    if not answer.ok:
        status, message = HTTPStatus.UNPROCESSABLE_ENTITY, _refusal(request, asked, answer)
        response = await page(request, "write/refused.html", status=status, message=message)
        response.headers["hx-retarget"] = "#draft-error"
        return response
    said = answer.body
    limit = await length_limit(request)
    cards = cards_of(said["templates"], said["best"], asked.draft, said["prediction"], limit)
    return await page(
        request,
        "write/result.html",
        asked=asked,
        said=said,
        marked=_marked(asked.draft, said["analysis"]),
        bars=_bars(said["prediction"]),
        writing=asked.engine == "full",
        silence=None,
        **_shown(asked, cards, said, said["analysis"]),
        **_words(request),
    )


@router.post("/studio/write/stream")
async def stream(request: Request) -> Response:
    """Candidates of the language model as they come, each as HTML in an event, then all of them ranked."""
    asked = Asked.of(await read_form(request))
    events = _streamed(request, asked)
    return ClosedStream(events, source=events, headers=STREAM_HEADERS, media_type="text/event-stream")


async def _streamed(request: Request, asked: Asked) -> AsyncGenerator[bytes, None]:
    body = asked.body() | {"n": asked.n, "engine": "auto"}
    limit = await length_limit(request)
    async with aclosing(listen(request, "/generate/stream", body)) as events:
        async for name, content in events:
            # What is no model's stands there already, from the quick answer.
            if name == "candidate" and content["source"] == "lm":
                card = card_of(content, asked.draft, limit)
                yield await _event(
                    request, "candidate", "write/candidate.html", asked=asked, card=card, position=0, testable=True
                )
            elif name == "done":
                yield await _ranked(request, asked, content, limit)
            elif name == "problem":
                yield await _event(request, "problem", "write/refused.html", message=content["detail"])
            elif name == "answer":
                yield await _whole(request, asked, content, body, limit)


async def _whole(request: Request, asked: Asked, answer: Answered, body: dict[str, Any], limit: int) -> bytes:
    """The one event of an answer that came without events: a problem, or of a server that does not know the route."""
    if answer.status in {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}:
        answer = await ask(request, "POST", "/generate", body)
    if answer.ok:
        return await _ranked(request, asked, answer.body, limit)
    return await _event(request, "problem", "write/refused.html", message=answer.body["detail"])


async def _ranked(request: Request, asked: Asked, generated: dict[str, Any], limit: int) -> bytes:
    draft = {"text": asked.draft, "history": asked.history} | asked.told_language()
    scored, read = await asyncio.gather(
        ask(request, "POST", "/predict", {"drafts": [draft]}),
        ask(request, "POST", "/analyze", {"texts": [asked.draft]}),
    )
    prediction = scored.body["results"][0] if scored.ok else None
    analysis = read.body["results"][0] if read.ok else None
    cards = cards_of(generated["candidates"], generated["best"], asked.draft, prediction, limit)
    return await _event(
        request,
        "done",
        "write/candidates.html",
        asked=asked,
        writing=False,
        silence=silence_of(asked, cards, generated["degraded"], analysis and analysis["language"]),
        **_shown(asked, cards, generated, analysis),
    )


async def _event(request: Request, name: str, template: str, **context: Any) -> bytes:
    rendered = await page(request, template, **context, **_words(request))
    lines = bytes(rendered.body).decode().split("\n")
    return "".join([f"event: {name}\n", *(f"data: {line}\n" for line in lines), "\n"]).encode()


def _words(request: Request) -> dict[str, Any]:
    """The words of codes, for templates."""
    language = language_of(request)
    _ = translations(language).gettext
    return {
        "words": labels(_),
        "messages": rule_messages(_, language),
        "advised": partial(advice_in_words, language=language),
        "noted": partial(note_in_words, language=language),
        "language_name": partial(language_name, interface=language),
    }


def _shown(
    asked: Asked, cards: tuple[Card, ...], said: dict[str, Any], analysis: dict[str, Any] | None
) -> dict[str, Any]:
    """What the list of texts is rendered from."""
    return {
        "cards": cards,
        "verdict": verdict_of(said["best"], cards),
        "notes": said["notes"],
        "degraded": said["degraded"],
        "testable": may_be_tested(analysis),
        "can_write": may_be_tested(analysis) and (asked.language or (analysis and analysis["language"])) in WRITTEN,
    }


def _refusal(request: Request, asked: Asked, answer: Answered) -> str:
    """Why a draft was refused, in a sentence."""
    _ = translations(language_of(request)).gettext
    if not asked.draft:
        return _("Write something first: a draft, or a sentence on what happens, where and when.")
    if len(asked.draft) > MAX_TEXT_CHARACTERS:
        return _("This is longer than 4,000 characters, the most that can be read at once. Shorten it.")
    return answer.error("query") or answer.error("texts[0]") or str(answer.body["detail"])


def _marked(draft: str, analysis: dict[str, Any] | None) -> dict[str, Any] | None:
    """The draft cut where entities and findings lie; None where nobody read it."""
    if analysis is None:
        return None
    entities, found = analysis["entities"] or [], analysis["findings"] or []
    spans = [(each["start"], each["end"]) for each in entities] + finding_spans(found)
    return {"pieces": pieces(draft, spans), "entities": entities, "findings": found, "n": len(entities)}


def _bars(prediction: dict[str, Any] | None) -> dict[str, Any] | None:
    """What drives a score, the strongest first, with the longest bar's points; None where there is no score."""
    if prediction is None or prediction["viral_score"] is None:
        return None
    sizes = sorted(prediction["contributions"].items(), key=lambda each: -abs(each[1]))
    told = [(name, points) for name, points in sizes if abs(points) >= SMALL_POINTS]
    return {
        "rows": told,
        "rest": sum(points for _, points in sizes[len(told) :]),
        "most": max((abs(points) for _, points in told), default=1.0),
    }
