"""Reads tweet frames into their parts, and writes their variants.

A frame is text with alternatives `{a|b}`, optional parts `{? ...}` that stay where their slots can be filled, and typed
slots `{topic}`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_DEPTH = 8


@dataclass(frozen=True)
class Slot:
    """A typed slot of a frame."""

    name: str


@dataclass(frozen=True)
class Choice:
    """Alternatives of a frame; an optional one may be left out, and is where its slots are missing."""

    options: tuple[Parts, ...]
    optional: bool = False
    sizes: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Count the variants of each alternative, which every use of the frame asks for."""
        object.__setattr__(self, "sizes", tuple(map(count, self.options)))


Parts: TypeAlias = "tuple[str | Slot | Choice, ...]"


@lru_cache(maxsize=1024)
def needs(content: str) -> frozenset[str]:
    """Return the slots that a frame cannot do without, whichever alternatives are taken."""
    return frozenset(part.name for part in parse(content) if isinstance(part, Slot))


@lru_cache(maxsize=1024)
def parse(content: str) -> Parts:
    """Read a frame into its parts.

    Raises:
        ValueError: a brace is not closed or not opened, a bar stands outside of braces, or braces nest too deep.
    """
    options, rest = _parse(content, depth=0)
    if rest:
        raise ValueError("'}' stands outside of braces")
    return options[0]


def _parse(content: str, depth: int) -> tuple[list[Parts], str]:
    """Read alternatives up to the brace that closes this level; return them and what stands after the brace."""
    if depth > MAX_DEPTH:
        raise ValueError(f"braces nest deeper than {MAX_DEPTH}")
    options: list[list[str | Slot | Choice]] = [[]]
    while content:
        plain, slot = PLAIN.match(content), SLOT.match(content)
        if plain or slot:
            options[-1].append(plain[0] if plain else Slot(slot[1]) if slot else "")
            content = content[(plain or slot).end() :]  # type: ignore[union-attr]  # one of the two matched
        elif content[0] == "{":
            optional = content.startswith("{?")
            inner, content = _parse(content[1 + optional :], depth + 1)
            options[-1].append(Choice(tuple(inner), optional))
        elif depth == 0:
            raise ValueError(f"{content[0]!r} stands outside of braces")
        elif content[0] == "|":
            options.append([])
            content = content[1:]
        else:
            return [tuple(option) for option in options], content[1:]
    if depth:
        raise ValueError("a brace is not closed")
    return [tuple(option) for option in options], ""


def slot_names(parts: Parts) -> Iterator[str]:
    """Yield the names of all slots of a frame."""
    for part in parts:
        if isinstance(part, Slot):
            yield part.name
        elif isinstance(part, Choice):
            for option in part.options:
                yield from slot_names(option)


@lru_cache(maxsize=8192)
def fillable(content: str, slots: frozenset[str]) -> Parts | None:
    """Return the part of a frame that these slots can fill; None where a slot that it needs is missing."""
    return _fillable(parse(content), slots)


def _fillable(parts: Parts, slots: frozenset[str]) -> Parts | None:
    kept: list[str | Slot | Choice] = []
    for part in parts:
        if isinstance(part, Choice):
            options = tuple(filled for option in part.options if (filled := _fillable(option, slots)) is not None)
            if options:
                kept.append(Choice(options))
            elif not part.optional:
                return None
        elif isinstance(part, Slot) and part.name not in slots:
            return None
        else:
            kept.append(part)
    return tuple(kept)


def count(parts: Parts) -> int:
    """Return how many variants a frame has, without writing them; one for an optional part that is always filled."""
    return prod(sum(part.sizes) for part in parts if isinstance(part, Choice))


def write(parts: Parts, slots: Mapping[str, str], index: int) -> str:
    """Write variant number `index` in [0, count(parts)) of a frame whose slots are all there."""
    texts: list[str] = []
    for part in parts:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, Slot):
            texts.append(slots[part.name])
        else:
            index, place = divmod(index, sum(part.sizes))
            for option, size in zip(part.options, part.sizes, strict=True):
                if place < size:
                    texts.append(write(option, slots, place))
                    break
                place -= size
    return "".join(texts)


PLAIN = re.compile(r"[^{}|]+")
SLOT = re.compile(r"\{([^\W\d_]\w*)\}")
