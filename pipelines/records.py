"""The records that cross a boundary: between models, over HTTP, into the store.

Each is defined once, here; pydantic validates the same classes where HTTP meets them, orjson writes them.
Character offsets count code points of the NFC-normalized text.
No slots: records travel between processes, and pickle restores a frozen dataclass with slots field by field in Python.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, ClassVar, Literal, get_args
from zoneinfo import available_timezones

from annotated_types import Ge, Le, MaxLen, MinLen
from pydantic import AfterValidator, AwareDatetime, BeforeValidator, ConfigDict, Discriminator, Tag
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticCustomError

from pipelines.text.tweets import MAX_LONG_LENGTH, MAX_WEIGHTED_LENGTH, Entity, clean_text, shown_text

Language = Literal["en", "es"]
LengthLimit = Literal[280, 4000]
Engine = Literal["auto", "templates", "lm"]
Objective = Literal["awareness", "engagement", "clicks", "sales", "signups", "community"]
Tone = Literal["neutral", "friendly", "bold", "witty", "formal"]
Intent = Literal["announce", "promote", "ask", "inform", "opinion", "story", "help", "greeting", "other"]
EmotionLabel = Literal["joy", "anger", "sadness", "fear", "surprise", "optimism", "disgust", "neutral"]
SentimentLabel = Literal["negative", "neutral", "positive"]
SensitivityLabel = Literal["none", "sober", "hate", "threat", "fraud"]
Source = Literal["template", "lm", "edit"]
Format = Literal["post", "thread"]
Best = Literal["candidate", "yours"]
Evidence = Literal["published", "own_data", "convention"]
Domain = Literal["same_link", "headlines", "own_posts"]
Verdict = Literal["a", "b", "too_close"]
Severity = Literal["info", "warning", "error"]
Model = Literal["query_analyzer", "sentiment", "generator", "viral_predictor"]
Degraded = Literal[
    "query_analyzer",
    "sentiment",
    "sentiment.transformer",
    "generator",
    "generator.lm",
    "viral_predictor",
    "store",
    "cache",
]

MODELS: tuple[Model, ...] = get_args(Model)
MAX_TEXT_CHARACTERS = 4_000
MAX_BATCH_ITEMS = 256
MAX_HISTORY_POSTS = 100

# What HTTP accepts: nothing unknown, nothing converted ("3" is not 3).
STRICT: ConfigDict = {"extra": "forbid", "strict": True}


def clean_up_to(limit: int) -> Callable[[str], str]:
    """Return what normalizes a text and refuses one that is longer than `limit` then: NFC takes some letters apart."""

    def clean(text: str) -> str:
        text = clean_text(text)
        if len(text) > limit:
            raise ValueError(f"{len(text):,} characters once it is normalized (NFC), and {limit:,} is the most")
        return text

    return clean


Text = Annotated[str, MinLen(1), MaxLen(MAX_TEXT_CHARACTERS), AfterValidator(clean_up_to(MAX_TEXT_CHARACTERS))]
ShortText = Annotated[str, MinLen(1), MaxLen(120), AfterValidator(clean_up_to(120))]
PostText = Annotated[str, MaxLen(MAX_TEXT_CHARACTERS), AfterValidator(shown_text)]
Count = Annotated[int, Ge(0), Le(10**12)]


def _since_tweets_exist(moment: datetime) -> datetime:
    """Refuse moments that no post has or will have: a calendar's ends break under another time zone."""
    if not FIRST_MOMENT <= moment <= LAST_MOMENT:
        raise ValueError(f"must lie between {FIRST_MOMENT:%Y} and {LAST_MOMENT:%Y}")
    return moment


FIRST_MOMENT, LAST_MOMENT = datetime(2006, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
Moment = Annotated[AwareDatetime, AfterValidator(_since_tweets_exist)]


@dataclass(frozen=True, kw_only=True)
class Post:
    """One published post of the author with its counts; engagement = likes + retweets."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    text: PostText
    created_at: Moment
    likes: Count
    retweets: Count
    replies: Count | None = None
    impressions: Count | None = None

    @property
    def engagement(self) -> int:
        """Likes plus retweets."""
        return self.likes + self.retweets


def _with_text(posts: tuple[Post, ...]) -> tuple[Post, ...]:
    """Leave out posts of which nothing shows: exports hold pictures without a word, and broken lines."""
    return tuple(post for post in posts if post.text)


History = Annotated[tuple[Post, ...], MaxLen(MAX_HISTORY_POSTS), AfterValidator(_with_text)]
HistoryChoice = Literal["stored", "none"]
# How pydantic tells the two apart; the tags stand in its errors, which name fields.
HISTORY_TAGS = ("choice of history", "posts of history")
AskedHistory = Annotated[
    Annotated[HistoryChoice, Tag(HISTORY_TAGS[0])] | Annotated[History, Tag(HISTORY_TAGS[1])],
    Discriminator(lambda told: HISTORY_TAGS[0] if isinstance(told, str) else HISTORY_TAGS[1]),
]


@dataclass(frozen=True, kw_only=True)
class WithHistory:
    """Something that is scored against its author's record.

    `history` are posts that the request brings, or "stored": those that the account has imported, or "none".
    """

    history: AskedHistory = "stored"

    @property
    def own_posts(self) -> tuple[Post, ...]:
        """The author's posts; none before stored ones were put in their place."""
        return self.history if isinstance(self.history, tuple) else ()


def _never_told(_: object) -> None:
    """Refuse a field that HTTP does not know; validators run there alone."""
    raise PydanticCustomError("extra_forbidden", "unknown field")


@dataclass(frozen=True, kw_only=True)
class Draft(WithHistory):
    """A text that is about to be posted, with the moment it would go out and the author's own record.

    Posts count that are older than 24 h at `posted_at`: the record weighs more with each, fully from 25 on. `language`
    is told or detected. A version of another text follows that `original`: it is scored where the original is.
    `substance` is the chance that the original, or the text, says something, where that was read already: by us, for
    whoever tells it of his own text would be scored without what it costs.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    text: Text
    posted_at: Moment | None = None
    language: Language | None = None
    original: Text | None = None
    substance: SkipJsonSchema[Annotated[float | None, BeforeValidator(_never_told)]] = None


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two wordings to choose from; `context` says what kind of pair it is, where the caller knows.

    same_link: two tweets of one author for one page; headlines: two headlines of one article; own_posts: two posts of
    one author about different things.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    a: Text
    b: Text
    context: Domain | None = None


@dataclass(frozen=True, kw_only=True)
class Query(WithHistory):
    """What a user asks for: a topic or a draft, and what the tweet is meant to achieve; `history` as in a draft.

    `length_limit` is how long a post may be as X counts; None is what the account's setting says.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    query: Text
    industry: ShortText | None = None
    audience: ShortText | None = None
    objectives: Annotated[tuple[Objective, ...], MaxLen(6)] = ()
    tone: Tone = "neutral"
    language: Language | None = None
    posted_at: Moment | None = None
    n_templates: Annotated[int, Ge(0), Le(20)] = 5
    engine: Engine = "templates"
    format: Format = "post"
    seed: Annotated[int, Ge(0), Le(2**32 - 1)] | None = None
    latency_budget_ms: Annotated[int, Ge(50), Le(60_000)] | None = None
    length_limit: LengthLimit | None = None


def _known_zone(name: str) -> str:
    """Refuse what is no time zone of the IANA database."""
    if name not in available_timezones():
        raise ValueError("is no time zone; write one of the IANA database, as Europe/Madrid")
    return name


TimeZone = Annotated[str, AfterValidator(_known_zone)]


@dataclass(frozen=True, kw_only=True)
class AccountSettings:
    """What an account wants of every part.

    `length_limit` is how long X lets its posts be, `time_zone` where it plans in, `query_retention_days` how long its
    queries are kept, None for good.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    length_limit: LengthLimit = 280
    time_zone: TimeZone = "UTC"
    query_retention_days: Annotated[int, Ge(1), Le(3650)] | None = None


@dataclass(frozen=True)
class Keyword:
    """A word or phrase with its weight in [0, 1]; the first of a list weighs most."""

    text: str
    score: float


@dataclass(frozen=True)
class Finding:
    """Something worth telling the author about a span of the text, with the rule that saw it.

    `source` is the public page of the rule where it is X's own.
    """

    rule: str
    start: int
    end: int
    message: str
    severity: Severity
    source: str | None = None


@dataclass(frozen=True)
class Readability:
    """Flesch (English) or Fernandez-Huerta (Spanish) reading ease: 100 very easy, 0 very hard."""

    formula: str
    score: float


@dataclass(frozen=True)
class Sentiment:
    """Polarity in [-1, 1], class probabilities that sum to 1, and each component's own polarity in [-1, 1].

    `supported` is false where no component speaks the language: label, polarity, probabilities, agreement are None.
    """

    label: SentimentLabel | None
    polarity: float | None
    probabilities: dict[SentimentLabel, float] | None
    components: dict[str, float]
    agreement: bool | None
    supported: bool


@dataclass(frozen=True)
class Emotion:
    """The strongest emotion and the score of each, in [0, 1]."""

    label: EmotionLabel
    scores: dict[EmotionLabel, float]


@dataclass(frozen=True)
class IntentReading:
    """What a marketing text wants, with the score of each intent in [0, 1]."""

    label: Intent
    scores: dict[Intent, float]


@dataclass(frozen=True)
class Sensitivity:
    """Whether a text is bad or sober news, which nothing is added to, or harmful; the score of each label in [0, 1].

    The label follows thresholds of its own: it need not have the highest score.
    """

    label: SensitivityLabel
    scores: dict[SensitivityLabel, float]


@dataclass(frozen=True)
class Affect:
    """What the sentiment deployment reads from one text; what no model reads in its language is None.

    `risks` holds the risks that were measured in the language; `entities` are people, organisations and places;
    `substance` in [0, 1] is the chance that the text says something.
    """

    sentiment: Sentiment
    emotion: Emotion | None = None
    intent: IntentReading | None = None
    risks: dict[str, float] | None = None
    degraded: tuple[Degraded, ...] = ()
    sensitivity: Sensitivity | None = None
    entities: tuple[Entity, ...] | None = None
    substance: float | None = None


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """All that is known about one text; a field is None where its model is missing or was not in time.

    `supported` says of each reading whether it is read in the text's language.
    """

    language: str | None
    weighted_length: int
    valid: bool
    sentiment: Sentiment | None = None
    emotion: Emotion | None = None
    intent: IntentReading | None = None
    entities: tuple[Entity, ...] | None = None
    keywords: tuple[Keyword, ...] | None = None
    complexity_score: float | None = None
    readability: Readability | None = None
    risks: dict[str, float] | None = None
    sensitivity: Sensitivity | None = None
    findings: tuple[Finding, ...] | None = None
    supported: dict[str, bool] | None = None


@dataclass(frozen=True)
class Template:
    """One frame and what it is good for; `content` is its text, see pipelines.generator.templates.

    `success_lower_bound` in [0, 1] is the lower end of the Wilson interval of its success rate; None before
    any outcome.
    """

    name: str
    type: str
    language: Language
    objective: Objective
    tone: Tone
    intent: Intent
    content: str
    success_lower_bound: float | None = None


@dataclass(frozen=True, kw_only=True)
class Brief:
    """What the generator is asked to write: `n` candidates at most `length_limit` weighted characters long.

    `templates` are the account's own library; empty means the bundled one. Of `sober` news only the
    author's own words are wanted: no closing, no joke, no call.
    """

    query: str
    language: Language
    keywords: tuple[str, ...]
    entities: tuple[Entity, ...] = ()
    objectives: tuple[Objective, ...] = ()
    sober: bool = False
    tone: Tone = "neutral"
    templates: tuple[Template, ...] = ()
    n: int = 5
    engine: Engine = "auto"
    format: Format = "post"
    seed: int = 0
    length_limit: int = MAX_WEIGHTED_LENGTH


@dataclass(frozen=True)
class Proposal:
    """A text that somebody wrote for the brief: a template by name, a language model or an edit.

    `p_postable` in [0, 1] is how likely a stranger would post it as it is, None where nobody judged; `parts` are the
    posts of a thread, each with its number.
    """

    text: str
    weighted_length: int
    source: Source
    template: str | None = None
    p_postable: float | None = None
    parts: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Drafts:
    """What the author's own words give: proposals, and whether the brief could be posted as it stands.

    `p_postable` in [0, 1] is the judge's word on the brief itself; None where nobody judged.
    """

    proposals: tuple[Proposal, ...]
    is_statement: bool
    p_postable: float | None = None


@dataclass(frozen=True, kw_only=True)
class DraftToOptimize(WithHistory):
    """A draft to make better, what it is meant to achieve, and how long it may be (weighted characters).

    A `target_length` above the `length_limit`, or the account's, means that.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    draft: Text
    target_length: Annotated[int, Ge(20), Le(MAX_LONG_LENGTH)] | None = None
    length_limit: LengthLimit | None = None
    objectives: Annotated[tuple[Objective, ...], MaxLen(6)] = ()
    language: Language | None = None
    format: Format = "post"
    posted_at: Moment | None = None
    latency_budget_ms: Annotated[int, Ge(50), Le(60_000)] | None = None
