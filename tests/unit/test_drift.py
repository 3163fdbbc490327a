"""The stability index: by hand, on samples of the reference itself, and on texts that moved."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import WeightsRefused
from pipelines.viral_predictor.drift import FEWEST_POSTS, INPUTS, SLIGHT, Bins, Scored, drift, fit, load_reference, psi

MODEL = Path(__file__).resolve().parents[2] / "models" / "viral_predictor"
HALVES = Bins((0.5,), (0.5, 0.5))


def posts(*texts: str, n: int = FEWEST_POSTS) -> list[Scored]:
    return [Scored(texts[place % len(texts)], 0.0, None) for place in range(n)]


@pytest.mark.parametrize("content", ["", "{}", '{"inputs": {"karma": {"edges": [], "shares": [1]}}}', '{"inputs": []}'])
def test_a_reference_that_cannot_be_read_is_refused_by_its_name(tmp_path: Path, content: str):
    (tmp_path / "reference.json").write_text(content)
    with pytest.raises(WeightsRefused, match=r"reference\.json"):
        load_reference(tmp_path)


def test_own_weights_have_no_reference(tmp_path: Path):
    assert load_reference(tmp_path) is None


def test_too_few_posts_have_no_index():
    reference = load_reference(MODEL)
    assert reference
    assert drift(reference, posts("We open on Monday.", n=FEWEST_POSTS - 1)) == {}
    assert drift(reference, []) == {}


def test_an_input_that_nobody_told_has_no_index():
    reference = load_reference(MODEL)
    assert reference
    assert "hour" not in drift(reference, posts("We open on Monday."))
    at = datetime(2026, 3, 2, 15, 30, tzinfo=UTC)
    assert "hour" in drift(reference, [Scored("We open on Monday.", None, at)] * FEWEST_POSTS)
    assert "words" not in drift(reference, [Scored("We open on Monday.", None, at)] * FEWEST_POSTS)


def test_the_index_is_that_of_the_textbook():
    # 900 and 100 against halves: (.9 - .5) ln(.9 / .5) + (.1 - .5) ln(.1 / .5) = .879; half a post is added to each.
    told = np.array([0.0] * 900 + [1.0] * 100)
    assert psi(HALVES, told) == pytest.approx(0.879, abs=4e-3)
    assert psi(HALVES, np.array([0.0, 1.0] * 500)) == pytest.approx(0.0, abs=1e-9)


def test_an_empty_bin_counts_and_not_without_bound():
    assert 3.0 < psi(HALVES, np.zeros(1_000)) < 10.0


def test_texts_that_moved_are_found_by_the_input_that_moved():
    reference = load_reference(MODEL)
    assert reference
    before = drift(
        reference, posts("We open the shop on Monday.", "Come and see us, it is free. https://t.co/abcdefghij")
    )
    after = drift(reference, posts("We open the shop on Monday 🚀🚀", "Come and see us 🎉 https://t.co/abcdefghij"))
    moved = {name for name in before if after[name] - before[name] > 0.1}
    assert "emoji" in moved
    assert not {"links", "mentions", "hashtags", "questions"} & moved


def test_a_sample_of_the_reference_is_no_drift():
    reference = load_reference(MODEL)
    assert reference
    rng = np.random.default_rng(0)
    highest = []
    for _ in range(200):
        indexes = []
        for bins in reference.values():
            edges = [bins.edges[0] - 1, *bins.edges]
            shares = np.array(bins.shares) / sum(bins.shares)
            # A value within each bin: its upper edge, and above the last one.
            told = np.array([*edges[1:], bins.edges[-1] + 1])[rng.choice(len(shares), FEWEST_POSTS, p=shares)]
            indexes.append(psi(bins, told))
        highest.append(max(indexes))
    assert np.quantile(highest, 0.95) < SLIGHT


def test_bins_are_of_about_equal_weight_and_none_is_empty():
    rng = np.random.default_rng(1)
    bins = fit(rng.normal(size=5_000), np.ones(5_000))
    assert bins
    assert len(bins.shares) == 10
    assert min(bins.shares) > 0.09
    rare = fit(np.array([0.0] * 970 + [1.0] * 25 + [2.0] * 5), np.ones(1_000))
    assert rare == Bins((0.5,), (0.97, 0.03))
    assert fit(np.zeros(100), np.ones(100)) is None
    weighed = fit(np.array([0.0, 1.0]), np.array([3.0, 1.0]))
    assert weighed == Bins((0.5,), (0.75, 0.25))


def test_the_reference_is_that_of_the_weights_beside_it():
    written = json.loads((MODEL / "reference.json").read_text())
    assert written["version"] == json.loads((MODEL / "metadata.json").read_text())["version"]
    assert written["inputs"].keys() <= set(INPUTS)
    for bins in written["inputs"].values():
        assert sum(bins["shares"]) == pytest.approx(1.0, abs=1e-4)
        assert min(bins["shares"]) > 0
        assert bins["edges"] == sorted(set(bins["edges"]))
        assert len(bins["shares"]) == len(bins["edges"]) + 1
