"""The committed fluency critic: a text above its corruption, written by hand or held out of the training."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import WeightsRefused
from pipelines.generator.fluency import FluencyCritic, read_critic
from training.corpus import read_corpus
from training.corruptions import JUDGED, KINDS, corrupt
from training.fluency import judge, make_pairs

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "models" / "generator"
DATA = ROOT.parent / "shared" / "data"
MAX_PARAMETERS, MAX_BYTES = 12_000_000, 25_000_000


@pytest.fixture(scope="module")
def critic() -> FluencyCritic:
    return FluencyCritic(FOLDER)


def test_tampered_weights_are_refused(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "model")
    weights = tmp_path / "model" / "model.safetensors"
    packed = bytearray(weights.read_bytes())
    packed[len(packed) // 2] ^= 1
    weights.write_bytes(packed)
    with pytest.raises(WeightsRefused, match=r"model\.safetensors"):
        FluencyCritic(tmp_path / "model")


def test_the_critic_is_as_small_as_it_has_to_be(critic: FluencyCritic) -> None:
    assert sum(weight.numel() for weight in critic._model.parameters()) <= MAX_PARAMETERS
    assert (FOLDER / "model.safetensors").stat().st_size <= MAX_BYTES


def test_a_sentence_written_by_hand_scores_above_its_broken_twin(critic: FluencyCritic) -> None:
    pairs = json.loads((ROOT / "tests/models/grammar_pairs.json").read_text(encoding="utf-8"))
    good, broken = (critic.score([pair[side] for pair in pairs]) for side in (0, 1))
    assert np.mean(np.array(good) > np.array(broken)) >= 0.8


def test_what_is_no_language_lies_below_the_floor(critic: FluencyCritic) -> None:
    floor = read_critic(FOLDER)[0]["fluency_floor"]
    texts = ["qx zzv kkpw jjh vvq wwk zxq", "}}{ ^^ ~~ || \\\\ ## ;;", "the of of the and and a a the of of"]
    assert all(score < floor for score in critic.score(texts))
    people = ["We are so happy to see you all tomorrow.", "What would you like to know about our new shop?"]
    assert all(score > floor for score in critic.score(people))


def test_links_handles_and_line_breaks_do_not_move_the_score(critic: FluencyCritic) -> None:
    one, other = critic.score(
        ["Read it at https://a.com/x\nby @ana", "Read it at https://example.org/other by @somebody"]
    )
    assert one == pytest.approx(other, abs=0.05)


def test_every_corruption_changes_its_text_in_one_place() -> None:
    text = "We are proud of the team that has worked on this new shop."
    for kind in KINDS:
        broken = corrupt(text, kind, random.Random(1))
        assert broken is not None
        assert broken != text
        assert abs(len(broken.split()) - len(text.split())) <= 1
    assert corrupt("", "article", random.Random(1)) is None
    assert corrupt("#tag @ana", "doubled", random.Random(1)) is None


@pytest.mark.skipif(not DATA.exists(), reason="needs ../shared/data: the texts may not be committed")
def test_texts_that_trained_nothing_score_above_their_corruptions(critic: FluencyCritic) -> None:
    texts = read_corpus(DATA, congress=False)
    rows = judge(critic, make_pairs(texts, "test", JUDGED, 500))
    assert rows[-1].mean >= 0.88
    assert rows[-1].pairs == 500
