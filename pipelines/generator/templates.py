"""Fills tweet frames with what a brief holds; invents nothing.

A frame is text with alternatives `{a|b}`, optional parts `{? ...}` that stay where their slots can be filled, and typed
slots `{topic}`. Which slots a language has and what fills them: pipelines/english.py, pipelines/spanish.py. The
author's words are values of slots: they are never read as a frame.
"""

from __future__ import annotations

import json
import random
from functools import lru_cache
from itertools import groupby
from math import gcd
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, get_args

import regex

from pipelines import english, spanish
from pipelines.generator.frames import Parts, Slot, count, fillable, needs, parse, required, slot_names, write
from pipelines.generator.phrases import longest_copied_run
from pipelines.records import Brief, Intent, Language, Objective, Proposal, Template, Tone
from pipelines.text.tweets import MAX_WEIGHTED_LENGTH, entities, is_postable, weighted_length

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

SAYING = regex.compile(r"[\p{L}\p{N}\p{So}]")
PATHS = tuple(Path(__file__).with_name(f"templates_{language}.json") for language in get_args(Language))
GRAMMARS: dict[Language, ModuleType] = {"en": english, "es": spanish}
MAX_VARIANTS = 4_096
MAX_COPIED_WORDS = 6
# The weight of a frame that carries the author's message.
MESSAGE = 2
# Slots that carry the author's message, and slots that say nothing about it.
# fmt: off
MESSAGE_SLOTS = frozenset({
    "fact", "hecho", "variante", "when", "When", "discount", "hiring",
    "pregunta", "duda", "lista", "recomendado", "accion", "evento", "al_evento", "propio", "buscado", "vivido",
    "del_asunto",
    "question", "wonder", "also", "doing", "Doing", "how", "question_line", "matter", *english.KIND_SLOTS,
})
LABEL_SLOTS = frozenset({
    "topic", "Topic", "headline", "Headline", "we", "We", "we_are", "We_are", "us", "our",
    "titular", "tu", "usted", "sin_enlace", "nos", "leemos",
})
# fmt: on


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
    if not set(slot_names(parts)):
        raise ValueError("without a slot it says the same of everything: use one, such as {topic}")
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
    for equals in _ranked(brief.templates, brief.language, brief.objectives, brief.tone):
        for template in chance.sample(equals, len(equals)) if len(found) < brief.n else ():
            if brief.grave and (template.tone in {"witty", "bold"} or not is_bare(template.content)):
                continue
            parts = fillable(template.content, names) if needs(template.content) <= names else None
            if parts is not None and len(found) < brief.n:
                queues.append((template.name, _texts(parts, slots, chance.random())))
                _take(found, *queues[-1], brief)
    while queues and len(found) < brief.n:
        queues = [queue for queue in queues if len(found) < brief.n and _take(found, *queue, brief)]
    return list(found.values())


@lru_cache(maxsize=1024)
def _ranked(
    own: tuple[Template, ...], language: Language, objectives: tuple[Objective, ...], tone: Tone
) -> tuple[tuple[Template, ...], ...]:
    """Return frames by how well they fit, best first, those that fit as well together.

    What comes first weighs more than all that follows it: whether the frame carries the author's message in a tone that
    suits and sells only where that was asked for, the objective (the first that was asked for before the others),
    whether it is about the topic or only names it, the tone, its proven record. The intent is no reason: to read it
    would make every lone query wait for the encoder.
    """

    def fit(template: Template) -> tuple[int, int, int, bool, float]:
        asked = template.objective in objectives
        rank = len(objectives) - objectives.index(template.objective) if asked else 0
        record = template.success_lower_bound or 0.0
        weight = _weight(template.content)
        sells = template.objective in {"sales", "signups"} and not asked
        level = (weight == MESSAGE) * (1 + (suits(template.tone, tone) and not sells))
        return level, rank, weight, template.tone == tone, record

    mine = sorted((one for one in own or load_templates() if one.language == language), key=fit, reverse=True)
    return tuple(tuple(equals) for _, equals in groupby(mine, key=fit))


@lru_cache(maxsize=1024)
def is_bare(content: str) -> bool:
    """Whether a frame says nothing but what its slots hold: no word and no picture of its own in any variant."""
    parts = parse(content)
    empty = dict.fromkeys(slot_names(parts), "")
    return not any(SAYING.search(write(parts, empty, index)) for index in range(count(parts)))


def suits(tone: Tone, asked: Tone) -> bool:
    """Whether a frame of one tone may be read where another was asked for: a joke never where it was not."""
    return tone in {asked, "neutral"} or (tone == "friendly" and asked != "formal")


def _take(found: dict[str, Proposal], name: str, texts: Iterator[str], brief: Brief) -> bool:
    """Add the next text of a frame that may be posted; tell whether there was one."""
    for text in texts:
        length = weighted_length(text)
        if (
            text not in found
            and text.casefold() != brief.query.casefold()
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


@lru_cache(maxsize=1024)
def _weight(content: str) -> int:
    """Return 2 for a frame that carries the author's message, 0 for one that uses the topic as a label, else 1."""
    names = {part.name for part in required(parse(content)) if isinstance(part, Slot)}
    return MESSAGE if names & MESSAGE_SLOTS else int(not names <= LABEL_SLOTS)
