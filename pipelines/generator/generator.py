"""Writes candidates for a brief: the author's own text put right, templates, and a language model where one is there.

No writer is trusted: what a model writes is cut to one tweet, passes the verifier or is dropped, and a judge says of
every proposal how likely a stranger would post it as it is.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, Protocol, TypeAlias

import regex

from pipelines.editing.polish import is_list, polish
from pipelines.editing.requests import is_request, subject
from pipelines.editing.spelling import is_known
from pipelines.editing.statements import is_statement
from pipelines.editing.threads import is_thread, read_thread, split_thread
from pipelines.errors import ModelMissing, ModelUnavailable
from pipelines.generator.completion import Completion, Left, Told, tweet_of
from pipelines.generator.judge import Judge
from pipelines.generator.second_opinion import SecondOpinion
from pipelines.generator.templates import PATHS, is_unfinished, realise, slots_of
from pipelines.generator.verifier import verify
from pipelines.records import Brief, Drafts, Language, Proposal
from pipelines.text.facts import facts
from pipelines.text.tweets import is_valid, weighted_length

# Another round is begun only where that share of the time is left for it.
ROUND_SHARE: Final = 0.45
# What a model wrote and fewer than so many strangers would post is not worth reading.
MIN_POSTABLE: Final = 0.25
# So far apart that no round draws what the next seed draws in another.
SEED_STEP: Final = 2**20 + 7
WORD: Final = regex.compile(r"\p{L}[\p{L}\p{M}]*(?:['\u2019]\p{L}+)?")
# What passed, by its text, with what the model that wrote it thinks of it.
Found: TypeAlias = dict[str, float | None]
ToldProposal: TypeAlias = Callable[[int, Proposal], None]
# Lines with fewer facts are a row of keywords.
MIN_LISTED: Final = 2


class Writer(Protocol):
    """A language model, here or behind HTTP.

    `samples` are what it is asked for at once, at the least; up to `rounds` times while fewer than were wanted pass.
    """

    version: str
    samples: int
    rounds: int

    def complete(
        self,
        briefs: Sequence[Brief],
        *,
        temperature: float,
        top_p: float,
        max_seconds: float,
        told: Told | None = None,
        left: Left | None = None,
    ) -> Sequence[Sequence[Completion] | ModelUnavailable]:
        """Return up to `brief.n` completions for each brief within `max_seconds`, or why there are none.

        `told` hears of those that end before the others do, as far as the model can tell; what is written is cut short
        once all have `left`.
        """


@dataclass
class _Sheet:
    """What was written for the brief at `place`: of each tweet whether it passes, what was found and told of so far."""

    place: int
    brief: Brief
    passed: dict[str, bool] = field(default_factory=dict)
    found: Found = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    missing: ModelUnavailable | None = None


class Generator:
    """Holds the language model, if one is configured, and the judge; `temperature` and `top_p` may change at any time.

    `temperature` is above 0, `top_p` in (0, 1].
    """

    def __init__(
        self,
        judge: Judge,
        writer: Writer | None = None,
        opinions: Mapping[Language, SecondOpinion] | None = None,
        temperature: float = 0.6,
        top_p: float = 0.9,
    ) -> None:
        """Hold what writes, who judges, and what the verifier asks where no rule is broken."""
        self.temperature = temperature
        self.top_p = top_p
        self._writer = writer
        self._judge = judge
        self._opinions = opinions or {}
        self._frames = hashlib.blake2b(b"".join(path.read_bytes() for path in PATHS), digest_size=4).hexdigest()

    @property
    def version(self) -> str:
        """What a candidate and its rank depend on: the templates, the judge, the model and how it is sampled."""
        parts = [f"templates-{self._frames}", f"judge-{self._judge.version}"]
        if self._writer:
            parts.append(f"{self._writer.version}-t{self.temperature:g}-p{self.top_p:g}")
        return "+".join(parts)

    def write(self, briefs: Sequence[Brief]) -> list[Drafts]:
        """Put each brief right, and fill templates with its sentences; `brief.n` of templates at the most."""
        return [self._write(brief) for brief in briefs]

    def generate(
        self,
        briefs: Sequence[Brief],
        *,
        max_seconds: float,
        told: ToldProposal | None = None,
        left: Left | None = None,
    ) -> list[tuple[Proposal, ...] | ModelUnavailable]:
        """Let the language model write up to `brief.n` distinct verified tweets for each brief, within `max_seconds`.

        A brief for which a model behind HTTP had no answer gets the reason in its place. `told` gets the place of a
        brief and each of its tweets as soon as that has passed; what is returned at the end is the same without it.
        Once all have `left`, what is written is cut short.

        Raises:
            ModelMissing: no language model is configured.
        """
        if self._writer is None:
            raise ModelMissing("no language model is configured: set args.language_model in serve_config.yaml")
        deadline = time.monotonic() + max_seconds
        sheets = [_Sheet(place, replace(brief, query=subject(brief.query))) for place, brief in enumerate(briefs)]
        for turn in range(self._writer.rounds):
            wanting = [sheet for sheet in sheets if len(sheet.found) < sheet.brief.n]
            left_s = deadline - time.monotonic()
            if not wanting or (turn and left_s < ROUND_SHARE * max_seconds) or (left is not None and left()):
                break
            asked = [
                replace(
                    sheet.brief,
                    n=max(self._writer.samples, sheet.brief.n),
                    seed=sheet.brief.seed + turn * SEED_STEP,
                )
                for sheet in wanting
            ]
            ended = None if told is None else partial(self._tell, told, wanting)
            written = self._writer.complete(
                asked, temperature=self.temperature, top_p=self.top_p, max_seconds=left_s, told=ended, left=left
            )
            for at, (sheet, completions) in enumerate(zip(wanting, written, strict=True)):
                if isinstance(completions, ModelUnavailable):
                    sheet.missing = completions
                    continue
                for completion in completions:
                    if ended:
                        ended(at, completion)
                    if tweet := self._passed(sheet, completion):
                        sheet.found.setdefault(tweet, completion.likelihood)
        return [
            sheet.missing if sheet.missing and not sheet.found else self._best(sheet.brief, sheet.found)
            for sheet in sheets
        ]

    def judge(self, items: Sequence[tuple[str, str, Language]]) -> list[float]:
        """Return how likely a stranger would post each (brief, text, language), in [0, 1]."""
        return self._judge.p_postable(items)

    def _write(self, brief: Brief) -> Drafts:
        proposals: list[Proposal] = []
        asked, brief = brief.query, replace(brief, query=subject(brief.query))
        own = polish(brief.query, brief.language)
        slots = slots_of(brief)
        usable = not ("topic" in slots or is_unfinished(own, brief.language) or is_request(own))
        threaded = brief.format == "thread" or is_thread(brief.query)
        if usable and not threaded and own != asked and is_valid(own, brief.length_limit):
            proposals.append(Proposal(own, weighted_length(own), "edit"))
        if threaded or (usable and weighted_length(own) > brief.length_limit):
            # To cut it would lose what its author thought worth saying.
            proposals.append(_thread(own, brief.language))
        if not threaded:
            proposals += realise(brief, slots)
        # A thread is judged as the text that it gives when it is joined.
        texts = [asked, *(own if item.parts else item.text for item in proposals)]
        judged = self._judge.p_postable([(brief.query, text, brief.language) for text in texts])
        stated = is_complete(asked, brief.language)
        return Drafts(
            tuple(
                replace(item, p_postable=p)
                for item, p in zip(proposals, judged[1:], strict=True)
                # A row of keywords, put right, is one still.
                if stated or item.parts or p >= MIN_POSTABLE
            ),
            is_valid(asked, brief.length_limit) and stated,
            judged[0],
        )

    def _tell(self, told: ToldProposal, sheets: Sequence[_Sheet], at: int, completion: Completion) -> None:
        """Tell of a completion that passes, before all are there, once for each text."""
        sheet = sheets[at]
        tweet = self._passed(sheet, completion)
        if tweet and tweet not in sheet.told:
            for proposal in self._best(sheet.brief, {tweet: completion.likelihood}):
                sheet.told.add(tweet)
                told(sheet.place, proposal)

    def _passed(self, sheet: _Sheet, completion: Completion) -> str | None:
        """Return the tweet of a completion, put right as the author's text is; None where it must not be posted."""
        tweet = tweet_of(completion)
        tweet = polish(tweet, sheet.brief.language) if tweet else None
        if tweet and tweet not in sheet.passed:
            sheet.passed[tweet] = self._may_be_posted(sheet.brief, tweet)
        return tweet if tweet and sheet.passed[tweet] else None

    def _may_be_posted(self, brief: Brief, tweet: str) -> bool:
        return (
            tweet != brief.query
            and is_valid(tweet)
            and not is_request(tweet)
            and (is_complete(tweet, brief.language) or not is_unfinished(brief.query, brief.language))
            and not stumbles(brief.query, tweet)
            and not verify(brief.query, tweet, brief.language, opinion=self._opinions.get(brief.language))
        )

    def _best(self, brief: Brief, found: Found) -> tuple[Proposal, ...]:
        """Return what was found, what the judge prefers first."""
        items = [(brief.query, text, brief.language) for text in found]
        judged = self._judge.p_postable(items, list(found.values()))
        proposals = [
            Proposal(text, weighted_length(text), "lm", p_postable=p)
            for text, p in zip(found, judged, strict=True)
            if p >= MIN_POSTABLE
        ]
        return tuple(sorted(proposals, key=lambda item: -(item.p_postable or 0.0)))


def is_complete(text: str, language: Language) -> bool:
    """Whether a text may be posted as it is: it says something and does not break off, or lists facts in lines."""
    listed = is_list(text) and len(facts(text)) >= MIN_LISTED
    return listed or (is_statement(text, language) and not is_unfinished(text, language))


def _thread(text: str, language: Language) -> Proposal:
    """A text as a thread: the author's own, where it is one already."""
    parts = read_thread(text) if is_thread(text) else split_thread(text, language)
    whole = "\n\n".join(parts)
    return Proposal(whole, weighted_length(whole), "edit", parts=tuple(parts))


def stumbles(brief: str, text: str) -> bool:
    """Whether a text has a word that is none, or says something twice that its brief says once."""
    own = {word.casefold() for word in WORD.findall(brief)}
    words = WORD.findall(text)
    if any(word.islower() and word not in own and not is_known(word) for word in words):
        return True
    folded = [word.casefold() for word in words]
    runs = Counter(zip(folded, folded[1:], folded[2:], strict=False))
    known = " ".join(word.casefold() for word in WORD.findall(brief))
    return any(times > 1 and known.count(" ".join(run)) < times for run, times in runs.items())
