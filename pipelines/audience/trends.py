"""Bursts: words that an account uses in more of its posts than its own past explains.

It knows the account's posts alone; what trends on X stands in x_trends.
"""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import numpy as np
from scipy.stats import false_discovery_control, hypergeom

from pipelines.audience.terms import WORD, Terms
from pipelines.outcomes.posts import StoredPost
from pipelines.records import Language

WINDOW: Final = timedelta(days=14)
PAST: Final = timedelta(days=180)
MIN_RECENT_POSTS: Final = 5
MIN_PAST_POSTS: Final = 30
# A word of fewer posts cannot burst, whenever they were; the test is given their number, so leaving them out is free.
LEAST_POSTS: Final = 3
# Posts of one day may be one event told in parts.
LEAST_DAYS: Final = 2
FALSE_SHARE: Final = 0.05
MAX_BURSTS: Final = 20


@dataclass(frozen=True, kw_only=True)
class Burst:
    """A word in `recent_posts` of the window, on `recent_days` of it, and in `past_posts` of those before.

    `p` is of its own test, `q` the share of false ones among bursts up to this one (Benjamini-Hochberg). `lift` is the
    recent share of posts over the past one, None where it is new. `lemma` is what texts are compared by.
    """

    term: str
    lemma: str
    recent_posts: int
    recent_days: int
    past_posts: int
    lift: float | None
    p: float
    q: float


@dataclass(frozen=True, kw_only=True)
class Trends:
    """The bursts of an account's `recent_posts` of the 14 days before `until`, against those of the 180 days before."""

    supported: bool
    note: str | None
    until: datetime
    recent_posts: int
    past_posts: int
    tested: int
    bursts: tuple[Burst, ...]


def read_trends(posts: Sequence[StoredPost], terms: Callable[[Sequence[str]], Terms], *, until: datetime) -> Trends:
    """Find the words of an account's own posts that burst in the 14 days before `until`.

    Given in how many posts a word stands, it is drawn without replacement which are recent: Fisher's exact test,
    one-sided, which for rare words is the conditional test of two Poisson rates (Przyborowski & Wilenski 1940,
    Biometrika 31). A rate is one of posts: who posts more says every word more often. Of all words tested those of 2
    days or more are told whose false discovery rate is at most 5 % (Benjamini & Hochberg 1995, JRSS B 57(1)).
    """
    start, first = until - WINDOW, until - WINDOW - PAST
    chosen = [post for post in posts if post.kind == "post" and post.text and first <= post.posted_at <= until]
    read = terms([post.text or "" for post in chosen])
    recent, past = Counter[str](), Counter[str]()
    days: defaultdict[str, set[date]] = defaultdict(set)
    n_recent = 0
    for post, found in zip(chosen, read.of_texts, strict=True):
        if post.posted_at < start:
            past.update(found)
            continue
        n_recent += 1
        recent.update(found)
        for term in found:
            days[term].add(post.posted_at.astimezone(UTC).date())
    n_past = len(chosen) - n_recent
    language: Language = "es" if read.languages.count("es") > read.languages.count("en") else "en"
    if n_recent < MIN_RECENT_POSTS or n_past < MIN_PAST_POSTS:
        note = NOTE[language].format(recent=MIN_RECENT_POSTS, past=MIN_PAST_POSTS, n_recent=n_recent, n_past=n_past)
        return _trends(until, n_recent, n_past, note=note)
    tested = sorted(term for term in {*recent, *past} if recent[term] + past[term] >= LEAST_POSTS)
    if not tested:
        return _trends(until, n_recent, n_past)
    now, before = (np.array([counts[term] for term in tested]) for counts in (recent, past))
    p = np.minimum(hypergeom.sf(now - 1, n_recent + n_past, now + before, n_recent), 1.0)
    bursts = [
        Burst(
            term=read.written[term],
            lemma=term,
            recent_posts=recent[term],
            recent_days=len(days[term]),
            past_posts=past[term],
            lift=(recent[term] / n_recent) / (past[term] / n_past) if past[term] else None,
            p=float(of_term),
            q=float(adjusted),
        )
        for term, of_term, adjusted in zip(tested, p, false_discovery_control(p), strict=True)
        if adjusted <= FALSE_SHARE and len(days[term]) >= LEAST_DAYS
    ]
    bursts.sort(key=lambda burst: (burst.p, burst.term))
    return _trends(until, n_recent, n_past, tested=len(tested), bursts=tuple(bursts[:MAX_BURSTS]))


def alignment(text: str, trends: Trends | None) -> float | None:
    """Return how far a text speaks of what bursts, in [0, 1): 0 where it names none of it, as it is mostly written.

    Of each burst that it names the share of the recent posts that the past does not explain, 1 - past rate / recent
    rate, joined as independent chances, 1 - prod(1 - share). None where nothing is known of the account's bursts, or
    where there are none to speak of.
    """
    if trends is None or not trends.supported or not trends.bursts:
        return None
    own = {word.casefold() for word in WORD.findall(unicodedata.normalize("NFC", text))}
    unexplained = 1.0
    for burst in trends.bursts:
        if {burst.lemma, burst.term.casefold().lstrip("#")} & own:
            # A new word may have been due: half a post of the past, as Jeffreys' prior has it.
            past = (burst.past_posts + 0.5) / (trends.past_posts + 1)
            unexplained *= min(past / (burst.recent_posts / trends.recent_posts), 1.0)
    return 1.0 - unexplained


def trends_from(stored: Mapping[str, Any] | None, now: datetime) -> Trends | None:
    """Return stored trends as they were found; None where there are none, or where their window is over."""
    if stored is None or now - datetime.fromisoformat(stored["until"]) > WINDOW:
        return None
    return Trends(
        **{
            # Older rows hold "x" too.
            **{name: value for name, value in stored.items() if name != "x"},
            "until": datetime.fromisoformat(stored["until"]),
            "bursts": tuple(Burst(**burst) for burst in stored["bursts"]),
        }
    )


def _trends(
    until: datetime,
    n_recent: int,
    n_past: int,
    *,
    note: str | None = None,
    tested: int = 0,
    bursts: tuple[Burst, ...] = (),
) -> Trends:
    return Trends(
        supported=note is None,
        note=note,
        until=until,
        recent_posts=n_recent,
        past_posts=n_past,
        tested=tested,
        bursts=bursts,
    )


NOTE: Final[dict[Language, str]] = {
    "en": (
        "Bursts need {recent} posts of your own in the last 14 days and {past} in the 180 before; "
        "there are {n_recent} and {n_past}."
    ),
    "es": (
        "Los picos necesitan {recent} publicaciones propias en los últimos 14 días y {past} en los 180 anteriores; "
        "hay {n_recent} y {n_past}."
    ),
}
