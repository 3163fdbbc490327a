"""Styled letters are read as the plain ones, each in its place."""

# ruff: noqa: RUF001  # styled letters are what is read here
from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.text.letters import plain_letters


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain, niño, straße",
        "1º, 2ª, 5 m², CO₂, E = mc²",
        "① ½ Ⅳ ™ © №",
        "🅰️ 🅱️ 🅾️ 🅿️ Ⓜ️ ℹ️ 🇪🇸 🆕",
        "＃tag ＠ana ＄TSLA",
        "evil．com／x ＜script＞ ｛topic｝ ｀ls｀",
        "日本語 カタカナ ｶﾅ 한국",
        "e\u0301 \ud800",
    ],
)
def test_what_is_no_styled_letter_stays(text: str) -> None:
    assert plain_letters(text) == text


@pytest.mark.parametrize(
    ("styled", "plain"),
    [
        ("𝐈 𝐥𝐨𝐯𝐞 𝐭𝐡𝐢𝐬 𝐚𝐩𝐩", "I love this app"),
        ("𝗔𝘄𝗳𝘂𝗹 𝘀𝗲𝗿𝘃𝗶𝗰𝗲", "Awful service"),
        ("𝘐𝘵𝘢𝘭𝘪𝘤 𝑖𝑡𝑎𝑙𝑖𝑐 𝙞𝙩𝙖𝙡𝙞𝙘", "Italic italic italic"),
        ("𝒮𝒸𝓇𝒾𝓅𝓉 ℋℯ𝓁𝓁ℴ 𝓢𝓬𝓻𝓲𝓹𝓽", "Script Hello Script"),
        ("𝔉𝔯𝔞𝔨𝔱𝔲𝔯 𝕱𝖗𝖆𝖐𝖙𝖚𝖗 ℭ", "Fraktur Fraktur C"),
        ("𝕕𝕠𝕦𝕓𝕝𝕖 ℝ", "double R"),
        ("𝚖𝚘𝚗𝚘 𝟻𝟶%", "mono 50%"),
        ("Ｉ ｈａｔｅ ｔｈｉｓ ａｐｐ！ ５０％", "I hate this app! 50%"),
        ("ⓒⓘⓡⓒⓛⓔ Ⓒ 🅒🅞 🄰🄱 🅱🅴🆂🆃 ⒜⒝ 🄐", "circle C CO AB BEST ab A"),
        ("ꜱᴍᴀʟʟ ᴄᴀᴘꜱ ʜɪɢʜ ˢᵘᵖᵉʳ ₛᵤᵦ", "small caps high super suβ"),
        ("𝛌𝛐𝛄𝛐𝛓", "λογος"),
    ],
)
def test_every_style_is_read_as_the_plain_letter(styled: str, plain: str) -> None:
    assert plain_letters(styled) == plain


@given(st.text(alphabet=st.characters(min_codepoint=0x80), max_size=60))
def test_every_character_keeps_its_place(text: str) -> None:
    assert len(plain_letters(text)) == len(text)
    assert plain_letters(plain_letters(text)) == plain_letters(text)


def test_a_text_of_4000_characters_is_read_at_once() -> None:
    started = time.process_time()
    plain_letters("語ａ🅱𝐛" * 1000)
    assert time.process_time() - started < 0.1
