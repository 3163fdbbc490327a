"""Retrain the viral predictor on an account's own posts; install it only where that is better on the later fifth.

python -m training.own_posts --data export/ --out .murmuration/models/viral_predictor

The data are what `GET /metrics/export?format=parquet` gives. The earlier four fifths move the bundled weights of
wording, words and time: a ridge regression of what the bundled model gets wrong, shrunk towards it, so that few posts
change little. Author terms, calibration and range stay as bundled. The later fifth judges, each post beside the record
that it had then; what was judged is what is installed. Exit status: 0 installed, 3 not installed, 1 the data are no
export.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from pipelines.records import FIRST_MOMENT, LAST_MOMENT, MAX_TEXT_CHARACTERS
from pipelines.text.tweets import shown_text
from pipelines.viral_predictor.features import DRAFT, NEVER_REWARDED, draft_wording, time_of
from pipelines.viral_predictor.own_record import FULL_POSTS, SETTLED
from pipelines.viral_predictor.predictor import FORMAT, ViralPredictor, Weights
from pipelines.viral_predictor.scope import scope_of
from training.archives import US_PER_DAY, Archive, Rows, neighbours, records
from training.parquet import InputRefused, files_of, look_at, moment, values
from training.viral_evaluation import predict
from training.viral_figures import pair_accuracy, spearman
from training.viral_predictor import pack

ROOT: Final = Path(__file__).resolve().parents[1]
COLUMNS: Final = ("post_id", "posted_at", "text", "kind", "source", "captured_at", "likes", "retweets")
NOT_INSTALLED: Final = 3
FEWEST_POSTS, FEWEST_JUDGED = 300, 50
LATER: Final = 0.2
# Of 19 authors that the bundled model never saw, with 600 to 2,200 posts (tweety, congress2022): the later fifth gained
# most with these. Counts have unit variance, the words of a post unit length, and points of the words this scale.
COUNTS_PENALTY, WORDS_PENALTY, POINTS = 300.0, 10.0, 8.0
# More posts and pairs than these only take longer to judge.
JUDGED_POSTS, JUDGED_PAIRS = 2_000, 20_000
PAIR_DAYS: Final = 30
RESAMPLES: Final = 2_000


@dataclass(frozen=True)
class Figures:
    """What both models reach on `posts` posts of the later fifth; `gain` and `brier_gain` are (value, low, high).

    Each figure is (bundled, retrained). The gains are retrained less bundled with 95 % intervals: of the rank
    correlation more is better, of the Brier score less.
    """

    posts: int
    pairs: int
    spearman: tuple[float, float]
    pair_accuracy: tuple[float | None, float | None]
    brier: tuple[float, float]
    gain: tuple[float, float, float]
    brier_gain: tuple[float, float, float]

    @property
    def better(self) -> bool:
        """Whether the retrained model ranks better beyond noise, and tells chances no worse."""
        return self.gain[1] > 0.0 and self.brier_gain[0] <= 0.0


def main(argv: Sequence[str] | None = None) -> None:
    """Read, retrain, judge, and install or say why not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the export, or a folder of exports")
    parser.add_argument("--out", type=Path, default=ROOT / ".murmuration" / "models" / "viral_predictor")
    parser.add_argument("--bundled", type=Path, default=ROOT / "models" / "viral_predictor")
    parser.add_argument("--learn-from-api", action="store_true", help="learn from what the X API told, too")
    parser.add_argument("--seed", type=int, default=0)
    told = parser.parse_args(argv)
    if told.out.resolve() == told.bundled.resolve():
        sys.exit("error: --out is the folder of the bundled model, which stays as it is")
    try:
        archive, left_out = read_export(told.data, learn_from_api=told.learn_from_api)
    except InputRefused as error:
        sys.exit(f"error: {error}")
    for reason, posts in left_out.most_common():
        print(f"left out: {posts:,} {reason}")
    english = np.array([row for row, text in enumerate(archive.texts) if not scope_of(text).reason], np.int64)
    if len(english) < len(archive.texts):
        print(f"not learned from: {len(archive.texts) - len(english):,} posts in another language, or no prose")
    if len(english) < FEWEST_POSTS:
        missing = FEWEST_POSTS - len(english)
        print(f"nothing was installed: {len(english):,} posts to learn from, {missing:,} more are needed")
        sys.exit(NOT_INSTALLED)
    learned, later = split(english)
    later = later[np.isfinite(archive.percentile[later])]
    if len(later) < FEWEST_JUDGED:
        print(
            f"nothing was installed: {len(later):,} posts of the later fifth have {FULL_POSTS} posts before them that "
            f"are a day older, {FEWEST_JUDGED} are needed"
        )
        sys.exit(NOT_INSTALLED)
    bundled = ViralPredictor.load(told.bundled)
    weights = retrain(bundled.weights, archive, learned)
    figures = judge(bundled, ViralPredictor(weights, "retrained"), archive, later, np.random.default_rng(told.seed))
    print("\n".join(table(figures)))
    if not figures.better:
        print(
            "nothing was installed: on the later fifth the retrained model is not better than the bundled one beyond "
            "noise"
        )
        sys.exit(NOT_INSTALLED)
    version = install(
        weights, told.out, bundled.version, told.seed, describe(archive, learned, later, left_out, figures)
    )
    print(
        f"installed {version} in {told.out}; to serve it, set args.viral_predictor to that folder in serve_config.yaml"
    )


def read_export(source: Path, *, learn_from_api: bool = False) -> tuple[Archive, Counter[str]]:
    """Return the posts of an export, each with its latest reading, and how many rows or posts were left out by reason.

    Raises:
        InputRefused: there is no file, it cannot be read, or a column is missing.
    """
    latest: dict[str, tuple[datetime, datetime, str, int, int]] = {}
    left_out: Counter[str] = Counter()
    digest = hashlib.sha256()
    for path in files_of(source):
        schema, _ = look_at(path)
        if missing := [name for name in COLUMNS if name not in schema.names]:
            raise InputRefused(f"{path} is no export of this product: it has no column `{missing[0]}`")
        try:
            with path.open("rb") as opened:
                digest.update(hashlib.file_digest(opened, "sha256").digest())
            with pq.ParquetFile(path) as file:
                rows = file.read(columns=list(COLUMNS))
        except (OSError, pa.ArrowException) as error:
            raise InputRefused(f"{path}: {error}") from error
        for row in zip(*(values(rows[name]) for name in COLUMNS), strict=True):
            _keep_latest(latest, left_out, row, learn_from_api=learn_from_api)
    settled = {key: post for key, post in latest.items() if post[0] - post[1] >= SETTLED}
    left_out["posts whose last reading was taken within 24 h"] += len(latest) - len(settled)
    posts = sorted(settled.items(), key=lambda item: (item[1][1], item[0]))
    author = np.zeros(len(posts), np.str_)
    time_us = np.array([int((post[1] - _EPOCH) / timedelta(microseconds=1)) for _, post in posts], np.int64)
    likes, retweets = np.array([[post[3], post[4]] for _, post in posts], np.int64).reshape(-1, 2).T
    first, last, percentile = records(author, time_us, (likes + retweets).astype(np.float64))
    texts = [post[2] for _, post in posts]
    archive = Archive("own", digest.hexdigest(), author, time_us, texts, likes, retweets, first, last, percentile)
    return archive, +left_out


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _keep_latest(
    latest: dict[str, tuple[datetime, datetime, str, int, int]],
    left_out: Counter[str],
    row: tuple[Any, ...],
    *,
    learn_from_api: bool,
) -> None:
    """Put one row of COLUMNS into `latest` as (captured, posted, text, likes, retweets), or count why not."""
    post_id, posted, text, kind, source, captured, likes, retweets = row
    posted, captured = moment(posted), moment(captured)
    liked, retweeted = _count(likes), _count(retweets)
    if source == "x_api" and not learn_from_api:
        left_out["readings of the X API, which trains nothing unless --learn-from-api"] += 1
    elif kind != "post":
        left_out["readings of replies and reposts"] += 1
    elif not (
        isinstance(posted, datetime) and FIRST_MOMENT <= posted <= LAST_MOMENT and isinstance(captured, datetime)
    ):
        left_out["rows without a moment that can be"] += 1
    elif not isinstance(text, str) or len(text) > MAX_TEXT_CHARACTERS or not (text := shown_text(text)):
        left_out["rows without a text, or with one beyond 4,000 characters"] += 1
    elif liked is None or retweeted is None:
        left_out["rows whose likes or retweets are unknown or no counts"] += 1
    elif str(post_id) not in latest or captured >= latest[str(post_id)][0]:
        latest[str(post_id)] = (captured, posted, text, liked, retweeted)


def _count(value: object) -> int | None:
    """Return a count, also one that pandas made a float; None for what is none."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 10**12 else None


def split(rows: Rows) -> tuple[Rows, Rows]:
    """Return the earlier four fifths of `rows`, which are in the order of time, and the later fifth."""
    begin = len(rows) - math.ceil(LATER * len(rows))
    return rows[:begin], rows[begin:]


def retrain(bundled: Weights, archive: Archive, rows: Rows) -> Weights:
    """Return `bundled` moved by a ridge regression of its residuals on `rows`.

    The outcome is the percentile among the 50 posts before and after. What must not be rewarded is left out for as
    long as the fit would reward it (active set), as in training.viral_predictor.
    """
    around = 100.0 * neighbours(archive, rows)
    rows = rows[np.isfinite(around[rows])]
    read = draft_wording([archive.texts[row] for row in rows], bundled.bits)
    counts = (read.counts - bundled.wording_mean) / bundled.wording_scale
    time = time_of([archive.moment(int(row)) for row in rows]) - bundled.time_mean
    words = sp.csr_matrix((read.weights, (read.rows, read.buckets)), shape=(len(rows), 2**bundled.bits))
    points = words @ bundled.words - bundled.words_mean
    dense = np.column_stack([counts, time, points / POINTS]) / math.sqrt(COUNTS_PENALTY)
    coefficients = bundled.wording.copy()
    free = np.ones(dense.shape[1], bool)
    while True:
        expected = bundled.base + points + counts @ coefficients + time @ bundled.time
        columns = sp.hstack([sp.csr_matrix(dense[:, free]), words / math.sqrt(WORDS_PENALTY)], format="csr")
        ridge = Ridge(1.0, solver="sparse_cg", tol=1e-4, max_iter=1000).fit(columns, around[rows] - expected)
        moved = np.zeros(len(free))
        moved[free] = ridge.coef_[: free.sum()] / math.sqrt(COUNTS_PENALTY)
        rewarded = _NEVER & free[: len(DRAFT)] & (coefficients + moved[: len(DRAFT)] > 0.0)
        if not rewarded.any():
            break
        free[: len(DRAFT)] &= ~rewarded
        coefficients[rewarded] = 0.0
    scale = 1.0 + moved[-1] / POINTS
    own = ridge.coef_[free.sum() :] / math.sqrt(WORDS_PENALTY)
    return replace(
        bundled,
        # As weights.npz keeps them: what is judged is what is installed.
        words=(scale * bundled.words + own).astype(np.float16).astype(np.float32),
        words_mean=scale * bundled.words_mean,
        wording=coefficients + moved[: len(DRAFT)],
        time=bundled.time + moved[len(DRAFT) : -1],
        base=np.asarray(bundled.base + ridge.intercept_),
    )


_NEVER: Final[NDArray[np.bool_]] = np.array([name in NEVER_REWARDED for name in DRAFT])


def judge(
    bundled: ViralPredictor, own: ViralPredictor, archive: Archive, rows: Rows, rng: np.random.Generator
) -> Figures:
    """Compare two models on `rows`, whose percentile is known, each post beside the record that it had."""
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), JUDGED_POSTS)).astype(np.int64))]
    drafts = archive.drafts(rows.tolist())
    outcome, beats = archive.percentile[rows], archive.beats(rows)
    told = [predict(model, drafts) for model in (bundled, own)]
    scores = [np.array([one.viral_score for one in predictions], np.float64) for predictions in told]
    briers = [(np.array([one.p_beats_median for one in predictions], np.float64) - beats) ** 2 for predictions in told]
    pairs = draw_pairs(archive, rows, rng)
    engagement = archive.engagement[rows]
    resampled = blocks(len(rows), rng)
    accuracy = [pair_accuracy(score, engagement, pairs) if len(pairs) else None for score in scores]
    return Figures(
        posts=len(rows),
        pairs=len(pairs),
        spearman=(spearman(outcome, scores[0]), spearman(outcome, scores[1])),
        pair_accuracy=(accuracy[0], accuracy[1]),
        brier=(float(briers[0].mean()), float(briers[1].mean())),
        gain=interval(
            lambda at: spearman(outcome[at], scores[1][at]) - spearman(outcome[at], scores[0][at]), resampled
        ),
        brier_gain=interval(lambda at: float((briers[1] - briers[0])[at].mean()), resampled),
    )


def draw_pairs(archive: Archive, rows: Rows, rng: np.random.Generator) -> Rows:
    """Return places in `rows` (pairs, 2): within 30 days, (engagement + 1) more than 25 % apart; some of many."""
    time, level = archive.time_us[rows], np.log(archive.engagement[rows] + 1.0)
    a, b = np.triu_indices(len(rows), 1)
    kept = (time[b] - time[a] <= PAIR_DAYS * US_PER_DAY) & (np.abs(level[a] - level[b]) > np.log(1.25))
    pairs = np.column_stack([a[kept], b[kept]])
    return pairs if len(pairs) <= JUDGED_PAIRS else pairs[np.sort(rng.permutation(len(pairs))[:JUDGED_PAIRS])]


def blocks(posts: int, rng: np.random.Generator) -> Rows:
    """Return resampled places (RESAMPLES, posts) in blocks of n^(1/3) posts: neighbours are no independent witnesses.

    The circular block bootstrap of Politis and Romano (1992), A circular block-resampling procedure for stationary
    data.
    """
    length = max(math.ceil(posts ** (1 / 3)), 1)
    starts = rng.integers(0, posts, (RESAMPLES, math.ceil(posts / length)))
    return np.asarray(((starts[:, :, None] + np.arange(length)) % posts).reshape(RESAMPLES, -1)[:, :posts], np.int64)


def interval(measure: Callable[[Rows], float], resampled: Iterable[Rows]) -> tuple[float, float, float]:
    """Return `measure` on all posts and its 95 % bootstrap interval; NaN where an outcome never varies."""
    drawn = [measure(places) for places in resampled]
    posts = len(next(iter(resampled)))
    low, high = np.nanquantile(drawn, [0.025, 0.975]) if np.isfinite(drawn).any() else (math.nan, math.nan)
    return measure(np.arange(posts)), float(low), float(high)


def table(figures: Figures) -> list[str]:
    """Return the figures as a table in Markdown."""

    def row(name: str, pair: tuple[float | None, float | None], gain: tuple[float, float, float] | None) -> str:
        told = [f"{value:.3f}" if value is not None else "unknown" for value in pair]
        return f"| {name} | {told[0]} | {told[1]} | {'{:+.3f} [{:+.3f}, {:+.3f}]'.format(*gain) if gain else ''} |"

    return [
        f"On the later fifth, {figures.posts:,} posts and {figures.pairs:,} pairs of them within {PAIR_DAYS} days:",
        "",
        "| | bundled | retrained | gain, 95 % interval |",
        "|---|---|---|---|",
        row("Spearman (1 is perfect, 0 knows nothing)", figures.spearman, figures.gain),
        row("which of two did better (0.5 is a coin)", figures.pair_accuracy, None),
        row("Brier score (less is better, 0.25 knows nothing)", figures.brier, figures.brier_gain),
        "",
    ]


def describe(archive: Archive, learned: Rows, later: Rows, left_out: Counter[str], figures: Figures) -> dict[str, Any]:
    """Return what metadata.json tells of data and figures; no text and no id."""
    return {
        "data": {
            "sha256": archive.sha256,
            "posts": len(archive.texts),
            "learned": len(learned),
            "later": len(later),
            "from": archive.moment(int(learned[0])).date().isoformat(),
            "until": archive.moment(int(later[-1])).date().isoformat(),
            "left_out": dict(left_out),
        },
        "scores": {
            name: [None if value is None else round(value, 4) for value in found]
            for name, found in vars(figures).items()
            if isinstance(found, tuple)
        }
        | {"posts": figures.posts, "pairs": figures.pairs},
        "card": "\n".join(table(figures)),
    }


def install(weights: Weights, out: Path, bundled: str, seed: int, told: dict[str, Any]) -> str:
    """Write weights.npz, metadata.json and CARD.md in the place of `out`, all or nothing; return the version."""
    packed = pack(weights)
    sha256 = hashlib.sha256(packed).hexdigest()
    created = datetime.now(UTC).date().isoformat()
    card = told.pop("card")
    metadata = {
        "format": FORMAT,
        "version": f"own-{created}-{sha256[:8]}",
        "retrained_from": bundled,
        "sha256": {"weights.npz": sha256},
        "created": created,
        "seed": seed,
        "bits": weights.bits,
        "penalties": {"counts": COUNTS_PENALTY, "words": WORDS_PENALTY},
        **told,
    }
    data = told["data"]
    temporary = out.with_name(f"{out.name}.new")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    (temporary / "weights.npz").write_bytes(packed)
    (temporary / "metadata.json").write_text(json.dumps(metadata, indent=1) + "\n")
    (temporary / "CARD.md").write_text(
        f"# Viral predictor {metadata['version']}\n\n"
        f"The bundled viral predictor {bundled}, its weights of wording, words and time moved by the account's own\n"
        f"posts: {data['learned']:,} from {data['from']} on fitted it, {data['later']:,} after them until "
        f"{data['until']} judged it.\nAuthor terms, calibration and range are those of the bundled model. "
        f"It knows this account alone.\n\n{card}\n"
    )
    former = out.with_name(f"{out.name}.old")
    shutil.rmtree(former, ignore_errors=True)
    if out.exists():
        out.rename(former)
    temporary.rename(out)
    shutil.rmtree(former, ignore_errors=True)
    return str(metadata["version"])


if __name__ == "__main__":
    main()
