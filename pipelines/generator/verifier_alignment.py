"""Sets a brief and a post side by side: which words of the one answer which of the other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from pipelines.generator.verifier_reading import Reading, Word
from pipelines.generator.verifier_vocabulary import Vocabulary, akin
from pipelines.records import Language


@dataclass(frozen=True)
class Pair:
    """A brief and a post side by side; `free` tells that the brief is a bare topic, which a post must go beyond."""

    brief: Reading
    post: Reading
    lists: Vocabulary
    language: Language
    free: bool

    @cached_property
    def alignment(self) -> Alignment:
        """Which words of the post answer which of the brief."""
        return align(self)

    @cached_property
    def new_words(self) -> tuple[Word, ...]:
        """Return the content words of the post that answer nothing in the brief."""
        links = zip(self.alignment.post, self.alignment.to_brief, strict=True)
        return tuple(
            word for (_, word, _), target in links if target is None and word is not None and not _answers(self, word)
        )

    @cached_property
    def lost_words(self) -> tuple[Word, ...]:
        """Return the content words of the brief that nothing in the post answers."""
        return tuple(word for index in self.alignment.lost if (word := self.alignment.brief[index][1]) is not None)


def is_typo_of(typed: str, meant: str) -> bool:
    """Tell whether a word may be another one mistyped or shortened: tomorow, satuday, wkends, incl."""
    if typed == meant:
        return True
    if not typed or not meant or typed[0] != meant[0] or abs(len(typed) - len(meant)) > 6:
        return False
    if len(typed) >= 4 and len(meant) >= 4 and _distance(typed, meant) <= (1 if len(meant) < 7 else 2):
        return True
    if len(typed) < len(meant):
        rest = iter(meant)
        return (
            len(typed) >= 2
            and all(char in rest for char in typed)
            and (typed[-1] == meant[-1] or meant.startswith(typed))
        )
    return False


def _distance(first: str, second: str) -> int:
    """Return the edit distance with exchanged neighbours as one edit, at most 3."""
    if abs(len(first) - len(second)) > 2:
        return 3
    before: list[int] = []
    row = list(range(len(second) + 1))
    for i, a in enumerate(first, 1):
        older, before, row = before, row, [i]
        for j, b in enumerate(second, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == second[j - 2] and first[i - 2] == b:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
    return min(row[-1], 3)


@dataclass(frozen=True)
class Alignment:
    """Which item of the brief each item of the post takes up, by index into the items; None where it is new."""

    brief: list[tuple[str, Word | None, int]]
    post: list[tuple[str, Word | None, int]]
    to_brief: list[int | None]
    lost: list[int]


def _items(reading: Reading) -> list[tuple[str, Word | None, int]]:
    items: list[tuple[str, Word | None, int]] = [
        (word.stem, word, word.place) for word in reading.words if word.content
    ]
    items += [("=" + min(fact.keys), None, fact.place) for fact in reading.facts]
    return sorted(items, key=lambda item: item[2])


def align(pair: Pair) -> Alignment:
    """Match the content words and facts of a post with those of its brief, each with the likeliest of its places."""
    brief, post = _items(pair.brief), _items(pair.post)
    keys = {fact.place: fact.keys for fact in pair.brief.facts}
    own = {fact.place: fact.keys for fact in pair.post.facts}
    to_brief: list[int | None] = []
    last = -1
    for stem, word, place in post:
        if word is None:
            matches = [i for i, (_, its, where) in enumerate(brief) if its is None and own[place] & keys[where]]
        else:
            matches = [i for i, (other, its, _) in enumerate(brief) if its is not None and akin(stem, other)]
            matches = matches or [
                i for i, (_, its, _) in enumerate(brief) if its is not None and means(pair, its, word)
            ]
        chosen = min(matches, key=lambda index: (abs(index - last - 1), index)) if matches else None
        to_brief.append(chosen)
        last = last if chosen is None else chosen
    taken = {index for index in to_brief if index is not None}
    # A second mention of the same word is not lost where the first is kept.
    kept = {brief[index][0] for index in taken}
    lost = [
        index
        for index, (stem, its, _) in enumerate(brief)
        if index not in taken and stem not in kept and (its is None or not _said_otherwise(pair, its))
    ]
    return Alignment(brief, post, to_brief, lost)


def means(pair: Pair, typed: Word, word: Word) -> bool:
    """Tell whether a word of the post is a synonym of one of the brief, or that word without its slip of the finger."""
    if _senses(pair, typed) & _senses(pair, word):
        return True
    return typed.folded not in pair.lists.known and is_typo_of(typed.folded, word.folded)


def _senses(pair: Pair, word: Word) -> frozenset[int]:
    rows = pair.lists.synonyms
    return rows.get(word.folded, NO_SENSES) | rows.get(word.stem, NO_SENSES)


def _said_otherwise(pair: Pair, word: Word) -> bool:
    """Tell whether a word of the brief stands in the post within a longer one, or as a small word."""
    if len(word.folded) > 3 and word.folded in pair.post.text.casefold().replace("-", " "):
        return True
    return any(not w.content and (akin(word.stem, w.stem) or means(pair, word, w)) for w in pair.post.words)


def _answers(pair: Pair, word: Word) -> bool:
    """Tell whether a word of the post takes up a small word of the brief, or parts that stand there apart."""
    text = pair.brief.text.casefold()
    if "-" in word.folded and all(part in text for part in word.folded.split("-")):
        return True
    mine = _senses(pair, word)
    return any(
        not other.content and (akin(word.stem, other.stem) or bool(mine & _senses(pair, other)))
        for other in pair.brief.words
    )


NO_SENSES: frozenset[int] = frozenset()
