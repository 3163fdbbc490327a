"""The cards of the models: what each does, what it was learned from, how good it is, and which version serves now."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from pathlib import Path
from posixpath import normpath
from typing import Any

from fastapi import APIRouter, Request, Response
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from deployments.http.calls import front_of
from deployments.http.problems import Problem
from deployments.studio.languages import language_of, translations
from deployments.studio.pages import page

MODELS = Path(__file__).resolve().parents[2] / "models"
# Stands in for a word that the language of the page gives.
TABLE_LABEL = "table-label"
router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, kw_only=True)
class Card:
    """A model's card: `body` is HTML without its title.

    `version` and `created` are those of metadata.json, None where it tells none.
    """

    name: str
    title: str
    body: Markup
    version: str | None
    created: str | None


@router.get("/studio/models")
async def models_page(request: Request) -> Response:
    """Every model with a line about it."""
    lines = _lines(translations(language_of(request)).gettext)
    return await page(request, "models.html", cards=_cards().values(), lines=lines, serving=_serving(request))


@router.get("/studio/models/{name}")
async def model_page(request: Request, name: str) -> Response:
    """The card of one model."""
    if (card := _cards().get(name)) is None:
        raise Problem(HTTPStatus.NOT_FOUND, "There is no such model.")
    _ = translations(language_of(request)).gettext
    # Where a table is wider than the page, a keyboard scrolls it by this region.
    body = Markup(card.body.replace(TABLE_LABEL, Markup.escape(_("Table"))))  # noqa: S704  # our own, escaped by the renderer  # nosec B704
    return await page(request, "model.html", card=card, body=body, serving=_serving(request).get(name))


def _lines(_: Callable[[str], str]) -> dict[str, str]:
    """What each model does, in a line."""
    return {
        "accents": _("Puts the accents back into Spanish that was typed without them."),
        "encoder": _("Reads English and Spanish: tone, emotion, intent, irony and offence all start from it."),
        "generator": _("Writes candidates in English: a small language model on this machine."),
        "judge": _("Says how likely a stranger would post a text as it is."),
        "sensitivity": _("Tells sober news and harmful texts from all others."),
        "slips": _("Finds confused English words, such as its and it's."),
        "substance": _("Says how likely an English text says something and is not filler."),
        "verifier": _("Gives a second opinion on whether a candidate stays with its brief."),
        "viral_predictor": _("Scores a draft: its expected place among your own posts."),
        "wording": _("Says which of two wordings does better."),
    }


def _serving(request: Request) -> dict[str, bool]:
    """Of each model whose version is told by what answers: whether it is the one of its card."""
    stages = front_of(request).answers.stages
    told = " ".join([*stages.model_versions.values(), stages.wording_version or ""])
    return {name: card.version in told for name, card in _cards().items() if card.version and told.strip()}


@cache
def _cards() -> dict[str, Card]:
    """The cards by the name of their folder; nothing else can be asked for."""
    return {path.parent.name: _card(path) for path in sorted(MODELS.glob("*/CARD.md"))}


def _card(path: Path) -> Card:
    # Not orjson: figures of a metadata may be NaN.
    metadata: dict[str, Any] = json.loads((path.parent / "metadata.json").read_bytes())
    # CommonMark with tables; raw HTML is shown as text.
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = _arranged(markdown.parse(path.read_text(encoding="utf-8")), path.parent.name)
    return Card(
        name=path.parent.name,
        title=_plain(tokens[1]),
        body=Markup(markdown.renderer.render(tokens[3:], markdown.options, {})),  # noqa: S704  # raw HTML is escaped  # nosec B704
        version=metadata.get("version"),
        created=metadata.get("created"),
    )


def _plain(inline: Token) -> str:
    return "".join(" " if child.type == "softbreak" else child.content for child in inline.children or ())


def _arranged(tokens: list[Token], model: str) -> list[Token]:
    """The same with tables that scroll by themselves, without styles, and with links that lead somewhere here."""
    arranged: list[Token] = []
    n_tables = 0
    for token, after in zip(tokens, [*tokens[1:], None], strict=True):
        if token.type == "inline":
            token.children = _linked(token.children or [], model)
        if token.type in {"th_open", "td_open"}:
            is_heading = token.type == "th_open" and after is not None and bool(after.content)
            token.tag = "th" if is_heading else "td"
            attributes: dict[str, str | int | float] = {"scope": "col"} if is_heading else {}
            token.attrs = attributes | ({"class": "n"} if "right" in str(token.attrs.get("style")) else {})
        if token.type == "th_close":
            # The corner of a table is no heading where nothing stands in it.
            token.tag = arranged[-2].tag
        if token.type == "table_open":
            n_tables += 1
            label = f"{TABLE_LABEL} {n_tables}"
            arranged.append(_html(f'<div class="wide" tabindex="0" role="region" aria-label="{label}">'))
        arranged.append(token)
        if token.type == "table_close":
            arranged.append(_html("</div>"))
    return arranged


def _html(content: str) -> Token:
    return Token("html_block", "", 0, content=content)


def _linked(children: list[Token], model: str) -> list[Token]:
    """The same with links to other cards led to their pages; one to another file of the repository is plain text."""
    kept, is_open = [], False
    for child in children:
        if child.type == "link_open":
            address = _address(str(child.attrGet("href")), model)
            is_open = address is not None
            child.attrSet("href", address or "")
        if child.type in {"link_open", "link_close"} and not is_open:
            continue
        kept.append(child)
    return kept


def _address(target: str, model: str) -> str | None:
    if target.startswith("https://"):
        return target
    match = re.fullmatch(r"/models/(\w+)/CARD\.md", normpath(f"/models/{model}/{target.partition('#')[0]}"))
    return f"/studio/models/{match[1]}" if match else None
