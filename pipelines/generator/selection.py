"""Chooses among what was written: only what may be posted as it is, nothing twice, then the best that differ.

It trusts no writer: a candidate may hold no fact that its source does not, copy no long run of it, break no rule that
is set to block, and must read as well as people write, where a critic speaks the language.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeVar

from pipelines.generator.phrases import longest_copied_run
from pipelines.policy import Policy, lint
from pipelines.records import Finding, Language, Post, Proposal
from pipelines.results import Candidate
from pipelines.text.facts import invents
from pipelines.text.tweets import Entity, is_valid

Item = TypeVar("Item")
MAX_COPIED_WORDS = 6
# Jaccard index of words: above, two texts are one with a word exchanged.
MAX_SIMILARITY = 0.8
# Points of score that a candidate gives up for each tenth in which it resembles one that is already chosen.
DIVERSITY = 8.0
WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)?")


def admissible(
    proposals: Sequence[Proposal],
    source: str,
    entities: Sequence[Entity],
    policy: Policy,
    *,
    frames: Mapping[str, str] = MappingProxyType({}),
    source_is_clean: bool = False,
    history: Sequence[Post] = (),
    language: Language = "en",
) -> list[tuple[Proposal, tuple[Finding, ...]]]:
    """Return the proposals that could be posted as they are, each with what X's rules say about it.

    Args:
        proposals: what was written, in the order of preference; of two that are nearly equal the first stays.
        source: the text of the author that all facts must come from.
        entities: what the source holds of names, links and tags; they may be copied at any length.
        policy: which rules block; the others are returned as findings.
        frames: the author's own templates by name: what stands in one is the author's own word too.
        source_is_clean: the source breaks no rule, so a bundled template filled from it does not either (tested on the
            list of queries) and is not looked at again: that would be half of the time that selection takes.
        history: the author's recent posts, for what was posted before.
        language: of the findings.
    """
    kept: list[tuple[Proposal, tuple[Finding, ...]]] = []
    for proposal in proposals:
        own = f"{source}\n{frames.get(proposal.template or '', '')}"
        if not is_valid(proposal.text) or invents(own, proposal.text):
            continue
        if longest_copied_run(proposal.text, source, entities) > MAX_COPIED_WORDS:
            continue
        clean = source_is_clean and proposal.source == "template" and not frames and not history
        findings = () if clean else policy.heeded(lint(proposal.text, history=history, language=language))
        if not policy.blocks(findings):
            kept.append((proposal, findings))
    return distinct(kept, lambda item: item[0].text)


def distinct(items: Sequence[Item], text_of: Callable[[Item], str]) -> list[Item]:
    """Return the items whose text is not nearly that of an earlier one."""
    kept: list[tuple[Item, frozenset[str]]] = []
    for item in items:
        words = _words(text_of(item))
        if all(_similarity(words, other) <= MAX_SIMILARITY for _, other in kept):
            kept.append((item, words))
    return [item for item, _ in kept]


def diverse(candidates: Sequence[Candidate], n: int) -> tuple[Candidate, ...]:
    """Return the best n that differ, best first: maximal marginal relevance (Carbonell and Goldstein 1998, equation 1).

    A candidate without a score counts as the middle of the scale.
    """
    left = [(candidate, _words(candidate.text)) for candidate in candidates]
    chosen: list[tuple[Candidate, frozenset[str]]] = []

    def worth(item: tuple[Candidate, frozenset[str]]) -> float:
        resemblance = max((_similarity(item[1], words) for _, words in chosen), default=0.0)
        return _score(item[0]) - DIVERSITY * 10 * resemblance

    while left and len(chosen) < n:
        best = max(left, key=worth)
        left.remove(best)
        chosen.append(best)
    return tuple(sorted((candidate for candidate, _ in chosen), key=lambda candidate: -_score(candidate)))


def _score(candidate: Candidate) -> float:
    return 50.0 if candidate.viral_score is None else candidate.viral_score


def _words(text: str) -> frozenset[str]:
    return frozenset(word.casefold() for word in WORD.findall(text))


def _similarity(words: frozenset[str], others: frozenset[str]) -> float:
    return len(words & others) / len(words | others) if words or others else 1.0
