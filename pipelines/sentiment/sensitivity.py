"""Reads whether a text is sober news, or hateful, a threat or a fraud: when the product adds nothing, or is silent.

A logistic regression on what the tweet encoder says of a text and on signs of it, the same for English and Spanish. A
sign is a kind of wording (of a death, of a guarantee); idioms (`killer feature`) are taken out before signs are looked
for, and how many there were is a sign too. Trained by training.sensitivity.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, cast, get_args

import numpy as np
from numpy.typing import NDArray

from pipelines.encoder import Encoded, softmax
from pipelines.errors import WeightsRefused
from pipelines.records import Finding, Sensitivity, SensitivityLabel
from pipelines.weights import read_arrays, read_weights

FORMAT: Final = 2
LABELS: Final = cast("tuple[SensitivityLabel, ...]", get_args(SensitivityLabel))
HARM: Final[tuple[SensitivityLabel, ...]] = ("hate", "threat", "fraud")
# Whose signs a text is looked through for.
LANGUAGES: Final = {"en": "en", "und": "en", "es": "es"}
# A text is refused only from this probability of one harm on: of 1,120 harmless briefs four lie below it and were
# refused, of 84 harmful texts two: those get their author's own words and nothing else.
SURE_HARM: Final = 0.4
# Of one sign in a text more say nothing new.
MOST: Final = 3

# What makes an idiom's menace a real one.
VIOLENT: Final = ("violent_verb", "threat", "violence", "death", "group", "expelling")

# Signs that mean something together: contempt for a group, an offer beside a warning, a closing for a holiday.
PAIRS: Final = (
    ("group", "contempt"),
    ("group", "expelling"),
    ("violent_verb", "threat"),
    ("threat", "playful"),
    ("threat", "fun"),
    ("death", "fun"),
    ("sure_sober", "fun"),
    ("sure_sober", "offer"),
    ("sure_sober", "benign_reason"),
    ("closing", "benign_reason"),
    ("cancelling", "benign_reason"),
    ("sure_sober", "better_again"),
    ("outage", "better_again"),
    ("disruption", "better_again"),
    ("money_back", "charity"),
    ("money_back", "strict_warning"),
    ("secret", "strict_warning"),
    ("advance_fee", "strict_warning"),
    ("advance_fee", "sure_gain"),
    ("advance_fee", "money_back"),
    ("advance_fee", "secret"),
    ("sure_gain", "you_ask"),
)

MESSAGES: Final[dict[str, dict[str, str]]] = {
    "en": {
        "hate": "This reads as contempt for a group of people, so nothing is written for it. "
        "Say what you think of a decision or an act instead, without judging people by what they are.",
        "threat": "This reads as a threat, so nothing is written for it. "
        "Leave out what should happen to anybody; if you report a threat, say who made it and that you condemn it.",
        "fraud": "This reads as a fraud: money or a prize for a payment, a secret, a sure gain. Nothing is written "
        "for it. Do not promise returns or ask for passwords or fees; if you warn of one, begin with the warning.",
    },
    "es": {
        "hate": "Esto se lee como desprecio hacia un grupo de personas, así que no se escribe nada. "
        "Di qué piensas de una decisión o de un acto, sin juzgar a nadie por lo que es.",
        "threat": "Esto se lee como una amenaza, así que no se escribe nada. "
        "Quita lo que debería pasarle a alguien; si informas de una amenaza, di quién la hizo y que la condenas.",
        "fraud": "Esto se lee como una estafa: dinero o un premio por un pago, un secreto o una ganancia segura. "
        "No se escribe nada. No prometas ganancias ni pidas claves o pagos; si avisas de una, empieza por el aviso.",
    },
}

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Weights:
    """In log-odds: signs (signs + 1, 5), logits (logits, 5) of all heads less logits_mean (logits,), intercept (5,).

    thresholds is (5,): at `sober` the probability of all but `none` from which a text is not `none`; at hate, threat
    and fraud the share of that probability from which it is named so, where it is SURE_HARM and likelier than `none`;
    else it is sober, or `none` where it was a fraud rather than sober.
    """

    signs: Floats
    logits: Floats
    logits_mean: Floats
    intercept: Floats
    thresholds: Floats

    def probabilities(self, signs: Floats, logits: NDArray[Any]) -> Floats:
        """Return (texts, 5) probabilities of LABELS."""
        return softmax(signs @ self.signs + (logits - self.logits_mean) @ self.logits + self.intercept)

    def label(self, probabilities: Sequence[float]) -> SensitivityLabel:
        """Return what the thresholds make of the (5,) probabilities of one text."""
        bad = 1 - probabilities[LABELS.index("none")]
        if bad < self.thresholds[LABELS.index("sober")]:
            return "none"
        harm = max(HARM, key=lambda name: probabilities[LABELS.index(name)])
        place = LABELS.index(harm)
        none = probabilities[LABELS.index("none")]
        named = probabilities[place] >= max(self.thresholds[place] * bad, SURE_HARM, none)
        if named:
            return harm
        # Who sells is told nothing for a doubt: an unsure threat is bad news at least, an unsure fraud is a shop.
        return "none" if harm == "fraud" and probabilities[place] > probabilities[LABELS.index("sober")] else "sober"


class SensitivityModel:
    """Holds the weights."""

    def __init__(self, weights: Weights, version: str) -> None:
        self.weights = weights
        self.version = version

    @classmethod
    def load(cls, folder: Path, *, encoder: str) -> SensitivityModel:
        """Read the files that metadata.json names; `encoder` is the version of the tweet encoder beside it.

        Raises:
            WeightsRefused: a file is missing or not that of the metadata, or another encoder was trained with.
        """
        metadata, files = read_weights(folder, FORMAT)
        if metadata["encoder"] != encoder:
            raise WeightsRefused(f"{folder}: trained with encoder {metadata['encoder']}, not {encoder}")
        arrays = read_arrays(files["weights.npz"])
        return cls(
            Weights(**{name: array.astype(np.float64) for name, array in arrays.items()}), str(metadata["version"])
        )

    def read(
        self, texts: Sequence[str], languages: Sequence[str], encoded: Encoded | None, places: Mapping[int, int]
    ) -> list[Sensitivity | None]:
        """Read each text in its language; `places` says where in `encoded` a text stands.

        None for a language whose signs are not known, and where the encoder did not answer.
        """
        readings: list[Sensitivity | None] = [None] * len(texts)
        mine = [index for index, known in enumerate(languages) if known in LANGUAGES and index in places]
        if not mine or encoded is None:
            return readings
        marks = np.vstack([signs([texts[index]], LANGUAGES[languages[index]]) for index in mine])
        logits = centered_logits(encoded, [places[index] for index in mine])
        playful = _playful(marks)
        for place, row in enumerate(self.weights.probabilities(marks, logits).tolist()):
            label = self.weights.label(row)
            label = "none" if label == "threat" and playful[place] else label
            readings[mine[place]] = Sensitivity(label=label, scores=dict(zip(LABELS, row, strict=True)))
        return readings


def _playful(marks: Floats) -> NDArray[np.bool_]:
    """Tell of each text whether it has an idiom and beside it no sign of violence: `you will lick your fingers`."""
    order = list(_patterns("en")[1])
    violent = marks[:, [order.index(name) for name in VIOLENT]].any(axis=1)
    found: NDArray[np.bool_] = (marks[:, len(order)] > 0) & ~violent
    return found


def centered_logits(encoded: Encoded, rows: Sequence[int]) -> NDArray[np.float32]:
    """Return (rows, logits of all heads); those of a head sum to 0."""
    logits = [of_head[list(rows)] for of_head in encoded.logits.values()]
    return np.hstack([of_head - of_head.mean(axis=1, keepdims=True) for of_head in logits])


def signs(texts: Sequence[str], language: str) -> Floats:
    """Return (texts, signs): square roots of how often each stands in a text, then the idioms, then PAIRS in [0, 1]."""
    idioms, patterns = _patterns(language)
    found = np.empty((len(texts), len(patterns) + 1))
    for row, text in enumerate(texts):
        bare, n_idioms = idioms.subn(" ", _folded(text))
        found[row, :-1] = [min(len(pattern.findall(bare)), MOST) for pattern in patterns.values()]
        found[row, -1] = min(n_idioms, MOST)
    order = list(patterns)
    first, second = ([order.index(pair[side]) for pair in PAIRS] for side in (0, 1))
    return np.hstack([np.sqrt(found), (found[:, first] > 0) & (found[:, second] > 0)])


def finding_of(sensitivity: Sensitivity | None, text: str, language: str | None) -> Finding | None:
    """Return why nothing is written for a hateful, threatening or fraudulent text, in its language; None for others."""
    if sensitivity is None or sensitivity.label not in HARM:
        return None
    message = MESSAGES["es" if language == "es" else "en"][sensitivity.label]
    return Finding(rule=sensitivity.label, start=0, end=len(text), message=message, severity="error")


@cache
def _patterns(language: str) -> tuple[re.Pattern[str], dict[str, re.Pattern[str]]]:
    written = json.loads(Path(__file__).with_name("sensitivity_signs.json").read_text(encoding="utf-8"))[language]
    return _words(written["idioms"]), {name: _words(kind) for name, kind in written["signs"].items()}


def _words(alternatives: Sequence[str]) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{'|'.join(alternatives)})(?!\w)")


def _folded(text: str) -> str:
    """Write a text in small letters without accents, as the signs are written."""
    folded = text.casefold().replace("\u2019", "'")
    if folded.isascii():
        return folded
    return "".join(sign for sign in unicodedata.normalize("NFD", folded) if not unicodedata.combining(sign))
