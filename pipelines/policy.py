"""Reads a draft against X's public rules and says which one it may break, where, and what to do instead.

It sees the text and the author's own posts. It does not know who wrote the draft or asked for a reply, what is trending
and whether a hashtag belongs to the matter, what an account was paid for, or what other accounts post: where that
decides, it goes by what stands in the text. It helps an author who wants to keep the rules and prefers silence to a
false alarm; it is no filter against one who does not. Rules, messages and patterns are data in policy.json.
"""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import regex

from pipelines.records import Finding, Language, Post, Severity
from pipelines.text.letters import plain_letters
from pipelines.text.tweets import entities
from pipelines.text.words import FUNCTION_WORDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pipelines.text.tweets import Entity

Action = Literal["warn", "block", "off"]
Span = tuple[int, int]

PATH: Final = Path(__file__).with_name("policy.json")
# X's own advice is two hashtags; a panel or a team has four or five handles: beyond these nothing ordinary is left.
MAX_HASHTAGS: Final = 5
MAX_MENTIONS: Final = 5
# Fewer than these are no crowd, whatever else stands in the text.
CROWD: Final = 4
SIMILARITY: Final = 0.8
MIN_SIMILAR_WORDS: Final = 4


@dataclass(frozen=True)
class Rule:
    """What is looked for, as compiled data; None where nothing of that kind is."""

    severity: Severity
    default: Action
    source: str
    message: dict[Language, str]
    words: regex.Pattern[str] | None
    links: regex.Pattern[str] | None
    unless: regex.Pattern[str] | None
    tags: frozenset[str]


@dataclass(frozen=True)
class Policy:
    """What follows from each violation: it warns, blocks, or is left unsaid; rules that are not named keep the default.

    Blocked by default are the rules that a text alone can break for certain and that X lists as ending in suspension
    without exception (https://docs.x.com/developer-guidelines, prohibited activities): repeated posts, trade in
    engagement, and what is inferred about people's health, faith, politics, origin or orientation.

    Raises:
        ValueError: a rule or an action is unknown; the message lists the known ones.
    """

    actions: Mapping[str, Action] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = load_rules()
        for rule, action in self.actions.items():
            if rule not in known:
                raise ValueError(f"rule {rule!r} is unknown; known are {', '.join(known)}")
            if action not in get_args(Action):
                raise ValueError(f"{rule}: {action!r} is unknown; known are {', '.join(get_args(Action))}")

    def action(self, rule: str) -> Action:
        """Return what a violation of the rule leads to."""
        return self.actions.get(rule, load_rules()[rule].default)

    def heeded(self, violations: Iterable[Finding]) -> tuple[Finding, ...]:
        """Return the violations whose rule is not off."""
        return tuple(found for found in violations if self.action(found.rule) != "off")

    def blocks(self, violations: Iterable[Finding]) -> bool:
        """Tell whether a text with these violations must not be offered."""
        return any(self.action(found.rule) == "block" for found in violations)


def lint(text: str, *, history: Sequence[Post] = (), language: str | None = None) -> tuple[Finding, ...]:
    """Return what may break a rule of X, by place; each rule speaks once, at its first place.

    `history` are posts that the author made recently. Messages are Spanish where `language` is "es" and English for
    any other; without one the text decides between the two.
    """
    text = unicodedata.normalize("NFC", text)
    broken = _broken(text)
    if history and published(tuple(history)).holds(text):
        broken = tuple(sorted((*broken, ((0, len(text)), "duplicate_post"))))
    if not broken:
        return ()
    tongue: Language = _tongue(text) if language is None else "es" if language == "es" else "en"
    rules = load_rules()
    return tuple(
        Finding(name, start, end, rules[name].message[tongue], rules[name].severity, rules[name].source)
        for (start, end), name in broken
    )


class Published:
    """Posts that a text may repeat: says the same as is_duplicate of each, without going through all of them."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._folded: set[str] = set()
        self._posts: list[tuple[int, frozenset[str]]] = []
        self._holding: dict[tuple[str, str], list[int]] = {}
        for text in texts:
            self._folded.add(_folded(text))
            words, links = _words_and_links(text)
            pairs = set(pairwise(words))
            if len(words) >= MIN_SIMILAR_WORDS:
                for pair in pairs:
                    self._holding.setdefault(pair, []).append(len(self._posts))
                self._posts.append((len(pairs), links))

    def holds(self, text: str) -> bool:
        """Tell whether one of the posts is the same as the text to X's eye; see is_duplicate."""
        folded = _folded(text)
        if folded in self._folded:
            return bool(folded)
        words, links = _words_and_links(text)
        if len(words) < MIN_SIMILAR_WORDS:
            return False
        pairs = set(pairwise(words))
        shared = Counter(place for pair in pairs for place in self._holding.get(pair, ()))
        for place, count in shared.items():
            n, others = self._posts[place]
            if count >= SIMILARITY * (len(pairs) + n - count) and not (links and others and links != others):
                return True
        return False


@lru_cache(maxsize=128)
def published(posts: tuple[Post, ...]) -> Published:
    """Return posts as what a text may repeat; made once for the same ones."""
    return Published(post.text for post in posts)


@lru_cache(maxsize=1024)
def _broken(text: str) -> tuple[tuple[Span, str], ...]:
    """Return where an NFC text breaks which rule, styled letters read as plain; one query asks more than once."""
    plain = plain_letters(text)
    found = [replace(entity, text=plain[entity.start : entity.end]) for entity in entities(text)]
    spans: dict[str, Span | None] = {
        "duplicate_post": None,
        "mass_mentions": _mass_mentions(plain, found),
        "trend_hijack": _trend_hijack(plain, found),
        "ai_reply": _reply(found),
    }
    for name, rule in load_rules().items():
        spans.setdefault(name, _stated(plain, found, rule))
    return tuple(sorted((span, name) for name, span in spans.items() if span))


def is_duplicate(text: str, other: str) -> bool:
    """Tell whether two posts are the same to X's eye: equal, or all but equal in their words.

    All but equal is a Jaccard index of word pairs of at least 0.8 (Broder 1997, "On the resemblance and containment of
    documents"): one word changed in twenty. Posts that link to different pages are different posts; t.co links say
    nothing about the page.
    """
    if _folded(text) == _folded(other):
        return bool(_folded(text))
    words, links = _words_and_links(text)
    other_words, other_links = _words_and_links(other)
    if min(len(words), len(other_words)) < MIN_SIMILAR_WORDS or (links and other_links and links != other_links):
        return False
    pairs, other_pairs = set(pairwise(words)), set(pairwise(other_words))
    return len(pairs & other_pairs) >= SIMILARITY * len(pairs | other_pairs)


@lru_cache(maxsize=1)
def load_rules() -> dict[str, Rule]:
    """Read policy.json: the rules by id.

    `patterns` are whole words in any case and `openings` such words at the start of a clause; `<name>` in them stands
    for one of the `parts`, a space for any white space. `links` are parts of a link. A rule is silent where one of
    `unless` stands in the text. `tags` name no topic, only the wish to be seen; one alone may be meant as a word.
    """
    content: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))

    def compiled(frame: str, sources: Sequence[str]) -> regex.Pattern[str] | None:
        pattern = "|".join(sources)
        # Parts are made of parts.
        while PART.search(pattern):
            pattern = PART.sub(lambda part: content["parts"][part[1]], pattern)
        pattern = pattern.replace(" ?", r"\s*+").replace(" ", r"\s++")
        return regex.compile(frame.format(pattern), regex.IGNORECASE) if pattern else None

    def words(row: dict[str, Any]) -> list[str]:
        openings = [f"<opening>(?:{'|'.join(row['openings'])})"] if "openings" in row else []
        return [*openings, *row.get("patterns", ())]

    return {
        name: Rule(
            severity=row["severity"],
            default=row["default"],
            source=row["source"],
            message=row["message"],
            words=compiled(WHOLE_WORDS, words(row)),
            links=compiled("{}", row.get("links", ())),
            unless=compiled(WHOLE_WORDS, row.get("unless", ())),
            tags=frozenset(row.get("tags", ())),
        )
        for name, row in content["rules"].items()
    }


def _stated(text: str, found: Sequence[Entity], rule: Rule) -> Span | None:
    """Return the first place where the text says what the rule forbids, in words or by a link."""
    plain = text.replace("\u2019", "'")
    said = rule.words.search(plain) if rule.words else None
    spans = [said.span()] if said else []
    if rule.links:
        spans += [(link.start, link.end) for link in found if link.label == "URL" and rule.links.search(link.text)]
    if not spans or (rule.unless and rule.unless.search(plain)):
        return None
    return min(spans)


def _mass_mentions(text: str, found: Sequence[Entity]) -> Span | None:
    handles = [entity for entity in found if entity.label == "MENTION"]
    distinct = len({handle.text.casefold() for handle in handles})
    return _around(handles) if distinct > MAX_MENTIONS or _crowds_out(text, found, distinct) else None


def _trend_hijack(text: str, found: Sequence[Entity]) -> Span | None:
    """Return where the hashtags stand, if they are too many, more than the words, or ask for reach alone."""
    tags = [entity for entity in found if entity.label == "HASHTAG"]
    names = {tag.text.casefold() for tag in tags}
    if len(names) > MAX_HASHTAGS or _crowds_out(text, found, len(names)):
        return _around(tags)
    reach = [tag for tag in tags if tag.text.casefold() in load_rules()["trend_hijack"].tags]
    return _around(reach) if len({tag.text.casefold() for tag in reach}) > 1 else None


def _reply(found: Sequence[Entity]) -> Span | None:
    first = found[0] if found else None
    return (0, first.end) if first and first.label == "MENTION" and first.start == 0 else None


def _crowds_out(text: str, found: Sequence[Entity], count: int) -> bool:
    return count >= CROWD and len(WORD.findall(_without(text, found))) < count


def _around(found: Sequence[Entity]) -> Span:
    return found[0].start, found[-1].end


def _without(text: str, found: Sequence[Entity]) -> str:
    """Return the text with a space for every entity."""
    starts, ends = [entity.start for entity in found], [entity.end for entity in found]
    return " ".join(text[start:end] for start, end in zip([0, *ends], [*starts, len(text)], strict=True))


def _folded(text: str) -> str:
    return " ".join(plain_letters(unicodedata.normalize("NFC", text)).casefold().split())


@lru_cache(maxsize=1024)
def _words_and_links(text: str) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return the words in order and the links: any chunk with an inner dot, as entities() is slow."""
    chunks = _folded(text).split()
    words = [word for chunk in chunks if not INNER_DOT.search(chunk) for word in WORD.findall(chunk)]
    links = [chunk.rstrip(".,;:!?)") for chunk in chunks if INNER_DOT.search(chunk) and SHORT_LINK not in chunk]
    return tuple(words), frozenset(links)


def _tongue(text: str) -> Language:
    """The language of a text whose caller does not know it, by its function words: for messages that is enough."""
    words = [word.casefold() for word in WORD.findall(plain_letters(text))]
    spanish, english = (sum(word in FUNCTION_WORDS[language] for word in words) for language in ("es", "en"))
    return "es" if spanish > english else "en"


PART: Final = regex.compile(r"<([a-z_]+)>")
WHOLE_WORDS: Final = r"(?<![\p{{L}}\p{{N}}_@#$/])(?:{})(?![\p{{L}}\p{{N}}_])"
WORD: Final = regex.compile(r"[\p{L}\p{N}][\p{L}\p{M}\p{N}'\u2019]*+")
INNER_DOT: Final = regex.compile(r"[\p{L}\p{N}]\.\p{L}")
SHORT_LINK: Final = "://t.co/"
