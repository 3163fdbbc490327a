"""What a language model's text must not do to what its source tells."""

import pytest

from pipelines.editing.polish import polish
from pipelines.generator.faithfulness import tells_otherwise


def told(source: str, text: str) -> bool:
    return tells_otherwise(source, polish(source, "en"), text, "en")


@pytest.mark.parametrize(
    ("source", "text"),
    [
        # You, out of nowhere.
        ("A neighbour fixed my fence for free. I will help someone else.", "I will fix your fence for free."),
        # Who has it.
        (
            "check your boiler before winter, ours broke on Sunday",
            "Check your boiler before winter. We broke on Sunday.",
        ),
        # Who did it.
        (
            "we interviewed 90 teachers and found that most buy their own paper",
            "90 teachers interviewed: most buy paper.",
        ),
        # What went wrong.
        ("our oven died and it is 30 people for dinner", "Our oven: 30 people for dinner."),
        ("The Tuesday class is cancelled, the Friday one is full", "The Tuesday class and the Friday one are full."),
        # The same word twice.
        ("what would you cook for a vegan uncle?", "Vegan uncle: what would you cook for a vegan uncle?"),
        # A piece of a sentence, a number of nothing.
        ("10k in the snow, 51:20", "10k: in the snow, 51:20."),
        ("10k in the snow 51:20 and happy", "10k in the snow and happy. 51:20."),
    ],
)
def test_another_story_is_told(source: str, text: str) -> None:
    assert told(source, text)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (
            "if you like pears try quinces, they are tarter and keep longer",
            "If you like pears, try quinces. They keep longer.",
        ),
        ("two of our drivers found a kitten and took it home", "Two of our drivers found a kitten. They took it home."),
        ("i think most maps are wrong, ours showed a lake", "Most maps are wrong. Ours showed a lake."),
        (
            "the shop shuts at noon on Sunday because of the parade",
            "The shop closes at noon on Sunday because of the parade.",
        ),
        ("we looked at 12 kettles. 3 of them leaked", "We looked at 12 kettles and 3 of them leaked."),
        (
            "the line is 40 minutes late, it is 40 minutes every day",
            "The line is 40 minutes late. It is 40 minutes every day.",
        ),
    ],
)
def test_the_same_story_in_other_words_is_none(source: str, text: str) -> None:
    assert not told(source, text)


def test_of_a_spanish_text_the_english_rules_say_nothing() -> None:
    source = "Me han robado la bici, died de pena"
    assert not tells_otherwise(source, source, "Han robado la bici de pena.", "es")
