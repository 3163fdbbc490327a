"""Candidates for a query: written by every engine that was asked, admitted, judged for fluency; scored elsewhere.

Templates never wait for the language model: where it is late or down they answer alone, and `generator.lm` is named.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from pipelines.errors import ModelUnavailable
from pipelines.generator.selection import admissible, diverse
from pipelines.policy import Policy, lint
from pipelines.records import (
    Affect,
    Analysis,
    Brief,
    Degraded,
    EmotionLabel,
    Finding,
    Language,
    Proposal,
    Query,
    Template,
)
from pipelines.results import Candidate, Prediction

Result = TypeVar("Result")
# Written beyond what was asked, for selection to choose from.
SPARE = 2
WORD = re.compile(r"[^\W_]+")
# Emotions of bad news, and how much of the probability they must hold together.
DARK: tuple[EmotionLabel, ...] = ("sadness", "fear")
SURELY_DARK = 0.7
GRAVE = re.compile(
    r"\b(?:died|dies|dead|deaths?|passed away|funerals?|condolences?|mourn\w*|killed|injur\w+|victims?|casualt\w+|"
    r"la(?:y|ying|id) off|layoffs?|bankrupt\w*|recall(?:s|ed|ing)?|earthquake|floods?|accidents?|apolog\w+|sorry|"
    r"muri[óo]|muerte\w*|falleci\w+|fallecimiento|funeral|p[ée]same|luto|heridos?|v[íi]ctimas?|despid(?:o|os|e|imos)|"
    r"bancarrota|quiebra|retiramos|terremoto|inundaci[óo]n(?:es)?|incendio|accidentes?|disculpas?|perd[óo]n)\b",
    re.IGNORECASE,
)


class Writers(Protocol):
    """The models that write and read what was written; each call raises ModelUnavailable."""

    async def write(self, brief: Brief) -> list[Proposal]:
        """Fill templates for a brief."""

    async def generate(self, brief: Brief) -> list[Proposal]:
        """Let the language model write for a brief."""

    async def fluency(self, texts: Sequence[str], language: str) -> list[float | None]:
        """Judge texts by their log-likelihood per token; None where no critic speaks the language."""


@dataclass(frozen=True)
class Engines:
    """What writes here, and by which rules.

    `language_model` says whether one is configured, `fluency_floor` is the log-likelihood per token below which a text
    does not read like one that people post (None without a critic), `templates` are the account's own (empty: bundled).
    """

    language_model: bool = False
    fluency_floor: float | None = None
    policy: Policy = field(default_factory=Policy)
    templates: tuple[Template, ...] = ()


@dataclass(frozen=True)
class Written:
    """A proposal that may be posted, with what X's rules say about it and how fluent it is."""

    proposal: Proposal
    findings: tuple[Finding, ...]
    fluency: float | None = None


async def write(
    query: Query,
    analysis: Analysis | None,
    models: Writers,
    engines: Engines,
    *,
    degraded: list[Degraded],
) -> list[Written] | None:
    """Return up to `query.n_templates` and a few spare texts; None where every engine that was asked failed.

    What is missing is appended to `degraded`. Nothing is written in a language that nobody here writes.
    """
    if query.n_templates == 0 or not _can_write(query, analysis):
        return []
    language = writing_language(query, analysis)
    brief = _brief(query, analysis, engines, language)
    proposals = await _propose(brief, models, engines, degraded)
    if proposals is None:
        return None
    entities = (analysis.entities or ()) if analysis else ()
    admitted = admissible(
        proposals,
        query.query,
        entities,
        engines.policy,
        frames={template.name: template.content for template in engines.templates},
        source_is_clean=not lint(query.query, language=language),
        history=query.history,
        language=language,
    )
    written = [Written(proposal, findings) for proposal, findings in admitted]
    if not written or engines.fluency_floor is None or brief.engine == "templates" or language != "en":
        return written
    return await _fluent(written, models, engines.fluency_floor, degraded)


def fitting(query: Query, affect: Affect, written: list[Written] | None) -> list[Written] | None:
    """Return of what was written for bad news only what has no word of its own: no closing, no joke, no call.

    Bad news is what the models read as such for certain; what its words give away was written so already.
    """
    scores = affect.emotion.scores if affect.emotion else {}
    if written is None or sum(scores.get(label, 0.0) for label in DARK) < SURELY_DARK:
        return written
    own = set(WORD.findall(query.query.casefold()))
    return [item for item in written if set(WORD.findall(item.proposal.text.casefold())) <= own]


def writing_language(query: Query, analysis: Analysis | None) -> Language:
    """The language to write in."""
    return query.language or ("es" if analysis and analysis.language == "es" else "en")


def rank(
    written: Sequence[Written], predictions: Sequence[Prediction], own: Prediction | None, n: int
) -> tuple[Candidate, ...]:
    """Return the n best that differ, by score; in the order of their writer where there are no scores."""
    if own is None:
        return tuple(_candidate(item) for item in written[:n])
    return diverse(
        [_candidate(item, prediction, own) for item, prediction in zip(written, predictions, strict=True)], n
    )


def shortfall(
    query: Query, analysis: Analysis | None, found: Sequence[Candidate] | None, policy: Policy
) -> tuple[str, ...]:
    """Say that there are fewer candidates than were asked for, why, and what would help."""
    wanted = query.n_templates
    if found is None or len(found) >= wanted:
        return ()
    language = writing_language(query, analysis)
    said = f"{len(found)} de {wanted} candidatos" if language == "es" else f"{len(found)} of {wanted} candidates"
    if not _can_write(query, analysis):
        known = analysis.language if analysis else None
        return (f"{said}: they are written in English and Spanish; the text reads as `{known}`. `language` decides.",)
    blocking = [finding for finding in lint(query.query, language=language) if policy.blocks([finding])]
    if blocking and not found:
        return (f"{said}: {blocking[0].rule}. {blocking[0].message}",)
    if language == "es":
        return (f"{said}: para más textos distintos, di en una frase corta qué pasa, dónde y cuándo.",)
    return (f"{said}: for more texts that differ, say in a short sentence what happens, where and when.",)


async def or_none(call: Awaitable[Result], degraded: list[Degraded], name: Degraded | None = None) -> Result | None:
    """Await a model; None, and its name in `degraded`, where it cannot answer."""
    try:
        return await call
    except ModelUnavailable as error:
        degraded.append(name or error.stage)  # type: ignore[arg-type]  # a stage is named as its model
        return None


async def _propose(brief: Brief, models: Writers, engines: Engines, degraded: list[Degraded]) -> list[Proposal] | None:
    if brief.engine == "lm":
        return await or_none(models.generate(brief), degraded)
    if brief.engine == "templates" or not engines.language_model:
        return await or_none(models.write(brief), degraded)
    generated, filled = await asyncio.gather(
        or_none(models.generate(brief), degraded), or_none(models.write(brief), degraded)
    )
    return None if generated is None and filled is None else [*(generated or ()), *(filled or ())]


async def _fluent(written: list[Written], models: Writers, floor: float, degraded: list[Degraded]) -> list[Written]:
    """Drop what reads worse than people write; without an answer everything stays."""
    judged = await or_none(models.fluency([item.proposal.text for item in written], "en"), degraded, "generator.lm")
    if judged is None:
        return written
    return [
        Written(item.proposal, item.findings, fluency)
        for item, fluency in zip(written, judged, strict=True)
        if fluency is None or fluency >= floor
    ]


def _can_write(query: Query, analysis: Analysis | None) -> bool:
    """Whether somebody here writes the language of the text; an undetermined one counts as English."""
    return query.language is not None or analysis is None or analysis.language in {"en", "es", "und", None}


def _brief(query: Query, analysis: Analysis | None, engines: Engines, language: Language) -> Brief:
    return Brief(
        query=query.query,
        language=language,
        keywords=tuple(keyword.text for keyword in (analysis.keywords or ())) if analysis else (),
        entities=(analysis.entities or ()) if analysis else (),
        objectives=query.objectives,
        grave=GRAVE.search(query.query) is not None,
        tone=query.tone,
        templates=engines.templates,
        n=query.n_templates + SPARE,
        engine=query.engine,
        seed=query.seed or 0,
    )


def _candidate(written: Written, prediction: Prediction | None = None, own: Prediction | None = None) -> Candidate:
    proposal = written.proposal
    return Candidate(
        id=hashlib.blake2b(proposal.text.encode(), digest_size=8).hexdigest(),
        text=proposal.text,
        source=proposal.source,
        template=proposal.template,
        weighted_length=proposal.weighted_length,
        viral_score=prediction.viral_score if prediction else None,
        p_beats_median=prediction.p_beats_median if prediction else None,
        delta=prediction.viral_score - own.viral_score if prediction and own else None,
        fluency=written.fluency,
        findings=written.findings,
    )
