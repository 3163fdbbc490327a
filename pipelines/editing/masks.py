"""What in a text stays exactly as it was written, each part masked by one character while the rest is edited."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import regex

from pipelines.text.sentences import PLACEHOLDER
from pipelines.text.tweets import entities

PER_KIND = 256
LINK, TAG, PICTURE, HANDLE, EXACT = (
    f"[{chr(base)}-{chr(base + PER_KIND - 1)}]" for base in range(0xE000, 0xE500, 0x100)
)
HELD: Final = f"[{chr(0xE000)}-{chr(0xE4FF)}]"
IS_HELD: Final = regex.compile(HELD)
BASES: Final = {"URL": 0xE000, "HASHTAG": 0xE100, "EMOJI": 0xE200, "MENTION": 0xE300}
# Each with the signs without which it need not be looked for.
KEPT = (
    ("@", regex.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+"), "EXACT"),
    (":", regex.compile(r"\b[a-z][a-z0-9+.\-]*://\S+", regex.IGNORECASE), "EXACT"),
    ("`", regex.compile(r"`[^`\n]+`"), "EXACT"),
    ('"', regex.compile(r"\"[^\"\n]{1,240}\""), "EXACT"),
    ("\u201c«", regex.compile(r"\u201c[^\u201d\n]{1,240}\u201d|«[^»\n]{1,240}»"), "EXACT"),
    ("'\u2018", regex.compile(r"(?<!\w)['\u2018][^'\u2018\u2019\n]{2,120}['\u2019](?!\w)"), "EXACT"),
    ("{[%<", PLACEHOLDER, "EXACT"),
    (
        ":;=8<^xX",
        regex.compile(r"(?<!\S)(?:[:;=8][-'^o]?[)(DPpOo/\\|*\]\[3]+|<3+|\^_?\^|[xX]D+)(?!\S)"),
        "EMOJI",
    ),
)


@dataclass(frozen=True)
class Masked:
    """A text whose exact parts are one character each, and those parts."""

    text: str
    parts: dict[int, str]

    def restored(self, text: str) -> str:
        """Return an edited text with its parts back."""
        return text.translate(self.parts) if self.parts else text


def mask(text: str) -> Masked:
    """Mask links, tags, emoji, handles, quotations, placeholders and code of an NFC text; the longer of two that meet.

    The characters come from the private use area and are none of the text's own.
    """
    spans = [(entity.start, entity.end, entity.label) for entity in entities(text)]
    for signs, pattern, label in KEPT:
        if any(sign in text for sign in signs):
            spans += [(*match.span(), label) for match in pattern.finditer(text)]
    parts: dict[int, str] = {}
    masked, end = "", 0
    for start, stop, label in sorted(spans, key=lambda span: (span[0], -span[1])):
        if start < end:
            continue
        base = BASES.get(label, 0xE400)
        taken = next(
            (code for code in range(base, base + PER_KIND) if code not in parts and chr(code) not in text), None
        )
        if taken is not None:
            parts[taken] = text[start:stop]
            masked += text[end:start] + chr(taken)
            end = stop
    return Masked(masked + text[end:], parts)
