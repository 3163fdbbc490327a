"""The product in one function: analyze -> write -> score -> rank.

It knows what is asked of each model, not where a model runs: `Models` is answered by the cluster in production and by
the same classes in one process in benchmarks. A model that fails costs its own field and is named in `degraded`.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

from pipelines.errors import ModelUnavailable
from pipelines.records import (
    Affect,
    Analysis,
    Answer,
    Brief,
    Candidate,
    Degraded,
    Draft,
    Language,
    Prediction,
    Proposal,
    Query,
    Recommendation,
)
from pipelines.tweets import is_valid, weighted_length

Result = TypeVar("Result")


class Models(Protocol):
    """The models as one request sees them; each call raises ModelUnavailable where it cannot answer in time."""

    async def analyze(self, text: str, language: str | None) -> Analysis:
        """Read language, entities, keywords, complexity and findings from one text."""

    async def read(self, text: str, language: str | None) -> Affect:
        """Read sentiment, emotion, intent and risks from one text in a known language."""

    async def write(self, brief: Brief) -> list[Proposal]:
        """Fill templates for a brief."""

    async def generate(self, brief: Brief) -> list[Proposal]:
        """Let the language model write for a brief."""

    async def predict(self, drafts: Sequence[Draft]) -> list[Prediction]:
        """Score drafts, in their order."""

    def versions(self) -> dict[str, str]:
        """Version of each model that has answered so far, by name."""


async def answer(query: Query, models: Models, *, language_model: bool) -> Answer:
    """Analyze the query, write candidates for it, score both, and rank.

    Args:
        query: what the user asks.
        models: where the models are.
        language_model: whether a language model is configured; without one `engine: auto` means templates.
    """
    degraded: list[Degraded] = []
    analysis = await _or_none(models.analyze(query.query, query.language), degraded)
    language = analysis.language if analysis else query.language
    affect, (proposals, predictions, edits) = await asyncio.gather(
        _or_none(models.read(query.query, language), degraded),
        _write_and_score(query, analysis, models, degraded, language_model=language_model),
    )
    if affect:
        degraded.extend(affect.degraded)
    own = predictions[0] if predictions else None
    scored = predictions[1:] if predictions else []
    return Answer(
        analysis=_merge(query.query, analysis, affect),
        templates=None if proposals is None else _rank(proposals, scored[len(edits) :], own),
        recommendations=None if own is None else _recommend(edits, scored, own),
        viral_score=own.viral_score if own else None,
        prediction=own,
        model_versions=models.versions(),
        degraded=tuple(dict.fromkeys(degraded)),
    )


async def analyze(text: str, models: Models) -> tuple[Analysis, tuple[Degraded, ...]]:
    """Analyze one text without storing or scoring anything; returns what was missing beside it."""
    degraded: list[Degraded] = []
    analysis = await _or_none(models.analyze(text, None), degraded)
    affect = await _or_none(models.read(text, analysis.language if analysis else None), degraded)
    if affect:
        degraded.extend(affect.degraded)
    return _merge(text, analysis, affect), tuple(dict.fromkeys(degraded))


Edit = tuple[str, str]


def edits(text: str) -> list[Edit]:
    """Return (action, edited text) for each edit that changes the text; none of them touches a fact."""
    return [(action, edited) for action, edit in _EDITS.items() if (edited := edit(text)) != text and edited.strip()]


def _keep_one_hashtag(text: str) -> str:
    first = re.search(r"(?<!\w)#\w+", text)
    if first is None:
        return text
    return text[: first.end()] + re.sub(r"\s*(?<!\w)#\w+", "", text[first.end() :])


def _calm_capitals(text: str) -> str:
    if sum(map(str.isupper, text)) <= sum(map(str.islower, text)):
        return text
    calm = re.sub(r"(?<![\w@#$/.:])[^\W\d_]{2,}(?![\w/:.@]*[/:@])", lambda word: word[0].lower(), text)
    return calm[:1].upper() + calm[1:]


def _single_punctuation(text: str) -> str:
    return re.sub(r"([!?])[!?]+", r"\1", text)


_EDITS: dict[str, Callable[[str], str]] = {
    "Keep only the first hashtag.": _keep_one_hashtag,
    "Write in lower case instead of capitals.": _calm_capitals,
    "Use one exclamation or question mark, not several.": _single_punctuation,
}


async def _or_none(call: Awaitable[Result], degraded: list[Degraded], name: Degraded | None = None) -> Result | None:
    try:
        return await call
    except ModelUnavailable as error:
        degraded.append(name or error.stage)  # type: ignore[arg-type]  # a stage is named as its model
        return None


async def _write_and_score(
    query: Query,
    analysis: Analysis | None,
    models: Models,
    degraded: list[Degraded],
    *,
    language_model: bool,
) -> tuple[list[Proposal] | None, list[Prediction] | None, list[Edit]]:
    proposals = await _write(query, analysis, models, degraded, language_model=language_model)
    own_edits = edits(query.query)
    texts = [query.query, *(text for _, text in own_edits), *(proposal.text for proposal in proposals or ())]
    drafts = [Draft(text=text, posted_at=query.posted_at, history=query.history) for text in texts]
    return proposals, await _or_none(models.predict(drafts), degraded), own_edits


async def _write(
    query: Query, analysis: Analysis | None, models: Models, degraded: list[Degraded], *, language_model: bool
) -> list[Proposal] | None:
    if query.n_templates == 0 or not _can_write(query, analysis):
        return []
    brief = _brief(query, analysis)
    if query.engine == "lm" or (query.engine == "auto" and language_model):
        written = await _or_none(models.generate(brief), degraded)
        if written or query.engine == "lm":
            return written
    return await _or_none(models.write(brief), degraded)


def _can_write(query: Query, analysis: Analysis | None) -> bool:
    """Whether somebody here writes the language of the text; an undetermined one counts as English."""
    return query.language is not None or analysis is None or analysis.language in {"en", "es", "und", None}


def _brief(query: Query, analysis: Analysis | None) -> Brief:
    language: Language = query.language or ("es" if analysis and analysis.language == "es" else "en")
    return Brief(
        query=query.query,
        language=language,
        keywords=tuple(keyword.text for keyword in (analysis.keywords or ())) if analysis else (),
        entities=(analysis.entities or ()) if analysis else (),
        objectives=query.objectives,
        tone=query.tone,
        n=query.n_templates,
        engine=query.engine,
        seed=query.seed or 0,
    )


def _merge(text: str, analysis: Analysis | None, affect: Affect | None) -> Analysis:
    analysis = analysis or Analysis(language=None, weighted_length=weighted_length(text), valid=is_valid(text))
    if affect is None:
        return analysis
    return replace(
        analysis, sentiment=affect.sentiment, emotion=affect.emotion, intent=affect.intent, risks=affect.risks
    )


def _rank(proposals: list[Proposal], predictions: list[Prediction], own: Prediction | None) -> tuple[Candidate, ...]:
    """Candidates by score, best first; in the order of their writer where there are no scores."""
    if own is None:
        return tuple(_candidate(proposal) for proposal in proposals)
    scored = [
        _candidate(proposal, prediction.viral_score, prediction.p_beats_median, own.viral_score)
        for proposal, prediction in zip(proposals, predictions, strict=True)
    ]
    return tuple(sorted(scored, key=lambda candidate: -(candidate.viral_score or 0.0)))


def _candidate(
    proposal: Proposal, score: float | None = None, p_beats_median: float | None = None, own_score: float | None = None
) -> Candidate:
    return Candidate(
        id=hashlib.blake2b(proposal.text.encode(), digest_size=8).hexdigest(),
        text=proposal.text,
        source=proposal.source,
        template=proposal.template,
        weighted_length=proposal.weighted_length,
        viral_score=score,
        p_beats_median=p_beats_median,
        delta=None if score is None or own_score is None else score - own_score,
    )


def _recommend(own_edits: list[Edit], scored: list[Prediction], own: Prediction) -> tuple[Recommendation, ...]:
    measured = [
        Recommendation(action=action, delta=prediction.viral_score - own.viral_score, evidence="convention", text=text)
        for (action, text), prediction in zip(own_edits, scored, strict=False)
    ]
    return tuple(sorted((r for r in measured if r.delta > 0), key=lambda r: -r.delta))
