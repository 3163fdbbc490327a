"""How likely a stranger would post a text for a brief as it is: two logistic regressions on what can be counted.

One is for texts whose writer says how likely it finds them itself, which tells most; one is for all others.

It sees how much of the brief a text keeps and what is new in it, and how it is made: sentences, marks, capitals, lists,
words that repeat. It does not understand; what must never be lost or invented is the verifier's to refuse.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from math import log
from pathlib import Path
from typing import Final

import numpy as np
import regex
from numpy.typing import NDArray

from pipelines.editing.statements import is_statement
from pipelines.generator.templates import is_unfinished
from pipelines.records import Language
from pipelines.text.facts import facts
from pipelines.text.sentences import ENDED, sentences
from pipelines.text.tweets import entities, weighted_length
from pipelines.text.words import FILLERS, FUNCTION_WORDS, UNAPOSTROPHED
from pipelines.weights import read_arrays, read_weights

FORMAT: Final = 2
# Which of the two regressions: of texts with a likelihood, and of those without.
OTHERS, LIKELY = 0, 1
WORD = regex.compile(r"[\p{L}\p{M}\p{N}]+(?:['\u2019][\p{L}]+)?")
LOWER_START = regex.compile(r"[.!?]\s+\p{Ll}")
DOUBLED = regex.compile(r"  |[,.;:!?]{2,}|\s[,.;:!?](?:\s|$)")
LOWER_NAMES = regex.compile(
    r"\b(?:mon|tues|wednes|thurs|fri|satur|sun)day\b|\b(?:january|february|april|june|july|august|september|october|"
    r"november|december)\b|\bi\b(?!\.)"
)
EMOJI = regex.compile(r"[\p{Extended_Pictographic}--\p{N}]", regex.VERSION1)
STEM = 5
ROW = regex.compile(r",|\s[/|]\s|\s[-\u2013]\s")
MIN_ROW = 3
FEW = 0.2
QUESTION = regex.compile(
    r"^(?:[^,.?!]{3,40}, )?(?:what|whats|what's|who|which|how|why|do|does|did|is|are|can|would|qué|quién|cómo|cuál)\b",
    regex.I,
)
PLACEHOLDER = regex.compile(r"\{\{?[\w.]+\}?\}")
# fmt: off
FEATURES: Final = (
    "kept", "new", "copied_pairs", "in_order", "length_ratio", "length", "sentences", "longest_sentence", "lines",
    "unended_lines", "ended", "capital_start", "exclamations", "questions", "own_question", "emoji", "new_tags",
    "capitals", "function_words", "function_words_of_brief", "commas", "lower_starts", "lower_names", "apostrophes",
    "doubled", "repeated", "fillers", "facts_lost", "facts_new", "dangling", "unchanged", "brief_ended",
    "brief_words", "spanish", "spanish_opening", "one_line_row", "colon_start", "new_we", "brief_question_lost",
    "statement", "unfinished", "row", "placeholder", "few_function_words", "unmarked_question",
    "likelihood",
)
# fmt: on


class Judge:
    """Holds the weights; see features for what they weigh."""

    def __init__(self, arrays: dict[str, NDArray[np.float64]], version: str) -> None:
        """Take what training wrote: (2, features) means, scales and coefficients, and (2,) intercepts; see LIKELY."""
        self.version = version
        self._mean, self._scale = arrays["mean"], arrays["scale"]
        self._coefficients, self._intercepts = arrays["coefficients"], arrays["intercepts"]

    @classmethod
    def load(cls, folder: Path) -> Judge:
        """Read the weights.

        Raises:
            WeightsRefused: a file is missing or not the one of its metadata.json, or weighs other features.
        """
        metadata, files = read_weights(folder, FORMAT)
        return cls(read_arrays(files["weights.npz"]), str(metadata["version"]))

    def p_postable(
        self, items: Sequence[tuple[str, str, Language]], likelihoods: Sequence[float | None] | None = None
    ) -> list[float]:
        """Return the probability in [0, 1] that a stranger would post each (brief, text, language).

        `likelihoods` are what the model that wrote a text thinks of it, in nats a token; None where nobody knows.
        """
        if not items:
            return []
        told = likelihoods or [None] * len(items)
        seen = np.array([features(*item, one) for item, one in zip(items, told, strict=True)])
        kind = np.array([LIKELY if one is not None else OTHERS for one in told])
        logits = ((seen - self._mean[kind]) / self._scale[kind] * self._coefficients[kind]).sum(1) + self._intercepts[
            kind
        ]
        return [float(p) for p in 1 / (1 + np.exp(-logits))]


def features(brief: str, text: str, language: Language, likelihood: float | None = None) -> list[float]:
    """Return what is counted of a text and its brief, in the order of FEATURES; counts, shares and logarithms."""
    asked, asked_stems, asked_pairs = _read(brief, language)
    words, stems, pairs = _read(text, language)
    function = FUNCTION_WORDS[language]
    parts = [sentence for sentence, _ in sentences(text)]
    lines = [line for line in text.splitlines() if line.strip()]
    content = [stem for stem in stems if stem]
    kept = set(asked_stems) & set(content)
    own, given = facts(text), facts(brief)
    letters = sum(map(str.isalpha, text)) or 1
    order = [asked_stems.index(stem) for stem in dict.fromkeys(content) if stem in kept]
    risen = sum(left < right for left, right in pairwise(order))
    tags = {entity.text.casefold() for entity in entities(text) if entity.label == "HASHTAG"}
    had = {entity.text.casefold() for entity in entities(brief) if entity.label == "HASHTAG"}
    counted = list(pairs)
    n_words = len(words) or 1
    rows = [line for line in lines if line.count(",") >= 3 and not ENDED.search(line)]
    return [
        len(kept) / (len(set(asked_stems)) or 1),
        sum(stem not in kept for stem in content) / (len(content) or 1),
        sum(pair in asked_pairs for pair in counted) / (len(counted) or 1),
        risen / (len(order) - 1) if len(order) > 1 else 1.0,
        log((len(words) + 1) / (len(asked) + 1)),
        weighted_length(text) / 280,
        min(len(parts), 8) / 4,
        max((len(WORD.findall(part)) for part in parts), default=0) / 20,
        min(len(lines), 8) / 4,
        sum(ENDED.search(line) is None for line in lines) / (len(lines) or 1),
        float(ENDED.search(text) is not None or (bool(lines) and lines[-1].split()[-1][:1] in "#@h")),
        float(not text.lstrip("¿¡\"'“«")[:1].islower()),
        min(text.count("!"), 3),
        min(text.count("?"), 3),
        float("?" in text and "?" not in brief),
        min(len(EMOJI.findall(text)), 3),
        len(tags - had),
        sum(map(str.isupper, text)) / letters,
        sum(word in function for word in words) / n_words,
        sum(word in function for word in asked) / (len(asked) or 1),
        text.count(",") / n_words,
        min(len(LOWER_START.findall(text)), 3),
        min(len(LOWER_NAMES.findall(text)), 3) if language == "en" else 0.0,
        min(sum(word in UNAPOSTROPHED for word in words), 3),
        min(len(DOUBLED.findall(text)), 3),
        (len(counted) - len(set(counted))) / (len(counted) or 1),
        sum(filler in text.casefold() for filler in FILLERS[language]),
        min(sum((given - own).values()), 4),
        min(sum((own - given).values()), 4),
        float(bool(words) and words[-1] in function and not text.rstrip().endswith(("?", "!"))),
        float(text == brief),
        float(ENDED.search(brief) is not None),
        log(len(asked) + 1),
        float(language == "es"),
        float(language == "es" and text.count("?") == text.count("¿") and text.count("!") == text.count("¡")),
        len(rows),
        float(":" in (parts[0] if parts else "")[:40]),
        float(not {"we", "our", "us"} & set(asked) and bool({"we", "our", "us"} & set(words))),
        float("?" in brief and "?" not in text),
        float(is_statement(text, language)),
        float(is_unfinished(text, language)),
        float(len(ROW.findall(text)) >= MIN_ROW and not ENDED.search(text.rstrip(".")) and len(parts) == 1),
        float(PLACEHOLDER.search(text) is not None),
        float(len(parts) == 1 and sum(word in function for word in words) < FEW * n_words),
        float(len(parts) == 1 and text.count("?") == 0 and bool(QUESTION.search(text))),
        0.0 if likelihood is None else likelihood,
    ]


@lru_cache(maxsize=2048)
def _read(text: str, language: Language) -> tuple[list[str], list[str], list[tuple[str, str]]]:
    """Return the words of a text, the stems of those that carry content, and the pairs of neighbors."""
    words = [word.casefold().replace("\u2019", "'") for word in WORD.findall(text)]
    stems = [word[:STEM] for word in words if word not in FUNCTION_WORDS[language]]
    return words, stems, list(pairwise(words))
