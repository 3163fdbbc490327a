"""Candidates for a query: written by every engine that was asked, admitted and ranked; scored elsewhere.

The author's own words and the templates never wait for the language model: where it is late or down they answer alone,
and `generator.lm` is named.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol, TypeVar

from pipelines.audience.trends import Trends
from pipelines.errors import ModelUnavailable
from pipelines.generator.selection import Admitted, admissible, distinct, diverse, own_words, trusted
from pipelines.outcomes.voice import Voice
from pipelines.policy import Policy, lint, published
from pipelines.records import (
    Affect,
    Analysis,
    Best,
    Brief,
    Degraded,
    Drafts,
    Finding,
    Language,
    Proposal,
    Query,
    Template,
)
from pipelines.results import Candidate, Prediction
from pipelines.text.languages import identify
from pipelines.text.tweets import MAX_WEIGHTED_LENGTH, is_valid, weighted_length
from pipelines.viral_predictor.scope import scope_of

Result = TypeVar("Result")
# Written beyond what was asked, for selection to choose from.
SPARE = 2
# A candidate is better than a text that could be posted as it is where the judge is that much surer of it, or where he
# is as sure and it scores higher.
CLEARLY, AS_SURE = 0.05, 0.02
# What more strangers would post than not.
POSTED = 0.5
REASONS: dict[str, dict[Language, str]] = {
    "found": {
        "en": "whatever else was written lost a fact, read badly or differed too little.",
        "es": "lo demás que se escribió perdía un dato, sonaba mal o apenas cambiaba.",
    },
    "ready": {
        "en": "your text is ready to post, and nothing that was written beats it.",
        "es": "tu texto está listo para publicar, y nada de lo que se escribió lo mejora.",
    },
    "private": {
        "en": "a number that nobody should post stands in the text, see `findings`: take it out first.",
        "es": "el texto lleva un número que nadie debería publicar; mira los avisos y quítalo antes.",
    },
    "sober": {
        "en": "of news like this only its author's own words are given, put right.",
        "es": "en una noticia así solo corregimos tu texto.",
    },
    "repeated": {
        "en": "you have posted this already; X takes down repeated posts. Say something new.",
        "es": "ya lo has publicado, y X retira lo repetido. Di algo nuevo.",
    },
    "begging": {
        "en": "the text asks for reactions and says little else: say what it is about.",
        "es": "el texto pide reacciones y dice poco más: di de qué trata.",
    },
    "nothing": {
        "en": "give a sentence to work with: what happens, where and when.",
        "es": "da una frase con la que trabajar: qué pasa, dónde y cuándo.",
    },
}
HARM_IN_SPANISH = {
    "hate": "el texto desprecia a un grupo. Mira los avisos.",
    "threat": "el texto amenaza a alguien. Mira los avisos.",
    "fraud": "el texto parece una estafa. Mira los avisos.",
}
HARMFUL = frozenset(HARM_IN_SPANISH)
NEVER_POSTED = frozenset({"private_card", "private_id"})


class Writers(Protocol):
    """The models that write, as one request sees them; each call raises ModelUnavailable if it cannot in time."""

    async def write(self, brief: Brief) -> Drafts:
        """Put the brief right and fill templates with its sentences."""

    async def generate(self, brief: Brief, told: Callable[[Proposal], None] | None = None) -> tuple[Proposal, ...]:
        """Let the language model write for a brief; `told` hears of each proposal as soon as it is known."""

    async def judge(self, items: Sequence[tuple[str, str, Language]]) -> list[float]:
        """Say how likely a stranger would post each (brief, text, language)."""


@dataclass(frozen=True)
class Engines:
    """What writes here, and by which rules.

    `language_model` says whether one is configured, `templates` are the account's own (empty: bundled), `voice` is how
    its stored posts are written, `trends` what bursts in them. `default_language` (ISO 639-1) is what a text that shows
    no language is in.
    """

    language_model: bool = False
    policy: Policy = field(default_factory=Policy)
    templates: tuple[Template, ...] = ()
    voice: Voice | None = None
    trends: Trends | None = None
    default_language: str = "en"


@dataclass(frozen=True)
class Written:
    """What was written for a query and may be posted, each with what X's rules say about it.

    `is_statement` says whether the query itself could be posted, `p_postable` what the judge says of it.
    """

    proposals: tuple[Admitted, ...] = ()
    is_statement: bool = False
    p_postable: float | None = None

    def texts(self) -> list[str]:
        """What is to be scored of each: of a thread its first post."""
        return [proposal.parts[0] if proposal.parts else proposal.text for proposal, _ in self.proposals]


Told = Callable[[Affect | None, Written], None]
"""Gets what was read of a query and a part of what may be posted for it, as soon as that is known."""


def known_of(query: Query, analysis: Analysis | None, engines: Engines) -> Analysis:
    """Return what the analyzer read of a query; where it did not answer, what shows without it: the language."""
    if analysis is not None:
        return analysis
    language = query.language or identify(query.query, engines.default_language)
    return Analysis(language=language, weighted_length=weighted_length(query.query), valid=is_valid(query.query))


def can_write(query: Query, analysis: Analysis | None) -> bool:
    """Whether somebody here writes the language of the text; a short text without a sign of another one is English."""
    return query.language is not None or analysis is None or analysis.language in {"en", "es", None}


def writing_language(query: Query, analysis: Analysis | None) -> Language:
    """The language to write in."""
    return query.language or ("es" if analysis and analysis.language == "es" else "en")


def brief_of(query: Query, analysis: Analysis | None, engines: Engines) -> Brief:
    """Return what the generator is asked to write for a query."""
    return Brief(
        query=query.query,
        language=writing_language(query, analysis),
        keywords=tuple(keyword.text for keyword in (analysis.keywords or ())) if analysis else (),
        entities=(analysis.entities or ()) if analysis else (),
        objectives=query.objectives,
        tone=query.tone,
        templates=engines.templates,
        n=query.n_templates + SPARE,
        engine=query.engine,
        format=query.format,
        seed=query.seed or 0,
        length_limit=query.length_limit or MAX_WEIGHTED_LENGTH,
    )


def exposes(analysis: Analysis | None) -> bool:
    """Whether a text holds a number that nobody should post: of a card, of a person."""
    return any(finding.rule in NEVER_POSTED for finding in (analysis.findings or ())) if analysis else False


def _begs(query: Query) -> bool:
    """Whether a text asks for reactions and says little else: put right it is a plea still."""
    return scope_of(query.query, query.language).reason == "begging"


async def write(
    query: Query,
    analysis: Analysis | None,
    read: Awaitable[Affect | None],
    models: Writers,
    engines: Engines,
    *,
    degraded: list[Degraded],
    told: Told | None = None,
) -> tuple[Affect | None, Written | None]:
    """Return what was read of a query, and what may be posted for it; None where every engine that was asked failed.

    The author's own words are put right while the text is read; the language model waits for that, since of sober news
    it writes in other ways, and of texts that harm nothing. What is missing is appended to `degraded`.

    `told` gets the author's words and the templates before the language model is asked, then what that writes piece by
    piece: all that is returned, and what a better one of the same words takes the place of.
    """
    analysis = known_of(query, analysis, engines)
    if query.n_templates == 0 or not can_write(query, analysis) or _begs(query) or exposes(analysis):
        return await read, Written()
    brief = brief_of(query, analysis, engines)
    affect, drafts = await asyncio.gather(
        read, or_none(models.write(brief), degraded) if query.engine != "lm" else _nothing()
    )
    sensitivity = affect.sensitivity.label if affect and affect.sensitivity else "none"
    if sensitivity in HARMFUL:
        return affect, Written()
    brief = replace(brief, sober=sensitivity == "sober")
    admit = partial(
        admissible,
        source=query.query,
        policy=engines.policy,
        frames={template.name: template.content for template in engines.templates},
        source_is_clean=not lint(query.query, language=brief.language),
        history=query.own_posts,
        limit=brief.length_limit,
        language=brief.language,
    )
    drafted = drafts.proposals if drafts else ()
    if brief.sober:
        drafted = tuple(item for item in drafted if item.source == "edit" or own_words(item.text, query.query))
    tell_one = None
    if told is not None:
        known = admit(drafted)
        told(affect, Written(tuple(known)))
        tell_one = partial(_tell_one, told, affect, admit, known)
    generated: tuple[Proposal, ...] | None = ()
    if query.engine != "templates" and engines.language_model and query.format == "post" and not brief.sober:
        generated = await or_none(models.generate(brief, tell_one), degraded)
    if drafts is None and (generated is None or query.engine != "lm"):
        return affect, None
    return affect, Written(
        tuple(admit((*drafted, *(generated or ())))),
        drafts.is_statement if drafts else False,
        drafts.p_postable if drafts else None,
    )


def _tell_one(
    told: Told,
    affect: Affect | None,
    admit: Callable[[Sequence[Proposal]], list[Admitted]],
    known: Sequence[Admitted],
    proposal: Proposal,
) -> None:
    """Tell of a proposal of the language model that may be posted and is none of those that are known already."""
    admitted = admit((proposal,))
    if admitted and distinct([*known, *admitted], lambda item: item[0].text)[-1] is admitted[0]:
        told(affect, Written(tuple(admitted)))


def rank(
    written: Written, predictions: Sequence[Prediction], own: Prediction | None, n: int, voice: Voice | None = None
) -> tuple[Candidate, ...]:
    """Return the n best that differ: what a stranger would rather post first, then by score."""
    return diverse(scored(written, predictions, own, voice), n)


def scored(
    written: Written, predictions: Sequence[Prediction], own: Prediction | None, voice: Voice | None = None
) -> list[Candidate]:
    """Return what was written, in its order, with its scores; without any where there are no predictions."""
    each: Sequence[Prediction | None] = predictions or [None] * len(written.proposals)
    return [
        _candidate(proposal, findings, prediction, own, voice)
        for (proposal, findings), prediction in zip(written.proposals, each, strict=True)
    ]


def best_of(written: Written | None, ranked: Sequence[Candidate]) -> Best | None:
    """Say whether the first candidate or the author's own text is to be posted; None where neither can be.

    A note, a row of keywords or a bare topic is never to be posted as it is, nor with capitals and a full stop alone
    where strangers would not post that.
    """
    if written is None or (not ranked and not written.is_statement):
        return None
    if not written.is_statement and ranked[0].source == "edit" and (ranked[0].p_postable or 0.0) < POSTED:
        return None
    if not written.is_statement or written.p_postable is None:
        return "candidate" if ranked else None
    if not ranked:
        return "yours"
    if any(proposal.source == "edit" for proposal, _ in written.proposals):
        # The author's text wants putting right, so it is not the best.
        return "candidate"
    gain = trusted(ranked[0]) - written.p_postable
    return "candidate" if gain > CLEARLY or (gain > -AS_SURE and (ranked[0].delta or 0.0) > 0) else "yours"


def shortfall(
    query: Query,
    analysis: Analysis | None,
    affect: Affect | None,
    found: Sequence[Candidate] | None,
    *,
    policy: Policy,
    best: Best | None = None,
) -> tuple[str, ...]:
    """Say that there are fewer candidates than were asked for, why, and what would help."""
    if found is None or len(found) >= query.n_templates:
        return ()
    language = writing_language(query, analysis)
    reason = _reason(query, analysis, affect, found, policy=policy, best=best)
    if language == "es":
        count = f"{len(found)} de {query.n_templates} propuestas" if found else "No se propone nada"
        return (f"{count}: {reason['es']}",)
    return (f"{len(found)} of {query.n_templates} candidates: {reason['en']}",)


def _reason(
    query: Query,
    analysis: Analysis | None,
    affect: Affect | None,
    found: Sequence[Candidate],
    *,
    policy: Policy,
    best: Best | None,
) -> dict[Language, str]:
    """Why there are fewer candidates, in each language."""
    if not can_write(query, analysis):
        known = analysis.language if analysis else None
        said = f"they are written in English and Spanish; the text reads as `{known}`. `language` decides."
        return {"en": said, "es": said}
    sensitivity = affect.sensitivity.label if affect and affect.sensitivity else "none"
    if sensitivity in HARMFUL:
        return {"en": f"{sensitivity}, see `findings`.", "es": HARM_IN_SPANISH[sensitivity]}
    language = writing_language(query, analysis)
    blocking = [finding for finding in lint(query.query, language=language) if policy.blocks([finding])]
    if blocking and not found:
        said = f"{blocking[0].rule}. {blocking[0].message}"
        return {"en": said, "es": said}
    told = {
        "begging": _begs(query),
        "private": exposes(analysis),
        "repeated": not found and bool(query.own_posts) and published(query.own_posts).holds(query.query),
        "sober": sensitivity == "sober",
        "found": bool(found),
        "ready": best == "yours",
    }
    return REASONS[next((name for name, holds in told.items() if holds), "nothing")]


def gain(prediction: Prediction | None, own: Prediction | None) -> float | None:
    """Return the points between two scores; None where either is missing."""
    if prediction is None or own is None or prediction.viral_score is None or own.viral_score is None:
        return None
    return round(prediction.viral_score - own.viral_score, 1)


async def or_none(call: Awaitable[Result], degraded: list[Degraded], name: Degraded | None = None) -> Result | None:
    """Await a model; None, and its name in `degraded`, where it cannot answer."""
    try:
        return await call
    except ModelUnavailable as error:
        degraded.append(name or error.stage)  # type: ignore[arg-type]  # a stage is named as its model
        return None


async def _nothing() -> None:
    """What is awaited where nobody was asked."""


def _candidate(
    proposal: Proposal,
    findings: tuple[Finding, ...],
    prediction: Prediction | None,
    own: Prediction | None,
    voice: Voice | None,
) -> Candidate:
    return Candidate(
        id=hashlib.blake2b(proposal.text.encode(), digest_size=8).hexdigest(),
        text=proposal.text,
        source=proposal.source,
        template=proposal.template,
        weighted_length=proposal.weighted_length,
        viral_score=prediction.viral_score if prediction else None,
        p_beats_median=prediction.p_beats_median if prediction else None,
        interval=prediction.interval if prediction else None,
        uncalibrated=prediction.uncalibrated if prediction else None,
        delta=gain(prediction, own),
        p_postable=proposal.p_postable,
        parts=proposal.parts,
        findings=findings,
        voice_distance=voice.distance(proposal.text) if voice else None,
    )
