"""Reads styled letters as the plain ones that they are drawn like: 𝐛𝐨𝐥𝐝, 𝑖𝑡𝑎𝑙𝑖𝑐, ｗｉｄｅ, ⓒⓘⓡⓒⓛⓔⓓ, 🄱🄾🅇🄴🄳, ꜱᴍᴀʟʟ ᴄᴀᴘꜱ.

What X counts and links is the styled text; what it says is the plain one.
"""  # noqa: RUF002  # the letters are what this is about

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final

import regex

from pipelines.text.tweets import EMOJI

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipelines.text.tweets import Entity


def plain_letters(text: str) -> str:
    """Return the text with plain letters and digits for styled ones, each in its place: offsets stay.

    An emoji that is a letter, such as a blood group, is one where it stands alone.
    """
    if text.isascii():
        return text
    return STYLED.sub(lambda run: run[0] if run[0] in EMOJI else run[0].translate(PLAIN), text)


def without_letters(plain: str, marks: Iterable[Entity]) -> list[Entity]:
    """Return the entities of a text less the emoji that are letters in its plain reading, such as the B of 🅱🅴🆂🆃."""
    return [mark for mark in marks if mark.label != "EMOJI" or not plain[mark.start : mark.end].isascii()]


def _plain(character: str) -> str | None:
    """Return what a character of the blocks is drawn after, None where that is no single letter, digit or sign."""
    named = NAMED.fullmatch(unicodedata.name(character, ""))
    if named:
        return named["capital"] or named["small"].lower()
    plain = unicodedata.normalize("NFKC", character)
    if plain == character:
        return None
    plain = plain.strip("()") or plain
    digit = plain.isdecimal() and unicodedata.decomposition(character).startswith(("<font>", "<wide>"))
    return plain if len(plain) == 1 and (plain.isalpha() or digit or character in SIGNS) else None


# What has no decomposition but a telling name.
NAMED = regex.compile(
    r"NEGATIVE (?:CIRCLED|SQUARED) LATIN CAPITAL LETTER (?P<capital>[A-Z])"
    r"|LATIN LETTER SMALL CAPITAL (?P<small>[A-Z])"
)
# Phonetic letters, super- and subscripts, letterlike signs, letters in circles, squares and brackets, wide forms and
# mathematical alphabets. Not ª and º, which are of Spanish, nor numbers in circles, which are no digits.
BLOCKS: Final = (
    (0x0250, 0x02B8),
    (0x02E0, 0x02E4),
    (0x1D00, 0x1DBF),
    (0x2070, 0x209C),
    (0x2100, 0x214F),
    (0x249C, 0x24E9),
    (0x2C7C, 0x2C7D),
    (0xA730, 0xA731),
    (0xFF01, 0xFF5E),
    (0x1D400, 0x1D7FF),
    (0x1F110, 0x1F189),
)
# Wide signs that are read as well: none that makes a link, a handle or markup of a text that has none.
SIGNS: Final = frozenset("！％，：；？")  # noqa: RUF001
PLAIN: Final = {
    ord(character): plain
    for first, last in BLOCKS
    for character in map(chr, range(first, last + 1))
    if (plain := _plain(character))
}
STYLED = regex.compile(f"[{''.join(map(chr, PLAIN))}]+")
