"""Reads sentiment, emotion, risks, intent and names: an encoder for both languages, VADER and TextBlob in English.

Each component of the sentiment gives a polarity in [-1, 1], and the ensemble weighs them; the lexicons speak English
alone. A sequence classifier that is configured takes the encoders' place there, in its own languages; torch and
transformers are imported for it alone.
"""

from __future__ import annotations

import logging
import unicodedata
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import numpy as np
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from pipelines.encoder import anonymous, log_softmax, softmax
from pipelines.errors import PassFailed
from pipelines.imports import import_without
from pipelines.records import (
    Affect,
    Emotion,
    EmotionLabel,
    Intent,
    IntentReading,
    Language,
    Sensitivity,
    Sentiment,
    SentimentLabel,
)
from pipelines.text.dictionaries import knows
from pipelines.text.letters import plain_letters
from pipelines.text.words import FUNCTION_WORDS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from pipelines.encoder import Calibration, Encoded, Encoder, Floats
    from pipelines.sentiment.sensitivity import SensitivityModel
    from pipelines.text.tweets import Entity
    from pipelines.viral_predictor.substance import SubstanceModel

logger = logging.getLogger(__name__)

# TextBlob imports all of NLTK, and that whatever it could work with: 150 MB for a lexicon.
textblob_lexicon: Any = import_without("textblob.en", "sklearn", "scipy", "pandas", "matplotlib", "sympy").sentiment

Weights: TypeAlias = "Literal['learned', 'specification'] | Mapping[str, float]"
LEARNED: Literal["learned"] = "learned"
COMPONENTS = ("transformer", "vader", "textblob")
# The preset of the original specification.
SPECIFICATION: Mapping[str, float] = {"transformer": 0.4, "vader": 0.3, "textblob": 0.3}
# Of negative, neutral, positive.
SIGNS = np.array([-1.0, 0.0, 1.0])
# Hutto and Gilbert 2014, ICWSM-14; https://github.com/cjhutto/vaderSentiment#about-the-scoring
THRESHOLD = 0.05
LEXICON_LANGUAGES = frozenset({"en", "und"})
LABEL_NAMES = {"negative": -1.0, "neg": -1.0, "neutral": 0.0, "neu": 0.0, "positive": 1.0, "pos": 1.0}
UNNAMED_LABELS = ("negative", "neutral", "positive")
BATCH_TEXTS = 32
DEFAULT_MAX_TOKENS = 512


class SentimentEnsemble:
    """Holds the lexicons, the encoder, what reads its embedding, and the classifier, each where there is one."""

    def __init__(
        self,
        encoder: Encoder | None = None,
        sensitivity: SensitivityModel | None = None,
        substance: SubstanceModel | None = None,
        *,
        transformer: str | None = None,
        device: str = "cpu",
        weights: Weights = LEARNED,
        transformer_languages: Collection[str] = ("en",),
    ) -> None:
        """Load what is loaded here.

        Args:
            encoder: gives sentiment, emotion, risks, intent and names in the languages of its calibration; None for
                the lexicons alone.
            sensitivity: tells sober news and harmful texts.
            substance: tells whether an English text says something.
            transformer: Hugging Face id or folder of a sequence classifier, which takes the encoder's place in the
                ensemble; None for the encoder.
            device: torch device of the classifier; on cuda it runs in bfloat16.
            weights: `learned`, the name of a preset, or the weight of each component by name; see `combine`.
            transformer_languages: ISO 639-1 codes that the classifier reads; `und` is read as English.

        Raises:
            OSError: the classifier is not there.
            ValueError: its labels do not say what is positive and what is negative.
        """
        self.weights: Weights = weights
        self._vader = SentimentIntensityAnalyzer()
        self._encoder = encoder
        self._sensitivity = sensitivity
        self._substance = substance
        self._classifier = PolarityClassifier(transformer, device) if transformer else None
        self._classifier_languages = _with_undetermined(transformer_languages if transformer else ())

    @property
    def version(self) -> str:
        """What a reading depends on: the components with their versions, and how they are weighted."""
        parts = [f"vader-{version('vaderSentiment')}", f"textblob-{version('textblob')}"]
        if self._encoder:
            parts.append(f"encoder-{self._encoder.version}")
        if self._sensitivity:
            parts.append(f"sensitivity-{self._sensitivity.version}")
        if self._substance:
            parts.append(f"substance-{self._substance.version}")
        if self._classifier:
            parts.append(self._classifier.version)
        if self.weights != LEARNED:
            parts.append("weights-" + "-".join(f"{_named(self.weights).get(name, 0.0):g}" for name in COMPONENTS))
        return "+".join(parts)

    def read(self, texts: Sequence[str], languages: Sequence[str | None]) -> list[Affect]:
        """Read each text in its language (ISO 639-1; None is undetermined).

        A classifier or encoder that fails costs what it gives, and its texts name `sentiment.transformer` in degraded.
        Styled letters are read as the plain ones.
        """
        texts = [unicodedata.normalize("NFC", plain_letters(text)) for text in texts]
        known = [language or "und" for language in languages]
        components: list[dict[str, float]] = [
            {"vader": self._vader_polarity(text), "textblob": textblob_polarity(text)}
            if language in LEXICON_LANGUAGES
            else {}
            for text, language in zip(texts, known, strict=True)
        ]
        failed: set[int] = set()
        spoken = _with_undetermined(self._encoder.calibration if self._encoder else ())
        mine = [index for index, language in enumerate(known) if language in spoken]
        encoded = self._encode([texts[index] for index in mine])
        places = {index: place for place, index in enumerate(mine)} if encoded else {}
        if self._classifier:
            failed = self._classify(texts, known, components)
        elif encoded:
            for index, place in places.items():
                components[index]["transformer"] = float(softmax(encoded.logits["sentiment"][place]) @ SIGNS)
        if not encoded:
            failed.update(mine)
        sensitivities: list[Sensitivity | None] = [None] * len(texts)
        if self._sensitivity:
            sensitivities = self._sensitivity.read(texts, known, encoded, places)
        spoken |= LEXICON_LANGUAGES | self._classifier_languages
        found_of = [
            self._heads(encoded, places[index], language, components[index])
            if encoded and index in places
            else Affect(sentiment=self.combine(components[index], supported=language in spoken))
            for index, language in enumerate(known)
        ]
        return [
            replace(
                affect,
                sensitivity=sensitivities[index],
                degraded=("sentiment.transformer",) if index in failed else (),
            )
            for index, affect in enumerate(found_of)
        ]

    def _heads(self, encoded: Encoded, place: int, language: str, components: dict[str, float]) -> Affect:
        """Return what the components and the encoder's heads say of the text that stands at `place` in `encoded`."""
        assert self._encoder is not None  # noqa: S101  # it has encoded
        calibration = self._encoder.calibration["en" if language == "und" else language]
        own = {name: logits[place] for name, logits in encoded.logits.items()}
        labels = cast("tuple[EmotionLabel, ...]", self._encoder.heads["emotion"])
        scores = softmax(own["emotion"] / calibration.emotion_temperature - calibration.emotion_bias).tolist()
        intents = cast("tuple[Intent, ...]", self._encoder.heads["intent"])
        wanted = softmax(own["intent"]).tolist()
        logits = None if self._classifier else own["sentiment"]
        return Affect(
            sentiment=self.combine(components, logits, calibration, supported=True),
            emotion=Emotion(labels[scores.index(max(scores))], dict(zip(labels, scores, strict=True))),
            risks={
                name: float(1 / (1 + np.exp(-(slope * np.diff(own[name])[0] + intercept))))
                for name, (slope, intercept) in calibration.risks.items()
            },
            intent=IntentReading(intents[wanted.index(max(wanted))], dict(zip(intents, wanted, strict=True))),
            entities=_likely_names(encoded.entities[place], language) if encoded.entities is not None else None,
            substance=self._substance.of(encoded.embedding[[place]])[0]
            if self._substance and language in LEXICON_LANGUAGES
            else None,
        )

    def combine(
        self,
        components: dict[str, float],
        logits: Floats | None = None,
        calibration: Calibration | None = None,
        *,
        supported: bool,
    ) -> Sentiment:
        """Return what the components say together.

        With `learned` weights and the encoder's (3,) sentiment `logits`, a logistic regression on all components gives
        calibrated probabilities, in which every class counts alike, and polarity = P(positive) - P(negative). Else
        polarity is the mean of the components by weight, those that are missing weighted away, and the label follows
        VADER's published threshold.
        """
        signs = {_label(value) for value in components.values()}
        agreement = not signs >= {"positive", "negative"} if len(components) > 1 else None
        if self.weights == LEARNED and logits is not None and calibration is not None:
            lexicons = [components[name] for name in ("vader", "textblob") if name in components]
            features = np.array([*log_softmax(logits), *lexicons])
            negative, neutral, positive = softmax(calibration.sentiment @ features + calibration.sentiment_intercept)
            ranked: list[tuple[float, SentimentLabel]] = [
                (float(negative), "negative"),
                (float(neutral), "neutral"),
                (float(positive), "positive"),
            ]
            return Sentiment(
                label=max(ranked)[1],
                polarity=float(positive - negative),
                probabilities={label: probability for probability, label in ranked},
                components=components,
                agreement=agreement,
                supported=supported,
            )
        named = _named(self.weights)
        weights = {name: named.get(name, 0.0) for name in components}
        total = sum(weights.values())
        polarity = sum(weights[name] * value for name, value in components.items()) / total if total else None
        return Sentiment(
            label=None if polarity is None else _label(polarity),
            polarity=polarity,
            probabilities=None,
            components=components,
            agreement=agreement,
            supported=supported,
        )

    def _encode(self, texts: list[str]) -> Encoded | None:
        if not self._encoder or not texts:
            return None
        try:
            return self._encoder.encode(texts)
        except PassFailed:
            logger.exception("the encoder failed", extra={"action": "encode", "texts": len(texts)})
            return None

    def _classify(self, texts: Sequence[str], known: Sequence[str], components: list[dict[str, float]]) -> set[int]:
        """Add the classifier's polarity to the components of its texts; return those that it failed on."""
        mine = [index for index, language in enumerate(known) if language in self._classifier_languages]
        assert self._classifier is not None  # noqa: S101  # read() has looked
        polarities = self._classifier.polarities([texts[index] for index in mine])
        found = {index: polarity for index, polarity in zip(mine, polarities, strict=True) if polarity is not None}
        for index, polarity in found.items():
            components[index]["transformer"] = polarity
        return set(mine) - found.keys()

    def _vader_polarity(self, text: str) -> float:
        return float(self._vader.polarity_scores(text)["compound"])


class PolarityClassifier:
    """A sequence classifier whose labels are opinions; polarity is P(positive) - P(negative)."""

    def __init__(self, model: str, device: str) -> None:
        import torch  # noqa: PLC0415  # 2 s and 300 MB that the lexicons alone do without
        from transformers import AutoModelForSequenceClassification, AutoTokenizer  # noqa: PLC0415

        self._tokenizer: Any = AutoTokenizer.from_pretrained(model)  # nosec B615
        dtype = torch.bfloat16 if device.startswith("cuda") else torch.float32
        self._model: Any = AutoModelForSequenceClassification.from_pretrained(model, dtype=dtype).to(device).eval()  # nosec B615
        self._signs = torch.tensor(_signs(self._model.config.id2label), device=device)
        self._device = device
        self._max_tokens = _max_tokens(self._model, self._tokenizer)
        commit = getattr(self._model.config, "_commit_hash", None)
        self.version = model.rstrip("/").rsplit("/", 1)[-1] + (f"@{commit[:12]}" if commit else "")

    def polarities(self, texts: Sequence[str]) -> list[float | None]:
        """Return the polarity of each text in [-1, 1], None where the classifier failed; long texts are truncated."""
        prepared = [anonymous(text) for text in texts]
        order = sorted(range(len(texts)), key=lambda index: len(prepared[index]))
        polarities: list[float | None] = [None] * len(texts)
        for start in range(0, len(order), BATCH_TEXTS):
            batch = order[start : start + BATCH_TEXTS]
            for index, value in zip(batch, self._each([prepared[index] for index in batch]), strict=True):
                polarities[index] = value
        return polarities

    def _each(self, texts: list[str]) -> Sequence[float | None]:
        """Classify together; where that fails, in halves, until the text that breaks it stands alone."""
        try:
            return self._classify(texts)
        except (RuntimeError, ValueError, IndexError):
            if len(texts) == 1:
                logger.exception("the sentiment classifier failed", extra={"action": "classify"})
                return [None]
        middle = len(texts) // 2
        return [*self._each(texts[:middle]), *self._each(texts[middle:])]

    def _classify(self, texts: list[str]) -> list[float]:
        import torch  # noqa: PLC0415

        encoded = self._tokenizer(
            texts, padding=True, truncation=True, max_length=self._max_tokens, return_tensors="pt"
        ).to(self._device)
        with torch.inference_mode():
            probabilities = self._model(**encoded).logits.float().softmax(dim=-1)
        values: list[float] = (probabilities @ self._signs).tolist()
        return values


def _with_undetermined(languages: Iterable[str]) -> set[str]:
    """Return the languages, and `und`, which is read as English, where that is among them."""
    own = set(languages)
    return own | ({"und"} if "en" in own else set())


def textblob_polarity(text: str) -> float:
    """Return what TextBlob(text).sentiment.polarity does, without building the blob around it."""
    return float(textblob_lexicon(text)[0])


def _named(weights: Weights) -> Mapping[str, float]:
    """The weights by component; what was learned needs the encoder, and the preset stands in without one."""
    return SPECIFICATION if isinstance(weights, str) else weights


def _label(polarity: float) -> SentimentLabel:
    if polarity >= THRESHOLD:
        return "positive"
    return "negative" if polarity <= -THRESHOLD else "neutral"


def _signs(id2label: Mapping[int, str]) -> list[float]:
    """Return +1, 0 or -1 for each class.

    Raises:
        ValueError: a label is unknown, or none is positive, or none is negative.
    """
    names = [id2label[index].lower() for index in range(len(id2label))]
    if names == [f"label_{index}" for index in range(len(UNNAMED_LABELS))]:
        names = list(UNNAMED_LABELS)
    if not set(names) <= LABEL_NAMES.keys() or not {-1.0, 1.0} <= {LABEL_NAMES[name] for name in names}:
        raise ValueError(
            f"the sentiment transformer has the labels {names}; set id2label in its config.json to negative, neutral "
            "(optional) and positive, or configure another model"
        )
    return [LABEL_NAMES[name] for name in names]


def _max_tokens(model: Any, tokenizer: Any) -> int:
    """Return the longest input; RoBERTa's positions start after its padding index, so its table is that much longer."""
    limits = [tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", DEFAULT_MAX_TOKENS)]
    for name, module in model.named_modules():
        if name.endswith("position_embeddings"):
            start = 0 if module.padding_idx is None else module.padding_idx + 1
            limits.append(module.num_embeddings - start)
    return int(min(limits))


def _likely_names(found: Sequence[Entity], language: str) -> tuple[Entity, ...]:
    """Return the entities that may be names: one in small letters whose every word is in the dictionary is none."""
    speech: Language = "es" if language == "es" else "en"
    functions = FUNCTION_WORDS[speech]
    return tuple(
        entity
        for entity in found
        if not entity.text.islower()
        or any(word not in functions and not knows(speech, word) for word in entity.text.split())
    )
