"""Reads whether a text is sober news, or hateful, a threat or a fraud: when the product adds nothing, or is silent.

A logistic regression on the meaning of a text and on signs of it. English rests on the embedding and the logits of the
tweet encoder, which are there anyway, Spanish on the first layers of multilingual-e5-small, which stand beside the
weights and read English too where a text is not surely harmless. A sign is a kind of wording (of a death, of a
guarantee); idioms (`killer feature`) are taken out before signs are looked for, and how many there were is a sign too.
Trained by training.sensitivity.
"""

from __future__ import annotations

import json
import logging
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, cast, get_args

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

from pipelines.encoder import RUNTIME_ERRORS, Encoded, anonymous, softmax
from pipelines.errors import PassFailed, WeightsRefused
from pipelines.records import Finding, Sensitivity, SensitivityLabel
from pipelines.weights import read_arrays, read_weights

logger = logging.getLogger(__name__)

FORMAT: Final = 1
LABELS: Final = cast("tuple[SensitivityLabel, ...]", get_args(SensitivityLabel))
HARM: Final[tuple[SensitivityLabel, ...]] = ("hate", "threat", "fraud")
ENGLISH: Final = frozenset({"en", "und"})
# From this probability of anything but `none` on an English text is read again with the second encoder.
NEAR: Final = 0.15
# A text is refused only from this probability of one harm on: of 1,120 harmless briefs four lie below it and were
# refused, of 84 harmful texts two: those get their author's own words and nothing else.
SURE_HARM: Final = 0.4
MAX_TOKENS: Final = 128
# Of one sign in a text more say nothing new.
MOST: Final = 3

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
    """Of one language: signs (signs + 1, 5) and meaning (width, 5) in log-odds, meaning_mean (width,), intercept (5,).

    thresholds is (5,): at `sober` the probability of all but `none` from which a text is not `none`; at hate, threat
    and fraud the share of that probability from which it is named so, where it is SURE_HARM and likelier than `none`;
    else it is sober.
    """

    signs: Floats
    meaning: Floats
    meaning_mean: Floats
    intercept: Floats
    thresholds: Floats

    def probabilities(self, signs: Floats, meaning: NDArray[Any]) -> Floats:
        """Return (texts, 5) probabilities of LABELS."""
        return softmax(signs @ self.signs + (meaning - self.meaning_mean) @ self.meaning + self.intercept)

    def label(self, probabilities: Sequence[float]) -> SensitivityLabel:
        """Return what the thresholds make of the (5,) probabilities of one text."""
        bad = 1 - probabilities[LABELS.index("none")]
        if bad < self.thresholds[LABELS.index("sober")]:
            return "none"
        harm = max(HARM, key=lambda name: probabilities[LABELS.index(name)])
        place = LABELS.index(harm)
        none = probabilities[LABELS.index("none")]
        named = probabilities[place] >= max(self.thresholds[place] * bad, SURE_HARM, none)
        return harm if named else "sober"


class Multilingual:
    """Holds the ONNX session of the first layers of multilingual-e5-small and its tokenizer."""

    def __init__(self, graph: bytes, tokenizer: Tokenizer, *, threads: int = 1) -> None:
        options: Any = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # As in pipelines.encoder: the graph is written as it should run, and threads do not spin.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session: Any = onnxruntime.InferenceSession(graph, options, ["CPUExecutionProvider"])
        self._tokenizer = tokenizer
        tokenizer.enable_truncation(MAX_TOKENS)
        tokenizer.no_padding()

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the (texts, 384) mean states, of one or more texts, each in a pass of its own.

        Raises:
            PassFailed: the graph does not compute.
        """
        found = []
        for encoding in self._tokenizer.encode_batch_fast([anonymous(text) for text in texts]):
            ids = np.array([encoding.ids], np.int64)
            try:
                found += self._session.run(["embedding"], {"input_ids": ids, "attention_mask": np.ones_like(ids)})
            except RUNTIME_ERRORS as error:
                raise PassFailed from error
        return np.concatenate(found)


class SensitivityModel:
    """Holds the weights: `es`, `en`, and `near`, which reads again in English what is not surely harmless."""

    def __init__(self, weights: Mapping[str, Weights], multilingual: Multilingual, version: str) -> None:
        self.weights = dict(weights)
        self.version = version
        self._multilingual = multilingual

    @classmethod
    def load(cls, folder: Path, *, encoder: str, threads: int = 1) -> SensitivityModel:
        """Read the files that metadata.json names; `encoder` is the version of the tweet encoder beside it.

        Raises:
            WeightsRefused: a file is missing or not that of the metadata, or another encoder was trained with.
        """
        metadata, files = read_weights(folder, FORMAT)
        if metadata["encoder"] != encoder:
            raise WeightsRefused(f"{folder}: trained with encoder {metadata['encoder']}, not {encoder}")
        arrays = read_arrays(files["weights.npz"])
        weights = {
            part: Weights(
                **{
                    name.removeprefix(f"{part}_"): array.astype(np.float64)
                    for name, array in arrays.items()
                    if name.startswith(f"{part}_")
                }
            )
            for part in dict.fromkeys(name.split("_")[0] for name in arrays)
        }
        tokenizer = Tokenizer.from_str(files["tokenizer.json"].decode())
        return cls(weights, Multilingual(files["model.onnx"], tokenizer, threads=threads), str(metadata["version"]))

    def read(
        self, texts: Sequence[str], languages: Sequence[str], encoded: Encoded | None, places: Mapping[int, int]
    ) -> list[Sensitivity | None]:
        """Read each text in its language; `places` says where in `encoded` an English text stands.

        None for a language without weights, and where an encoder did not answer.
        """
        readings: list[Sensitivity | None] = [None] * len(texts)
        english = [index for index, known in enumerate(languages) if known in ENGLISH and index in places]
        spanish = [index for index, known in enumerate(languages) if known == "es"]
        if english and encoded is not None:
            meaning = encoder_meaning(encoded, [places[index] for index in english])
            found = self._english([texts[index] for index in english], meaning)
            for index, reading in zip(english, found, strict=True):
                readings[index] = reading
        if spanish:
            own = [texts[index] for index in spanish]
            try:
                meaning = self._multilingual.encode(own)
            except PassFailed:
                logger.exception("the multilingual encoder failed", extra={"action": "encode", "texts": len(own)})
                return readings
            for index, reading in zip(spanish, _named(self.weights["es"], signs(own, "es"), meaning), strict=True):
                readings[index] = reading
        return readings

    def _english(self, texts: Sequence[str], meaning: NDArray[np.float32]) -> list[Sensitivity]:
        """Read English texts by what is known already, and again with the second encoder where that is not sure."""
        marks = signs(texts, "en")
        readings = _named(self.weights["en"], marks, meaning)
        near = [index for index, reading in enumerate(readings) if reading.scores["none"] < 1 - NEAR]
        if not near:
            return readings
        try:
            second = self._multilingual.encode([texts[index] for index in near])
        except PassFailed:
            logger.exception("the multilingual encoder failed", extra={"action": "encode", "texts": len(near)})
            return readings
        both = np.hstack([meaning[near], second])
        for index, reading in zip(near, _named(self.weights["near"], marks[near], both), strict=True):
            readings[index] = reading
        return readings


def _named(weights: Weights, marks: Floats, meaning: NDArray[Any]) -> list[Sensitivity]:
    return [
        Sensitivity(label=weights.label(row), scores=dict(zip(LABELS, row, strict=True)))
        for row in weights.probabilities(marks, meaning).tolist()
    ]


def encoder_meaning(encoded: Encoded, rows: Sequence[int]) -> NDArray[np.float32]:
    """Return (rows, hidden + logits of all heads) of what the tweet encoder says; the logits of a head sum to 0."""
    chosen = list(rows)
    logits = [encoded.logits[name][chosen] for name in encoded.logits]
    return np.hstack([encoded.embedding[chosen], *(of - of.mean(axis=1, keepdims=True) for of in logits)])


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
