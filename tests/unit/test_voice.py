"""How far a candidate is from the way its author writes."""

from dataclasses import replace

import pytest

from pipelines.generator.selection import worth
from pipelines.outcomes.voice import MIN_POSTS, Voice, voice_of
from pipelines.results import Candidate

SUBJECTS = (
    "bread",
    "soup",
    "the market",
    "our oven",
    "sunday opening",
    "new flour",
    "a class",
    "cheese",
    "rain",
    "jam",
)
CALM = [f"we have {subject} again this week, come by before noon" for subject in SUBJECTS for _ in range(3)]
LOUD = [f"WOW!!! {subject.upper()} IS BACK \N{FIRE}\N{FIRE} GET IT NOW!!!" for subject in SUBJECTS for _ in range(3)]


def voice(texts: list[str]) -> Voice:
    found = voice_of(texts)
    assert found is not None
    return found


def test_a_few_posts_say_nothing_of_how_somebody_writes() -> None:
    assert voice_of(CALM[: MIN_POSTS - 1]) is None


@pytest.mark.parametrize(("own", "other"), [(CALM, LOUD), (LOUD, CALM)])
def test_a_text_in_the_style_of_another_author_is_further_than_one_in_the_own(own: list[str], other: list[str]) -> None:
    of_author = voice(own)

    same = own[0].replace("bread", "cider").replace("BREAD", "CIDER")

    assert of_author.distance(same) < 2 < of_author.distance(other[0])


@pytest.mark.parametrize("text", ["", "\U0001f525", "x", "\ud800", "9" * 4000, "\n\n"])
def test_any_text_has_a_distance(text: str) -> None:
    assert voice(CALM).distance(text) >= 0


def test_posts_that_are_all_the_same_give_a_voice_all_the_same() -> None:
    assert voice(["Bread is ready."] * 30).distance("Bread is ready.") == 0


def test_of_two_equal_candidates_the_one_nearer_to_the_author_comes_first_and_no_judge_is_overruled() -> None:
    near = Candidate(id="a", text="a", source="edit", weighted_length=1, p_postable=0.6, voice_distance=0.9)
    far = replace(near, voice_distance=5.0)

    assert worth(near) > worth(far)
    assert worth(replace(far, p_postable=0.7)) > worth(near)
