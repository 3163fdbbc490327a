"""The committed weights, with texts that nobody trained on."""

import json
import math
import shutil
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import WeightsRefused
from pipelines.records import Draft, Post
from pipelines.viral_predictor.predictor import ViralPredictor

FOLDER = Path(__file__).parents[2] / "models" / "viral_predictor"
PREDICTOR = ViralPredictor.load(FOLDER)
NOON = datetime(2024, 3, 5, 12, tzinfo=UTC)
TAGS = " #ad #sale #deal #love #win #viral #trending #follow #promo #now"
TEXTS = (
    "We are proud to announce our new coffee shop on Main Street.",
    "Thank you to everyone who came out tonight! #grateful",
    "Why does nobody talk about this? https://example.org/report",
    "BREAKING: the vote has just passed, 51 to 49.",
    "\N{ROCKET} Launch day: join us live at 3 pm",
    "All museums are free on Sunday.",
    "ok",
)
SPANISH = "Hoy abrimos la tienda nueva, \u00a1ven a vernos!"
HISTORY = tuple(
    Post(
        text=f"{TEXTS[day % len(TEXTS)]} Day {day}.",
        created_at=NOON - timedelta(days=day, hours=day % 7),
        likes=(day * 37) % 90,
        retweets=day % 9,
    )
    for day in range(2, 62)
)

texts = st.text(min_size=1, max_size=400)
moments = st.none() | st.datetimes(datetime(2010, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
histories = st.sampled_from([(), HISTORY[:24], HISTORY[:25], HISTORY])
drafts = st.builds(Draft, text=texts, posted_at=moments, history=histories)


def predict(text, **context):
    return PREDICTOR.predict([Draft(text=text, **context)])[0]


def score(text, **context):
    """A text that is not scored stands below all others."""
    found = predict(text, **context).viral_score
    return -1.0 if found is None else found


def test_tampered_weights_are_refused(tmp_path):
    shutil.copytree(FOLDER, tmp_path / "model")
    packed = bytearray((tmp_path / "model" / "weights.npz").read_bytes())
    packed[len(packed) // 2] ^= 1
    (tmp_path / "model" / "weights.npz").write_bytes(packed)
    with pytest.raises(WeightsRefused):
        ViralPredictor.load(tmp_path / "model")


@given(drafts)
def test_any_text_gets_a_finite_score_that_its_contributions_explain_or_a_reason_for_none(draft):
    prediction = PREDICTOR.predict([draft])[0]
    if not prediction.supported:
        assert prediction.viral_score is prediction.p_beats_median is prediction.interval is None
        assert not prediction.contributions
        assert prediction.note
        return
    assert 0 <= prediction.viral_score <= 100
    assert 0 <= prediction.interval[0] <= prediction.viral_score <= prediction.interval[1] <= 100
    assert 0 < prediction.p_beats_median < 1
    assert all(map(math.isfinite, prediction.contributions.values()))
    explained = prediction.base + sum(prediction.contributions.values())
    assert explained == pytest.approx(prediction.viral_score, abs=0.2)


@given(drafts)
def test_subscores_are_the_sums_of_their_contributions(draft):
    prediction = PREDICTOR.predict([draft])[0]
    parts = (prediction.subscores.wording, prediction.subscores.author, prediction.subscores.time)
    known = sum(part for part in parts if part is not None) + prediction.contributions.get("clipped", 0.0)
    assert known == pytest.approx(sum(prediction.contributions.values()), abs=0.2)


@given(drafts)
def test_missing_is_none_and_known_is_not(draft):
    prediction = PREDICTOR.predict([draft])[0]
    assert prediction.evidence.own_posts <= len(draft.history)
    if prediction.supported:
        assert (prediction.subscores.time is None) == (draft.posted_at is None)
        assert (prediction.subscores.author is None) == (prediction.evidence.own_posts == 0)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("asdf qwer zxcv", "dictionary"),
        ("Lorem ipsum dolor sit amet, consectetur adipiscing elit.", "placeholder"),
        ("RT RT RT RT please retweet RT", "reactions"),
        ("pool pool pool pool pool pool pool pool", "again and again"),
        ("crypto bitcoin ethereum blockchain NFT trading invest startup growth marketing leads", "row of words"),
        ("#one #two #three #four #five #six #seven #eight", "row of words"),
        ("\U0001f525" * 12, "row of words"),
        ("COME NOW!!!!!! BEST EVER!!!!!!", "capitals"),
        ("for (i = 0; i < n; i++) { if (x[i] == null) return -1; }", "code"),
        ("Join {event} in Bristol on Tuesday.", "placeholder"),
        ("Ab Montag gibt es frisches Brot.", "`de`"),
        (SPANISH, "`es`"),
    ],
)
def test_what_is_no_english_prose_has_no_score_and_says_why(text, word):
    prediction = predict(text)
    assert not prediction.supported
    assert prediction.viral_score is None
    assert word in prediction.note or "`es`" in prediction.note


R_PACKAGES = "New blog post: reading archives with {jstor} and {tidytext}."


@pytest.mark.parametrize(
    "text",
    [
        *TEXTS,
        "Dark mode",
        "tick season",
        "lol same",
        "So proud of my brother today.",
        "gm",
        "Super Bowl XXX is on",
        R_PACKAGES,
    ],
)
def test_plain_and_short_english_is_scored(text):
    assert predict(text).supported


def test_spanish_is_scored_from_record_and_time_alone_where_there_are_25_posts():
    prediction = predict(SPANISH, history=HISTORY, posted_at=NOON)
    assert prediction.supported
    assert prediction.subscores.wording is None
    assert prediction.subscores.author is not None
    assert prediction.subscores.time is not None
    assert not predict(SPANISH, history=HISTORY[:20]).supported


def test_a_version_is_scored_where_its_original_is():
    assert predict("Ya!", original=TEXTS[0]).supported
    assert not predict(TEXTS[0], original=SPANISH).supported


def test_the_record_comes_in_little_by_little():
    scores = [score(TEXTS[0], history=HISTORY[:n]) for n in range(41)]
    steps = [abs(b - a) for a, b in pairwise(scores)]
    assert abs(scores[25] - scores[24]) <= max(steps[:24])
    assert max(steps) < 8


def test_no_habit_moves_a_score_by_much():
    asked = tuple(
        Post(text=f"Is day {day} fine?", created_at=NOON - timedelta(days=day), likes=900, retweets=90)
        if day % 2
        else Post(text=f"Day {day} is fine.", created_at=NOON - timedelta(days=day), likes=1, retweets=0)
        for day in range(2, 82)
    )
    plain, question = (predict(text, history=asked) for text in ("The shop opens late.", "The shop opens late?"))
    assert 0 < question.contributions["habits"] - plain.contributions["habits"] < 20


@given(st.lists(drafts, max_size=8))
def test_a_batch_is_scored_as_its_drafts_are_one_by_one(batch):
    together = PREDICTOR.predict(batch)
    alone = [PREDICTOR.predict([draft])[0] for draft in batch]
    for a, b in zip(together, alone, strict=True):
        assert a.viral_score == b.viral_score
        assert a.contributions == pytest.approx(b.contributions, abs=1e-9)


def test_loading_again_changes_nothing():
    batch = [Draft(text=text, posted_at=NOON, history=HISTORY) for text in TEXTS]
    assert ViralPredictor.load(FOLDER).predict(batch) == PREDICTOR.predict(batch)


@pytest.mark.parametrize("history", [(), HISTORY])
@pytest.mark.parametrize("text", TEXTS)
def test_ten_more_hashtags_do_not_raise_the_score(text, history):
    assert score(text + TAGS, history=history) <= score(text, history=history) + 1e-9


PLEAS = (
    " What do you think?",
    "\nWhat do you think?",
    " Thoughts?",
    " Agree?",
    " RT if you agree!",
    " Let me know below.",
)


@pytest.mark.parametrize("history", [(), HISTORY])
@pytest.mark.parametrize("plea", PLEAS)
@pytest.mark.parametrize("text", [text for text in TEXTS if text != "ok"])
def test_a_plea_does_not_raise_the_score(text, plea, history):
    assert score(text + plea, history=history) <= score(text, history=history) + 1e-9
    assert score(text + plea + TAGS, history=history) <= score(text, history=history) + 1e-9


@pytest.mark.parametrize("history", [(), HISTORY])
@given(text=texts)
def test_nothing_gains_by_asking_what_you_think_or_by_exclamation_marks(text, history):
    before = score(text, history=history)
    assert score(f"{text} What do you think?", history=history) <= before + 1e-9
    assert score(f"{text} !!!", history=history) <= before + 1e-9


@pytest.mark.parametrize("history", [(), HISTORY])
@pytest.mark.parametrize("text", TEXTS)
def test_shouting_does_not_raise_the_score(text, history):
    assert score(text.upper(), history=history) <= score(text, history=history) + 1e-9
    assert score(f"{text.upper()}!!!", history=history) <= score(text, history=history) + 1e-9


REPEATS = {
    "twice": lambda text: f"{text} {text}",
    "three times in lines": lambda text: "\n".join([text] * 3),
    "last word": lambda text: f"{text} " + " ".join([text.split()[-1]] * 3),
    "first word at the end": lambda text: f"{text} {text.split()[0]}",
    "a word in its place": lambda text: f"{text.split()[0]} {text.split()[0]} {text}",
}


@pytest.mark.parametrize("repeat", REPEATS.values(), ids=REPEATS)
@given(text=st.sampled_from(TEXTS) | texts)
def test_saying_something_again_gains_nothing(repeat, text):
    text = text.strip()  # as every text is before it is scored
    if text:
        assert score(repeat(text)) <= score(text)


@pytest.mark.parametrize("addition", [" #win", " \U0001f525", " RT if you agree!"])
@pytest.mark.parametrize("text", TEXTS)
def test_more_of_the_same_tag_emoji_or_plea_gains_nothing(text, addition):
    assert score(text + 3 * addition) <= score(text + addition)


def test_a_higher_score_never_means_a_lower_chance():
    predictions = sorted(PREDICTOR.predict([Draft(text=text) for text in TEXTS]), key=lambda p: p.viral_score)
    chances = [prediction.p_beats_median for prediction in predictions]
    assert chances == sorted(chances)
    assert chances[0] < chances[-1]


def test_the_metadata_say_where_the_weights_come_from_and_are_small():
    metadata = json.loads((FOLDER / "metadata.json").read_text())
    assert PREDICTOR.version == metadata["version"]
    assert {"commit", "created", "data", "libraries", "scores", "seed", "sha256"} <= set(metadata)
    assert all(len(source["sha256"]) == 64 for source in metadata["data"].values())
    assert (FOLDER / "weights.npz").stat().st_size < 3 * 2**20


BASELINES = ("majority", "length", "time", "author", "weights", "forest")


@pytest.mark.parametrize("split", ["time", "authors"])
@pytest.mark.parametrize("name", ["congress2022", "tweety", "fin2021"])
def test_the_recorded_figures_beat_every_baseline_beyond_their_interval(name, split):
    measured = json.loads((FOLDER / "metadata.json").read_text())["scores"][name][split]
    _, low, _ = measured["auc"]["score"]
    assert low > 0.5
    assert all(low > measured["auc"][baseline] for baseline in BASELINES)
    assert measured["brier_skill"][1] > 0.0
    assert measured["winkler"][2] < measured["winkler_constant"][0]


def test_the_card_states_the_version_and_the_recorded_figures():
    card = (FOLDER / "CARD.md").read_text()
    metadata = json.loads((FOLDER / "metadata.json").read_text())
    assert metadata["version"] in card
    assert f"{metadata['scores']['tweety']['authors']['auc']['score'][0]:.3f}" in card
