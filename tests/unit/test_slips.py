"""A confused word is mended where its neighbors leave no doubt, and stays where they do."""

from __future__ import annotations

import json
import time
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.editing import slips
from pipelines.editing.masks import mask
from pipelines.editing.polish import polish
from pipelines.errors import WeightsRefused

BRIEFS = Path(__file__).parents[2] / "training" / "briefs"
WORDS = (
    "its it's your you're their there they're to too then than were we're ill well id lets whos everyday day every "
    "mums weeks saturdays the my a is was be going open late no one ask of should . , ! @you #its - ' \u2019s may march"
)
PIECES = st.lists(st.sampled_from([*WORDS.split(), "\n"]), max_size=30).map(" ".join)


def mended(text: str) -> str:
    masked = mask(text)
    return masked.restored(slips.mended(masked.text))


@pytest.mark.parametrize(
    "text",
    [
        "The cat licks its own paw.",
        "He came late, as is his wont.",
        "We were open all weekend.",
        "Ill patients wait here.",
        "The well was dry.",
        "Everyday shoes for everyday people.",
        "Your dog is at our shop.",
        "They walked to their car and then went home.",
        "We meet on Saturdays and Sundays.",
        "It took three weeks and two days.",
        "My sisters and brothers came along.",
        "Did anyone ask? Let everyone know.",
        "You may march with us.",
        "Loose tea, no bags.",
        "Who knows whose bag this is?",
        "Voter ID is on the table, and an id is a number.",
        "The lower your rent, the better.",
    ],
)
def test_what_is_right_stays(text: str) -> None:
    assert polish(text, "en") == text


@pytest.mark.parametrize(
    "exact",
    ["https://example.org/its-a-shop", "@its_late", "#todaysshow", "`its a test`", '"its late"', "{its}", "its-a-me"],
)
def test_what_is_exact_stays_as_it_was_typed(exact: str) -> None:
    assert exact in mended(f"its a good day, {exact}")


@pytest.mark.parametrize(
    "text", ["", " ", "\n", "🎉", "12", "'", "its", "its its its", "'s", "every day", "IT'S TOO LATE"]
)
def test_a_text_without_neighbors_does_not_break(text: str) -> None:
    assert mended(mended(text)) == mended(text)


def test_a_name_within_a_sentence_stays_as_it_was_typed() -> None:
    assert "Its A Long Road" in mended("we play Its A Long Road tonight")


def test_tampered_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("metadata.json", "weights.npz"):
        (tmp_path / name).write_bytes((slips.FOLDER / name).read_bytes())
    packed = bytearray((tmp_path / "weights.npz").read_bytes())
    packed[len(packed) // 2] ^= 1
    (tmp_path / "weights.npz").write_bytes(packed)
    monkeypatch.setattr(slips, "FOLDER", tmp_path)
    with pytest.raises(WeightsRefused):
        slips.load.__wrapped__()


def test_weights_of_another_format_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metadata = json.loads((slips.FOLDER / "metadata.json").read_text(encoding="utf-8"))
    (tmp_path / "metadata.json").write_text(json.dumps({**metadata, "format": 0}), encoding="utf-8")
    (tmp_path / "weights.npz").write_bytes((slips.FOLDER / "weights.npz").read_bytes())
    monkeypatch.setattr(slips, "FOLDER", tmp_path)
    with pytest.raises(WeightsRefused):
        slips.load.__wrapped__()


@pytest.mark.parametrize(
    ("text", "polished"),
    [
        (
            "my second poetry book comes out in october, its about my grandfathers taxi in Port of Spain",
            "My second poetry book comes out in October, it's about my grandfather's taxi in Port of Spain.",
        ),
        ("whats the smallest tool that you use everyday", "What's the smallest tool that you use every day?"),
        ("todays appointments are cancelled, ill call you", "Today's appointments are cancelled, I'll call you."),
        ("next weeks meeting is at your place", "Next week's meeting is at your place."),
        ("a desk from her grans loft, its lovely", "A desk from her gran's loft, it's lovely."),
        ("their is cake and your all invited", "There is cake and you're all invited."),
        ("the shop is bigger then our old one", "The shop is bigger than our old one."),
        ("lets talk about your garden", "Let's talk about your garden."),
        ("were open till six on sunday", "We're open till six on Sunday."),
        ("dont loose your ticket", "Don't lose your ticket."),
        ("id love to hear what you think", "I'd love to hear what you think."),
        ("nobody would of known", "Nobody would have known."),
        ("it\u2019s late and its too cold", "It\u2019s late and it\u2019s too cold."),
    ],
)
def test_a_slip_is_told_by_the_words_around_it(text: str, polished: str) -> None:
    assert polish(text, "en") == polished


@pytest.mark.parametrize("path", sorted(BRIEFS.glob("en_*.jsonl")), ids=lambda path: path.stem)
def test_careful_posts_stay_as_they_are(path: Path) -> None:
    posts = [
        post
        for line in path.read_text(encoding="utf-8").splitlines()
        if zlib.crc32((entry := json.loads(line))["brief"].encode()) % 5 == 1
        for post in entry["posts"]
    ]
    changed = [post for post in posts if mended(post) != post]
    assert len(changed) <= 0.01 * len(posts), changed


@settings(max_examples=200, deadline=None)
@given(PIECES)
def test_what_is_mended_stays_mended(text: str) -> None:
    once = polish(text, "en")
    assert polish(once, "en") == once


def test_a_text_of_280_characters_full_of_slips_takes_about_a_millisecond() -> None:
    text = "its about your shop and their too many people there, ill be back then if were open " * 4
    taken = []
    for number in range(60):
        start = time.process_time()
        slips.mended(f"{text[:270]}{number}")
        taken.append(time.process_time() - start)
    assert sorted(taken)[len(taken) // 2] < 0.003


@pytest.mark.parametrize(
    "text", ["She stands there watching us.", "Is anyone there listening?", "He sat there thinking."]
)
def test_who_stands_there_stays_there(text: str) -> None:
    assert polish(text, "en") == text
