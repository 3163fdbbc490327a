"""The committed wording model, on texts that nobody trained on."""

import math
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.encoder import Encoder
from pipelines.errors import WeightsRefused
from pipelines.records import Pair
from pipelines.viral_predictor.predictor import ViralPredictor
from pipelines.viral_predictor.wording import DOMAINS, WordingModel

FOLDER = Path(__file__).parents[2] / "models" / "wording"
ENCODER = Encoder.load(FOLDER.parent / "encoder")
PREDICTOR = ViralPredictor.load(FOLDER.parent / "viral_predictor")
MODEL = WordingModel.load(FOLDER, ENCODER, PREDICTOR)
TAGS = " #ad #sale #deal #love #win #viral #trending #follow #promo #now"
TEXTS = (
    "We are proud to announce our new coffee shop on Main Street.",
    "Thank you to everyone who came out tonight! #grateful",
    "Why does nobody talk about this? https://example.org/report",
    "She Opened The Letter After 40 Years. What It Said Changed Her Town.",
    "ok",
)
texts = st.text(min_size=1, max_size=400)
contexts = st.none() | st.sampled_from(DOMAINS)


def test_tampered_weights_are_refused(tmp_path):
    shutil.copytree(FOLDER, tmp_path / "model")
    packed = bytearray((tmp_path / "model" / "weights.npz").read_bytes())
    packed[len(packed) // 2] ^= 1
    (tmp_path / "model" / "weights.npz").write_bytes(packed)
    with pytest.raises(WeightsRefused):
        WordingModel.load(tmp_path / "model", ENCODER, PREDICTOR)


@given(texts, texts, contexts)
def test_swapping_the_texts_gives_one_minus_p_and_the_other_verdict(a, b, context):
    there, back = MODEL.compare([Pair(a=a, b=b, context=context), Pair(a=b, b=a, context=context)])
    assert there.p_a + back.p_a == pytest.approx(1.0, abs=1e-12)
    assert there.domain == back.domain
    assert back.verdict == {"a": "b", "b": "a", "too_close": "too_close"}[there.verdict]


@given(texts, contexts)
def test_a_text_against_itself_is_too_close(text, context):
    (comparison,) = MODEL.compare([Pair(a=text, b=text, context=context)])
    assert comparison.p_a == pytest.approx(0.5)
    assert comparison.verdict == "too_close"


@given(st.lists(st.builds(Pair, a=texts, b=texts, context=contexts), max_size=6))
def test_a_batch_is_compared_as_its_pairs_are_one_by_one(pairs):
    for together, pair in zip(MODEL.compare(pairs), pairs, strict=True):
        assert together.p_a == pytest.approx(MODEL.compare([pair])[0].p_a, abs=1e-12)
        assert math.isfinite(together.p_a)


@pytest.mark.parametrize("context", DOMAINS)
@pytest.mark.parametrize("text", TEXTS)
def test_ten_more_hashtags_never_win(text, context):
    (comparison,) = MODEL.compare([Pair(a=text + TAGS, b=text, context=context)])
    assert comparison.p_a <= 0.5 + 1e-9


@pytest.mark.parametrize("context", DOMAINS)
@pytest.mark.parametrize("text", TEXTS)
def test_shouting_never_wins(text, context):
    (comparison,) = MODEL.compare([Pair(a=text.upper(), b=text, context=context)])
    assert comparison.p_a <= 0.5 + 1e-9


@pytest.mark.parametrize(
    ("a", "b", "domain"),
    [
        (
            "Our report on city trees is out: https://t.co/abcdefghij",
            "Why city trees pay for themselves, a new report https://t.co/abcdefghij",
            "same_link",
        ),
        (
            "She Opened The Letter After 40 Years. What It Said Changed Her Town.",
            "A Woman Kept A Letter Closed For 40 Years. Then She Read It.",
            "headlines",
        ),
        (
            "Please RT https://a.com/x",
            "The study of 10,000 patients shows the vaccine cut deaths by half. Read the full paper https://a.com/x",
            "same_link",
        ),
        ("Read this https://a.com", "Read that https://b.com", "own_posts"),
    ],
)
def test_the_kind_of_pair_is_told(a, b, domain):
    assert MODEL.compare([Pair(a=a, b=b)])[0].domain == domain


def test_a_called_verdict_says_how_often_such_are_right():
    for domain in DOMAINS:
        (comparison,) = MODEL.compare([Pair(a=TEXTS[0], b=TEXTS[1], context=domain)])
        assert (comparison.accuracy is None) == (comparison.coverage == 0.0)
        if comparison.accuracy is None:
            assert comparison.threshold > 1.0
            assert comparison.verdict == "too_close"
        else:
            # Chosen for .85 on other pairs: what it reaches on these has a standard error of .015.
            assert comparison.accuracy >= 0.84


class Remembering:
    """The encoder, with its answers kept: what a second call takes is all but the encoder's time."""

    def __init__(self):
        self.known = {}

    def encode(self, texts):
        key = tuple(texts)
        if key not in self.known:
            self.known[key] = ENCODER.encode(texts)
        return self.known[key]


def test_a_batch_of_256_takes_less_than_150_ms_beyond_the_encoder():
    model = WordingModel(MODEL.weights, MODEL.version, Remembering(), PREDICTOR)
    pairs = [Pair(a=f"{TEXTS[row % 5]} {row}", b=f"{TEXTS[(row + 1) % 5]} {row}") for row in range(256)]
    first = model.compare(pairs)
    started = time.process_time()
    second = model.compare(pairs)
    assert time.process_time() - started < 0.15
    assert first == second == MODEL.compare(pairs)


def test_serving_needs_neither_torch_nor_scikit_learn():
    code = "import sys, pipelines.viral_predictor.wording; "
    code += "print({'torch', 'transformers', 'sklearn', 'scipy'} & {*sys.modules})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
