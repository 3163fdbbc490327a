"""Words, keywords and reading ease of English and Spanish, from spaCy's tokenizers and lookup lemmas."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

import regex

from pipelines.records import Keyword, Language, Readability
from pipelines.text.dictionaries import base_forms, lemmas

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spacy.tokenizer import Tokenizer

MAX_KEYWORDS = 10
MAX_PHRASE_WORDS = 3
MAX_NAME_WORDS = 6
# What each place further back costs a phrase.
LATER = 0.95


class Word(NamedTuple):
    """A word with its dictionary form and place; `joined` tells that nothing stands between it and the word before."""

    text: str
    lemma: str
    start: int
    end: int
    content: bool
    joined: bool


@dataclass(frozen=True, slots=True)
class Lexicon:
    """What is known about the words of one language."""

    language: str
    tokenizer: Tokenizer
    lemmas: dict[str, str]
    stop_words: frozenset[str]
    known: frozenset[str]
    verbs: frozenset[str]
    participles: frozenset[str]
    adjectives: frozenset[str]

    def words(self, text: str) -> list[Word]:
        """Split a text into its words; punctuation and numbers are left out."""
        words: list[Word] = []
        joined = False
        for token in self.tokenizer(text):
            word = token.lower_
            if not (token.is_alpha or LETTER.search(word)):
                joined = False
                continue
            # Acronyms are no word forms: AI is not `ai` (am), US is not `us`.
            lemma = word if token.is_upper and len(word) > 1 else self.lemmas.get(word, word)
            content = len(word) > 1 and word[0].isalnum()
            words.append(Word(token.text, lemma, token.idx, token.idx + len(word), content, joined))
            joined = True
        for place, one in enumerate(words):
            if one.content and not self._is_topic(words, place):
                words[place] = one._replace(content=False)
        return words

    def _is_topic(self, words: list[Word], place: int) -> bool:
        """Whether a word can be what a text is about; those before it are decided.

        A stop or weak word cannot, nor a form of one, but for the nouns that are written like it: `wells` and `a gold
        mine`, and `shares` or `learning` where a noun stands.
        """
        form, lemma = words[place].text.lower(), words[place].lemma
        if not {form, lemma} & self.stop_words:
            return not self._is_verb(words, place)
        if form not in self.stop_words and lemma in NOUNS[self.language]:
            return True
        if self.language != "en":
            return False
        if form in self.stop_words:
            return form in NOUN_OR_MODAL and _is_noun_not_modal(words, place)
        return lemma in NOUN_OR_VERB and form.endswith(("s", "ing")) and _is_noun_not_verb(words, place)

    def _is_verb(self, words: list[Word], place: int) -> bool:
        """Whether a word is a form of a verb by its neighbours: `shifts raise the`, `vuelve del`, no name, no noun."""
        word = words[place]
        form = word.text.lower()
        before, after = _neighbours(words, place)
        if word.text[0].isupper() and before is not None:
            return False
        if self.language == "es":
            inflected = word.lemma != form and word.lemma.endswith(INFINITIVES)
            opens_noun = before is None and (after in CONNECTORS or after is None)
            return inflected and not opens_noun and (before is None or before.text.lower() not in BEFORE_NOUNS_ES)
        if before is not None and before.text.lower() in BEFORE_NOUNS:
            return False
        if form in self.participles:  # `running shoes`, not `after running`
            follows = place + 1 < len(words) and words[place + 1].joined and words[place + 1].content
            return not follows
        return form in self.verbs and not (place == 0 and after in AFTER_NOUNS)

    def ends_phrase(self, word: Word) -> bool:
        """Whether a phrase can end with a word: an English adjective or adverb needs a noun behind it."""
        return word.content and (self.language != "en" or word.text.lower() not in self.adjectives)

    def knows(self, word: str) -> bool:
        """Whether a word is of the language rather than somebody's name: a form, a lemma or a stop word."""
        folded = CONTRACTION.sub("", word.lower().replace("\u2019", "'"))
        return folded in self.lemmas or folded in self.stop_words or folded in self.known


CONTRACTION = regex.compile(r"(?:n't|'(?:s|re|ve|ll|d|m))$")


def _is_noun_not_verb(words: list[Word], place: int) -> bool:
    """Whether a form of a verb is a noun by its neighbours: `the shares`, `cargo ships in`, not `Acme shares the`."""
    before, after = _neighbours(words, place)
    if before is None:
        return after == "of"
    return before.text.lower() in BEFORE_NOUNS or (before.content and (after is None or after in AFTER_NOUNS))


def _is_noun_not_modal(words: list[Word], place: int) -> bool:
    """Whether a stop word is a noun by its neighbours: `the mine`, `a tin can of`, not `the coffee can wait`."""
    before, after = _neighbours(words, place)
    if before is None or before.text.lower() in DETERMINERS:
        return before is not None
    if words[place].lemma == "mine":
        return before.content
    determined = before.content and before.joined and words[place - 2].text.lower() in DETERMINERS
    return determined and (after is None or after in AFTER_NOUNS - {"and", "or"})


def _neighbours(words: list[Word], place: int) -> tuple[Word | None, str | None]:
    """Return the word before and the form after, None where something stands between."""
    before = words[place - 1] if place and words[place].joined else None
    after = words[place + 1].text.lower() if place + 1 < len(words) and words[place + 1].joined else None
    return before, after


def load_lexicon(language: Language) -> Lexicon:
    """Read stop words and lemmas; the tokenizer keeps hyphenated words whole."""
    from spacy import blank, util  # noqa: PLC0415  # after import_without
    from spacy.lang.char_classes import HYPHENS  # noqa: PLC0415

    nlp: Any = blank(language)
    infixes = [pattern for pattern in nlp.Defaults.infixes if HYPHENS not in pattern]
    nlp.tokenizer.infix_finditer = util.compile_infix_regex(infixes).finditer
    return Lexicon(
        language=language,
        tokenizer=nlp.tokenizer,
        lemmas=lemmas(language),
        known=base_forms(language),
        verbs=_tagged("VB", "VBD", "VBP", "VBZ") if language == "en" else frozenset(),
        participles=_tagged("VBG", "VBN") if language == "en" else frozenset(),
        adjectives=_tagged("JJ", "RB") - NOUNS_TOO - NOUN_OR_MODAL if language == "en" else frozenset(),
        stop_words=frozenset(nlp.Defaults.stop_words) | WEAK_WORDS[language],
    )


def _tagged(*tags: str) -> frozenset[str]:
    """Return the English words whose commonest part of speech is one of `tags`, from TextBlob's lexicon (BSD)."""
    path = files("textblob") / "en" / "en-lexicon.txt"
    rows = (line.split(" ") for line in path.read_text(encoding="utf-8").splitlines())
    return frozenset(row[0] for row in rows if len(row) == TAGGED and row[1] in tags and row[0].islower())


def keywords(prose: str, words: list[Word], lexicon: Lexicon) -> tuple[Keyword, ...]:
    """Rank phrases by the degree of their words, which grows with how often and in how long phrases they occur.

    Of phrases alike the earlier one weighs more.

    RAKE: Rose et al. 2010, Automatic keyword extraction, in Text Mining, ch. 1, section 1.2.2.

    A phrase is a run of content words, also across `of` and `de`; of a run that is too long the head is kept whole,
    which English puts last and Spanish first.
    """
    phrases = [part for run in _runs(words) for part in _parts(run, lexicon)]
    degree: Counter[str] = Counter()
    for phrase in phrases:
        content = [word.lemma for word in phrase if word.content]
        for lemma in content:
            degree[lemma] += len(content)
    spelled: dict[tuple[str, ...], str] = {}
    weights: Counter[tuple[str, ...]] = Counter()
    for phrase in phrases:
        key = tuple(word.lemma for word in phrase if word.content)
        spelled.setdefault(key, prose[phrase[0].start : phrase[-1].end])
        weights[key] += sum(degree[lemma] for lemma in key)
    placed = {key: weight * LATER**place for place, (key, weight) in enumerate(weights.items())}
    heaviest = max(placed.values(), default=1)
    ranked = sorted(placed.items(), key=lambda item: -item[1])[:MAX_KEYWORDS]
    return tuple(Keyword(text=spelled[key], score=round(weight / heaviest, 4)) for key, weight in ranked)


def _runs(words: list[Word]) -> Iterator[list[Word]]:
    run: list[Word] = []
    for place, word in enumerate(words):
        if run and not (word.joined and (word.content or word.lemma in CONNECTORS or _joins_names(words, place))):
            yield run
            run = []
        if word.content or run:
            run.append(word)
    yield run


def _joins_names(words: list[Word], place: int) -> bool:
    """Whether a small word stands within a name: `Ursula von der Leyen`."""
    if words[place].text not in NAME_JOINTS:
        return False
    last = next((word for word in words[place:] if word.text not in NAME_JOINTS or not word.joined), None)
    return last is not None and last.joined and last.text[0].isupper()


def _parts(run: list[Word], lexicon: Lexicon) -> Iterator[list[Word]]:
    while run := _without_edges(run, lexicon):
        names = len(run) <= MAX_NAME_WORDS and all(word.text[0].isupper() or word.text in NAME_JOINTS for word in run)
        size = len(run) if names else MAX_PHRASE_WORDS
        head = run[-size:] if lexicon.language == "en" else run[:size]
        if phrase := _without_edges(head, lexicon):
            yield phrase
        run = run[: -len(head)] if lexicon.language == "en" else run[len(head) :]


def _without_edges(run: list[Word], lexicon: Lexicon) -> list[Word]:
    first = next((index for index, word in enumerate(run) if word.content and word.text not in NAME_JOINTS), len(run))
    last = next((index for index in range(len(run), first, -1) if lexicon.ends_phrase(run[index - 1])), first)
    return run[first:last]


def reading_ease(prose: str, words: list[Word], language: str) -> tuple[Readability, float]:
    """Return reading ease in [0, 100] and complexity in [0, 1].

    Flesch 1948, J. Appl. Psychol. 32; Fernandez-Huerta 1959 for Spanish. Complexity is half the lack of ease, a quarter
    sentence length up to 25 words and a quarter the share of long words.
    """
    sentences = max(1, sum(1 for part in SENTENCE_END.split(prose) if LETTER.search(part)))
    words_per_sentence = len(words) / sentences
    count = SYLLABLES[language]
    syllables_per_word = sum(count(word.text.lower()) for word in words) / len(words)
    if language == "es":
        formula, ease = "fernandez-huerta", 206.84 - 60 * syllables_per_word - 1.02 * words_per_sentence
    else:
        formula, ease = "flesch", 206.835 - 84.6 * syllables_per_word - 1.015 * words_per_sentence
    ease = min(100.0, max(0.0, ease))
    long_words = sum(len(word.text) >= LONG_WORD_LETTERS[language] for word in words) / len(words)
    complexity = 0.5 * (1 - ease / 100) + 0.25 * min(1.0, words_per_sentence / 25) + 0.25 * long_words
    return Readability(formula=formula, score=round(ease, 1)), round(complexity, 4)


@lru_cache(maxsize=20_000)
def _english_syllables(word: str) -> int:
    """Count vowel groups without the silent final e; agrees with a dictionary on about nine words of ten."""
    return max(1, len(ENGLISH_VOWELS.findall(SILENT_ENDING.sub("", word))))


@lru_cache(maxsize=20_000)
def _spanish_syllables(word: str) -> int:
    """Count full vowels and those runs of i and u that lean on none."""
    return max(1, len(SPANISH_VOWELS.findall(word)))


# Words that carry no topic, beside spaCy's stop words: what a marketer does with the topic, and time words.
# fmt: off
WEAK_WORDS = {
    "en": frozenset({
        "amp", "announce", "best", "better", "check", "come", "create", "excited", "finally", "get", "go",
        "good", "great", "hello", "hey", "hi", "hire", "introduce", "join", "know", "launch", "learn", "let",
        "like", "look", "love", "miss", "near", "need", "new", "please", "post", "promote", "read", "release",
        "rt", "share", "ship", "soon", "start", "thanks", "think", "today", "tomorrow", "tonight", "try",
        "tweet", "via", "wait", "want", "willing", "write", "yesterday",
    }),
    "es": frozenset({
        "acabar", "amp", "anunciamos", "anunciar", "ayer", "buscamos", "buscar", "compartir", "crear", "descubrir",
        "empezar", "encanta", "encantar", "escribir", "gracias", "gran", "gusta", "gustar", "hola", "hoy",
        "lanzamos", "lanzar", "lee", "llega", "llegar", "mañana", "mira", "necesitar", "nueva", "nuevas", "nuevo",
        "nuevos", "pensar", "presentamos", "presentar", "promocionar", "pronto", "publicar", "querer", "rt", "tuit",
        "tuitear", "ven", "via", "únete",
    }),
}
# Lemmas of which every form that is no stop word itself is a noun or said of one: cans, mining, hundreds, sobres.
NOUNS = {
    "en": frozenset({
        "amount", "being", "bottom", "can", "due", "eight", "eleven", "fifteen", "fifty", "first", "five", "forty",
        "four", "good", "hundred", "mine", "must", "nine", "part", "second", "side", "six", "sixty", "ten", "third",
        "three", "twelve", "twenty", "two", "well", "while", "why", "will",
    }),
    "es": frozenset({
        "acuerdo", "alrededor", "bien", "contra", "cuenta", "embargo", "lado", "mal", "manera", "modo", "pero", "sobre",
        "son", "uso", "verdad",
    }),
}
# English lemmas whose forms are nouns or verbs: shares, ships, learning; and stop words that are nouns too.
NOUN_OR_VERB = frozenset({
    "back", "call", "check", "down", "front", "hire", "launch", "learn", "like", "look", "love", "move", "name", "need",
    "post", "read", "release", "share", "ship", "show", "start", "top", "tweet", "up", "write",
})
NOUN_OR_MODAL = frozenset({"call", "can", "mine", "move", "show", "well", "will"})
DETERMINERS = frozenset({
    "a", "an", "another", "each", "every", "her", "his", "its", "my", "our", "the", "their", "whose", "your",
})
BEFORE_NOUNS = DETERMINERS | frozenset({
    "all", "any", "both", "few", "for", "free", "from", "good", "great", "many", "new", "no", "of", "several", "some",
    "these", "those", "two", "three", "with", "without",
})
AFTER_NOUNS = frozenset({
    "about", "and", "are", "at", "by", "for", "from", "in", "is", "near", "of", "on", "or", "that", "was", "were",
    "with",
})
# fmt: on
# fmt: off
BEFORE_NOUNS_ES = frozenset({
    "al", "cada", "con", "de", "del", "el", "en", "esa", "ese", "esta", "estas", "este", "estos", "gran", "la", "las",
    "los", "mi", "mis", "mucha", "muchas", "mucho", "muchos", "nuestra", "nuestras", "nuestro", "nuestros", "nueva",
    "nuevo", "o", "otra", "otras", "otro", "otros", "para", "por", "sin", "su", "sus", "tu", "tus", "un", "una", "unas",
    "unos", "y",
})
# fmt: on
INFINITIVES = ("ar", "er", "ir")
CONNECTORS = frozenset({"of", "de", "del"})
NAME_JOINTS = frozenset(
    {"von", "van", "der", "den", "da", "do", "dos", "di", "du", "la", "las", "los", "y", "de", "del"}
)
# Adjectives by the lexicon that end a phrase as nouns do.
NOUNS_TOO = frozenset({"public", "net", "lead", "human", "individual", "potential", "original", "material", "cold"})
TAGGED = 2
LETTER = regex.compile(r"\p{L}")
LONG_WORD_LETTERS = {"en": 7, "es": 9}
SENTENCE_END = regex.compile(r"[.!?…]+(?=\s|$)|\n+")
SILENT_ENDING = regex.compile(r"(?:(?<![^aeiouy]l)e|(?<![td])ed|(?<![cgsxz]|[cs]h|[^aeiouy]l)es)$")
ENGLISH_VOWELS = regex.compile(r"[aeiouyáéíóúü]+")
SPANISH_VOWELS = regex.compile(r"[aeoáéóíú]|(?<![aeoáéóíú])[iuüy]++(?![aeoáéóíú])")
SYLLABLES = {"en": _english_syllables, "es": _spanish_syllables}
