"""Reads language, entities, keywords, readability and findings from texts; affect is read elsewhere.

Rules and tables only: function words and n-grams for the language, spaCy's blank tokenizers with lookup lemmas for
words. A trained spaCy pipeline adds PERSON, ORG and LOC where one is configured. Nothing is downloaded.
"""

from __future__ import annotations

import unicodedata
from contextlib import ExitStack
from dataclasses import replace
from importlib.metadata import version
from threading import Lock
from typing import TYPE_CHECKING

import regex

from pipelines.imports import import_without
from pipelines.query_analyzer.lexicon import Lexicon, keywords, load_lexicon, reading_ease
from pipelines.query_analyzer.limits import of_length
from pipelines.records import Analysis, Finding, Language, Severity
from pipelines.text.languages import UNDETERMINED, identify
from pipelines.text.letters import plain_letters, without_letters
from pipelines.text.private import Kind, private_spans
from pipelines.text.tweets import (
    FORBIDDEN,
    MAX_WEIGHTED_LENGTH,
    Entity,
    entities,
    is_postable,
    overlaps,
    weighted_length,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

RULES_VERSION = "6"
SPOKEN: tuple[Language, ...] = ("en", "es")
# What is no prose and breaks a phrase; a hashtag does too, but its word stays.
NO_PROSE = frozenset({"URL", "MENTION", "CASHTAG", "EMOJI", "HASHTAG", "MONEY", "PERCENT", "DATE", "TIME", "QUANTITY"})
NAMES = {"PERSON": "PERSON", "PER": "PERSON", "ORG": "ORG", "GPE": "LOC", "LOC": "LOC"}


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
        self._one_at_a_time = Lock()
        # Every answer tells the version, and to read it from the packages' metadata takes a millisecond.
        self._libraries = (version("pycld2"), version("spacy"))

    @property
    def version(self) -> str:
        """What an analysis depends on: rules, libraries, configured pipelines and the default language."""
        detector, spacy = self._libraries
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
        with self._one_at_a_time, ExitStack() as zones:
            # spaCy would keep every word that it ever saw, 18 MB for 40,000 texts with a number of their own.
            for lexicon in self._lexicons.values():
                zones.enter_context(lexicon.tokenizer.vocab.memory_zone())
            for nlp in self._names.values():
                zones.enter_context(nlp.memory_zone())
            return self._analyze(texts, plain, known, marks)

    def _analyze(
        self, texts: list[str], plain: list[str], known: list[str], marks: list[list[Entity]]
    ) -> list[Analysis]:
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
            keywords=keywords(prose, words, lexicon) if lexicon else None,
            complexity_score=complexity,
            readability=readability,
            findings=tuple(_findings(text, plain, length, found, language)),
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
    """Yield MONEY, PERCENT, DATE, TIME and QUANTITY in English and Spanish notation, whole with sign and range."""
    for pattern in (AMOUNTS, DAYS, MONTHS) if DIGIT.search(text) else (DAYS, MONTHS):
        for match in pattern.finditer(text):
            label = match.lastgroup or "DATE"
            start, end = match.span(match.lastgroup or 0)
            yield Entity(text=text[start:end], label=label, start=start, end=end)


def _without_overlap(found: list[Entity]) -> tuple[Entity, ...]:
    kept: list[Entity] = []
    for entity in found:
        if not any(overlaps(entity, other) for other in kept):
            kept.append(entity)
    return tuple(sorted(kept, key=lambda entity: entity.start))


def _findings(text: str, plain: str, length: int, found: tuple[Entity, ...], language: str) -> Iterator[Finding]:
    yield from of_length(text, length, MAX_WEIGHTED_LENGTH)
    for match in FORBIDDEN.finditer(text):
        yield Finding("forbidden_character", match.start(), match.end(), "X refuses this character.", "error")
    for label, most, rule, message in CROWDS:
        crowd = [entity for entity in found if entity.label == label]
        if len(crowd) > most:
            yield Finding(rule, crowd[most].start, crowd[-1].end, message.format(count=len(crowd)), "warning")
    if found and found[0].label == "MENTION" and found[0].start == 0:
        yield Finding("leading_mention", 0, found[0].end, "A post that starts with a handle is a reply.", "info")
    for kind, start, end in private_spans(plain, language):
        message, severity = PRIVATE[kind]["es" if language == "es" else "en"], PRIVATE_SEVERITY[kind]
        yield Finding(kind, start, end, message, severity)
    for rule, pattern, message, severity in PATTERNS:
        for match in pattern.finditer(plain):
            yield Finding(rule, match.start(), match.end(), message, severity)


BREAK = " | "

_NUMBER = r"\d+(?:[.,]\d+)*"
_SIGN = r"(?:(?<![\p{L}\p{N}.,])[-\u2212+\u00b1]\s?)?"
_TO = r"(?:\s?[-\u2013\u2014]\s?|\s(?:to|and|till|until|through|a|al|y|hasta)\s)"
_MONTH = (
    r"(?:(?:january|february|march|april|may|june|july|august|september|october|november|december|enero|febrero|marzo"
    r"|abril|mayo|junio|julio|agosto|septiembre|setiembre|octubre|noviembre|diciembre)\b"
    r"|(?:jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\b\.?)"
)
_DAY = r"(?<![\d.,])(?:[12]\d|3[01]|0?[1-9])(?:st|nd|rd|th|\u00ba)?(?![\d%]|[.,]\d)"
_YEAR = r"(?:,?\s(?:de\s|del\s)?\d{4}\b)?"
_SCALE = r"(?:\s?(?:k|m|bn|b|million|billion|thousand|mil|mill\u00f3n|millones)\b)?"
_SYMBOL = r"(?:US|A|C|NZ)?[$\u20ac\u00a3\u00a5\u20b9]"
_CURRENCY = (
    r"(?:[$\u20ac\u00a3\u00a5]|(?:USD|EUR|GBP|MXN|ARS|COP|CLP|JPY|CHF|dollars?|euros?|pounds?|quid|bucks|cents?|pence"
    r"|d\u00f3lares|d\u00f3lar|pesos?|soles|c\u00e9ntimos|libras|yenes)\b)"
)
_CLOCK = r"(?:[01]?\d|2[0-3])(?:[:.][0-5]\d)?"
_HALF = r"(?:\s?(?:[ap]\.?m\b\.?))"
_ZONE = r"(?:\s(?:UTC|GMT|BST|CET|CEST|EST|EDT|PST|PDT|ET|PT|CT)\b)?"
_UNIT = (
    r"(?:(?:km/h|mph|kwh|mwh|km|kg|mg|cm|mm|ml|cl|gb|mb|tb|hz|khz|mhz|ghz|kw|mw|kcal|lbs?|oz|ft|mi|m\u00b2|km\u00b2|m2|ha"
    r"|grams?|gramos?|kilos?|litros?|lit(?:re|er)s?|metros?|met(?:re|er)s?|kil\u00f3metros?|kilomet(?:re|er)s?|miles?"
    r"|millas?|acres?|hect\u00e1reas?|hectares?|tons?|tonnes?|toneladas?|seconds?|segundos?|min|mins|minutes?|minutos?"
    r"|hours?|hrs?|horas?|days?|d\u00edas?|weeks?|semanas?|months?|mes|meses|years?|a\u00f1os?|degrees|grados)\b"
    r"|\u00b0\s?[CF]?\b|\u00b0|(?<=\d)[gml]\b)"
)
# What every amount begins with; without it all of them would be tried at every letter, four times as long.
_BEGINNING = (
    r"(?=[-\u2212+\u00b1\d$\u20ac\u00a3\u00a5\u20b9]|(?:US|A|C|NZ)[$\u20ac\u00a3\u00a5\u20b9]"
    r"|\b(?:jan|feb|mar|apr|abr|may|jun|jul|aug|ago|sep|set|oct|nov|dec|dic|ene))"
)
# The longest kind of thing first: a range of dates before a date, a price before a quantity.
AMOUNTS = regex.compile(
    rf"{_BEGINNING}(?:"
    rf"(?P<PERCENT>{_SIGN}(?:\b{_NUMBER}(?:\s?%)?{_TO})?\b{_NUMBER}\s?(?:%|(?:percent|per cent|pct|por ciento)\b))"
    rf"|(?P<MONEY>{_SIGN}{_SYMBOL}\s?{_NUMBER}{_SCALE}(?:{_TO}{_SYMBOL}\s?{_NUMBER}{_SCALE}"
    rf"|(?:\s?[-\u2013\u2014]\s?|\s(?:to|a)\s){_NUMBER}{_SCALE}(?![:%\d]|\s?[$%\u20ac\u00a3]))?"
    rf"|{_SIGN}(?:\b{_NUMBER}{_SCALE}{_TO})?\b{_NUMBER}{_SCALE}\s?(?:de\s)?{_CURRENCY})"
    rf"|(?P<DATE>\b(?:\d{{4}}-\d{{2}}-\d{{2}}|\d{{1,2}}/\d{{1,2}}/(?:\d{{4}}|\d{{2}})|\d{{1,2}}\.\d{{1,2}}\.\d{{4}})\b"
    rf"|\b{_MONTH}\s{_DAY}(?:{_TO}(?:{_MONTH}\s)?{_DAY})?{_YEAR}"
    rf"|\b{_DAY}(?:\s(?:of|de)\s{_MONTH}|\s{_MONTH})?{_TO}(?:el\s)?\b{_DAY}\s(?:of\s|de\s)?{_MONTH}{_YEAR}"
    rf"|\b{_DAY}\s(?:of\s|de\s)?{_MONTH}{_YEAR})"
    rf"|(?P<TIME>\b{_CLOCK}{_HALF}?{_TO}{_CLOCK}{_HALF}{_ZONE}"
    rf"|\b(?:[01]?\d|2[0-3]):[0-5]\d(?:{_TO}(?:[01]?\d|2[0-3]):[0-5]\d)?{_HALF}?(?:\s?h\b)?{_ZONE}"
    rf"|\b{_CLOCK}{_HALF}{_ZONE}|\b(?:{_CLOCK}{_TO})?{_CLOCK}\s?(?:h|hrs)\b(?!\s?[\u00b0%]){_ZONE})"
    rf"|(?P<QUANTITY>{_SIGN}(?:\b{_NUMBER}{_TO})?\b{_NUMBER}{_SCALE}[\s-]?{_UNIT}))",
    regex.IGNORECASE,
)

UPPER = regex.compile(r"\p{Lu}")
WORD = regex.compile(r"[\p{L}\p{N}][\p{L}\p{M}\p{N}'\u2019\-]*+")
_NAME = r"(?:\p{Lu}[\p{L}\p{M}\p{N}'\u2019\-]*+|\p{Ll}{1,2}\p{Lu}[\p{L}\p{N}]++)"
CAPITALIZED = regex.compile(rf"(?<![\p{{L}}\p{{N}}#@$_/.\-]){_NAME}(?:[ ](?:(?:of|de|del|&)[ ])?{_NAME})*+")
JOINED = regex.compile(r" (?:of|de|del) ")
OPENING = regex.compile(r"(?:^|[.!?…:;|\n\u2014\u201c\"¡¿(]|[\p{Emoji_Presentation}])\s*+$")
HEADLINE_WORDS = 3
PRONOUNS = frozenset({"I", "I'm", "I'll", "I've", "I'd", "OK", "RT", "A", "No"})

DIGIT = regex.compile(r"\d")
DAYS = regex.compile(
    r"\b(?:(?<!black )(?:mon|tues|wednes|thurs|fri|satur|sun)days?|lunes|martes|mi\u00e9rcoles|jueves|viernes"
    r"|s\u00e1bados?|domingos?|today|tonight|tomorrow|yesterday|hoy|pasado ma\u00f1ana|anoche|ayer)\b",
    regex.IGNORECASE,
)

# `may` and `march` are words too, and most names of months are names of people.
MONTHS = regex.compile(
    r"\b(?i:in|since|until|till|by|early|late|mid|last|next|this|en|desde|hasta|a (?:principios|mediados|finales) de)\s"
    r"(?P<DATE>(?:January|February|March|April|May|June|July|August|September|October|November|December"
    r"|(?i:enero|febrero|marzo|abril|mayo|junio|julio|agosto|septiembre|setiembre|octubre|noviembre|diciembre)))\b"
    r"(?!['\u2019]s| \p{Lu})"
)

PRIVATE: dict[Kind, dict[str, str]] = {
    "private_email": {"en": "Everybody will see this address.", "es": "Todo el mundo verá esta dirección."},
    "private_phone": {"en": "Everybody will see this number.", "es": "Todo el mundo verá este número."},
    "private_card": {"en": "The number of a card: never post it.", "es": "El número de una tarjeta: no lo publiques."},
    "private_account": {
        "en": "The number of a bank account: sure that everybody shall see it?",
        "es": "El número de una cuenta: ¿seguro que debe verlo todo el mundo?",
    },
    "private_id": {
        "en": "A number that identifies a person: never post it.",
        "es": "Un número que identifica a una persona: no lo publiques.",
    },
}
PRIVATE_SEVERITY: dict[Kind, Severity] = {
    "private_email": "info",
    "private_phone": "info",
    "private_card": "error",
    "private_account": "warning",
    "private_id": "error",
}

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
    ("repeated_punctuation", regex.compile(r"[!?¡¿]{2,}|\.{4,}"), "One mark is enough.", "warning"),
    ("repeated_word", regex.compile(r"(?i)\b(\p{L}{2,})\s+\1\b"), "The same word twice in a row.", "info"),
)
