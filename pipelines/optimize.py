"""The product in one function: analyze -> write -> score -> rank; and the other calls, made of the same steps.

It knows what is asked of each model, not where a model runs: `Models` is answered by the cluster in production and by
the same classes in one process in benchmarks. A model that fails costs its own field and is named in `degraded`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from pipelines.editing.advice import Tip, advice, edits
from pipelines.editing.improve import Improved, improve
from pipelines.errors import ModelUnavailable
from pipelines.generator import candidates
from pipelines.generator.candidates import Engines, or_none
from pipelines.policy import Policy, lint
from pipelines.records import (
    Affect,
    Analysis,
    Degraded,
    Draft,
    DraftToOptimize,
    EmotionLabel,
    Evidence,
    Finding,
    Language,
    Pair,
    Post,
    Query,
)
from pipelines.results import Answer, Comparison, Generated, Optimized, Prediction, Recommendation
from pipelines.text.tweets import is_valid, weighted_length

ROUNDING = 1e-9
# Below these nobody is glad enough for a phrase that says so.
SURE_EMOTION, WARM_POLARITY = 0.7, 0.5


class Models(candidates.Writers, Protocol):
    """The models as one request sees them; each call raises ModelUnavailable where it cannot answer in time."""

    async def analyze(self, text: str, language: str | None) -> Analysis:
        """Read language, entities, keywords, complexity and findings from one text."""

    async def read(self, text: str, language: str | None) -> Affect:
        """Read sentiment, emotion, intent and risks from one text in a known language."""

    async def predict(self, drafts: Sequence[Draft]) -> list[Prediction]:
        """Score drafts, in their order."""

    async def compare_each(self, pairs: Sequence[Pair]) -> list[Comparison | ModelUnavailable]:
        """Compare wordings, in their order; a pair that fails costs only its own place."""

    def versions(self) -> dict[str, str]:
        """Version of each model that has answered so far, by name."""


async def answer(query: Query, models: Models, engines: Engines) -> Answer:
    """Analyze the query, write candidates for it, score everything in one call, and rank.

    Args:
        query: what the user asks.
        models: where the models are.
        engines: what writes here, and by which rules.
    """
    degraded: list[Degraded] = []
    analysis, affect, written = await _read_and_write(query, models, engines, degraded)
    language = candidates.writing_language(query, analysis)
    own_edits = edits(query.query, language)
    texts = [query.query, *(tip.text or "" for tip in own_edits), *(item.proposal.text for item in written or ())]
    own, scored = await _score(query, texts, models, degraded)
    ranked = None if written is None else candidates.rank(written, scored[len(own_edits) :], own, query.n_templates)
    return Answer(
        analysis=_merge(query.query, analysis, affect, engines.policy, query.history),
        templates=ranked,
        recommendations=None if own is None else _recommend(own_edits, scored, own, advice(query, analysis, language)),
        viral_score=own.viral_score if own else None,
        prediction=own,
        model_versions=models.versions(),
        degraded=tuple(dict.fromkeys(degraded)),
        notes=candidates.shortfall(query, analysis, ranked, engines.policy),
    )


async def generate(query: Query, models: Models, engines: Engines) -> Generated:
    """Write candidates for a query and rank them; the query itself is scored too, for their delta."""
    degraded: list[Degraded] = []
    analysis, _affect, written = await _read_and_write(query, models, engines, degraded)
    own, scored = await _score(query, [query.query, *(item.proposal.text for item in written or ())], models, degraded)
    ranked = None if written is None else candidates.rank(written, scored, own, query.n_templates)
    return Generated(
        candidates=ranked,
        notes=candidates.shortfall(query, analysis, ranked, engines.policy),
        model_versions=models.versions(),
        degraded=tuple(dict.fromkeys(degraded)),
    )


async def optimize(asked: DraftToOptimize, models: Models, engines: Engines) -> Optimized:
    """Search for a better version of a draft: real edits, each with its measured change."""
    degraded: list[Degraded] = []
    analysis, affect = await understand(asked.draft, asked.language, models, degraded)
    language = asked.language or ("es" if analysis and analysis.language == "es" else "en")

    def findings(text: str) -> tuple[Finding, ...]:
        return engines.policy.heeded(lint(text, history=asked.history, language=language))

    known = {finding.rule for finding in findings(asked.draft)}
    improved = await or_none(
        improve(
            asked.draft,
            _Judges(models, engines, degraded),
            language=language,
            target_length=asked.target_length,
            objectives=asked.objectives,
            emotion=_plain_emotion(affect),
            keywords=[keyword.text for keyword in (analysis.keywords or ())] if analysis else (),
            posted_at=asked.posted_at,
            history=asked.history,
            permitted=lambda text: {finding.rule for finding in findings(text)} <= known,
        ),
        degraded,
    )
    text = improved.text if improved else asked.draft
    return Optimized(
        text=text,
        viral_score=improved.viral_score if improved else None,
        original_score=improved.original_score if improved else None,
        steps=improved.steps if improved else (),
        target_reached=improved.target_reached if improved else None,
        shortened=improved.shortened if improved else None,
        notes=_why_not_shorter(improved, language) if improved else (),
        findings=findings(text),
        model_versions=models.versions(),
        degraded=tuple(dict.fromkeys(degraded)),
    )


def _why_not_shorter(improved: Improved, language: Language) -> tuple[str, ...]:
    """Say why a text is longer than was asked, and what to do."""
    if improved.target_reached is not False:
        return ()
    if improved.shortened:
        points = f"{-improved.shortened.delta:.1f}"
        if language == "es":
            return (f"El texto más corto costaría {points} puntos: está en `shortened`, si lo prefieres.",)
        return (f"The shorter text would cost {points} points: it is in `shortened`, if you prefer it.",)
    length = weighted_length(improved.text)
    if language == "es":
        return (f"El texto tiene {length} caracteres y no se puede acortar más sin perder un dato: quita uno tú.",)
    return (f"The text has {length} characters and cannot be cut to fit without losing a fact: drop one yourself.",)


def _plain_emotion(affect: Affect | None) -> EmotionLabel | None:
    """The emotion of a text where it is plain: the words of the text say the same as its emotion does."""
    if affect is None or affect.emotion is None:
        return None
    label, polarity = affect.emotion.label, affect.sentiment.polarity or 0.0
    sure = affect.emotion.scores.get(label, 0.0) >= SURE_EMOTION
    return label if label in {"anger", "sadness", "fear"} or (sure and polarity >= WARM_POLARITY) else "neutral"


@dataclass(frozen=True)
class _Judges:
    """pipelines.editing.improve.Critics: without an answer from the critic nothing is judged, and that is said."""

    models: Models
    engines: Engines
    degraded: list[Degraded]

    async def predict(self, drafts: Sequence[Draft]) -> list[Prediction]:
        return await self.models.predict(drafts)

    async def fluency(self, texts: Sequence[str], language: Language) -> list[float | None]:
        if self.engines.fluency_floor is None or language != "en" or "generator.lm" in self.degraded:
            return [None] * len(texts)
        judged = await or_none(self.models.fluency(texts, language), self.degraded, "generator.lm")
        return judged or [None] * len(texts)


async def analyze(text: str, models: Models, policy: Policy) -> tuple[Analysis, tuple[Degraded, ...]]:
    """Analyze one text without storing or scoring anything; returns what was missing beside it."""
    degraded: list[Degraded] = []
    analysis, affect = await understand(text, None, models, degraded)
    return _merge(text, analysis, affect, policy), tuple(dict.fromkeys(degraded))


async def compare(pairs: Sequence[Pair], models: Models) -> tuple[list[Comparison | None], tuple[Degraded, ...]]:
    """Compare wordings; a pair that is surely not English gets no figures, and None is what no model answered."""
    degraded: list[Degraded] = []
    analyses, compared = await asyncio.gather(
        asyncio.gather(*(or_none(models.analyze(f"{pair.a}\n{pair.b}", None), degraded) for pair in pairs)),
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


async def _read_and_write(
    query: Query, models: Models, engines: Engines, degraded: list[Degraded]
) -> tuple[Analysis | None, Affect | None, list[candidates.Written] | None]:
    """Analyze a query, then read its affect and write for it side by side; neither waits for the other."""
    analysis = await or_none(models.analyze(query.query, query.language), degraded)
    affect, written = await asyncio.gather(
        or_none(models.read(query.query, analysis.language if analysis else query.language), degraded),
        candidates.write(query, analysis, models, engines, degraded=degraded),
    )
    if affect:
        degraded.extend(affect.degraded)
        written = candidates.fitting(query, affect, written)
    return analysis, affect, written


async def understand(
    text: str, language: str | None, models: Models, degraded: list[Degraded]
) -> tuple[Analysis | None, Affect | None]:
    """Analyze a text and read its affect; None, and its name in `degraded`, for a model that cannot answer."""
    analysis = await or_none(models.analyze(text, language), degraded)
    affect = await or_none(models.read(text, analysis.language if analysis else language), degraded)
    if affect:
        degraded.extend(affect.degraded)
    return analysis, affect


async def _score(
    query: Query, texts: Sequence[str], models: Models, degraded: list[Degraded]
) -> tuple[Prediction | None, list[Prediction]]:
    """Return the prediction of the first text and those of the others, from one call."""
    drafts = [Draft(text=text, posted_at=query.posted_at, history=query.history) for text in texts]
    predictions = await or_none(models.predict(drafts), degraded)
    return (predictions[0], predictions[1:]) if predictions else (None, [])


def _merge(
    text: str, analysis: Analysis | None, affect: Affect | None, policy: Policy, history: Sequence[Post] = ()
) -> Analysis:
    """Join what the models read, and what X's rules say about the text."""
    language = analysis.language if analysis else None
    analysis = analysis or Analysis(language=None, weighted_length=weighted_length(text), valid=is_valid(text))
    findings = (*(analysis.findings or ()), *policy.heeded(lint(text, history=history, language=language)))
    analysis = replace(analysis, findings=findings)
    if affect is None:
        return analysis
    return replace(
        analysis, sentiment=affect.sentiment, emotion=affect.emotion, intent=affect.intent, risks=affect.risks
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
