"""Reads sentiment from texts: VADER and TextBlob for English, and any sequence classifier that is configured.

Each component gives a polarity in [-1, 1]; the ensemble is their weighted mean over those that speak the language. It
knows neither emotion nor intent yet. torch and transformers are imported only where a transformer is configured.
"""

from __future__ import annotations

import logging
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from textblob.en import sentiment as textblob_lexicon
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from pipelines.records import Affect, Sentiment, SentimentLabel
from pipelines.tweets import entities

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

logger = logging.getLogger(__name__)

# The published preset; renormalized over the components that answer.
WEIGHTS: Mapping[str, float] = {"transformer": 0.4, "vader": 0.3, "textblob": 0.3}
# Hutto and Gilbert 2014, ICWSM-14; https://github.com/cjhutto/vaderSentiment#about-the-scoring
THRESHOLD = 0.05
LEXICON_LANGUAGES = frozenset({"en", "und"})
LABEL_NAMES = {"negative": -1.0, "neg": -1.0, "neutral": 0.0, "neu": 0.0, "positive": 1.0, "pos": 1.0}
UNNAMED_LABELS = ("negative", "neutral", "positive")
BATCH_TEXTS = 32
DEFAULT_MAX_TOKENS = 512


class SentimentEnsemble:
    """Holds the lexicons and the classifier, if one is configured."""

    def __init__(
        self,
        transformer: str | None = None,
        device: str = "cpu",
        weights: Mapping[str, float] = WEIGHTS,
        transformer_languages: Collection[str] = ("en",),
    ) -> None:
        """Load everything.

        Args:
            transformer: Hugging Face id or folder of a sequence classifier; None for the lexicons alone.
            device: torch device of the classifier; on cuda it runs in bfloat16.
            weights: weight of each component by name; one that is not named counts nothing.
            transformer_languages: ISO 639-1 codes that the classifier reads; `und` is read as English.

        Raises:
            OSError: the classifier is not there.
            ValueError: its labels do not say what is positive and what is negative.
        """
        self.weights = dict(weights)
        self._vader = SentimentIntensityAnalyzer()
        self._classifier = PolarityClassifier(transformer, device) if transformer else None
        languages = frozenset(transformer_languages) if transformer else frozenset()
        self._classifier_languages = languages | ({"und"} if "en" in languages else set())

    @property
    def version(self) -> str:
        """What a reading depends on: the components with their versions, and weights other than the preset."""
        parts = [f"vader-{version('vaderSentiment')}", f"textblob-{version('textblob')}"]
        if self._classifier:
            parts.append(self._classifier.version)
        if self.weights != WEIGHTS:
            parts.append("weights-" + "-".join(f"{self.weights.get(name, 0.0):g}" for name in WEIGHTS))
        return "+".join(parts)

    def read(self, texts: Sequence[str], languages: Sequence[str | None]) -> list[Affect]:
        """Read each text in its language (ISO 639-1; None is undetermined).

        A classifier that fails costs its part of the ensemble, and its texts name `sentiment.transformer` in degraded.
        """
        known = [language or "und" for language in languages]
        components: list[dict[str, float]] = [
            {"vader": self._vader_polarity(text), "textblob": textblob_polarity(text)}
            if language in LEXICON_LANGUAGES
            else {}
            for text, language in zip(texts, known, strict=True)
        ]
        mine = [index for index, language in enumerate(known) if language in self._classifier_languages]
        failed: set[int] = set()
        if self._classifier and mine:
            polarities = self._classifier.polarities([texts[index] for index in mine])
            for index, polarity in zip(mine, polarities, strict=True):
                if polarity is None:
                    failed.add(index)
                else:
                    components[index]["transformer"] = polarity
        spoken = LEXICON_LANGUAGES | self._classifier_languages
        return [
            Affect(
                sentiment=self._combine(parts, supported=language in spoken),
                degraded=("sentiment.transformer",) if index in failed else (),
            )
            for index, (parts, language) in enumerate(zip(components, known, strict=True))
        ]

    def _combine(self, components: dict[str, float], *, supported: bool) -> Sentiment:
        weights = {name: self.weights.get(name, 0.0) for name in components}
        total = sum(weights.values())
        polarity = sum(weights[name] * value for name, value in components.items()) / total if total else None
        labels = {_label(value) for value in components.values()}
        return Sentiment(
            label=None if polarity is None else _label(polarity),
            polarity=polarity,
            probabilities=None,
            components=components,
            agreement=len(labels) == 1 if len(components) > 1 else None,
            supported=supported,
        )

    def _vader_polarity(self, text: str) -> float:
        return float(self._vader.polarity_scores(text)["compound"])


class PolarityClassifier:
    """A sequence classifier whose labels are opinions; polarity is P(positive) - P(negative)."""

    def __init__(self, model: str, device: str) -> None:
        import torch  # noqa: PLC0415  # 2 s and 300 MB that the lexicons alone do without
        from transformers import AutoModelForSequenceClassification, AutoTokenizer  # noqa: PLC0415

        self._tokenizer: Any = AutoTokenizer.from_pretrained(model)
        dtype = torch.bfloat16 if device.startswith("cuda") else torch.float32
        self._model: Any = AutoModelForSequenceClassification.from_pretrained(model, dtype=dtype).to(device).eval()
        self._signs = torch.tensor(_signs(self._model.config.id2label), device=device)
        self._device = device
        self._max_tokens = _max_tokens(self._model, self._tokenizer)
        commit = getattr(self._model.config, "_commit_hash", None)
        self.version = model.rstrip("/").rsplit("/", 1)[-1] + (f"@{commit[:12]}" if commit else "")

    def polarities(self, texts: Sequence[str]) -> list[float | None]:
        """Return the polarity of each text in [-1, 1], None where the classifier failed; long texts are truncated."""
        prepared = [_anonymous(text) for text in texts]
        order = sorted(range(len(texts)), key=lambda index: len(prepared[index]))
        polarities: list[float | None] = [None] * len(texts)
        for start in range(0, len(order), BATCH_TEXTS):
            batch = order[start : start + BATCH_TEXTS]
            try:
                values = self._classify([prepared[index] for index in batch])
            except (RuntimeError, ValueError, IndexError):
                logger.exception("the sentiment classifier failed", extra={"action": "classify", "texts": len(batch)})
                continue
            for index, value in zip(batch, values, strict=True):
                polarities[index] = value
        return polarities

    def _classify(self, texts: list[str]) -> list[float]:
        import torch  # noqa: PLC0415

        encoded = self._tokenizer(
            texts, padding=True, truncation=True, max_length=self._max_tokens, return_tensors="pt"
        ).to(self._device)
        with torch.inference_mode():
            probabilities = self._model(**encoded).logits.float().softmax(dim=-1)
        values: list[float] = (probabilities @ self._signs).tolist()
        return values


def textblob_polarity(text: str) -> float:
    """Return what TextBlob(text).sentiment.polarity does, without building the blob around it."""
    return float(textblob_lexicon(text)[0])


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


def _anonymous(text: str) -> str:
    """Write handles as @user and links as http, as the TweetEval models were trained (Barbieri et al. 2020)."""
    parts: list[str] = []
    position = 0
    for entity in entities(text):
        if entity.label in {"MENTION", "URL"}:
            parts += [text[position : entity.start], "@user" if entity.label == "MENTION" else "http"]
            position = entity.end
    return "".join([*parts, text[position:]])
