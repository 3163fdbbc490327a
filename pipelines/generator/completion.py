"""What a language model wrote, cut to the one tweet that it holds."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from pipelines.text.tweets import FORBIDDEN, MAX_WEIGHTED_LENGTH, fitting_length, is_valid, normalized, shown_text

OPENING_QUOTES, CLOSING_QUOTES = ('"', "“", "«"), ('"', "”", "»")
SENTENCE_END = re.compile(r"[.!?…][\"'”»)]*(?=\s|$)|\n")
# What models that reason or chat put around the tweet (public reports of Qwen, DeepSeek, Llama servers).
THOUGHT = re.compile(r"^.*?</think(?:ing)?>", re.IGNORECASE | re.DOTALL)
UNFINISHED_THOUGHT = re.compile(r"^\s*<think(?:ing)?>", re.IGNORECASE)
FENCE = re.compile(r"```[\w-]*\n?(.*?)\n?```", re.DOTALL)
PREFACE = re.compile(
    r"^(?:(?:sure|certainly|of course|absolutely|okay|ok|claro|por supuesto|vale)\b[^\n]{0,80}[:.!]\s*\n+"
    r"|(?:here(?:'|\u2019)?s|here is|this is|aqu[íi] (?:tienes|est[áa]))\b[^\n]{0,80}:\s*\n*"
    r"|(?:tweet|post|draft|answer)\s*:\s*)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model wrote, without the prompt; `finished` where it ended by itself and was not cut.

    `likelihood` is what the model itself thinks of it: its log-likelihood per token in nats, None where it is not told.
    """

    text: str
    finished: bool
    likelihood: float | None = None


Told = Callable[[int, Completion], None]
"""Gets the place of its brief and a completion that has just ended, while the model writes on; from its own thread."""
Left = Callable[[], bool]
"""Asked again and again, from the model's thread, whether nobody waits for what is written any more."""


def tweet_of(completion: Completion) -> str | None:
    """Return the tweet that a completion holds: without thoughts, prefaces, code fences and quotes around it.

    What did not end by itself, or is longer than X takes, ends at its last whole sentence or line.

    Returns:
        None where no whole sentence is left that X would take.
    """
    text = THOUGHT.sub("", completion.text, count=1)
    if UNFINISHED_THOUGHT.match(text):
        return None
    text = normalized(FORBIDDEN.sub("", shown_text(text)).replace("\ufffd", ""))
    if fenced := FENCE.search(text):
        text = fenced[1].strip()
    text = PREFACE.sub("", PREFACE.sub("", text, count=1), count=1).strip()
    if text[:1] in OPENING_QUOTES and text[-1:] in CLOSING_QUOTES and text.count('"') in {0, 2}:
        text = text[1:-1].strip()
    fitting = fitting_length(text, MAX_WEIGHTED_LENGTH)
    if not completion.finished or fitting < len(text):
        ends = [match.end() for match in SENTENCE_END.finditer(text[: fitting + 1]) if match.end() <= fitting]
        text = text[: ends[-1]].rstrip() if ends else ""
    return text if text and is_valid(text) else None
