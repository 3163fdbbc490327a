"""Fills tweet frames with the author's own sentences; invents nothing and bends no word.

A frame is text with alternatives `{a|b}`, optional parts `{? ...}` that stay where their slots can be filled, and
slots `{text}` that hold whole sentences, lines, or things that stand alone: see SLOTS. The author's words are values
of slots: they are never read as a frame.
"""

from __future__ import annotations

import json
import random
from functools import lru_cache
from itertools import groupby
from math import gcd
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

import regex

from pipelines.editing.polish import is_name, polish
from pipelines.editing.spelling import is_known
from pipelines.editing.statements import ASKED, is_statement
from pipelines.generator.frames import Choice, Parts, Slot, count, fillable, needs, parse, slot_names, write
from pipelines.records import Brief, Intent, Language, Objective, Proposal, Template, Tone
from pipelines.text.sentences import ENDED, WORD, capitalized, is_balanced, is_prose, sentences
from pipelines.text.tweets import entities, is_postable, weighted_length
from pipelines.text.words import FUNCTION_WORDS, LEADING_ON, SUBORDINATE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

# What of a text says all of it: a frame that holds less would drop a fact, an instruction or a negation.
WHOLE: Final = tuple(
    map(
        frozenset,
        (
            ["text"],
            ["first", "rest"],
            ["before", "last"],
            ["lines"],
            ["question", "statement"],
            ["head", "items"],
            ["topic"],
            ["unfinished"],
        ),
    )
)
SAYING = regex.compile(r"[\p{L}\p{N}\p{So}]")
PATHS = tuple(Path(__file__).with_name(f"templates_{language}.json") for language in get_args(Language))
# What an account writes with that has archived every template: no text fills it. No template at all stands for the
# bundled ones.
NO_TEMPLATES: Final = (Template("none", "none", "en", "awareness", "neutral", "announce", ""),)
MAX_VARIANTS = 4_096
# What each slot holds; one that a query cannot fill is left out, and with it every frame that needs it.
SLOTS: Final[dict[str, str]] = {
    "text": "the author's own sentences, put right, without the links and tags that close them",
    "first": "the first of several sentences",
    "rest": "the sentences after the first",
    "last": "the last of three or more sentences",
    "before": "the sentences before that",
    "question": "the question that the author asks, where there is exactly one",
    "statement": "the sentences beside that question",
    "lines": "three or more sentences, one a line",
    "head": "the first entry of a row of keywords or facts",
    "items": "the other entries, one a line",
    "topic": "a query of a few words that is no sentence, as it is",
    "unfinished": "a query that breaks off, without its last mark",
    "url": "the link that closes the text",
    "hashtag": "the hashtag that closes the text",
    "handle": "the first account that the author names",
    "price": "the first amount of money",
    "percent": "the first percentage",
    "name": "the first name of a person or an organisation",
    "place": "the first place",
}
LABELS = {"URL": "url", "MENTION": "handle", "HASHTAG": "hashtag", "MONEY": "price", "PERCENT": "percent"}
LABELS |= {"PERSON": "name", "ORG": "name", "GPE": "place", "LOC": "place"}
ROW = regex.compile(r"\s*(?:[,;|·•](?!\d)|\s[-\u2013\u2014/]\s|\n)\s*")
LAST_WORD = regex.compile(r"(?<= )[\p{L}\p{M}'\u2019]+(?=[ .,;]*$)")
CLOSING = frozenset({"URL", "HASHTAG"})
MIN_ITEMS = 3
MAX_ITEM_WORDS = 12
MAX_TOPIC_WORDS = 5
MAX_LINES = 6
MIN_UNFINISHED = 2
FIRST_WORD = regex.compile(r"\p{Lu}[\p{Ll}\p{M}]+(?:['\u2019]\p{Ll}+)?(?![\p{L}\p{M}\p{N}'\u2019_@-])")
OWN_CAPITAL = regex.compile(r"\s+(?!I\b)\p{Lu}")
NAMES = frozenset({"NAME", "PERSON", "ORG", "GPE", "LOC"})
# Function words that somebody may be called.
NAMES_TOO = frozenset({"will", "may"})
PRONOUNS = frozenset({"it", "that", "they", "we", "you", "he", "she", "i", "this", "there", "things"})


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
        ValueError: names the template and what is wrong: a field value or a slot that is unknown, a brace that is not
            closed or not opened, more than MAX_VARIANTS variants, a name that is not unique.
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
    if unknown := sorted(set(slot_names(parts)) - SLOTS.keys()):
        raise ValueError(f"slot {unknown[0]!r} is unknown; there are {', '.join(SLOTS)}")
    if count(parts) > MAX_VARIANTS:
        raise ValueError(f"more than {MAX_VARIANTS} variants")
    if not set(slot_names(parts)):
        raise ValueError("without a slot it says the same of everything: use one, such as {text}")
    # "com" makes a link of `evil.{topic}` and a handle of `@{topic}`; with spaces around it makes none.
    glued, spaced = (dict.fromkeys(SLOTS, filling) for filling in ("com", " com "))
    if any(linked(write(parts, glued, index)) != linked(write(parts, spaced, index)) for index in range(count(parts))):
        raise ValueError("a slot stands beside a sign that makes a link or a handle of it")


def linked(text: str) -> list[str]:
    """Return what X would link in a text: addresses, handles and cashtags."""
    return [entity.text for entity in entities(text) if entity.label in {"URL", "MENTION", "CASHTAG"}]


def slots_of(brief: Brief) -> dict[str, str]:
    """Return the slots that a brief fills; see SLOTS."""
    text = polish(brief.query, brief.language)
    slots: dict[str, str] = {}
    for entity in (*brief.entities, *entities(text)):
        if entity.label in LABELS and entity.label not in CLOSING:
            slots.setdefault(LABELS[entity.label], entity.text)
    if is_unfinished(text, brief.language):
        # To finish it is a game for readers who are wanted to reply, and nothing for a notice.
        plays = not brief.objectives or bool({"engagement", "community"} & set(brief.objectives))
        return slots | ({"unfinished": _lowered(text.rstrip(" .,:;"), brief)} if plays else {})
    body, closing = _without_closing(text)
    for entity in entities(closing):
        slots.setdefault(LABELS[entity.label], entity.text)
    if is_statement(brief.query, brief.language) or len(sentences(body)) > 1:
        return slots | _sentence_slots(body)
    return slots | _row_slots(body, brief)


def is_unfinished(text: str, language: Language) -> bool:
    """Whether a text of one sentence breaks off: it ends on a word that leads on, or is a clause with `if` alone."""
    words = WORD.findall(text)
    if len(words) <= MIN_UNFINISHED or len(sentences(text)) != 1 or text.rstrip().endswith(("?", "!", ":")):
        return False
    last = LAST_WORD.search(text)
    clause_alone = words[0].casefold() in SUBORDINATE[language] and not set(",;:") & set(text)
    leads_on = last is not None and last[0].casefold() in LEADING_ON[language]
    # "That's how it is", "what are you waiting for" are whole.
    whole = words[-2].casefold() in PRONOUNS or (leads_on and ASKED[language].search(text) is not None)
    return clause_alone or (leads_on and not whole)


def _without_closing(text: str) -> tuple[str, str]:
    """Return a text without the links and tags that close it, and those; a link that its sentence leads to stays."""
    body = text
    for entity in reversed(entities(text)):
        if entity.label not in CLOSING or text[entity.end : len(body)].strip():
            break
        body = text[: entity.start].rstrip()
    return (body, text[len(body) :]) if ENDED.search(body) or "\n" in text[len(body) :] else (text, "")


def _sentence_slots(body: str) -> dict[str, str]:
    parts = sentences(body)
    if not parts or not is_prose(body):
        return {}
    if "\n" in body.strip():
        # The author has laid it out already.
        return {"text": body}
    said = [sentence for sentence, _ in parts]
    slots = {"text": body}
    if len(said) > 1:
        slots |= {"first": said[0], "rest": " ".join(said[1:])}
    if len(said) > 2:
        slots |= {"last": said[-1], "before": " ".join(said[:-1])}
    if MIN_ITEMS <= len(said) <= MAX_LINES:
        slots["lines"] = "\n".join(said)
    asked = [sentence for sentence in said if sentence.endswith("?")]
    if len(asked) == 1 and len(said) > 1:
        slots |= {"question": asked[0], "statement": " ".join(one for one in said if one != asked[0])}
    return slots


def _row_slots(body: str, brief: Brief) -> dict[str, str]:
    """Read a row of entries between commas; not one that is laid out already, nor one with sentences in it."""
    if "\n" in body:
        return {}
    entries = [entry.strip() for entry in _entries(body.rstrip(". ")) if entry.strip()]
    whole = all(is_balanced(entry) for entry in entries)
    if len(entries) >= MIN_ITEMS and whole and all(len(entry.split()) <= MAX_ITEM_WORDS for entry in entries):
        head, *items = map(capitalized, entries)
        title, colon, first = head.partition(": ")
        if colon:
            head, items = title, [capitalized(first), *items]
        return {"head": head, "items": "\n".join(items)}
    bare = len(entries) == 1 and len(body.split()) <= MAX_TOPIC_WORDS and not ENDED.search(body)
    if bare and is_prose(body) and not linked(body):
        return {"topic": _lowered(body, brief)}
    return {}


def _lowered(text: str, brief: Brief) -> str:
    """Return a text as it stands within a sentence: without a capital that only its place gave it.

    A name keeps its capital, and so does every word but a function word that the author has typed with one.
    """
    first = FIRST_WORD.match(text)
    if first is None or OWN_CAPITAL.match(text, first.end()):
        return text
    word = first[0].lower().replace("\u2019", "'")
    # Of the Spanish plurals few are listed.
    listed = is_known(word) or is_known(word.removesuffix("s"))
    typed_small = brief.query.lstrip().startswith(word) and listed and not is_name(word, brief.language)
    named = any(entity.label in NAMES and first[0] in WORD.findall(entity.text) for entity in brief.entities)
    ordinary = (word in FUNCTION_WORDS[brief.language] and word not in NAMES_TOO) or (typed_small and not named)
    return text[:1].lower() + text[1:] if ordinary else text


def _entries(row: str) -> list[str]:
    """Split a row at its separators, but not within brackets or quotes."""
    found: list[str] = []
    for entry in ROW.split(row):
        if found and not is_balanced(found[-1]):
            found[-1] += f", {entry}"
        else:
            found.append(entry)
    return found


def realise(brief: Brief, slots: Mapping[str, str] | None = None) -> list[Proposal]:
    """Return up to `brief.n` distinct valid tweets, from the frames that fit best first; see _ranked.

    The same brief gives the same tweets, another seed gives others. Fewer come back where the brief fills too few
    frames; a frame comes a second time, in other words, when every other one has had its turn. Of a sober brief only
    frames without a word of their own are filled, and never an account's own. `slots` are those of the brief, where
    they are known already.
    """
    if brief.templates == NO_TEMPLATES:
        return []
    slots = slots_of(brief) if slots is None else slots
    names = frozenset(slots)
    chance = random.Random(f"{brief.seed} {brief.query}")
    queues: list[tuple[str, Iterator[str]]] = []
    found: dict[str, Proposal] = {}
    own = () if brief.sober else brief.templates
    for equals in _ranked(own, brief.language, brief.objectives, brief.tone):
        for template in chance.sample(equals, len(equals)) if len(found) < brief.n else ():
            if brief.sober and not is_bare(template.content):
                continue
            parts = fillable(template.content, names) if needs(template.content) <= names else None
            filling = slots if parts is None else _filling(parts, slots, brief)
            if parts is not None and filling is not None and len(found) < brief.n:
                queues.append((template.name, _texts(parts, filling, chance.random())))
                _take(found, *queues[-1], brief)
    while queues and len(found) < brief.n:
        queues = [queue for queue in queues if len(found) < brief.n and _take(found, *queue, brief)]
    return list(found.values())


@lru_cache(maxsize=1024)
def _ranked(
    own: tuple[Template, ...], language: Language, objectives: tuple[Objective, ...], tone: Tone
) -> tuple[tuple[Template, ...], ...]:
    """Return frames by how well they fit, best first, those that fit as well together.

    What comes first weighs more than all that follows it: a tone that suits and selling only where that was asked for,
    the objective (the first that was asked for before the others), the tone, its proven record. A bundled frame that
    does not suit is left out. The intent is no reason: to read it would make every lone query wait for the encoder.
    """

    def fit(template: Template) -> tuple[bool, int, bool, float]:
        asked = template.objective in objectives
        rank = len(objectives) - objectives.index(template.objective) if asked else 0
        sells = template.objective in {"sales", "signups"} and not asked
        return (
            suits(template.tone, tone) and not sells,
            rank,
            template.tone == tone,
            template.success_lower_bound or 0.0,
        )

    mine = sorted((one for one in own or load_templates() if one.language == language), key=fit, reverse=True)
    return tuple(tuple(equals) for key, equals in groupby(mine, key=fit) if key[0] or own)


@lru_cache(maxsize=1024)
def is_bare(content: str) -> bool:
    """Whether a frame says nothing but what its slots hold: no word and no picture of its own in any variant."""
    parts = parse(content)
    empty = dict.fromkeys(slot_names(parts), "")
    return not any(SAYING.search(write(parts, empty, index)) for index in range(count(parts)))


def _filling(parts: Parts, slots: Mapping[str, str], brief: Brief) -> Mapping[str, str] | None:
    """Return what fills a frame so that it holds the whole of the text in every variant; None where it would not.

    The link and tag that close the text stay in `text` where the frame has no place of their own for them.
    """
    always = _always(parts)
    if not any(whole <= always for whole in WHOLE):
        return None
    if {"url", "hashtag"} & slots.keys() <= always:
        return slots
    return {**slots, "text": polish(brief.query, brief.language)} if always.isdisjoint({"url", "hashtag"}) else None


@lru_cache(maxsize=8192)
def _always(parts: Parts) -> frozenset[str]:
    """Return the slots that stand in every variant of a frame whose optional parts are filled or gone."""
    found = frozenset(part.name for part in parts if isinstance(part, Slot))
    return found.union(
        *(frozenset.intersection(*map(_always, part.options)) for part in parts if isinstance(part, Choice))
    )


def suits(tone: Tone, asked: Tone) -> bool:
    """Whether a frame of one tone may be read where another was asked for: a joke never where it was not."""
    return tone in {asked, "neutral"} or (tone == "friendly" and asked != "formal")


def _take(found: dict[str, Proposal], name: str, texts: Iterator[str], brief: Brief) -> bool:
    """Add the next text of a frame that may be posted; tell whether there was one."""
    for text in texts:
        length = weighted_length(text)
        if text not in found and text != brief.query and length <= brief.length_limit and is_postable(text):
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
