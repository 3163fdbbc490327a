"""The committed weights, with texts that nobody trained on."""

import json
import math
import shutil
from datetime import UTC, datetime, timedelta
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
    "Hoy abrimos la tienda nueva, \u00a1ven a vernos!",
    "ok",
)
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


def score(text, **context):
    return PREDICTOR.predict([Draft(text=text, **context)])[0].viral_score


def test_tampered_weights_are_refused(tmp_path):
    shutil.copytree(FOLDER, tmp_path / "model")
    packed = bytearray((tmp_path / "model" / "weights.npz").read_bytes())
    packed[len(packed) // 2] ^= 1
    (tmp_path / "model" / "weights.npz").write_bytes(packed)
    with pytest.raises(WeightsRefused):
        ViralPredictor.load(tmp_path / "model")


@given(drafts)
def test_any_text_gets_a_finite_score_that_its_contributions_explain(draft):
    prediction = PREDICTOR.predict([draft])[0]
    assert 0 <= prediction.viral_score <= 100
    assert 0 <= prediction.interval[0] <= prediction.viral_score <= prediction.interval[1] <= 100
    assert 0 < prediction.p_beats_median < 1
    assert all(map(math.isfinite, prediction.contributions.values()))
    explained = prediction.base + sum(prediction.contributions.values())
    assert explained == pytest.approx(prediction.viral_score, abs=1e-6)


@given(drafts)
def test_subscores_are_the_sums_of_their_contributions(draft):
    prediction = PREDICTOR.predict([draft])[0]
    parts = (prediction.subscores.wording, prediction.subscores.author, prediction.subscores.time)
    known = sum(part for part in parts if part is not None) + prediction.contributions.get("clipped", 0.0)
    assert known == pytest.approx(sum(prediction.contributions.values()), abs=1e-9)


@given(drafts)
def test_missing_is_none_and_known_is_not(draft):
    prediction = PREDICTOR.predict([draft])[0]
    assert (prediction.subscores.time is None) == (draft.posted_at is None)
    assert (prediction.subscores.author is None) == (prediction.evidence.own_posts < 25)
    assert prediction.evidence.own_posts <= len(draft.history)


@given(st.lists(drafts, max_size=8))
def test_a_batch_is_scored_as_its_drafts_are_one_by_one(batch):
    together = PREDICTOR.predict(batch)
    alone = [PREDICTOR.predict([draft])[0] for draft in batch]
    for a, b in zip(together, alone, strict=True):
        assert a.viral_score == pytest.approx(b.viral_score, abs=1e-9)
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


@pytest.mark.parametrize("text", TEXTS)
def test_saying_everything_again_moves_the_score_by_little(text):
    assert abs(score(f"{text} {text}") - score(text)) < 10


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
