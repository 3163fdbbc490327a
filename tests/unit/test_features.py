import math
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.viral_predictor.features import TIME, WORDING, bare_text, draft_wording, grams, time_of, wording

BITS = 18
TAGS = " #one #two #three #four #five #six #seven #eight #nine #ten"


def counts(text):
    return dict(zip(WORDING, wording([text], BITS).counts[0].tolist(), strict=True))


def words(text):
    read = wording([text], BITS)
    return dict(zip(read.buckets.tolist(), read.weights.tolist(), strict=True))


@pytest.mark.parametrize("text", ["", " ", "#", "@", "http://", "!!!", "\ud800", "\u200d", "#a #b"])
def test_a_text_without_words_has_finite_counts_and_no_words_to_weigh(text):
    read = wording([text], BITS)
    assert np.isfinite(read.counts).all()
    assert np.isfinite(read.weights).all()


def test_no_texts_are_read_as_empty_arrays():
    read = wording([], BITS)
    assert read.counts.shape == (0, len(WORDING))
    assert len(read.rows) == len(read.buckets) == len(read.weights) == 0


def test_counts_are_those_a_reader_would_make():
    seen = counts('@nasa WOW: 3 "new" moons!! Why? #space #moon https://t.co/AbC https://t.co/x \N{ROCKET}\nRead on')
    assert seen["hashtags"] == 2
    assert seen["hashtags_log"] == pytest.approx(math.log(3))
    assert seen["mentions"] == pytest.approx(math.log(2))
    assert seen["links"] == 2
    assert seen["questions"] == seen["quotes"] == seen["colon"] == 1
    assert seen["exclamations"] == pytest.approx(math.log(3))
    assert seen["numbers"] == seen["emoji"] == seen["lines"] == pytest.approx(math.log(2))
    assert seen["length"] == pytest.approx(math.log1p(len("@nasaWOW3newmoonsWhyReadon\N{ROCKET}")))


def test_shouting_begins_above_three_capitals_in_ten_letters():
    assert counts("Good Morning America")["shouting"] == 0
    assert counts("GOOD MORNING")["shouting"] == pytest.approx(0.7)
    assert counts("good https://t.co/ABCDEF #ABCDEF")["shouting"] == 0
    assert counts("\u00c9COLE \u00c9T\u00c9")["shouting"] == pytest.approx(0.7)


def test_a_word_said_again_weighs_no_more():
    assert words("win win win win").keys() == words("win win").keys()
    assert sum(weight**2 for weight in words("a b c d e f a b c").values()) == pytest.approx(1)


def test_the_order_of_two_words_is_seen():
    assert words("dog bites man") != words("man bites dog")


def test_words_do_not_pair_across_texts():
    together = wording(["first text", "second text"], BITS)
    apart = [wording([text], BITS) for text in ("first text", "second text")]
    assert together.buckets.tolist() == [bucket for read in apart for bucket in read.buckets.tolist()]


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"])))
def test_hashtags_at_the_end_add_nothing_but_their_count(text):
    assert words(text + TAGS) == words(text)
    before, after = counts(text), counts(text + TAGS)
    changed = {name for name in WORDING if before[name] != after[name]}
    assert changed <= {"hashtags", "hashtags_log"}


@given(st.text(alphabet=st.characters(max_codepoint=0xFF, exclude_characters="\xb5", exclude_categories=["Cc"])))
def test_capitals_change_nothing_but_shouting(text):
    assert words(text.upper()) == words(text)
    before, after = counts(text), counts(text.upper())
    assert {name for name in WORDING if before[name] != after[name]} <= {"shouting"}
    assert after["shouting"] >= before["shouting"]


@given(st.lists(st.text(max_size=300), max_size=5))
def test_every_count_stays_in_its_range(texts):
    read = wording(texts, BITS)
    upper = [
        float(definition.rsplit(",", 1)[1].strip(" ]")) if definition.endswith("]") else 1.0
        for definition in WORDING.values()
    ]
    assert (read.counts >= 0).all()
    assert (read.counts <= np.array(upper) + 0.005).all()


def test_hashing_is_the_same_in_another_process():
    code = "from pipelines.viral_predictor.features import wording; "
    code += "print(wording(['Hello, big world'], 18).buckets.tolist())"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.strip() == str(wording(["Hello, big world"], BITS).buckets.tolist())


def test_an_unknown_moment_is_not_a_number():
    assert np.isnan(time_of([None])).all()


def test_the_time_is_that_of_utc_whatever_the_zone():
    noon = datetime(2024, 1, 6, 12, 30, tzinfo=UTC)
    elsewhere = noon.astimezone(timezone(timedelta(hours=-9)))
    assert time_of([noon]).tolist() == time_of([elsewhere]).tolist()
    assert dict(zip(TIME, time_of([noon])[0], strict=True))["weekday_weekend"] == 1


@pytest.mark.parametrize(
    ("text", "bare", "pleas"),
    [
        ("We open on Monday. What do you think?", "We open on Monday.", 1),
        ("We open #a #b What do you think? #c", "We open #a #b #c", 1),
        ("We open. Agree? Thoughts?", "We open.", 2),
        ("We open. Please RT!", "We open.", 1),
        ("We open\n\n#a\n#b", "We open #a #b", 0),
        ("What do you think about taxes?", "What do you think about taxes?", 0),
        ("They declined to comment", "They declined to comment", 0),
        ("It is important to vote.", "It is important to vote.", 0),
        ("", "", 0),
    ],
)
def test_closing_pleas_are_taken_off_and_counted(text, bare, pleas):
    assert bare_text(text) == (bare, pleas)


def test_a_plea_adds_only_its_count():
    with_plea, without = (draft_wording([text], BITS) for text in ("We open.\nWhat do you think?", "We open."))
    assert with_plea.buckets.tolist() == without.buckets.tolist()
    assert with_plea.counts[0, :-1].tolist() == without.counts[0, :-1].tolist()
    assert (with_plea.counts[0, -1], without.counts[0, -1]) == (1.0, 0.0)


def test_grams_of_a_text_depend_on_no_other_text():
    texts = ["We open on Monday", "", "hi #tag", "\N{ROCKET} launch"]
    together = grams(texts, 16)
    for row, text in enumerate(texts):
        alone = grams([text], 16)
        assert together.buckets[together.starts[row] : together.starts[row + 1]].tolist() == alone.buckets.tolist()
    assert grams(["hi"], 16).buckets.tolist() == grams(["HI #tag What do you think?"], 16).buckets.tolist()
    assert set(grams([""], 16).buckets.tolist()) == {2**16}
