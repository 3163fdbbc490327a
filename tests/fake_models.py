"""The models of one request, written by hand: they answer at once, and one that is named in `down` is unavailable."""

from collections.abc import Callable, Sequence

from pipelines.errors import ModelUnavailable
from pipelines.records import (
    Affect,
    Analysis,
    Brief,
    Draft,
    Drafts,
    Keyword,
    Language,
    Pair,
    Proposal,
    Sentiment,
)
from pipelines.results import Comparison, OwnRecord, Prediction, Subscores

WORDS = [f"{letter * (2 + number // 2)}{letter}" for number, letter in enumerate("abcdefghijklmnopqrstuvwxyz")]
AFFECT = Affect(Sentiment("positive", 0.5, None, {"vader": 0.5}, True, True))


class FakeModels:
    """Answers at once; a model named in `down` is unavailable."""

    def __init__(self, *down: str, language: str = "en") -> None:
        self.down = down
        self.language = language
        self.predicted: list[Draft] = []
        self.briefs: list[Brief] = []
        self.judged: list[str] = []
        self.asked_to_write: list[Brief] = []
        self.read_in: list[str | None] = []

    def _check(self, name: str) -> None:
        if name in self.down:
            raise ModelUnavailable(name, "down")

    async def analyze(self, text: str, language: str | None) -> Analysis:
        self._check("query_analyzer")
        keywords = (Keyword("shoes", 1.0),)
        return Analysis(language=language or self.language, weighted_length=len(text), valid=True, keywords=keywords)

    async def read(self, _text: str, language: str | None) -> Affect:
        self._check("sentiment")
        self.read_in.append(language)
        return AFFECT

    async def write(self, brief: Brief) -> Drafts:
        self._check("generator")
        self.briefs.append(brief)
        proposals = tuple(
            Proposal(f"{WORDS[n]} {WORDS[n + 1]} shoes", len(WORDS[n]) + len(WORDS[n + 1]) + 7, "template", None, 0.5)
            for n in range(brief.n)
        )
        return Drafts(proposals, is_statement=brief.query.endswith((".", "!", "?")), p_postable=0.5)

    async def generate(self, brief: Brief, told: Callable[[Proposal], None] | None = None) -> tuple[Proposal, ...]:
        self._check("generator.lm")
        self.asked_to_write.append(brief)
        written = (Proposal("Written by a model.", 19, "lm", None, 0.6),)[: brief.n]
        for proposal in written:
            if told is not None:
                told(proposal)
        return written

    async def judge(self, items: Sequence[tuple[str, str, Language]]) -> list[float]:
        self._check("generator")
        self.judged += [text for _, text, _ in items]
        return [0.1 if text.startswith(WORDS[0]) else 0.5 for _, text, _ in items]

    async def predict(self, drafts: Sequence[Draft]) -> list[Prediction]:
        self._check("viral_predictor")
        self.predicted += drafts
        return [self.score(draft) for draft in drafts]

    @staticmethod
    def score(draft: Draft) -> Prediction:
        score = 50.0 + len(draft.text) - 10 * draft.text.count("#") - 10 * draft.text.count("!")
        return Prediction(
            viral_score=score,
            p_beats_median=score / 200,
            interval=(0.0, 100.0),
            base=50.0,
            contributions={"length": score - 50.0},
            subscores=Subscores(score - 50.0, None, None),
            evidence=OwnRecord(0),
            method="length",
        )

    async def compare_each(self, pairs: Sequence[Pair]) -> list[Comparison | ModelUnavailable]:
        comparison = Comparison(
            p_a=0.9, verdict="a", threshold=0.8, accuracy=0.9, coverage=0.2, domain="headlines", supported=True
        )
        down = "viral_predictor" in self.down
        return [ModelUnavailable("viral_predictor", "down") if down else comparison for _ in pairs]

    def versions(self) -> dict[str, str]:
        return {"viral_predictor": "1"}
