"""What a model wrote, cut to the tweet that it holds, without its thoughts, its manners or half a sentence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.generator.completion import Completion, tweet_of
from pipelines.text.tweets import is_valid

TWEET = "Doors open at 7. Bring a friend."


@pytest.mark.parametrize(
    "text", ["", "   \n", "“”", "\ufeff", "\ufffd", "x" * 400, "<think>Let me see, the user", "```\n```"]
)
def test_of_nothing_no_tweet_is_made(text: str) -> None:
    assert tweet_of(Completion(text, finished=False)) is None


@pytest.mark.parametrize(
    ("text", "finished", "tweet"),
    [
        ("Love it 😍 #coffee", True, "Love it 😍 #coffee"),
        ("First. Second! Third is not", False, "First. Second!"),
        ("First line\nsecond is not", False, "First line"),
        ("Version 2.0 is here. And th", False, "Version 2.0 is here."),
        ("“Quoted whole.”", True, "Quoted whole."),
        ("She said “yes.”", True, "She said “yes.”"),
        ("Short. " + "long " * 80, True, "Short."),
        ("Line one\r\nline two\rline three\a", True, "Line one\nline two\nline three"),
        ("no end in sight", False, None),
        ("word " * 100, True, None),
    ],
)
def test_a_completion_ends_at_its_last_whole_sentence_or_line(text: str, finished: bool, tweet: str | None) -> None:
    assert tweet_of(Completion(text, finished)) == tweet


@pytest.mark.parametrize(
    "text",
    [
        f"<think>They want a tweet.</think>\n\n{TWEET}",
        f"They want a tweet. Doors at 9?\n</think>\n\n{TWEET}",
        f"<thinking>Doors.\n\nOpen.</thinking>{TWEET}",
        f"Sure! Here is your tweet:\n\n{TWEET}",
        f"Certainly, here's a draft:\n{TWEET}",
        f"Here's the tweet: {TWEET}",
        f"Tweet: {TWEET}",
        f"¡Claro! Aquí tienes:\n\n{TWEET}".replace("¡", ""),
        f"```\n{TWEET}\n```",
        f"```\r\n{TWEET}\r\n```\r\n",
        f"```text\n{TWEET}\n```\nLet me know if you want another.",
        f"Sure! Here is your tweet:\n\n```\n{TWEET}\n```",
        f'"{TWEET}"',
        f"<think></think>\n\n“{TWEET}”",
    ],
)
def test_what_a_model_says_around_the_tweet_is_left_out(text: str) -> None:
    assert tweet_of(Completion(text, finished=True)) == TWEET


@pytest.mark.parametrize(
    "text", ["Sure, we ship to Spain.", "Here is our new shop.", "Post offices close at 5.", "Of course it rained."]
)
def test_a_tweet_that_begins_like_an_answer_stays(text: str) -> None:
    assert tweet_of(Completion(text, finished=True)) == text


@given(st.text(max_size=400), st.booleans())
def test_whatever_a_model_writes_what_is_left_is_valid(text: str, finished: bool) -> None:
    tweet = tweet_of(Completion(text, finished))
    assert tweet is None or is_valid(tweet)
