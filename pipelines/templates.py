"""Fills tweet frames with what a brief holds; invents nothing.

A frame is text with alternatives `{a|b}`, optional parts `{? ...}` that stay where their slots can be filled, and typed
slots `{topic}`. Which slots a language has and what fills them: pipelines/english.py, pipelines/spanish.py. The
author's words are values of slots: they are never read as a frame.
"""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby
from math import gcd, prod
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias, get_args

from pipelines import english, spanish
from pipelines.phrases import longest_copied_run
from pipelines.records import Brief, Intent, Language, Objective, Proposal, Template, Tone
from pipelines.tweets import MAX_WEIGHTED_LENGTH, entities, is_postable, weighted_length

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PATHS = tuple(Path(__file__).with_name(f"templates_{language}.json") for language in get_args(Language))
GRAMMARS: dict[Language, ModuleType] = {"en": english, "es": spanish}
MAX_VARIANTS = 4_096
MAX_DEPTH = 8
MAX_COPIED_WORDS = 6
# Slots that carry the author's message, and slots that say nothing about it.
# fmt: off
MESSAGE_SLOTS = frozenset({
    "fact", "hecho", "when", "When", "cuando", "Cuando", "anuncio", "discount", "oferta", "Oferta", "hiring", "gente",
    "gracias", "largo", "dos", "pregunta",
})
LABEL_SLOTS = frozenset({
    "topic", "Topic", "headline", "Headline", "we", "We", "we_are", "We_are", "us", "our",
    "titular", "Titular", "propuesta", "Propuesta", "tu", "usted", "sin_enlace", "nos", "leemos", "respondemos",
    "avisamos", "queremos", "Queremos", "Accion_tu",
})
# fmt: on


@dataclass(frozen=True)
class Slot:
    """A typed slot of a frame."""

    name: str


@dataclass(frozen=True)
class Choice:
    """Alternatives of a frame; an optional one may be left out, and is where its slots are missing."""

    options: tuple[Parts, ...]
    optional: bool = False
    sizes: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Count the variants of each alternative, which every use of the frame asks for."""
        object.__setattr__(self, "sizes", tuple(map(count, self.options)))


Parts: TypeAlias = "tuple[str | Slot | Choice, ...]"


@lru_cache(maxsize=1)
def load_templates() -> tuple[Template, ...]:
    """Read the bundled frames of both languages.

    Raises:
        ValueError: a frame is malformed, has an unknown slot or field value, or a name is not unique.
    """
    return parse_templates(row for path in PATHS for row in json.loads(path.read_text(encoding="utf-8")))


def parse_templates(rows: Iterable[dict[str, Any]]) -> tuple[Template, ...]:
    """Check rows of frames, bundled or a user's own, and return them as records.

    Raises:
        ValueError: names the template and what is wrong: a field value or a slot that the language does not know, a
            brace that is not closed or not opened, more than MAX_VARIANTS variants, a name that is not unique.
    """
    templates = tuple(Template(**row) for row in rows)
    known = {"language": Language, "objective": Objective, "tone": Tone, "intent": Intent}
    for template in templates:
        for name, values in known.items():
            if getattr(template, name) not in get_args(values):
                raise ValueError(f"template {template.name}: {name} {getattr(template, name)!r} is unknown")
        try:
            _check(template)
        except ValueError as error:
            raise ValueError(f"template {template.name}: {error}") from error
    if len({template.name for template in templates}) < len(templates):
        raise ValueError("two templates have one name")
    return templates


def _check(template: Template) -> None:
    parts = parse(template.content)
    known: frozenset[str] = GRAMMARS[template.language].SLOTS
    if unknown := sorted(set(slot_names(parts)) - known):
        raise ValueError(f"slot {unknown[0]!r} is unknown; {template.language} has {', '.join(sorted(known))}")
    if count(parts) > MAX_VARIANTS:
        raise ValueError(f"more than {MAX_VARIANTS} variants")
    # "com" makes a link of `evil.{topic}` and a handle of `@{topic}`; with spaces around it makes none.
    glued, spaced = (dict.fromkeys(known, filling) for filling in ("com", " com "))
    if any(linked(write(parts, glued, index)) != linked(write(parts, spaced, index)) for index in range(count(parts))):
        raise ValueError("a slot stands beside a sign that makes a link or a handle of it")


def linked(text: str) -> list[str]:
    """Return what X would link in a text: addresses, handles and cashtags."""
    return [entity.text for entity in entities(text) if entity.label in {"URL", "MENTION", "CASHTAG"}]


def realise(brief: Brief) -> list[Proposal]:
    """Return up to `brief.n` distinct valid tweets, from the frames that fit best first; see _ranked.

    The same brief gives the same tweets, another seed gives others. Fewer come back where the brief fills too few
    frames; a frame comes a second time, in other words, when every other one has had its turn. None repeats more than
    MAX_COPIED_WORDS words of the query in a row.
    """
    slots: dict[str, str] = GRAMMARS[brief.language].slots(brief)
    names = frozenset(slots)
    chance = random.Random(f"{brief.seed} {brief.query}")
    queues: list[tuple[str, Iterator[str]]] = []
    found: dict[str, Proposal] = {}
    for equals in _ranked(brief.templates, brief.language, brief.objectives, brief.intent, brief.tone):
        for template in chance.sample(equals, len(equals)) if len(found) < brief.n else ():
            parts = fillable(template.content, names)
            if parts is not None and len(found) < brief.n:
                queues.append((template.name, _texts(parts, slots, chance.random())))
                _take(found, *queues[-1], brief)
    while queues and len(found) < brief.n:
        queues = [queue for queue in queues if len(found) < brief.n and _take(found, *queue, brief)]
    return list(found.values())


@lru_cache(maxsize=1024)
def _ranked(
    own: tuple[Template, ...], language: Language, objectives: tuple[Objective, ...], intent: Intent | None, tone: Tone
) -> tuple[tuple[Template, ...], ...]:
    """Return frames by how well they fit, best first, those that fit as well together.

    What comes first weighs more than all that follows it: the objective (the first that was asked for before the
    others), whether the frame carries the author's message, is about the topic or only names it, the intent unless
    that is "other", the tone, its proven record.
    """

    def fit(template: Template) -> tuple[int, int, bool, bool, float]:
        asked = template.objective in objectives
        rank = len(objectives) - objectives.index(template.objective) if asked else 0
        said = template.intent == intent != "other"
        record = template.success_lower_bound or 0.0
        return rank, _weight(template.content), said, template.tone == tone, record

    mine = sorted((one for one in own or load_templates() if one.language == language), key=fit, reverse=True)
    return tuple(tuple(equals) for _, equals in groupby(mine, key=fit))


def _take(found: dict[str, Proposal], name: str, texts: Iterator[str], brief: Brief) -> bool:
    """Add the next text of a frame that may be posted; tell whether there was one."""
    for text in texts:
        length = weighted_length(text)
        if (
            text not in found
            and length <= MAX_WEIGHTED_LENGTH
            and is_postable(text)
            and longest_copied_run(text, brief.query, brief.entities) <= MAX_COPIED_WORDS
        ):
            found[text] = Proposal(text, length, "template", name)
            return True
    return False


def _texts(parts: Parts, slots: Mapping[str, str], start: float) -> Iterator[str]:
    """Yield every variant once; neighbors differ in more than the last alternative: steps of the golden ratio."""
    total = count(parts)
    stride = round(total * 0.618)
    while gcd(stride, total) != 1:
        stride += 1
    for turn in range(total):
        yield write(parts, slots, (int(start * total) + stride * turn) % total)


def _weight(content: str) -> int:
    """Return 2 for a frame that carries the author's message, 0 for one that uses the topic as a label, else 1."""
    names = {part.name for part in _required(parse(content)) if isinstance(part, Slot)}
    return 2 if names & MESSAGE_SLOTS else int(not names <= LABEL_SLOTS)


def _required(parts: Parts) -> Iterator[str | Slot]:
    for part in parts:
        if not isinstance(part, Choice):
            yield part
        elif not part.optional:
            for option in part.options:
                yield from _required(option)


@lru_cache(maxsize=1024)
def parse(content: str) -> Parts:
    """Read a frame into its parts.

    Raises:
        ValueError: a brace is not closed or not opened, a bar stands outside of braces, or braces nest too deep.
    """
    options, rest = _parse(content, depth=0)
    if rest:
        raise ValueError("'}' stands outside of braces")
    return options[0]


def _parse(content: str, depth: int) -> tuple[list[Parts], str]:
    """Read alternatives up to the brace that closes this level; return them and what stands after the brace."""
    if depth > MAX_DEPTH:
        raise ValueError(f"braces nest deeper than {MAX_DEPTH}")
    options: list[list[str | Slot | Choice]] = [[]]
    while content:
        plain, slot = PLAIN.match(content), SLOT.match(content)
        if plain or slot:
            options[-1].append(plain[0] if plain else Slot(slot[1]) if slot else "")
            content = content[(plain or slot).end() :]  # type: ignore[union-attr]  # one of the two matched
        elif content[0] == "{":
            optional = content.startswith("{?")
            inner, content = _parse(content[1 + optional :], depth + 1)
            options[-1].append(Choice(tuple(inner), optional))
        elif depth == 0:
            raise ValueError(f"{content[0]!r} stands outside of braces")
        elif content[0] == "|":
            options.append([])
            content = content[1:]
        else:
            return [tuple(option) for option in options], content[1:]
    if depth:
        raise ValueError("a brace is not closed")
    return [tuple(option) for option in options], ""


def slot_names(parts: Parts) -> Iterator[str]:
    """Yield the names of all slots of a frame."""
    for part in parts:
        if isinstance(part, Slot):
            yield part.name
        elif isinstance(part, Choice):
            for option in part.options:
                yield from slot_names(option)


@lru_cache(maxsize=8192)
def fillable(content: str, slots: frozenset[str]) -> Parts | None:
    """Return the part of a frame that these slots can fill; None where a slot that it needs is missing."""
    return _fillable(parse(content), slots)


def _fillable(parts: Parts, slots: frozenset[str]) -> Parts | None:
    kept: list[str | Slot | Choice] = []
    for part in parts:
        if isinstance(part, Choice):
            options = tuple(filled for option in part.options if (filled := _fillable(option, slots)) is not None)
            if options:
                kept.append(Choice(options))
            elif not part.optional:
                return None
        elif isinstance(part, Slot) and part.name not in slots:
            return None
        else:
            kept.append(part)
    return tuple(kept)


def count(parts: Parts) -> int:
    """Return how many variants a frame has, without writing them; one for an optional part that is always filled."""
    return prod(sum(part.sizes) for part in parts if isinstance(part, Choice))


def write(parts: Parts, slots: Mapping[str, str], index: int) -> str:
    """Write variant number `index` in [0, count(parts)) of a frame whose slots are all there."""
    texts: list[str] = []
    for part in parts:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, Slot):
            texts.append(slots[part.name])
        else:
            index, place = divmod(index, sum(part.sizes))
            for option, size in zip(part.options, part.sizes, strict=True):
                if place < size:
                    texts.append(write(option, slots, place))
                    break
                place -= size
    return "".join(texts)


PLAIN = re.compile(r"[^{}|]+")
SLOT = re.compile(r"\{([^\W\d_]\w*)\}")
