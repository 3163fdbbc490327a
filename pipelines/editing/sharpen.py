"""Says the same in fewer and stronger words: `make a decision` is `decide`, `hacemos uso de` is `usamos`.

The lists are in edits.json. What stands in a link, handle or hashtag is left alone.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import regex

from pipelines.records import Language
from pipelines.text.sentences import capitalized
from pipelines.text.tweets import entities

PATH: Final = Path(__file__).with_name("edits.json")
MAX_VARIANTS = 4


class Rule(NamedTuple):
    """A weak construction and what stands for each of its forms, in lower case."""

    pattern: regex.Pattern[str]
    strong: dict[str, str]


def sharpen_verbs(text: str, language: Language = "en") -> list[str]:
    """Return the NFC text with every weak construction replaced, then with one of them alone; none if there is none."""
    together, variants = text, []
    for rule in _rules(language):
        together = _apply(rule, together)
        if (edited := _apply(rule, text)) != text:
            variants.append(edited)
    return list(dict.fromkeys([together, *variants]))[:MAX_VARIANTS] if variants else []


def drop_fillers(text: str, language: Language = "en") -> list[str]:
    """Return the NFC text without adverbs that carry nothing (`very`, `realmente`); none if there is none.

    They stay where they carry something: after a negation, in set phrases, or where `a` would have to become `an`.
    """
    protected = _protected(text)
    edited, end = "", 0
    for match in _filler(language).finditer(text):
        if not _overlaps(match.span(), protected):
            edited += text[end : match.start()]
            end = match.end()
            if match[0][0].isupper():
                text = text[:end] + capitalized(text[end:])
    edited += text[end:]
    return [edited] if end else []


@lru_cache(maxsize=1)
def load_words() -> dict[str, Any]:
    """Read edits.json, by language.

    `phrases` are weak and strong, `phrases_before_noun` only before what `noun` finds, `verbs` a light verb, its rest
    and the strong verb, `forms` those of irregular light verbs in the order of `_english` or `_spanish`, `keeps_*`
    patterns of what must not stand before, `keeps_do` of what must; `sensitive` are beginnings of words, whole words
    with a `$`.
    """
    content: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))
    return content


@lru_cache(maxsize=8)
def whole_words(kind: Literal["opinions", "keeps", "invitations"], language: Language) -> regex.Pattern[str]:
    """Return a pattern that finds any word or phrase of a list."""
    words = "|".join(load_words()[language][kind])
    return regex.compile(rf"(?<![\p{{L}}\p{{N}}])(?:{words})(?![\p{{L}}\p{{N}}])", regex.IGNORECASE)


def _apply(rule: Rule, text: str) -> str:
    if rule.pattern.search(text) is None:
        return text
    protected = _protected(text)

    def strong(match: regex.Match[str]) -> str:
        if _overlaps(match.span(), protected):
            return match[0]
        named = match.groupdict()
        new = rule.strong[match["weak"].casefold().replace("\u2019", "'")]
        if (named.get("joint") or "").casefold() in {"del", "al"}:
            new += " el"
        return new[:1].upper() + new[1:] if match[0][:1].isupper() else new

    return rule.pattern.sub(strong, text)


def _protected(text: str) -> list[tuple[int, int]]:
    return [(entity.start, entity.end) for entity in entities(text)]


def _overlaps(span: tuple[int, int], protected: list[tuple[int, int]]) -> bool:
    return any(start < span[1] and span[0] < end for start, end in protected)


@lru_cache(maxsize=2)
def _rules(language: Language) -> list[Rule]:
    words = load_words()[language]
    rules = [_rule({weak: strong}, "", words["keeps_phrase"]) for weak, strong in words["phrases"]]
    noun = words.get("noun", "")
    rules += [
        _rule({weak: strong}, "", words["keeps_phrase"], noun) for weak, strong in words.get("phrases_before_noun", ())
    ]
    for light, rest, strong in words["verbs"]:
        weak_forms = words["forms"].get(light) or _forms(light, language)
        strong_forms = _forms(strong, language)
        if language == "es":  # the familiar imperative of a regular verb is its third person
            strong_forms = [*strong_forms, strong_forms[5]]
        forms = dict(reversed(list(zip(weak_forms, strong_forms, strict=False))))
        # `Changes to the menu` are made to it; `changes to help you` are made for another end.
        following = noun if rest.endswith(" to") else ""
        rules.append(_rule(forms, rest, words.get(f"keeps_{light}", words["keeps_verb"]), following))
    return rules


def _rule(forms: dict[str, str], rest: str, kept: str, following: str = "") -> Rule:
    """Make a rule; a rest that ends in `+de` or `+a` takes the preposition along, with the article grown into it."""
    weak = "|".join(regex.escape(form) for form in sorted(forms, key=len, reverse=True)).replace("'", "['\u2019]")
    rest, _, joint = rest.partition(" +")
    tail = rf"\ {regex.escape(rest)}" if rest else ""
    joined = {"de": r"\ (?P<joint>de|del)", "a": r"\ (?P<joint>a|al)"}.get(joint, rf"\ {joint}" if joint else "")
    before = r"\ ?" if next(iter(forms)).startswith("'") else r"\b"
    pattern = rf"{kept}{before}(?P<weak>{weak}){tail}{joined}\b{following}"
    return Rule(regex.compile(pattern, regex.IGNORECASE), forms)


@lru_cache(maxsize=2)
def _filler(language: Language) -> regex.Pattern[str]:
    words = load_words()[language]
    return regex.compile(
        rf"{words['keeps_filler_before']}\b(?:{'|'.join(words['fillers'])})\ (?={words['filler_followed_by']})",
        regex.IGNORECASE,
    )


def _forms(verb: str, language: Language) -> list[str]:
    return _english(verb) if language == "en" else _spanish(verb)


def _english(verb: str) -> list[str]:
    """Return base, third person, past, participle and gerund of a regular verb."""
    if verb.endswith("ee"):
        return [verb, f"{verb}s", f"{verb}d", f"{verb}d", f"{verb}ing"]
    if verb.endswith("e"):
        return [verb, f"{verb}s", f"{verb}d", f"{verb}d", f"{verb[:-1]}ing"]
    if regex.search("[^aeiou]y$", verb):
        return [verb, f"{verb[:-1]}ies", f"{verb[:-1]}ied", f"{verb[:-1]}ied", f"{verb}ing"]
    return [verb, f"{verb}{'es' if regex.search('(?:s|sh|ch|x|z)$', verb) else 's'}", *[f"{verb}ed"] * 2, f"{verb}ing"]


def _spanish(verb: str) -> list[str]:
    """Return infinitive, gerund, participle, then present, preterite, future and subjunctive of a regular verb."""
    stem, kind = verb[:-2], verb[-2:]
    soft = regex.sub("z$", "c", regex.sub("c$", "qu", regex.sub("g$", "gu", stem)))
    if kind == "ar":
        present = [stem + end for end in ("o", "as", "a", "amos", "áis", "an")]
        past = [soft + "é", *(stem + end for end in ("aste", "ó", "amos", "asteis", "aron"))]
        wish = [soft + end for end in ("e", "es", "e", "emos", "éis", "en")]
        middle = [stem + "ando", stem + "ado"]
    else:
        we, you = ("emos", "éis") if kind == "er" else ("imos", "ís")
        present = [stem + end for end in ("o", "es", "e", we, you, "en")]
        past = [stem + end for end in ("í", "iste", "ió", "imos", "isteis", "ieron")]
        wish = [stem + end for end in ("a", "as", "a", "amos", "áis", "an")]
        middle = [stem + "iendo", stem + "ido"]
    future = [verb + end for end in ("é", "ás", "á", "emos", "éis", "án")]
    return [verb, *middle, *present, *past, *future, *wish]
