"""The product in one function: analyze -> write -> score -> rank.

It knows what is asked of each model, not where a model runs: `Models` is answered by the cluster in production and by
the same classes in one process in benchmarks. A model that fails costs its own field and is named in `degraded`.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

from pipelines.advice import Tip, advice, edits
from pipelines.errors import ModelUnavailable
from pipelines.records import (
    Affect,
    Analysis,
    Answer,
    Brief,
    Candidate,
    Comparison,
    Degraded,
    Draft,
    Evidence,
    Language,
    Pair,
    Prediction,
    Proposal,
    Query,
    Recommendation,
)
from pipelines.tweets import is_valid, weighted_length

Result = TypeVar("Result")
ROUNDING = 1e-9


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

    async def fluency(self, texts: Sequence[str], language: str | None) -> list[float | None]:
        """Score how texts read, in nats a token, in their order; None where nobody can say."""

    async def predict(self, drafts: Sequence[Draft]) -> list[Prediction]:
        """Score drafts, in their order."""

    async def compare_each(self, pairs: Sequence[Pair]) -> list[Comparison | ModelUnavailable]:
        """Compare wordings, in their order; a pair that fails costs only its own place."""

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
    affect, (proposals, predictions, measurable) = await asyncio.gather(
        _or_none(models.read(query.query, language), degraded),
        _write_and_score(query, analysis, models, degraded, language_model=language_model),
    )
    if affect:
        degraded.extend(affect.degraded)
    own = predictions[0] if predictions else None
    scored = predictions[1:] if predictions else []
    return Answer(
        analysis=_merge(query.query, analysis, affect),
        templates=None if proposals is None else _rank(proposals, scored[len(measurable) :], own),
        recommendations=None
        if own is None
        else _recommend(measurable, scored, own, advice(query, analysis, _language(query, analysis))),
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


async def compare(pairs: Sequence[Pair], models: Models) -> tuple[list[Comparison | None], tuple[Degraded, ...]]:
    """Compare wordings; a pair that is surely not English gets no figures, and None is what no model answered."""
    degraded: list[Degraded] = []
    analyses, compared = await asyncio.gather(
        asyncio.gather(*(_or_none(models.analyze(f"{pair.a}\n{pair.b}", None), degraded) for pair in pairs)),
        models.compare_each(pairs),
    )
    results: list[Comparison | None] = []
    for analysis, comparison in zip(analyses, compared, strict=True):
        if isinstance(comparison, ModelUnavailable):
            degraded.append("viral_predictor")
            results.append(None)
        elif analysis and analysis.language not in {"en", "und", None}:
            results.append(
                replace(comparison, p_a=None, verdict="too_close", accuracy=None, coverage=0.0, supported=False)
            )
        else:
            results.append(comparison)
    return results, tuple(dict.fromkeys(degraded))


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
) -> tuple[list[Proposal] | None, list[Prediction] | None, list[Tip]]:
    proposals = await _write(query, analysis, models, degraded, language_model=language_model)
    own_edits = edits(query.query, _language(query, analysis))
    texts = [query.query, *(tip.text or "" for tip in own_edits), *(proposal.text for proposal in proposals or ())]
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
    return Brief(
        query=query.query,
        language=_language(query, analysis),
        keywords=tuple(keyword.text for keyword in (analysis.keywords or ())) if analysis else (),
        entities=(analysis.entities or ()) if analysis else (),
        objectives=query.objectives,
        tone=query.tone,
        n=query.n_templates,
        engine=query.engine,
        seed=query.seed or 0,
    )


def _language(query: Query, analysis: Analysis | None) -> Language:
    """The language to write in."""
    return query.language or ("es" if analysis and analysis.language == "es" else "en")


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


def _recommend(
    own_edits: list[Tip], scored: list[Prediction], own: Prediction, missing: list[Tip]
) -> tuple[Recommendation, ...]:
    """The edits that do not lower the score, best first; then what only the author can add: nobody can measure it."""
    measured = [
        Recommendation(tip.action, prediction.viral_score - own.viral_score, _evidence(prediction, own), tip.text)
        for tip, prediction in zip(own_edits, scored, strict=False)
    ]
    ranked = sorted(
        (edit for edit in measured if (edit.delta or 0.0) > -ROUNDING), key=lambda edit: -(edit.delta or 0.0)
    )
    return (*ranked, *(Recommendation(tip.action, None, "convention", None) for tip in missing))


def _evidence(edited: Prediction, own: Prediction) -> Evidence:
    """Whether most of the change comes from the author's own record."""
    delta = edited.viral_score - own.viral_score
    by_record = (edited.subscores.author or 0.0) - (own.subscores.author or 0.0)
    return "own_data" if delta > 0 and by_record > delta / 2 else "convention"
