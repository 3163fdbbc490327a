"""Fills tweet frames with what a brief holds; invents nothing.

A frame is text with alternatives `{a|b}`, optional parts `{? ...}` that stay where their slots can be filled, and typed
slots: {topic} and {Topic} (as written, and capitalized), {opening} (the author's own sentence or the topic as a
headline), {hashtag}, {url}. The author's words are values of slots: they are never read as a frame.
"""

from __future__ import annotations

import json
import random
import re
from functools import lru_cache
from itertools import product
from math import gcd
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from pipelines.records import Brief, Intent, Language, Objective, Proposal, Template, Tone
from pipelines.tweets import FORBIDDEN, MAX_WEIGHTED_LENGTH, fitting_length, is_postable, weighted_length

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PATH = Path(__file__).with_name("templates.json")
SLOTS = frozenset({"topic", "Topic", "opening", "hashtag", "url"})
TOPIC_LENGTH = 80
OPENING_LENGTH = 220
HASHTAG_CHARACTERS = 30
MIN_SENTENCE_WORDS = 4
OBJECTIVE_FIT = 2.0
TONE_FIT = 1.0


@lru_cache(maxsize=1)
def load_templates() -> tuple[Template, ...]:
    """Read the bundled frames.

    Raises:
        ValueError: a frame is malformed, has an unknown slot or field value, or a name is not unique.
    """
    return parse_templates(json.loads(PATH.read_text(encoding="utf-8")))


def parse_templates(rows: Iterable[dict[str, Any]]) -> tuple[Template, ...]:
    """Check rows of frames; see load_templates."""
    templates = tuple(Template(**row) for row in rows)
    known = {"language": Language, "objective": Objective, "tone": Tone, "intent": Intent}
    for template in templates:
        for field, values in known.items():
            if getattr(template, field) not in get_args(values):
                raise ValueError(f"template {template.name}: {field} {getattr(template, field)!r} is unknown")
        try:
            variants(template.content)
        except ValueError as error:
            raise ValueError(f"template {template.name}: {error}") from error
    if len({template.name for template in templates}) < len(templates):
        raise ValueError("two templates have one name")
    return templates


def realise(brief: Brief, templates: Sequence[Template] | None = None) -> list[Proposal]:
    """Return up to `brief.n` distinct valid tweets, the frames that fit objective and tone best first.

    The same brief gives the same tweets. Fewer come back where the brief fills too few frames; a frame comes a second
    time, in other words, when every other one has had its turn.
    """
    slots = _slots(brief)
    chance = random.Random(brief.seed)
    fitting = [template for template in templates or load_templates() if template.language == brief.language]
    chance.shuffle(fitting)
    fitting.sort(key=lambda template: -_fit(template, brief))
    queues: list[tuple[str, list[str]]] = []
    for template in fitting:
        fillable = next((texts for names, texts in variants(template.content) if names <= slots.keys()), None)
        if fillable:
            queues.append((template.name, _spread(fillable, chance.randrange(len(fillable)))))
    found: dict[str, Proposal] = {}
    for turn in range(brief.n):
        for name, texts in queues:
            if len(found) == brief.n:
                return list(found.values())
            if turn < len(texts):
                text = texts[turn].format_map(slots)
                length = weighted_length(text)
                if length <= MAX_WEIGHTED_LENGTH and is_postable(text):
                    found.setdefault(text, Proposal(text, length, "template", name))
    return list(found.values())


def _spread(texts: Sequence[str], start: int) -> list[str]:
    """Order texts so that neighbors differ in more than the last alternative: steps of the golden ratio."""
    stride = round(len(texts) * 0.618)
    while gcd(stride, len(texts)) != 1:
        stride += 1
    return [texts[(start + stride * turn) % len(texts)] for turn in range(len(texts))]


@lru_cache(maxsize=1024)
def variants(content: str) -> tuple[tuple[frozenset[str], tuple[str, ...]], ...]:
    """Return the texts that a frame can become, by the slots that they need, most slots first.

    Raises:
        ValueError: a brace is not closed or not opened, or a slot is unknown.
    """
    texts, rest = _expand(content, nested=False)
    if rest:
        raise ValueError("a brace closes that was not opened")
    by_slots: dict[frozenset[str], list[str]] = {}
    for text in texts:
        by_slots.setdefault(frozenset(SLOT.findall(text)), []).append(text)
    return tuple((names, tuple(by_slots[names])) for names in sorted(by_slots, key=len, reverse=True))


def _expand(content: str, *, nested: bool) -> tuple[list[str], str]:
    """Expand up to the brace that closes this level; return the texts and what stands after the brace."""
    options: list[list[list[str]]] = [[]]
    while content:
        plain = PLAIN.match(content)
        if plain:
            options[-1].append([plain[0]])
            content = content[plain.end() :]
        elif content[0] == "{":
            slot = SLOT.match(content)
            inner, content = ([slot[0]], content[slot.end() :]) if slot else _group(content[1:])
            options[-1].append(inner)
        elif content[0] == "|" and nested:
            options.append([])
            content = content[1:]
        elif content[0] == "}" and nested:
            return ["".join(parts) for option in options for parts in product(*option)], content[1:]
        else:
            raise ValueError(f"{content[0]!r} stands outside of braces")
    if nested:
        raise ValueError("a brace is not closed")
    return ["".join(parts) for parts in product(*options[0])], ""


def _group(content: str) -> tuple[list[str], str]:
    optional = content.startswith("?")
    texts, rest = _expand(content.removeprefix("?"), nested=True)
    named = NAME.fullmatch(texts[0]) if len(texts) == 1 and not optional else None
    if named:
        raise ValueError(f"slot {texts[0]!r} is unknown")
    return ([*texts, ""] if optional else texts), rest


def _fit(template: Template, brief: Brief) -> float:
    """Score a frame: the first objective asked for weighs most, then the others, then the tone."""
    fit = TONE_FIT * (template.tone == brief.tone)
    if template.objective in brief.objectives:
        fit += OBJECTIVE_FIT + 1 / (1 + brief.objectives.index(template.objective))
    return fit


def _slots(brief: Brief) -> dict[str, str]:
    """Return what the brief can fill: no slot is ever filled with something that it does not hold."""
    slots: dict[str, str] = {}
    query = _one_line(brief.query)
    keywords = [keyword for keyword in map(_phrase, brief.keywords) if keyword]
    bare = _phrase(_without_entities(brief))
    headline = _is_headline(bare, keywords)
    topic = _cut(bare if headline or not keywords else keywords[0], TOPIC_LENGTH)
    if topic:
        slots["topic"] = topic
        slots["Topic"] = _capitalized(topic)
        slots["opening"] = slots["Topic"] + "."
        sentence = not headline and len(query.split()) >= MIN_SENTENCE_WORDS
        if sentence and weighted_length(query) <= OPENING_LENGTH:
            slots["opening"] = _capitalized(query)
    own = [entity.text for entity in brief.entities if entity.label == "HASHTAG"]
    hashtag = own[0] if own else _hashtag(keywords[0] if keywords else topic)
    if hashtag:
        slots["hashtag"] = hashtag
    url = next((entity.text for entity in brief.entities if entity.label == "URL"), None)
    if url:
        slots["url"] = url
    return slots


def _is_headline(text: str, keywords: Sequence[str]) -> bool:
    """Whether a query is a noun phrase rather than a sentence: keywords, and little words between them."""
    known = {word for keyword in keywords for word in keyword.lower().split()} | LITTLE_WORDS
    words = text.lower().split()
    return bool(keywords) and all(word in known for word in words)


def _without_entities(brief: Brief) -> str:
    text = brief.query
    for entity in brief.entities:
        if entity.label in {"URL", "MENTION", "HASHTAG", "CASHTAG", "EMOJI"}:
            text = text.replace(entity.text, " ")
    return text


def _one_line(text: str) -> str:
    return " ".join(FORBIDDEN.sub("", text).split())


def _phrase(text: str) -> str:
    return _one_line(text).strip(EDGES)


def _cut(text: str, limit: int) -> str:
    """Return as many whole words as fit; nothing where the first does not."""
    if weighted_length(text) <= limit:
        return text
    return text[: fitting_length(text, limit) + 1].rpartition(" ")[0].rstrip(EDGES)


def _capitalized(text: str) -> str:
    """Capitalize the first letter, unless the word has its own way (iPhone)."""
    first = text.split(" ", 1)[0]
    return text[0].upper() + text[1:] if first.islower() else text


def _hashtag(phrase: str) -> str | None:
    words = re.findall(r"[^\W_]+", phrase)
    tag = "".join(word[0].upper() + word[1:] for word in words)
    return f"#{tag}" if tag and not tag.isdigit() and len(tag) <= HASHTAG_CHARACTERS else None


EDGES = " .,;:!?¡¿…-\u2013\u2014|/\\\"'“”«»()[]{}<>*~_`"
PLAIN = re.compile(r"[^{}|]+")
SLOT = re.compile(r"\{(" + "|".join(sorted(SLOTS)) + r")\}")
NAME = re.compile(r"\w*")
# fmt: off
LITTLE_WORDS = frozenset({
    "a", "an", "the", "and", "for", "of", "in", "on", "to", "with", "from", "at", "by", "new", "our", "best",
    "el", "la", "los", "las", "un", "una", "y", "de", "del", "en", "para", "con", "por", "al", "nuestro", "nuestra",
})
# fmt: on
