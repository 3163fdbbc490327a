"""The product in one function: analyze -> write -> score -> rank; and the other calls, made of the same steps.

It knows what is asked of each model, not where a model runs: `Models` is answered by the cluster in production and by
the same classes in one process in benchmarks. A model that fails costs its own field and is named in `degraded`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from pipelines.audience.trends import alignment
from pipelines.editing.advice import Tip, advice, edits
from pipelines.editing.improve import Improved, improve
from pipelines.editing.threads import is_thread, read_thread, split_thread
from pipelines.errors import ModelUnavailable
from pipelines.generator import candidates
from pipelines.generator.candidates import Engines, or_none
from pipelines.generator.selection import admissible, own_words
from pipelines.policy import Policy, lint
from pipelines.query_analyzer.limits import within
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
from pipelines.results import Answer, Candidate, Comparison, Generated, Optimized, Prediction, Recommendation, Subscores
from pipelines.sentiment.sensitivity import finding_of
from pipelines.text.languages import identify
from pipelines.text.tweets import MAX_WEIGHTED_LENGTH, Entity, is_valid, overlaps, weighted_length
from pipelines.viral_predictor.scope import scope_of

ROUNDING = 1e-9
NO_SCORE = {
    "en": "No score: the text harms somebody, see `findings`.",
    "es": "Sin nota: el texto ataca o engaña a alguien; mira los avisos.",
}
UNCUT: dict[Language, str] = {
    "en": "The text cannot be cut into posts: something in it is longer than one.",
    "es": "El texto no se puede partir en publicaciones: algo en él es más largo que una.",
}
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


def prepare() -> None:
    """Read the word lists and patterns that the steps beside the models need: the first answer would wait for them."""
    for language, text in (("en", "we open on monday with bread."), ("es", "abrimos el lunes con pan.")):
        identify(text)
        lint(text, language=language)
        analysis = Analysis(language=language, weighted_length=len(text), valid=True)
        _tips(Query(query=text), analysis, None)


async def answer(query: Query, models: Models, engines: Engines) -> Answer:
    """Analyze the query, write candidates for it, score everything in one call, and rank.

    Args:
        query: what the user asks.
        models: where the models are.
        engines: what writes here, and by which rules.
    """
    degraded: list[Degraded] = []
    analysis, affect, written = await _read_and_write(query, models, engines, degraded)
    shown = candidates.known_of(query, analysis, engines)
    own_edits, missing = _tips(query, shown, affect)
    texts = [query.query, *(tip.text or "" for tip in own_edits), *(written.texts() if written else ())]
    own, scored = await _score(query, texts, models, degraded, affect)
    ranked = (
        None
        if written is None
        else candidates.rank(written, scored[len(own_edits) :], own, query.n_templates, engines.voice)
    )
    best = None if ranked is None else candidates.best_of(written, ranked)
    return Answer(
        analysis=_merge(
            query.query,
            analysis,
            affect,
            engines.policy,
            history=query.own_posts,
            length_limit=query.length_limit,
        ),
        templates=ranked,
        best=best,
        recommendations=None if own is None else _recommend(own_edits, scored, own, missing),
        viral_score=own.viral_score if own else None,
        prediction=own,
        model_versions=models.versions(),
        degraded=tuple(dict.fromkeys(degraded)),
        notes=candidates.shortfall(query, shown, affect, ranked, policy=engines.policy, best=best),
        trend_alignment=alignment(query.query, engines.trends),
    )


async def generate(
    query: Query,
    models: Models,
    engines: Engines,
    told: candidates.Told | None = None,
    known: dict[str, Prediction] | None = None,
) -> Generated:
    """Write candidates for a query and rank them; the query itself is scored too, for their delta.

    `told` hears of what is written before all is; `known` are the predictions of texts that need no other.
    """
    degraded: list[Degraded] = []
    analysis, affect, written = await _read_and_write(query, models, engines, degraded, told)
    texts = [query.query, *(written.texts() if written else ())]
    own, scored = await _score(query, texts, models, degraded, affect, known=known)
    ranked = None if written is None else candidates.rank(written, scored, own, query.n_templates, engines.voice)
    best = None if ranked is None else candidates.best_of(written, ranked)
    shown = candidates.known_of(query, analysis, engines)
    return Generated(
        candidates=ranked,
        best=best,
        findings=_harm(query.query, affect, candidates.writing_language(query, shown)),
        notes=candidates.shortfall(query, shown, affect, ranked, policy=engines.policy, best=best),
        model_versions=models.versions(),
        degraded=tuple(dict.fromkeys(degraded)),
    )


async def generate_each(query: Query, models: Models, engines: Engines) -> AsyncGenerator[Candidate | Generated, None]:
    """The same piece by piece: each candidate, scored, as soon as it is known, and last what generate returns.

    Every candidate of the last piece came before; some that came are not in it. Closing the generator ends the work.
    """
    written: asyncio.Queue[tuple[Affect | None, candidates.Written] | None] = asyncio.Queue()
    known: dict[str, Prediction] = {}
    shown: set[str] = set()
    whole = asyncio.create_task(
        generate(query, models, engines, lambda affect, part: written.put_nowait((affect, part)), known)
    )
    whole.add_done_callback(lambda _: written.put_nowait(None))
    try:
        while piece := await written.get():
            affect, part = piece
            own, scored = await _score(query, [query.query, *part.texts()], models, [], affect, known=known)
            for candidate in candidates.scored(part, scored, own, engines.voice):
                # A call to the language model that was lost is repeated.
                if candidate.id not in shown:
                    shown.add(candidate.id)
                    yield candidate
        yield await whole
    finally:
        whole.cancel()


async def optimize(asked: DraftToOptimize, models: Models, engines: Engines) -> Optimized:
    """Search for a better version of a draft: real edits and the writer's own versions, each with its measured change.

    A text that harms stays as it is, with the finding that says so.
    """
    degraded: list[Degraded] = []
    query = Query(
        query=asked.draft,
        language=asked.language,
        objectives=asked.objectives,
        history=asked.own_posts,
        engine="auto",
        length_limit=asked.length_limit,
    )
    told = asked.language or identify(asked.draft, engines.default_language)
    analysis, affect = await understand(asked.draft, told, models, degraded)
    analysis = candidates.known_of(query, analysis, engines)
    language = candidates.writing_language(query, analysis)
    private = tuple(one for one in (analysis.findings or ()) if one.rule in candidates.NEVER_POSTED)
    harm = (*_harm(asked.draft, affect, language), *private)

    def findings(text: str) -> tuple[Finding, ...]:
        return engines.policy.heeded(lint(text, history=asked.own_posts, language=language))

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
                length_limit=asked.length_limit or MAX_WEIGHTED_LENGTH,
                objectives=asked.objectives,
                posted_at=asked.posted_at,
                history=asked.own_posts,
                permitted=lambda text: {finding.rule for finding in findings(text)} <= known,
            ),
            degraded,
        )
    text = improved.text if improved else asked.draft
    threaded = asked.format == "thread" or is_thread(text)
    parts = _parts(text, language) if threaded else None
    notes = _why_not_shorter(improved, language) if improved and asked.format == "post" else ()
    return Optimized(
        text=text,
        parts=parts,
        viral_score=improved.viral_score if improved else None,
        original_score=improved.original_score if improved else None,
        steps=improved.steps if improved else (),
        target_reached=improved.target_reached if improved else None,
        shortened=improved.shortened if improved else None,
        notes=(*notes, UNCUT[language]) if threaded and parts is None else notes,
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
    language = candidates.writing_language(query, analysis)
    kept = admissible(written or (), query.query, engines.policy, language=language, limit=brief.length_limit)
    texts = tuple(proposal.text for proposal, _ in kept)
    return tuple(text for text in texts if own_words(text, query.query)) if sober else texts


def _parts(text: str, language: Language) -> tuple[str, ...] | None:
    """The posts of a thread, each with its number; None where something in it fits into none."""
    try:
        return tuple(read_thread(text) if is_thread(text) else split_thread(text, language))
    except ValueError:
        return None


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


async def analyze(
    text: str,
    models: Models,
    policy: Policy,
    own_posts: Sequence[Post] = (),
    length_limit: int | None = None,
) -> tuple[Analysis, tuple[Degraded, ...]]:
    """Analyze one text without storing or scoring anything; returns what was missing beside it."""
    degraded: list[Degraded] = []
    analysis, affect = await understand(text, None, models, degraded)
    return _merge(text, analysis, affect, policy, history=own_posts, length_limit=length_limit), tuple(
        dict.fromkeys(degraded)
    )


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
    query: Query,
    models: Models,
    engines: Engines,
    degraded: list[Degraded],
    told: candidates.Told | None = None,
) -> tuple[Analysis | None, Affect | None, candidates.Written | None]:
    """Read a query's affect, and beside it analyze it and put its own words right: neither waits for the other."""
    # Told to both: the analyzer would find the same, and the reader would wait for it.
    language = query.language or identify(query.query, engines.default_language)
    read = asyncio.create_task(or_none(models.read(query.query, language), degraded))
    try:
        analysis = await or_none(models.analyze(query.query, language), degraded)
        affect, written = await candidates.write(query, analysis, read, models, engines, degraded=degraded, told=told)
    finally:
        read.cancel()
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
    query: Query,
    texts: Sequence[str],
    models: Models,
    degraded: list[Degraded],
    affect: Affect | None,
    *,
    known: dict[str, Prediction] | None = None,
) -> tuple[Prediction | None, list[Prediction]]:
    """Return the prediction of the first text and those of the others, from one call; none of a text that harms.

    What is `known` of this query's texts is not asked again, and what is asked is known then.
    """
    known = {} if known is None else known
    wanted = [text for text in texts if text not in known]
    drafts = [
        Draft(
            text=text,
            posted_at=query.posted_at,
            history=query.own_posts,
            language=query.language,
            original=query.query,
            substance=affect.substance if affect else None,
        )
        for text in wanted
    ]
    asked = await or_none(models.predict(drafts), degraded) if drafts else []
    if asked is None:
        return None, []
    known |= zip(wanted, asked, strict=True)
    predictions = [known[text] for text in texts]
    if _label(affect) in candidates.HARMFUL:
        return _unscored(predictions[0], query), []
    return predictions[0], predictions[1:]


def _unscored(prediction: Prediction, query: Query) -> Prediction:
    """Return the prediction of a text that harms: how it would do is nobody's advice."""
    return replace(
        prediction,
        viral_score=None,
        p_beats_median=None,
        interval=None,
        contributions={},
        subscores=Subscores(wording=None, author=None, time=None),
        supported=False,
        note=NO_SCORE["es" if scope_of(query.query, query.language).language == "es" else "en"],
    )


def _merge(
    text: str,
    analysis: Analysis | None,
    affect: Affect | None,
    policy: Policy,
    *,
    history: Sequence[Post] = (),
    length_limit: int | None = None,
) -> Analysis:
    """Join what the models read, and what X's rules say about the text."""
    language = analysis.language if analysis else None
    analysis = analysis or Analysis(language=None, weighted_length=weighted_length(text), valid=is_valid(text))
    harm = _harm(text, affect, "es" if language == "es" else "en")
    findings = (*harm, *(analysis.findings or ()), *policy.heeded(lint(text, history=history, language=language)))
    analysis = within(replace(analysis, findings=findings), text, length_limit or MAX_WEIGHTED_LENGTH)
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
