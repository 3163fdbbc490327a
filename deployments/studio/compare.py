"""Two drafts side by side: which is likelier to do better, what each may expect, and a test where nobody can tell."""

from __future__ import annotations

import asyncio
import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from babel.dates import format_datetime
from fastapi import APIRouter, Request, Response

from deployments.studio.counting import counting_url
from deployments.studio.drafting import may_be_tested
from deployments.studio.forms import read_form
from deployments.studio.labels import rule_messages
from deployments.studio.languages import language_of, translations
from deployments.studio.pages import Answered, ask, page
from deployments.studio.said import note_in_words
from pipelines.text.tweets import normalized

# Words with the marks that hang on them, and the spaces between.
PIECES = re.compile(r"\s+|[^\s]+")
PART = "comparison"
CHANNELS = ("owned", "ads")
router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, kw_only=True)
class Side:
    """What is known of one draft; `pieces` are its words, each with whether the other draft has it there too.

    `prediction`, `analysis` are None where that part did not answer or refused the text.
    """

    pieces: tuple[tuple[str, bool], ...]
    prediction: dict[str, Any] | None
    analysis: dict[str, Any] | None
    findings: tuple[dict[str, Any], ...]


@router.get("/studio/compare")
async def compare_page(request: Request) -> Response:
    """The place for two drafts; compared at once where the address brings both."""
    a, b = (request.query_params.get(name, "") for name in ("a", "b"))
    found = await _compared(request, a, b) if a.strip() and b.strip() else {}
    return await page(request, "compare.html", **_blank(a, b) | found)


@router.post("/studio/compare")
async def compare(request: Request) -> Response:
    """Compare two drafts: the part below the form, or the whole page for who comes from another one."""
    form = await read_form(request)
    a, b = form.text("a"), form.text("b")
    known = _blank(a, b) | await _compared(request, a, b)
    status = HTTPStatus.UNPROCESSABLE_ENTITY if known["errors"] else HTTPStatus.OK
    template = "compare/result.html" if request.headers.get("hx-target") == PART else "compare.html"
    return await page(request, template, status=status, **known)


@router.post("/studio/compare/test")
async def start_test(request: Request) -> Response:
    """Start an A/B test of both drafts."""
    form = await read_form(request)
    language = language_of(request)
    _ = translations(language).gettext
    channel = form.text("channel")
    # Not the drafts themselves: the audit names an experiment, and no text of a post stands there.
    now = format_datetime(datetime.now(UTC), "short", locale=language)
    body = {
        "name": _("Two drafts, {time} UTC").format(time=now),
        "channel": channel if channel in CHANNELS else CHANNELS[0],
        "variants": [{"name": name, "content": form.text(name)} for name in ("a", "b")],
    }
    answer = await ask(request, "POST", "/ab-test/create", body)
    status = HTTPStatus.OK if answer.ok else HTTPStatus.UNPROCESSABLE_ENTITY
    response = await page(request, "compare/test.html", status=status, answer=answer)
    if answer.ok:
        # In place of the form, so that a second click starts no second test.
        response.headers.update({"hx-retarget": "#test-form", "hx-reswap": "outerHTML"})
    return response


def _blank(a: str, b: str) -> dict[str, Any]:
    blank: dict[str, Any] = {
        "errors": {},
        "compared": None,
        "sides": {},
        "degraded": (),
        "refusal": None,
        "alike": None,
        "testable": True,
    }
    return {"a": a, "b": b, "counting": counting_url(), **blank}


async def _compared(request: Request, a: str, b: str) -> dict[str, Any]:
    """What the API says of a pair, for the templates; `errors` by draft where a text is refused."""
    pair = {"a": a, "b": b}
    compared, predicted, analyzed = await asyncio.gather(
        ask(request, "POST", "/compare", {"pairs": [pair]}),
        ask(request, "POST", "/predict", {"drafts": [{"text": text} for text in pair.values()]}),
        ask(request, "POST", "/analyze", {"texts": list(pair.values())}),
    )
    if errors := _errors(compared):
        return {"errors": errors}
    if not compared.ok:
        return {"refusal": compared.body["detail"]}
    degraded = [name for answer in (compared, predicted, analyzed) if answer.ok for name in answer.body["degraded"]]
    for prediction in predicted.body["results"] if predicted.ok else ():
        if prediction and prediction["note"]:
            prediction["note"] = note_in_words(prediction["note"], language_of(request))
    pieces = dict(zip(pair, different(a, b), strict=True))
    language = language_of(request)
    messages = rule_messages(translations(language).gettext, language)
    return {
        "compared": compared.body["results"][0],
        "alike": "same" if normalized(a) == normalized(b) else "spaces" if a.split() == b.split() else None,
        "testable": all(may_be_tested(_result(analyzed, place)) for place in range(len(pair))),
        "degraded": tuple(dict.fromkeys(degraded)),
        "sides": {
            name: _side(pieces[name], _result(predicted, place), _result(analyzed, place), messages)
            for place, name in enumerate(pair)
        },
    }


def _errors(answer: Answered) -> dict[str, str]:
    """What is wrong with which draft."""
    if answer.ok:
        return {error["field"].rpartition(".")[2]: error["message"] for error in answer.body["errors"]}
    found = {error["field"].rpartition(".")[2]: error["message"] for error in answer.body.get("errors", ())}
    return {name: found[name] for name in ("a", "b") if name in found}


def _result(answer: Answered, place: int) -> dict[str, Any] | None:
    return answer.body["results"][place] if answer.ok else None


def _side(
    pieces: tuple[tuple[str, bool], ...],
    prediction: dict[str, Any] | None,
    analysis: dict[str, Any] | None,
    messages: Mapping[str, str],
) -> Side:
    findings = analysis["findings"] if analysis else ()
    return Side(
        pieces=pieces,
        prediction=prediction,
        analysis=analysis,
        findings=tuple(
            # In the reader's language, whatever language the draft is in.
            finding | {"message": messages.get(finding["rule"], finding["message"])}
            for finding in findings
        ),
    )


def different(a: str, b: str) -> tuple[tuple[tuple[str, bool], ...], tuple[tuple[str, bool], ...]]:
    """Return both texts in pieces, each with whether it is the same in both; together they are the text."""
    first, second = PIECES.findall(a), PIECES.findall(b)
    same_first, same_second = set[int](), set[int]()
    for block in difflib.SequenceMatcher(None, first, second, autojunk=False).get_matching_blocks():
        same_first |= {*range(block.a, block.a + block.size)}
        same_second |= {*range(block.b, block.b + block.size)}
    return _joined(first, same_first), _joined(second, same_second)


def _joined(pieces: list[str], same: set[int]) -> tuple[tuple[str, bool], ...]:
    joined: list[tuple[str, bool]] = []
    for place, piece in enumerate(pieces):
        # A space is no wording of its own: between two words that differ it belongs to them.
        is_same = bool({place - 1, place + 1} & same) if piece.isspace() else place in same
        if joined and joined[-1][1] == is_same:
            joined[-1] = (joined[-1][0] + piece, is_same)
        else:
            joined.append((piece, is_same))
    return tuple(joined)
