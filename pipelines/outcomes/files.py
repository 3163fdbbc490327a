"""What the readers of files share: rows with their lines, refusals, and texts that a database takes."""

from __future__ import annotations

import re
from typing import TypeVar

MAX_ROW_CHARACTERS = 1 << 20
MAX_TEXT_CHARACTERS = 25_000
Reading = TypeVar("Reading")
# The line that a row starts on, from 1, and its reading, or why it has none.
Row = tuple[int, Reading | str]
_SURROGATES = re.compile("[\ud800-\udfff]")


class FileRefused(Exception):
    """A file that cannot be read; the message is for who sent it."""


def clean_text(text: str) -> str | None:
    """Return a text as a database takes it; None where it is blank.

    Raises:
        ValueError: longer than a post can be.
    """
    if len(text) > MAX_TEXT_CHARACTERS:
        raise ValueError(f"a text of {len(text):,} characters, and a post has {MAX_TEXT_CHARACTERS:,} at most")
    if _SURROGATES.search(text):
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text.replace("\0", "").replace("\r\n", "\n") if text.strip() else None
