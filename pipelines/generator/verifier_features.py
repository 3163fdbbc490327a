"""What a second opinion looks at in a brief and a post: how their words answer each other, in numbers."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import regex

from pipelines.generator.verifier_alignment import Alignment, Pair
from pipelines.generator.verifier_reading import Reading
from pipelines.generator.verifier_vocabulary import akin


@dataclass(frozen=True)
class WordStatistics:
    """How readily authors bring a stem into posts of their own, drop it, or put it for another; the log odds of it."""

    brought: Mapping[str, float]
    dropped: Mapping[str, float]
    exchanged: Mapping[str, float]


def features(pair: Pair, statistics: WordStatistics, objections: Counter[str]) -> dict[str, float]:
    """Return the numbers by name; `objections` counts those of the rules."""
    found: dict[str, float] = {f"rule {name}": float(objections[name]) for name in RULE_NAMES}
    alignment = pair.alignment
    _brief, _post = pair.brief, pair.post
    new, lost = pair.new_words, pair.lost_words
    found["new"] = len(new)
    found["lost"] = len(lost)
    found["new share"] = len(new) / max(1, len(alignment.post))
    found["lost share"] = len(lost) / max(1, len(alignment.brief))
    found["brief items"] = len(alignment.brief)
    found["post items"] = len(alignment.post)
    for name, words in (("new", new), ("lost", lost)):
        found[f"{name} unknown"] = sum(word.folded not in pair.lists.known for word in words)
        found[f"{name} names"] = sum(word.text[0].isupper() and not word.first for word in words)
        table = statistics.brought if name == "new" else statistics.dropped
        odds = sorted(table.get(word.stem, table.get("", 0.0)) for word in words)
        found[f"{name} oddest"] = odds[0] if odds else 4.0
        found[f"{name} odds"] = sum(odds)
        found[f"{name} odd"] = sum(value < 0 for value in odds)
        found[f"{name} long"] = sum(len(word.folded) > 3 for word in words)
    exchanged = 0
    unexplained = 0
    for word in new:
        best = max((statistics.exchanged.get(f"{other.stem} {word.stem}", 0.0) for other in lost), default=0.0)
        exchanged += best > 0
        unexplained += best <= 0 and statistics.brought.get(word.stem, 0.0) <= 0
    found["exchanged"] = exchanged
    found["unexplained"] = unexplained
    found["new quality"] = sum(word.folded in pair.lists.quality for word in new)
    _order(found, alignment, pair)
    _function_words(found, pair, alignment)
    _forms(found, alignment)
    _surface(found, pair)
    found["free"] = float(pair.free)
    return found


def _order(found: dict[str, float], alignment: Alignment, pair: Pair) -> None:
    """Count how neighbours in the post stand to each other in the brief, and what was put in or exchanged."""
    steps: Counter[str] = Counter()
    clauses = pair.post.clauses
    pairs = list(zip(alignment.post, alignment.to_brief, strict=True))
    for (first, one), (second, two) in itertools.pairwise(pairs):
        same = clauses.get(first[2]) == clauses.get(second[2])
        if one is None or two is None:
            steps["beside new" if one is not None or two is not None else "both new"] += same
            continue
        step = two - one
        name = (
            "next"
            if step == 1
            else "same"
            if step == 0
            else "near"
            if 1 < step <= 3
            else "far"
            if step > 3
            else "back one"
            if step == -1
            else "back near"
            if step >= -3
            else "back"
        )
        steps[f"{name} {'in' if same else 'out'}"] += 1
    replaced = inserted = 0
    gone = set(alignment.lost)
    for index in range(len(pairs)):
        if pairs[index][1] is not None:
            continue
        left = pairs[index - 1][1] if index else None
        right = pairs[index + 1][1] if index + 1 < len(pairs) else None
        if (left is not None and left + 1 in gone) or (right is not None and right - 1 in gone):
            replaced += 1
        elif left is not None and right is not None and right == left + 1:
            inserted += 1
    for name in STEPS:
        found[f"step {name}"] = steps[name]
    found["replaced"] = replaced
    found["inserted"] = inserted
    total = sum(steps.values())
    found["back share"] = sum(steps[name] for name in STEPS if name.startswith("back")) / max(1, total)
    found["next share"] = (steps["next in"] + steps["next out"]) / max(1, total)
    order = [index for index in alignment.to_brief if index is not None]
    found["inversions"] = sum(a > b for i, a in enumerate(order) for b in order[i + 1 :]) / max(1, len(order))
    trail = list(alignment.lost)
    found["lost first"] = float(0 in trail)
    found["lost last"] = float(len(alignment.brief) - 1 in trail)
    found["lost run"] = max((sum(1 for j in trail if i <= j < i + 3) for i in trail), default=0)


def _function_words(found: dict[str, float], pair: Pair, alignment: Alignment) -> None:
    """Count the small words that changed: persons, prepositions, limits, and before which word they stand."""
    classes = pair.lists.small_words
    ours = Counter(word.folded for word in pair.brief.words)
    theirs = Counter(word.folded for word in pair.post.words)
    for name, words in classes.items():
        before = sum(ours[word] for word in words)
        after = sum(theirs[word] for word in words)
        found[f"more {name}"] = max(0, after - before)
        found[f"less {name}"] = max(0, before - after)
        found[f"new {name}"] = float(after > 0 and before == 0)
        found[f"gone {name}"] = float(before > 0 and after == 0)
    group_of = {word: name for name, words in classes.items() for word in words}
    brief_lead = _leads(pair.brief, group_of)
    post_lead = _leads(pair.post, group_of)
    changed: Counter[str] = Counter()
    for (_, word, place), target in zip(alignment.post, alignment.to_brief, strict=True):
        del word
        if target is None:
            continue
        one = brief_lead.get(alignment.brief[target][2], "")
        two = post_lead.get(place, "")
        if one and two and one != two:
            changed["both"] += 1
            if one in PERSONS and two in PERSONS:
                changed["person"] += 1
            elif one not in PERSONS and two not in PERSONS:
                changed["preposition"] += 1
        elif two and not one:
            changed["added"] += 1
        elif one and not two:
            changed["removed"] += 1
    for name in ("both", "person", "preposition", "added", "removed"):
        found[f"lead {name}"] = changed[name]


def _leads(reading: Reading, group_of: Mapping[str, str]) -> dict[int, str]:
    """Return for each place of content the group of the small word right before it, within the clause."""
    leads: dict[int, str] = {}
    held = ""
    clause = -1
    facts = {fact.place for fact in reading.facts}
    words = {word.place: word for word in reading.words}
    for place in sorted(facts | words.keys()):
        if reading.clauses.get(place) != clause:
            held, clause = "", reading.clauses.get(place, -1)
        word = words.get(place)
        if word is None or word.content:
            leads[place] = held
            held = ""
        elif word.folded in group_of:
            held = group_of[word.folded]
    return leads


def _forms(found: dict[str, float], alignment: Alignment) -> None:
    """Count matched words that stand in another form, by what changed."""
    changes: Counter[str] = Counter()
    for (_, word, _), target in zip(alignment.post, alignment.to_brief, strict=True):
        its = alignment.brief[target][1] if target is not None else None
        if word is None or its is None or word.folded == its.folded:
            continue
        changes["form"] += 1
        for name, pattern in FORMS.items():
            if bool(pattern.search(word.folded)) != bool(pattern.search(its.folded)):
                changes[name] += 1
    for name in ("form", *FORMS):
        found[f"form {name}"] = changes[name]


def _surface(found: dict[str, float], pair: Pair) -> None:
    brief, post = pair.brief.text, pair.post.text
    found["length ratio"] = len(post) / max(1, len(brief))
    found["length"] = len(post)
    found["brief length"] = len(brief)
    found["brief asks"] = float("?" in brief)
    found["post asks"] = post.count("?")
    found["ends asking"] = float(post.rstrip().endswith("?"))
    found["new asking"] = float("?" in post and "?" not in brief)
    found["exclaims"] = max(0, post.count("!") - brief.count("!"))
    faces = EMOJI.findall(post)
    found["new emoji"] = sum(face not in brief for face in faces)
    found["sentences"] = max((word.sentence for word in pair.post.words), default=0) + 1
    found["lines"] = post.count("\n")
    content = sum(word.content for word in pair.post.words)
    found["small share"] = 1 - content / max(1, len(pair.post.words))
    ours = sum(word.content for word in pair.brief.words)
    found["small gain"] = found["small share"] - (1 - ours / max(1, len(pair.brief.words)))
    marks = len(MARKS.findall(post))
    found["marks"] = marks / max(1, len(pair.post.words))
    found["ends open"] = float(bool(OPEN_END.search(post.rstrip())))
    found["ends on word"] = float(bool(regex.search(r"[\p{L}\d]$", post.rstrip())))
    last = pair.post.words[-1] if pair.post.words else None
    found["last sentence words"] = sum(last is not None and word.sentence == last.sentence for word in pair.post.words)
    known = {word.stem for word in pair.brief.words}
    tail = [word for word in pair.post.words if last is not None and word.sentence == last.sentence and word.content]
    found["last sentence new"] = sum(not any(akin(word.stem, stem) for stem in known) for word in tail)
    head = [word for word in pair.post.words if word.sentence == 0 and word.content]
    found["first sentence new"] = sum(not any(akin(word.stem, stem) for stem in known) for word in head)
    found["first sentence known"] = sum(any(akin(word.stem, stem) for stem in known) for word in head)
    found["lower start"] = float(post[:1].islower() and not brief[:1].islower())
    grams, others = _grams(brief.casefold()), _grams(post.casefold())
    found["gram share of brief"] = len(grams & others) / max(1, len(grams))
    found["gram share of post"] = len(grams & others) / max(1, len(others))
    stems = Counter(word.stem for word in pair.post.words if word.content)
    found["repeated"] = sum(count - 1 for count in stems.values())
    ours_stems = Counter(word.stem for word in pair.brief.words if word.content)
    found["more repeated"] = sum(max(0, count - max(1, ours_stems[stem])) for stem, count in stems.items())


def _grams(text: str) -> set[str]:
    return {text[index : index + 4] for index in range(len(text) - 3)}


RULE_NAMES = (
    "reversed", "changed person", "lost part", "lost name", "new name", "hung on", "new part",
    "lost fact", "new fact", "changed sign", "changed unit", "lost unit", "torn date", "swapped fact", "lost negation",
    "moved negation", "new negation", "opposite", "new quality", "filler", "amputated", "doubled", "slip", "off topic",
)  # fmt: skip
STEPS = (
    *tuple(
        f"{name} {where}"
        for name in ("next", "same", "near", "far", "back one", "back near", "back")
        for where in ("in", "out")
    ),
    "beside new",
    "both new",
)
PERSONS = frozenset({"first", "firsts", "second", "third"})
FORMS = {
    "ing": regex.compile(r"(?:ing|ando|iendo)$"),
    "ed": regex.compile(r"(?:ed|ado|ada|ido|ida)s?$"),
    "er": regex.compile(r"(?:er|or|ora)s?$"),
    "s": regex.compile(r"s$"),
    "est": regex.compile(r"(?:est|ísim[oa])$"),
    "own": regex.compile(r"'s$|s'$"),
}
EMOJI = regex.compile(r"\p{Extended_Pictographic}")
MARKS = regex.compile(r"[.,:;!?/()\-\u2013\u2014\n]")
OPEN_END = regex.compile(r"[,:;(\u2013\u2014&-]$")
