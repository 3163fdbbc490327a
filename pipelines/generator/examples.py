"""Briefs and posts that were written for this project: what a model without our training is shown before it writes."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from math import log
from pathlib import Path
from typing import Final

from pipelines.records import Language

PATH: Final = Path(__file__).with_name("examples.jsonl")
N_SHOWN: Final = 3
WORD = re.compile(r"[^\W\d_]{3,}")
GUIDES: Final[dict[Language, str]] = {
    "en": (
        "How we write: say what the material says, put right, in its author's own good words. Keep every number, date, "
        "price, name, link, handle, tag, condition, deadline and negation. Lead with the strongest fact or with the "
        "reader. No filler, no hype, no exclamation marks, no hashtag of your own, an emoji rarely and never under bad "
        "news, a question only where a stranger could answer it."
    ),
    "es": (
        "Cómo escribimos: di lo que dice el material, corregido, con las buenas palabras de su autor. Conserva cada "
        "número, fecha, precio, nombre, enlace, cuenta, etiqueta, condición, plazo y negación. Empieza por el dato más "
        "fuerte o por el lector. Sin relleno ni exageraciones, sin exclamaciones, sin etiquetas propias, un emoji rara "
        "vez y nunca en malas noticias, una pregunta solo si un desconocido puede contestarla."
    ),
}


@dataclass(frozen=True)
class Pair:
    """A brief and a post for it."""

    language: Language
    brief: str
    post: str


def guide(language: Language) -> str:
    """Return how posts are written here, in a few sentences."""
    return GUIDES[language]


def nearest(query: str, language: Language, n: int = N_SHOWN) -> list[Pair]:
    """Return the n pairs whose briefs share the rarest words with a query, the nearest last; cosine of TF-IDF."""
    pairs, weights = _index(language)
    asked = set(WORD.findall(query.casefold()))
    scored = [
        (sum(own.get(word, 0.0) for word in asked) / (sum(own.values()) or 1.0) ** 0.5, place)
        for place, own in enumerate(weights)
    ]
    return [pairs[place] for _, place in sorted(scored, reverse=True)[:n]][::-1]


@lru_cache(maxsize=2)
def _index(language: Language) -> tuple[tuple[Pair, ...], tuple[dict[str, float], ...]]:
    rows = [Pair(**json.loads(line)) for line in PATH.read_text(encoding="utf-8").splitlines()]
    pairs = tuple(pair for pair in rows if pair.language == language)
    words = [set(WORD.findall(pair.brief.casefold())) for pair in pairs]
    seen = Counter(word for own in words for word in own)
    return pairs, tuple({word: log(len(pairs) / seen[word]) for word in own} for own in words)
