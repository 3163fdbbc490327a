"""Chooses among what was written: only what may be posted as it is, nothing twice, then the best that differ.

It trusts no writer: a candidate may hold no fact that its source does not, and break no rule that is set to block.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias, TypeVar

from pipelines.editing.polish import polish
from pipelines.editing.statements import is_statement
from pipelines.generator.faithfulness import WORD, tells_otherwise, words_of
from pipelines.policy import Policy, lint, published
from pipelines.records import Finding, Language, Post, Proposal
from pipelines.results import Candidate
from pipelines.text.facts import invents
from pipelines.text.tweets import MAX_WEIGHTED_LENGTH, is_valid

Item = TypeVar("Item")
Admitted: TypeAlias = tuple[Proposal, tuple[Finding, ...]]
# Jaccard index of words: above, two texts are one with a word exchanged.
MAX_SIMILARITY = 0.8
# How much worth a candidate gives up where it says the same as one that is already chosen.
DIVERSITY = 0.3
# The judge ranks; the score follows.
SCORE_SHARE = 0.2
# Little: it tells an author's posts from those of others with an AUC of .59 (legislators) to .70 (brands).
VOICE_SHARE = 0.05
# The best of many samples is judged too well (the winner's curse): of those that came first by the judge's word alone
# readers would have posted 52 %, of the author's own text put right 71 %.
CURSE = 0.15
LIST_LINES = 3
THREAD_NUMBER = re.compile(r"(?m)^\d+/\d+\s|\s?\(?\d+/\d+\)?$")


def admissible(
    proposals: Sequence[Proposal],
    source: str,
    policy: Policy,
    *,
    frames: Mapping[str, str] = MappingProxyType({}),
    source_is_clean: bool = False,
    history: Sequence[Post] = (),
    language: Language = "en",
    limit: int = MAX_WEIGHTED_LENGTH,
) -> list[Admitted]:
    """Return the proposals that could be posted as they are, each with what X's rules say about it.

    Args:
        proposals: what was written, in the order of preference; of two that are nearly equal the first stays.
        source: the text of the author that all facts must come from.
        policy: which rules block; the others are returned as findings.
        frames: the author's own templates by name: what stands in one is the author's own word too.
        source_is_clean: the source breaks no rule, so a bundled template filled from it does not either (tested on the
            list of queries) and is not looked at again: that would be half of the time that selection takes.
        history: the author's recent posts, for what was posted before.
        language: of the findings.
        limit: how long a post may be, in weighted characters.
    """
    kept: list[Admitted] = []
    for proposal in proposals:
        own = f"{source}\n{frames.get(proposal.template or '', '')}"
        if not all(is_valid(text, limit) for text in proposal.parts or (proposal.text,)):
            continue
        said = _without_numbers(proposal)
        # `wensday` is a day only once it is put right.
        if invents(own, said) and invents(f"{own}\n{polish(source, language)}", said):
            continue
        if proposal.source == "lm" and tells_otherwise(source, polish(source, language), said, language):
            continue
        if proposal.source == "lm" and _in_order(said) == _in_order(source) and not is_statement(source, language):
            # The same row of keywords with a capital and a full stop.
            continue
        clean = source_is_clean and proposal.source == "template" and not frames
        clean = clean and not (history and published(tuple(history)).holds(proposal.text))
        findings = () if clean else policy.heeded(lint(proposal.text, history=history, language=language))
        if not policy.blocks(findings):
            kept.append((proposal, findings))
    return distinct(kept, lambda item: item[0].text)


def own_words(text: str, source: str) -> bool:
    """Whether a text has no word that its source does not have."""
    return words_of(text) <= words_of(source)


def distinct(items: Sequence[Item], text_of: Callable[[Item], str]) -> list[Item]:
    """Return the items whose text is not nearly that of an earlier one; a list is another text than its sentence is."""
    kept: list[tuple[Item, frozenset[str], tuple[bool, str]]] = []
    for item in items:
        words, shape = words_of(text_of(item)), _shape(text_of(item))
        if all(_similarity(words, other) <= MAX_SIMILARITY or shape != like for _, other, like in kept):
            kept.append((item, words, shape))
    return [item for item, *_ in kept]


def diverse(candidates: Sequence[Candidate], n: int) -> tuple[Candidate, ...]:
    """Return the best n that differ, best first: maximal marginal relevance (Carbonell and Goldstein 1998, equation 1).

    What a stranger would rather post comes first, and among equals what scores higher; see worth.
    """
    left = [(candidate, words_of(candidate.text)) for candidate in candidates]
    chosen: list[tuple[Candidate, frozenset[str]]] = []

    def worth_beside(item: tuple[Candidate, frozenset[str]]) -> float:
        resemblance = max((_similarity(item[1], words) for _, words in chosen), default=0.0)
        return worth(item[0]) - DIVERSITY * resemblance

    while left and len(chosen) < n:
        best = max(left, key=worth_beside)
        left.remove(best)
        chosen.append(best)
    order = {id(candidate): place for place, candidate in enumerate(candidates)}
    return tuple(sorted((one for one, _ in chosen), key=lambda one: (-worth(one), order[id(one)])))


def worth(candidate: Candidate) -> float:
    """What a candidate is ranked by: the judge's probability, SCORE_SHARE of the score, and how far from the author.

    The score counts as a share of 100, the distance from the author's way of writing VOICE_SHARE at most. Without a
    judge or a score the middle of its scale counts.
    """
    score = 50.0 if candidate.viral_score is None else candidate.viral_score
    strange = 0.0 if candidate.voice_distance is None else min(max(candidate.voice_distance - 1.0, 0.0), 1.0)
    return trusted(candidate) + SCORE_SHARE * score / 100 - VOICE_SHARE * strange


def trusted(candidate: Candidate) -> float:
    """Return the judge's probability, less for the best of many samples; without a judge one half."""
    p_postable = 0.5 if candidate.p_postable is None else candidate.p_postable
    return p_postable - CURSE if candidate.source == "lm" else p_postable


def _without_numbers(proposal: Proposal) -> str:
    """The text of a proposal; of a thread without the numbers of its posts, which are nobody's facts."""
    return THREAD_NUMBER.sub("", proposal.text) if proposal.parts else proposal.text


def _shape(text: str) -> tuple[bool, str]:
    """How a text looks at a glance: whether it is a list, and how it begins."""
    lines = [line for line in text.splitlines() if line.strip()]
    return len(lines) >= LIST_LINES, " ".join(text.casefold().split()[:2])


def _in_order(text: str) -> list[str]:
    return [word.casefold() for word in WORD.findall(text)]


def _similarity(words: frozenset[str], others: frozenset[str]) -> float:
    return len(words & others) / len(words | others) if words or others else 1.0
