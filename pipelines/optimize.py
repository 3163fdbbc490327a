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
from pipelines.editing.threads import is_thread, read_thread, split_thread
from pipelines.errors import ModelUnavailable
from pipelines.generator import candidates
from pipelines.generator.candidates import Engines, or_none
from pipelines.generator.selection import own_words
from pipelines.policy import Policy, lint
from pipelines.records import (
    Affect,
    Analysis,
    Degraded,
    Draft,
    DraftToOptimize,
    Evidence,
    Finding,
    Language,
    Objective,
    Pair,
    Post,
    Query,
    SensitivityLabel,
)
from pipelines.results import Answer, Comparison, Generated, Optimized, Prediction, Recommendation
from pipelines.sentiment.sensitivity import finding_of
from pipelines.text.tweets import Entity, is_valid, overlaps, weighted_length

ROUNDING = 1e-9
N_REWRITES = 4
MAX_RECOMMENDATIONS = 5


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
    own_edits, missing = _tips(query, analysis, affect)
    texts = [query.query, *(tip.text or "" for tip in own_edits), *(written.texts() if written else ())]
    own, scored = await _score(query, texts, models, degraded, affect.substance if affect else None)
    ranked = None if written is None else candidates.rank(written, scored[len(own_edits) :], own, query.n_templates)
    best = None if ranked is None else candidates.best_of(written, ranked)
    return Answer(
        analysis=_merge(query.query, analysis, affect, engines.policy, query.history),
        templates=ranked,
        best=best,
        recommendations=None if own is None else _recommend(own_edits, scored, own, missing),
        viral_score=own.viral_score if own else None,
        prediction=own,
        model_versions=models.versions(),
        degraded=tuple(dict.fromkeys(degraded)),
        notes=candidates.shortfall(query, analysis, affect, ranked, policy=engines.policy, best=best),
    )


async def generate(query: Query, models: Models, engines: Engines) -> Generated:
    """Write candidates for a query and rank them; the query itself is scored too, for their delta."""
    degraded: list[Degraded] = []
    analysis, affect, written = await _read_and_write(query, models, engines, degraded)
    texts = [query.query, *(written.texts() if written else ())]
    own, scored = await _score(query, texts, models, degraded, affect.substance if affect else None)
    ranked = None if written is None else candidates.rank(written, scored, own, query.n_templates)
    best = None if ranked is None else candidates.best_of(written, ranked)
    return Generated(
        candidates=ranked,
        best=best,
        findings=_harm(query.query, affect, candidates.writing_language(query, analysis)),
        notes=candidates.shortfall(query, analysis, affect, ranked, policy=engines.policy, best=best),
        model_versions=models.versions(),
        degraded=tuple(dict.fromkeys(degraded)),
    )


async def optimize(asked: DraftToOptimize, models: Models, engines: Engines) -> Optimized:
    """Search for a better version of a draft: real edits and the writer's own versions, each with its measured change.

    A text that harms stays as it is, with the finding that says so.
    """
    degraded: list[Degraded] = []
    query = Query(
        query=asked.draft, language=asked.language, objectives=asked.objectives, history=asked.history, engine="auto"
    )
    analysis, affect = await understand(asked.draft, asked.language, models, degraded)
    language = candidates.writing_language(query, analysis)
    harm = _harm(asked.draft, affect, language)

    def findings(text: str) -> tuple[Finding, ...]:
        return engines.policy.heeded(lint(text, history=asked.history, language=language))

    known = {finding.rule for finding in findings(asked.draft)}
    rewrites = () if harm else await _rewrites(query, analysis, affect, models, engines)
    improved = None
    if not harm:
        improved = await or_none(
            improve(
                asked.draft,
                _Critics(models, degraded),
                language=language if candidates.can_write(query, analysis) else None,
                asks=_suits_question(affect, asked.objectives),
                sober=_label(affect) == "sober",
                rewrites=rewrites,
                target_length=asked.target_length,
                objectives=asked.objectives,
                posted_at=asked.posted_at,
                history=asked.history,
                permitted=lambda text: {finding.rule for finding in findings(text)} <= known,
            ),
            degraded,
        )
    text = improved.text if improved else asked.draft
    return Optimized(
        text=text,
        parts=_parts(text, language) if asked.format == "thread" or is_thread(text) else None,
        viral_score=improved.viral_score if improved else None,
        original_score=improved.original_score if improved else None,
        steps=improved.steps if improved else (),
        target_reached=improved.target_reached if improved else None,
        shortened=improved.shortened if improved else None,
        notes=_why_not_shorter(improved, language) if improved and asked.format == "post" else (),
        findings=(*harm, *findings(text)),
        model_versions=models.versions(),
        degraded=tuple(dict.fromkeys(degraded)),
    )


@dataclass(frozen=True)
class _Critics:
    """pipelines.editing.improve.Critics: without an answer from the judge nothing is judged, and that is said."""

    models: Models
    degraded: list[Degraded]

    async def predict(self, drafts: Sequence[Draft]) -> list[Prediction]:
        return await self.models.predict(drafts)

    async def judge(self, draft: str, texts: Sequence[str], language: Language | None) -> list[float | None]:
        if language is None:
            return [None] * len(texts)
        judged = await or_none(
            self.models.judge([(draft, text, language) for text in texts]), self.degraded, "generator"
        )
        return list(judged) if judged else [None] * len(texts)


async def _rewrites(
    query: Query, analysis: Analysis | None, affect: Affect | None, models: Models, engines: Engines
) -> tuple[str, ...]:
    """What the language model would write instead of a draft; a model that is late costs only its own moves."""
    if not engines.language_model or not candidates.can_write(query, analysis):
        return ()
    sober = _label(affect) == "sober"
    brief = replace(candidates.brief_of(query, analysis, engines), sober=sober, n=N_REWRITES)
    written = await or_none(models.generate(brief), [])
    texts = tuple(proposal.text for proposal in written or ())
    return tuple(text for text in texts if own_words(text, query.query)) if sober else texts


def _parts(text: str, language: Language) -> tuple[str, ...]:
    """The posts of a thread, each with its number."""
    return tuple(read_thread(text) if is_thread(text) else split_thread(text, language))


def _why_not_shorter(improved: Improved, language: Language) -> tuple[str, ...]:
    """Say why a text is longer than was asked, and what to do."""
    if improved.target_reached is not False:
        return ()
    if improved.shortened and improved.shortened.delta is not None:
        points = f"{-improved.shortened.delta:.1f}"
        if language == "es":
            return (f"El texto más corto costaría {points} puntos: está en `shortened`, si lo prefieres.",)
        return (f"The shorter text would cost {points} points: it is in `shortened`, if you prefer it.",)
    length = weighted_length(improved.text)
    if language == "es":
        return (f"El texto tiene {length} caracteres y no se puede acortar más sin perder un dato: quita uno tú.",)
    return (f"The text has {length} characters and cannot be cut to fit without losing a fact: drop one yourself.",)


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
) -> tuple[Analysis | None, Affect | None, candidates.Written | None]:
    """Analyze a query, then read its affect and put its own words right side by side; neither waits for the other."""
    analysis = await or_none(models.analyze(query.query, query.language), degraded)
    read = or_none(models.read(query.query, analysis.language if analysis else query.language), degraded)
    affect, written = await candidates.write(query, analysis, read, models, engines, degraded=degraded)
    if affect:
        degraded.extend(affect.degraded)
    return analysis, affect, written


def _suits_question(affect: Affect | None, objectives: Sequence[Objective]) -> bool:
    """Whether a question to the readers suits a text: an opinion or a story that wants replies, in no dark mood."""
    intent = affect.intent.label if affect and affect.intent else None
    wants = bool({"engagement", "community"} & set(objectives))
    return wants and intent in {"opinion", "story", "ask"} and _label(affect) == "none"


def _tips(query: Query, analysis: Analysis | None, affect: Affect | None) -> tuple[list[Tip], list[Tip]]:
    """Edits that can be measured, and what only the author can add; none in a language that nobody here writes."""
    if not candidates.can_write(query, analysis) or _label(affect) in candidates.HARMFUL:
        return [], []
    language = candidates.writing_language(query, analysis)
    own_edits = edits(query.query, language)
    missing = advice(query, analysis, language, sober=_label(affect) == "sober")
    # At least as much that was measured as what was not, where something can be.
    most = max(len(own_edits), 1) if own_edits else MAX_RECOMMENDATIONS
    return own_edits[:MAX_RECOMMENDATIONS], missing[: min(most, MAX_RECOMMENDATIONS - len(own_edits))]


def _label(affect: Affect | None) -> SensitivityLabel:
    """How a text must be treated; one that nobody read is an ordinary one."""
    return affect.sensitivity.label if affect and affect.sensitivity else "none"


def _harm(text: str, affect: Affect | None, language: Language) -> tuple[Finding, ...]:
    """The finding of a text that harms."""
    finding = finding_of(affect.sensitivity, text, language) if affect and affect.sensitivity else None
    return (finding,) if finding else ()


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
    query: Query, texts: Sequence[str], models: Models, degraded: list[Degraded], substance: float | None
) -> tuple[Prediction | None, list[Prediction]]:
    """Return the prediction of the first text and those of the others, from one call."""
    drafts = [
        Draft(
            text=text,
            posted_at=query.posted_at,
            history=query.history,
            language=query.language,
            original=query.query,
            substance=substance,
        )
        for text in texts
    ]
    predictions = await or_none(models.predict(drafts), degraded)
    return (predictions[0], predictions[1:]) if predictions else (None, [])


def _merge(
    text: str, analysis: Analysis | None, affect: Affect | None, policy: Policy, history: Sequence[Post] = ()
) -> Analysis:
    """Join what the models read, and what X's rules say about the text."""
    language = analysis.language if analysis else None
    analysis = analysis or Analysis(language=None, weighted_length=weighted_length(text), valid=is_valid(text))
    harm = _harm(text, affect, "es" if language == "es" else "en")
    findings = (*harm, *(analysis.findings or ()), *policy.heeded(lint(text, history=history, language=language)))
    analysis = replace(analysis, findings=findings)
    if affect is None:
        return analysis
    return replace(
        analysis,
        sentiment=affect.sentiment,
        emotion=affect.emotion,
        intent=affect.intent,
        risks=affect.risks,
        sensitivity=affect.sensitivity,
        entities=_with_names(analysis.entities, affect.entities),
        supported=_supported(analysis, affect),
    )


def _supported(analysis: Analysis, affect: Affect) -> dict[str, bool]:
    """Say of each reading whether it is read in the text's language; a model that failed is named in `degraded`."""
    found = {"sentiment": affect.sentiment.supported}
    if not affect.degraded:
        found |= {name: getattr(affect, name) is not None for name in ("emotion", "intent", "sensitivity")}
        found |= {name: name in (affect.risks or {}) for name in ("irony", "offensive")}
        found["names"] = affect.entities is not None
    if analysis.language is not None:
        found["keywords"] = analysis.keywords is not None
    return found


def _with_names(exact: tuple[Entity, ...] | None, named: tuple[Entity, ...] | None) -> tuple[Entity, ...] | None:
    """Join what the rules found with people, organisations and places, whose place a NAME without a kind leaves."""
    if not named:
        return exact
    sure = [entity for entity in exact or () if entity.label != "NAME"]
    taken = [*sure, *(entity for entity in named if not any(overlaps(entity, other) for other in sure))]
    loose = [entity for entity in exact or () if entity.label == "NAME"]
    taken += [entity for entity in loose if not any(overlaps(entity, other) for other in taken)]
    return tuple(sorted(taken, key=lambda entity: entity.start))


def _recommend(
    own_edits: list[Tip], scored: list[Prediction], own: Prediction, missing: list[Tip]
) -> tuple[Recommendation, ...]:
    """The edits that do not lower the score, best first; then what only the author can add: nobody can measure it."""
    measured = [
        Recommendation(tip.action, candidates.gain(prediction, own), _evidence(prediction, own), tip.text)
        for tip, prediction in zip(own_edits, scored, strict=False)
    ]
    ranked = sorted(
        (edit for edit in measured if (edit.delta or 0.0) > -ROUNDING), key=lambda edit: -(edit.delta or 0.0)
    )
    return (*ranked, *(Recommendation(tip.action, None, "convention", None) for tip in missing))


def _evidence(edited: Prediction, own: Prediction) -> Evidence:
    """Whether most of the change comes from the author's own record."""
    delta = candidates.gain(edited, own) or 0.0
    by_record = (edited.subscores.author or 0.0) - (own.subscores.author or 0.0)
    return "own_data" if delta > 0 and by_record > delta / 2 else "convention"
