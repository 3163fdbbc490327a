"""A verifier that trusts no writer: says what a post states otherwise than the brief that it was written from.

It reads words in their places, not meaning. What it cannot tell from the words (tone, taste, whether a sentence is
well made) is left to others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import regex

from pipelines.generator.second_opinion import SecondOpinion
from pipelines.generator.verifier_alignment import Pair
from pipelines.generator.verifier_facts import Fact
from pipelines.generator.verifier_reading import Reading, Word, read
from pipelines.generator.verifier_vocabulary import akin, vocabulary
from pipelines.records import Language

MAX_TOPIC_WORDS = 7
MIN_COVERAGE = 0.5
LONG_DRAFT = 45
SCOPE = 3
NEAR = 6


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a post may not be published for a brief: the rule that it breaks, and the words that break it."""

    rule: str
    detail: str


def is_topic(brief: str, language: Language) -> bool:
    """Tell whether a brief names a topic and states nothing: few words, no fact, no question, no finite verb known."""
    reading = read(brief, language)
    if reading.facts or "?" in brief or len(reading.words) > MAX_TOPIC_WORDS:
        return False
    return not any(word.negates or word.folded in vocabulary(language).finite for word in reading.words)


def verify(
    brief: str, post: str, language: Language, *, free: bool | None = None, opinion: SecondOpinion | None = None
) -> tuple[Objection, ...]:
    """Return what is wrong with a post that was written from a brief; nothing where it may be published.

    Args:
        brief: what the author typed.
        post: what a writer made of it.
        language: of both.
        free: whether the brief is a bare topic, of which a post must say more than stands there; found out if None.
        opinion: is asked about posts that break no rule; the rules alone decide if None.
    """
    pair = pair_of(brief, post, language, free=free)
    objections = examine(pair)
    if not objections and opinion is not None and (doubts := opinion.doubts(pair)) > opinion.threshold:
        return (Objection("doubtful", f"{doubts:.2f} > {opinion.threshold:.2f}"),)
    return objections


def pair_of(brief: str, post: str, language: Language, *, free: bool | None) -> Pair:
    """Read a brief and a post."""
    return Pair(
        brief=read(brief, language),
        post=read(post, language),
        lists=vocabulary(language),
        language=language,
        free=is_topic(brief, language) if free is None else free,
    )


def examine(pair: Pair) -> tuple[Objection, ...]:
    """Return what the rules object to."""
    return tuple(objection for rule in RULES for objection in rule(pair))


def _same(first: Fact, second: Fact) -> bool:
    return GROUPS.get(first.kind, first.kind) == GROUPS.get(second.kind, second.kind) and bool(first.keys & second.keys)


def lost_facts(pair: Pair) -> Iterator[Objection]:
    """Object to every fact of the brief that the post does not hold."""
    for fact in pair.brief.facts:
        if fact.sure and not any(_same(fact, other) for other in pair.post.facts):
            if fact.kind == "moment" and pair.free:
                continue
            yield Objection("lost fact", fact.text)


def new_facts(pair: Pair) -> Iterator[Objection]:
    """Object to every fact of the post that the brief does not hold."""
    for fact in pair.post.facts:
        if fact.sure and not any(_same(fact, other) for other in pair.brief.facts):
            if pair.free and fact.kind in {"moment", "day", "month"}:
                continue
            if pair.free and fact.kind == "number" and fact.text.isalpha():
                continue
            yield Objection("new fact", fact.text)


def changed_units(pair: Pair) -> Iterator[Objection]:
    """Object to a number that stands with another sign or unit than in the brief."""
    for fact in pair.post.facts:
        sources = [other for other in pair.brief.facts if _same(fact, other)]
        if not sources or fact.kind not in {"number", "time"}:
            continue
        if all(other.sign != fact.sign for other in sources):
            yield Objection("changed sign", fact.text)
        units = {other.unit for other in sources}
        spoken = {other.unit for other in pair.brief.facts} | FREE_UNITS
        if fact.unit and fact.unit not in units and not ("" in units and fact.unit in spoken):
            yield Objection("changed unit", f"{fact.text} {fact.unit}")
    for fact in pair.brief.facts:
        if fact.kind == "number" and fact.unit in KEPT_UNITS:
            matches = [other for other in pair.post.facts if _same(fact, other)]
            spoken = {other.unit for other in pair.post.facts}
            if matches and all(other.unit != fact.unit for other in matches) and fact.unit not in spoken:
                yield Objection("lost unit", f"{fact.text} {fact.unit}")


def _dates(reading: Reading) -> dict[str, set[str]]:
    """Return the days of each month that stand beside it."""
    dates: dict[str, set[str]] = {}
    places = {fact.place: fact for fact in reading.facts}
    for fact in reading.facts:
        if fact.kind == "month":
            days = dates.setdefault(min(fact.keys), set())
            for step in (-1, 1):
                other = places.get(fact.place + step)
                if other is not None and other.kind == "number" and not other.sign and other.unit in {"", "th"}:
                    days |= {key for key in other.keys if key.startswith("n") and 0 < _as_int(key) <= 31}
                    if step == -1 or days:
                        continue
    return dates


def _as_int(key: str) -> int:
    return int(key[1:]) if key[1:].isdigit() else 0


def torn_dates(pair: Pair) -> Iterator[Objection]:
    """Object to a day that stands with another month than in the brief."""
    brief, post = _dates(pair.brief), _dates(pair.post)
    for month, days in post.items():
        known = brief.get(month)
        numbers = {key for fact in pair.brief.facts for key in fact.keys}
        if known is None or not known:
            continue
        for day in days - known:
            others = {other for other, its in brief.items() if other != month and day in its}
            if others and day in numbers:
                yield Objection("torn date", f"{day[1:]} {month}")


def _neighbours(reading: Reading, place: int, reach: int) -> set[str]:
    clause = reading.clauses.get(place)
    return {
        word.stem
        for word in reading.words
        if word.content and word.clause == clause and abs(word.place - place) <= reach
    }


def swapped_facts(pair: Pair) -> Iterator[Objection]:
    """Object to a fact that stands with what belongs to another fact of its kind in the brief."""
    for kinds in ({"number", "time"}, {"day"}, {"month"}, {"handle"}, {"link"}):
        own = [fact for fact in pair.brief.facts if fact.kind in kinds]
        theirs = [fact for fact in pair.post.facts if fact.kind in kinds]
        if len(own) < 2 or len(theirs) < 2:
            continue
        around = [(fact, _neighbours(pair.brief, fact.place, 2)) for fact in own]
        wide = [(fact, _neighbours(pair.brief, fact.place, 6)) for fact in own]
        for fact in theirs:
            here = _neighbours(pair.post, fact.place, 2)
            mine = set().union(*(stems for other, stems in wide if _same(fact, other)))
            for other, stems in around:
                if _same(fact, other):
                    continue
                taken = {stem for stem in here if _overlap({stem}, stems) and not _overlap({stem}, mine)}
                places = [its for its in theirs if _same(its, other)]
                if not taken or not places:
                    continue
                if not any(_overlap(taken, _neighbours(pair.post, its.place, 5)) for its in places):
                    yield Objection("swapped fact", f"{fact.text}: {' '.join(sorted(taken))}")


def _overlap(first: set[str], second: set[str]) -> bool:
    return any(akin(stem, other) for stem in first for other in second)


def _scope(reading: Reading, negator: Word) -> list[str]:
    """Return the content stems that a negation stands before, or else those that it stands after."""
    after = [
        word for word in reading.words if word.place > negator.place and word.clause == negator.clause and word.content
    ]
    if after:
        return [word.stem for word in after[:SCOPE]]
    near = [word for word in reading.words if word.content and abs(word.place - negator.place) <= NEAR]
    return [word.stem for word in near if word.clause == negator.clause][-SCOPE:]


def _negators(reading: Reading) -> list[Word]:
    return [word for word in reading.words if word.negates]


def changed_negations(pair: Pair) -> Iterator[Objection]:
    """Object to a negation that is lost, or that stands with what the brief affirms."""
    ours, theirs = _negators(pair.brief), _negators(pair.post)
    denials = [word for word in pair.post.words if pair.lists.denying.search(word.folded)]
    for negator in ours:
        stems = _scope(pair.brief, negator)
        kept = [stem for stem in stems if any(akin(stem, word.stem) for word in pair.post.words)]
        if not theirs and not denials:
            yield Objection("lost negation", f"{negator.text} {' '.join(stems)}")
        elif kept and not any(_near(pair.post, other, stem) for other in (*theirs, *denials) for stem in kept):
            yield Objection("moved negation", f"{negator.text} {' '.join(stems)}")
    for negator in theirs:
        stems = _scope(pair.post, negator)[:2]
        known = [stem for stem in stems if any(akin(stem, word.stem) for word in pair.brief.words)]
        if not ours and not pair.free and not any(pair.lists.denying.search(word.folded) for word in pair.brief.words):
            yield Objection("new negation", f"{negator.text} {' '.join(stems)}")
        elif ours and known and not any(_near(pair.brief, other, stem) for other in ours for stem in known):
            yield Objection("moved negation", f"{negator.text} {' '.join(stems)}")


def _near(reading: Reading, negator: Word, stem: str) -> bool:
    return any(
        akin(stem, word.stem) and (word.sentence == negator.sentence or abs(word.place - negator.place) <= NEAR)
        for word in reading.words
    )


def opposites(pair: Pair) -> Iterator[Objection]:
    """Object to the opposite of a word of the brief where the word itself is gone."""
    ours = {word.folded for word in pair.brief.words}
    theirs = {word.folded for word in pair.post.words}
    for side, other in pair.lists.opposites:
        for mine, its in ((side, other), (other, side)):
            if ours & mine and not ours & its and theirs & its and not theirs & mine:
                yield Objection("opposite", f"{min(ours & mine)} -> {min(theirs & its)}")


def new_words(pair: Pair) -> Iterator[Objection]:
    """Object to words of quality, promise or feeling that the brief does not hold."""
    for word in pair.post.words:
        if word.folded in pair.lists.quality and not _known(pair, word):
            yield Objection("new quality", word.text)


def _known(pair: Pair, word: Word) -> bool:
    if any(akin(word.stem, other.stem) for other in pair.brief.words):
        return True
    rows = pair.lists.synonyms.get(word.folded, frozenset()) | pair.lists.synonyms.get(word.stem, frozenset())
    return bool(rows) and any(
        rows & (pair.lists.synonyms.get(other.folded, frozenset()) | pair.lists.synonyms.get(other.stem, frozenset()))
        for other in pair.brief.words
    )


def reversed_pairs(pair: Pair) -> Iterator[Objection]:
    """Object to two words that changed sides of a word between them: from nurse to beekeeper, monthly not yearly."""
    ours, theirs = _joined(pair.brief, pair.language), _joined(pair.post, pair.language)
    for link, left, right in theirs:
        if left == right:
            continue
        swapped = any(
            link == other and (akin(left, its_right) and akin(right, its_left)) for other, its_left, its_right in ours
        )
        kept = any(link == other and akin(left, one) and akin(right, two) for other, one, two in ours)
        if swapped and not kept:
            yield Objection("reversed", f"{left} {link} {right}")


def _joined(reading: Reading, language: Language) -> list[tuple[str, str, str]]:
    """Return the items left and right of each joining word, with the word; numbers count as items."""
    items = sorted(
        [(word.place, word.stem if word.content else "", word.folded) for word in reading.words]
        + [(fact.place, "=" + min(fact.keys), "") for fact in reading.facts]
    )
    found: list[tuple[str, str, str]] = []
    for index, (_, _, folded) in enumerate(items):
        if folded not in vocabulary(language).joining:
            continue
        left = next((stem for _, stem, _ in reversed(items[max(0, index - 3) : index]) if stem), "")
        right = next((stem for _, stem, _ in items[index + 1 : index + 4] if stem), "")
        if left and right:
            found.append((vocabulary(language).joining[folded], left, right))
    return found


def changed_persons(pair: Pair) -> Iterator[Objection]:
    """Object to a verb whose subject was another person in the brief: we pay, you pay."""
    ours, theirs = _subjects(pair.brief, pair.language), _subjects(pair.post, pair.language)
    for stem, person in theirs:
        known = {its for other, its in ours if akin(stem, other)}
        if known and person not in known and not (person in {"i", "we"} and known & {"i", "we"}):
            yield Objection("changed person", f"{person} {stem}")


def _subjects(reading: Reading, language: Language) -> list[tuple[str, str]]:
    found = []
    for index, word in enumerate(reading.words[:-1]):
        person = vocabulary(language).subjects.get(word.folded, "")
        if not person:
            continue
        for other in reading.words[index + 1 : index + 4]:
            if other.clause != word.clause or other.folded in vocabulary(language).subjects:
                break
            if other.content or other.folded in vocabulary(language).plain_verbs:
                found.append((other.stem, person))
                break
            if other.folded not in vocabulary(language).between and not other.negates:
                break
    return found


def lost_clauses(pair: Pair) -> Iterator[Objection]:
    """Object where nothing of a part of the brief is left: an instruction, a condition, a reason."""
    if pair.free:
        return
    lost = {word.place for word in pair.lost_words}
    parts: dict[int, list[Word]] = {}
    for word in pair.brief.words:
        if word.content:
            parts.setdefault(word.clause, []).append(word)
    # The first third of a long draft clears the throat.
    start = pair.brief.words[len(pair.brief.words) // 3].place if len(pair.brief.words) > LONG_DRAFT else 0
    for words in parts.values():
        if words[0].place < start:
            continue
        gone = [word for word in words if word.place in lost]
        if len(gone) == len(words) and (
            len(gone) > 1 or any(word.clause == gone[0].clause and word.negates for word in pair.brief.words)
        ):
            throat = any(word.folded in pair.lists.throat for word in pair.brief.words if word.clause == gone[0].clause)
            if not throat:
                yield Objection("lost part", " ".join(word.text for word in gone))


def lost_names(pair: Pair) -> Iterator[Objection]:
    """Object to a name of the brief that is gone, and to one that is new."""
    if pair.free:
        return
    upper = sum(word.text[0].isupper() for word in pair.brief.words)
    titled = upper > 0.4 * len(pair.brief.words)
    for word in pair.lost_words:
        if word.text[0].isupper() and not word.first and not word.text.isupper() and not titled:
            yield Objection("lost name", word.text)
    for word in pair.new_words:
        if word.text[0].isupper() and not word.first and word.folded not in pair.lists.known:
            yield Objection("new name", word.text)


def new_parts(pair: Pair) -> Iterator[Objection]:
    """Object to a part of the post, after its first sentence, that takes up nothing of the brief."""
    if pair.free:
        return
    new = {word.place for word in pair.new_words}
    stated = {pair.post.clauses[fact.place] for fact in pair.post.facts}
    parts: dict[int, list[Word]] = {}
    for word in pair.post.words:
        if word.content and word.sentence > 0:
            parts.setdefault(word.clause, []).append(word)
    for clause, words in parts.items():
        if len(words) > 1 and clause not in stated and all(word.place in new for word in words):
            yield Objection("new part", " ".join(word.text for word in words))


def cut_off(pair: Pair) -> Iterator[Objection]:
    """Object to a post without a mark at its end whose last words go on in the brief."""
    if not regex.search(r"[\p{L}\d]$", pair.post.text.rstrip()) or not pair.alignment.to_brief:
        return
    last = pair.alignment.to_brief[-1]
    if last is None or last + 1 not in pair.alignment.lost:
        return
    (_, _, here), (stem, _, there) = pair.alignment.brief[last], pair.alignment.brief[last + 1]
    if pair.brief.clauses[here] == pair.brief.clauses[there]:
        yield Objection("amputated", f"before {stem}")


def hung_on(pair: Pair) -> Iterator[Objection]:
    """Object to a last sentence that takes up nothing of the brief."""
    words = pair.post.words
    if pair.free or not words or words[-1].sentence == 0:
        return
    tail = [word for word in words if word.sentence == words[-1].sentence and word.content]
    new = {word.place for word in pair.new_words}
    facts = any(
        fact.place >= min(word.place for word in words if word.sentence == words[-1].sentence)
        for fact in pair.post.facts
    )
    if len(tail) > 1 and not facts and all(word.place in new for word in tail):
        yield Objection("hung on", " ".join(word.text for word in tail))


def fillers(pair: Pair) -> Iterator[Objection]:
    """Object to stock phrases that the brief does not hold."""
    for match in pair.lists.filler.finditer(pair.post.text):
        if match.group().casefold() not in pair.brief.text.casefold():
            yield Objection("filler", match.group())


def amputations(pair: Pair) -> Iterator[Objection]:
    """Object to a post that stops in the middle: on a word that leads on, or within brackets or quotes."""
    text = pair.post.text.rstrip()
    for opening, closing in ("()", "[]", "\u201c\u201d", "«»"):
        if text.count(opening) != text.count(closing) and not regex.search(r"[:;]-?[()]", text):
            yield Objection("amputated", f"{opening} without {closing}")
    if text.count('"') % 2:
        yield Objection("amputated", '" without "')
    last = regex.search(r"([\p{L}']+)[\s,:;\u2013-]*$", text)
    if last and last[1].casefold() in pair.lists.leading_on:
        yield Objection("amputated", f"ends on {last[1]}")
    if text and text[-1] in ",:;(\u2013\u2014-&":
        yield Objection("amputated", f"ends on {text[-1]}")
    # An end without a mark is a list's or a headline's, but not after a whole sentence in the same line.
    tail = text.rsplit("\n", 1)[-1]
    if regex.search(r"[\p{L}\d]$", text) and regex.search(r"\p{Ll}[.!?] +\p{Lu}[\p{L} ,'\u2019\-]+$", tail):
        ends = read(text, pair.language)
        if not ends.facts or ends.facts[-1].place < max((word.place for word in ends.words), default=0):
            yield Objection("amputated", "no mark at the end")


def slips(pair: Pair) -> Iterator[Objection]:
    """Object to doubled words and other slips of writers that do not read what they write."""
    for match in DOUBLED.finditer(pair.post.text):
        if match.group().casefold() not in pair.brief.text.casefold() and match[1].casefold() not in MAY_DOUBLE:
            yield Objection("doubled", match.group())
    for pattern in pair.lists.slips:
        if slip := pattern.search(pair.post.text):
            yield Objection("slip", slip.group())


def coverage(pair: Pair) -> float:
    """Return the share of the brief's content words that the post holds in some form, 1 where it has none."""
    own = {word.stem for word in pair.brief.words if word.content}
    if not own:
        return 1.0
    return sum(any(akin(stem, word.stem) for word in pair.post.words) for stem in own) / len(own)


def off_topic(pair: Pair) -> Iterator[Objection]:
    """Object to a post that holds too little of what the brief is about."""
    share = 1.0 if pair.free else coverage(pair)
    if share < (MIN_COVERAGE if len(pair.brief.words) <= LONG_DRAFT else MIN_COVERAGE - 0.1):
        yield Objection("off topic", f"{share:.2f}")


RULES: tuple[Callable[[Pair], Iterator[Objection]], ...] = (
    lost_facts,
    new_facts,
    changed_units,
    torn_dates,
    swapped_facts,
    changed_negations,
    opposites,
    reversed_pairs,
    changed_persons,
    lost_clauses,
    lost_names,
    new_parts,
    cut_off,
    hung_on,
    new_words,
    fillers,
    amputations,
    slips,
    off_topic,
)
GROUPS = {"time": "number"}
FREE_UNITS = frozenset(
    {"min", "h", "d", "wk", "mo", "y", "km", "mi", "kg", "g", "l", "m", "cm", "x", "th", "am", "pm", "k"}
)
KEPT_UNITS = frozenset({"%", "usd", "eur", "gbp"})
DOUBLED = regex.compile(r"(?<![\p{L}'])(\p{L}+) \1(?![\p{L}'])", regex.IGNORECASE)
MAY_DOUBLE = frozenset(
    {"had", "that", "bye", "very", "so", "no", "ha", "knock", "never", "really", "muy", "ya", "poco"}
)
