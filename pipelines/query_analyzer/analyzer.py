"""Reads language, entities, keywords, readability and findings from texts; affect is read elsewhere.

Rules and tables only: function words and n-grams for the language, spaCy's blank tokenizers with lookup lemmas for
words. A trained spaCy pipeline adds PERSON, ORG and GPE where one is configured. Nothing is downloaded.
"""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING

import regex

from pipelines.imports import import_without
from pipelines.query_analyzer.lexicon import Lexicon, keywords, load_lexicon, reading_ease
from pipelines.records import Analysis, Finding, Language, Severity
from pipelines.text.languages import UNDETERMINED, identify
from pipelines.text.letters import plain_letters, without_letters
from pipelines.text.tweets import (
    FORBIDDEN,
    MAX_WEIGHTED_LENGTH,
    Entity,
    entities,
    fitting_length,
    is_postable,
    weighted_length,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

RULES_VERSION = "4"
SPOKEN: tuple[Language, ...] = ("en", "es")
# What is no prose and breaks a phrase; a hashtag does too, but its word stays.
NO_PROSE = frozenset({"URL", "MENTION", "CASHTAG", "EMOJI", "HASHTAG", "MONEY", "PERCENT", "DATE", "TIME"})
NAMES = {"PERSON": "PERSON", "PER": "PERSON", "ORG": "ORG", "GPE": "GPE", "LOC": "GPE"}


class QueryAnalyzer:
    """Holds the lexicons and the configured spaCy pipelines."""

    def __init__(self, spacy_models: Mapping[str, str] | None = None, default_language: str = "en") -> None:
        """Load everything.

        Args:
            spacy_models: language code to the name or folder of a trained spaCy pipeline.
            default_language: ISO 639-1 code of texts that show no language.

        Raises:
            OSError: a configured spaCy pipeline is not there.
        """
        self.default_language = default_language
        # spaCy's thinc takes torch along wherever it is installed: 180 MB that a tokenizer needs not.
        spacy = import_without("spacy", *(() if spacy_models else ("torch",)))
        self._lexicons: dict[str, Lexicon] = {language: load_lexicon(language) for language in SPOKEN}
        self._names = {language: spacy.load(model) for language, model in (spacy_models or {}).items()}

    @property
    def version(self) -> str:
        """What an analysis depends on: rules, libraries, configured pipelines and the default language."""
        detector, spacy = version("pycld2"), version("spacy")
        parts = [f"rules-{RULES_VERSION}", f"pycld2-{detector}-{self.default_language}", f"spacy-{spacy}"]
        parts += [f"{nlp.meta['lang']}_{nlp.meta['name']}-{nlp.meta['version']}" for nlp in self._names.values()]
        return "+".join(parts)

    def analyze(self, texts: Sequence[str], languages: Sequence[str | None]) -> list[Analysis]:
        """Analyze texts; a language that is given (ISO 639-1) is taken as told, None is detected.

        Keywords, readability and complexity are None in a language other than English and Spanish; `und` is read as
        English. Readability and complexity are None where the text has no word. Styled letters are read as the plain
        ones, which keywords consist of; length, links and the text of entities are of the text as it stands.
        """
        texts = [unicodedata.normalize("NFC", text) for text in texts]
        plain = [plain_letters(text) for text in texts]
        marks = [without_letters(read, entities(text)) for text, read in zip(texts, plain, strict=True)]
        known = [
            language or identify(text, self.default_language, found)
            for text, language, found in zip(texts, languages, marks, strict=True)
        ]
        names = self._read_names(plain, known)
        return [
            self._analyze_one(
                text,
                read,
                language,
                _without_overlap([*found, *_amounts(read), *named, *self._names_by_rule(read, language)]),
            )
            for text, read, language, found, named in zip(texts, plain, known, marks, names, strict=True)
        ]

    def _analyze_one(self, text: str, plain: str, language: str, found: tuple[Entity, ...]) -> Analysis:
        length = weighted_length(text)
        lexicon = self._lexicons.get("en" if language == UNDETERMINED else language)
        # What would be a link or a handle in plain letters is no prose; a plain letter may join the accent behind it.
        unread = found if plain == text else _without_overlap([*found, *entities(plain)])
        prose = unicodedata.normalize("NFC", _prose(plain, unread))
        words = lexicon.words(prose) if lexicon else []
        readability, complexity = reading_ease(prose, words, lexicon.language) if lexicon and words else (None, None)
        return Analysis(
            language=language,
            weighted_length=length,
            valid=length <= MAX_WEIGHTED_LENGTH and is_postable(text),
            entities=found
            if plain == text
            else tuple(replace(entity, text=text[entity.start : entity.end]) for entity in found),
            keywords=keywords(prose, words, lexicon.language) if lexicon else None,
            complexity_score=complexity,
            readability=readability,
            findings=tuple(_findings(text, plain, length, found)),
        )

    def _names_by_rule(self, text: str, language: str) -> Iterator[Entity]:
        """Yield untyped NAME spans: capitalized words that are not so for where they stand.

        A word that opens a sentence counts where the language does not know it or a capital follows inside; in a text
        whose words are mostly capitalized only unknown ones do. What kind of thing is named, no rule can tell.
        """
        lexicon = self._lexicons.get("en" if language == UNDETERMINED else language)
        if lexicon is None or not UPPER.search(text):
            return
        words = [match[0] for match in WORD.finditer(text)]
        headline = len(words) > HEADLINE_WORDS and 3 * sum(word[0].isupper() for word in words) > 2 * len(words)
        for run in CAPITALIZED.finditer(text):
            start, end = run.span()
            for word in WORD.finditer(text, start, end):
                opens = headline or OPENING.search(text, 0, word.start()) is not None
                plain = word[0].isupper() or word[0][1:].islower() or len(word[0]) == 1
                if not (opens and plain and lexicon.knows(word[0])) or JOINED.match(text, word.end(), end):
                    break
                start = word.end()
            name = text[start:end].strip()
            if name and name not in PRONOUNS and not DAYS.fullmatch(name):
                start = text.index(name, start)
                yield Entity(text=name, label="NAME", start=start, end=start + len(name))

    def _read_names(self, texts: Sequence[str], languages: Sequence[str]) -> list[list[Entity]]:
        names: list[list[Entity]] = [[] for _ in texts]
        for language, nlp in self._names.items():
            mine = [index for index, known in enumerate(languages) if known == language]
            for index, document in zip(mine, nlp.pipe(texts[index] for index in mine), strict=True):
                names[index] = [
                    Entity(text=span.text, label=NAMES[span.label_], start=span.start_char, end=span.end_char)
                    for span in document.ents
                    if span.label_ in NAMES
                ]
        return names


def _prose(text: str, found: tuple[Entity, ...]) -> str:
    """Return the text without links, handles, amounts and emoji; of hashtags the word stays."""
    parts: list[str] = []
    position = 0
    for entity in found:
        if entity.label in NO_PROSE:
            word = text[entity.start + 1 : entity.end] if entity.label == "HASHTAG" else ""
            parts += [text[position : entity.start], f"{BREAK}{word}{BREAK}"]
            position = entity.end
    return "".join([*parts, text[position:]])


def _amounts(text: str) -> Iterator[Entity]:
    """Yield MONEY, PERCENT, DATE and TIME in English and Spanish notation."""
    for pattern in (AMOUNTS, DAYS) if DIGIT.search(text) else (DAYS,):
        for match in pattern.finditer(text):
            yield Entity(text=match[0], label=match.lastgroup or "DATE", start=match.start(), end=match.end())


def _without_overlap(found: list[Entity]) -> tuple[Entity, ...]:
    kept: list[Entity] = []
    for entity in found:
        if all(entity.end <= other.start or entity.start >= other.end for other in kept):
            kept.append(entity)
    return tuple(sorted(kept, key=lambda entity: entity.start))


def _findings(text: str, plain: str, length: int, found: tuple[Entity, ...]) -> Iterator[Finding]:
    if length > MAX_WEIGHTED_LENGTH:
        cut = fitting_length(text)
        yield Finding("too_long", cut, len(text), f"{length - MAX_WEIGHTED_LENGTH} over the limit of X.", "error")
    for match in FORBIDDEN.finditer(text):
        yield Finding("forbidden_character", match.start(), match.end(), "X refuses this character.", "error")
    for label, most, rule, message in CROWDS:
        crowd = [entity for entity in found if entity.label == label]
        if len(crowd) > most:
            yield Finding(rule, crowd[most].start, crowd[-1].end, message.format(count=len(crowd)), "warning")
    if found and found[0].label == "MENTION" and found[0].start == 0:
        yield Finding("leading_mention", 0, found[0].end, "A post that starts with a handle is a reply.", "info")
    for rule, pattern, message, severity in PATTERNS:
        for match in pattern.finditer(plain):
            yield Finding(rule, match.start(), match.end(), message, severity)


BREAK = " | "

_NUMBER = r"\d+(?:[.,]\d+)*"
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?|enero|febrero|marzo|abril|mayo|junio|julio|agosto|septiembre|octubre|noviembre"
    r"|diciembre)"
)
AMOUNTS = regex.compile(
    rf"(?P<PERCENT>\b{_NUMBER}\s?(?:%|(?:percent|por ciento)\b))"
    rf"|(?P<MONEY>(?:(?:US)?[$€£¥]\s?{_NUMBER}(?:\s?(?:k|m|bn|million|billion|mil|millones)\b)?"
    rf"|\b{_NUMBER}\s?(?:k|m|bn|million|billion|mil|millones)?\s?(?:[$€£¥]"
    r"|(?:USD|EUR|GBP|dollars?|euros?|pounds?|dólares|pesos)\b)))"
    r"|(?P<DATE>\b(?:\d{4}-\d{2}-\d{2}|\d{1,2}/\d{1,2}/(?:\d{4}|\d{2})"
    rf"|{_MONTH}\s\d{{1,2}}(?:st|nd|rd|th)?(?:,?\s\d{{4}})?|\d{{1,2}}(?:st|nd|rd|th)?\s(?:of\s|de\s)?{_MONTH}"
    r"(?:,?\s(?:de\s)?\d{4})?)\b)"
    r"|(?P<TIME>\b(?:[01]?\d|2[0-3])(?::[0-5]\d(?:\s?[ap]\.?m\b\.?)?|\s?(?:[ap]\.?m\b\.?|h\b))"
    r"(?:\s(?:UTC|GMT|CET|EST|PST|ET|PT)\b)?)",
    regex.IGNORECASE,
)

UPPER = regex.compile(r"\p{Lu}")
WORD = regex.compile(r"[\p{L}\p{N}][\p{L}\p{M}\p{N}'\u2019\-]*+")
_NAME = r"(?:\p{Lu}[\p{L}\p{M}\p{N}'\u2019\-]*+|\p{Ll}{1,2}\p{Lu}[\p{L}\p{N}]++)"
CAPITALIZED = regex.compile(rf"(?<![\p{{L}}\p{{N}}#@$_/.\-]){_NAME}(?:[ ](?:(?:of|de|del|&)[ ])?{_NAME})*+")
JOINED = regex.compile(r" (?:of|de|del) ")
OPENING = regex.compile(r"(?:^|[.!?…:;|\n\u2014\u201c\"¡¿(]|[\p{Emoji_Presentation}])\s*+$")
HEADLINE_WORDS = 3
PRONOUNS = frozenset({"I", "I'm", "I'll", "I've", "I'd", "OK", "RT", "A"})

DIGIT = regex.compile(r"\d")
DAYS = regex.compile(
    r"\b(?:(?<!black )(?:mon|tues|wednes|thurs|fri|satur|sun)day|lunes|martes|miércoles|jueves|viernes|sábado|domingo"
    r"|today|tonight|tomorrow|hoy)\b",
    regex.IGNORECASE,
)

CROWDS = (
    ("HASHTAG", 2, "many_hashtags", "{count} hashtags; one or two are easier to read."),
    ("MENTION", 3, "many_mentions", "{count} handles; many mentions look like spam."),
    ("URL", 1, "many_links", "{count} links compete for the same click."),
    ("EMOJI", 5, "many_emoji", "{count} emoji are hard to read, also for screen readers."),
)
PATTERNS: tuple[tuple[str, regex.Pattern[str], str, Severity], ...] = (
    (
        "shouting",
        regex.compile(r"\b(?:\p{Lu}[\p{Lu}'\u2019]+[\s,]+){2,}\p{Lu}{2,}\b|\b\p{Lu}{5,}[\s,]+\p{Lu}{4,}\b"),
        "Words in capitals read as shouting.",
        "warning",
    ),
    ("repeated_punctuation", regex.compile(r"[!?¡¿]{2,}|\.{4,}"), "One mark says the same.", "warning"),
    ("repeated_word", regex.compile(r"(?i)\b(\p{L}{2,})\s+\1\b"), "The same word twice in a row.", "info"),
)
