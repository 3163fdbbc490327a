"""What the API says in English sentences, in the user's language; what is not known here stays as it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC
from functools import cache
from typing import Any

from deployments.studio.labels import labels
from deployments.studio.languages import Formats, Interface, language_name, translations
from pipelines.editing.advice import EDITS, POLISH, load_advice
from pipelines.generator.candidates import HARM_IN_SPANISH, REASONS
from pipelines.optimize import NO_SCORE
from pipelines.viral_predictor.scope import BY_RECORD, NOTES

# What the API says in the language of a text, in all its languages.
NOTED: tuple[Mapping[Any, str], ...] = (*NOTES.values(), *REASONS.values(), BY_RECORD, NO_SCORE)
FEWER = r"(?P<n>\d+) (?:of|de) (?P<of>\d+) (?:candidates|propuestas): (?P<reason>.*)"
# What nobody writes for, as the API says it in either language.
HARMS = {f"{harm}, see `findings`.": harm for harm in HARM_IN_SPANISH}
HARMS |= {spanish: harm for harm, spanish in HARM_IN_SPANISH.items()}
# What is counted, as opposed to a line or a cell that is quoted.
COUNTS = frozenset({"n", "wanted", "limit"})
# A cell as the importer quotes it, and the column before it.
CELL = r"(?:(?P<column>[^:'\"]{1,120}):? )?(?P<cell>'.*'|\".*\")? ?"


def row_in_words(reason: str, language: Interface) -> str:
    """Say why a row of a file was left out."""
    _ = translations(language).gettext
    return _first(
        language,
        reason,
        (
            ("no id", _("It has no post id.")),
            (
                "a spreadsheet cut the digits of the id.*",
                _("A spreadsheet rounded the post id. Send the file as X made it, without opening it first."),
            ),
            ("the id is no id of a post", _("The post id is not one of X's.")),
            (CELL + "is negative", _("A count is negative: %(column)s %(cell)s.")),
            (CELL + "is larger than any count", _("A count is larger than any can be: %(column)s %(cell)s.")),
            (
                CELL + "may be (?P<one>.+) or (?P<other>.+)",
                _("%(column)s %(cell)s can be read as %(one)s or %(other)s."),
            ),
            (CELL + "is no (?:count|number)", _("This is not a number: %(column)s %(cell)s.")),
            (CELL + "is no (?:date|moment)", _("This is not a date: %(column)s %(cell)s.")),
            (
                CELL + "is a date of which nobody knows the month",
                _("%(cell)s can be read as two dates: day first or month first."),
            ),
            (
                "posted after its counts were taken",
                _("It was posted after its counts were taken: check the date above."),
            ),
            (
                r"(?P<n>[\d,]+) cells where the header has (?P<wanted>\d+)",
                _("The row has %(n)s cells, the first line has %(wanted)s."),
            ),
            (
                r"a text of (?P<n>[\d,]+) characters.*",
                _("The text has %(n)s characters, more than any post can have."),
            ),
            (
                r"the post or day stands in line (?P<line>\d+) again, which counts",
                _("It stands again in line %(line)s, and that one counts."),
            ),
            ("no post", _("This is not a post.")),
            ("source: an experiment told.*", _("An experiment told it, and it stays with that experiment.")),
        ),
    )


def file_in_words(message: str, language: Interface) -> tuple[str, str]:
    """Say why a file was refused, and what to do next."""
    _ = translations(language).gettext
    as_made = _("Download the file again and send it as X made it, without opening it in a spreadsheet.")
    from_list = _("Send one of the files that are listed below under “Where do I get the file?”.")
    return _pair(
        language,
        message,
        (
            (
                "No line at the start is the header.*",
                _("The columns of this file are not known."),
                _("Send a file as X made it. Its first line names the columns, such as Post id, Date, Impressions."),
            ),
            (
                "This is a zip.*",
                _("This is a zip archive."),
                _("Unpack it on your computer and send data/tweets.js. A spreadsheet has to be saved as CSV first."),
            ),
            ("This is an empty zip.*", _("This is an empty zip archive."), from_list),
            (
                "This is compressed.*",
                _("This file is compressed with gzip."),
                _("Unpack it on your computer and send what is inside."),
            ),
            ("This is a PDF.*", _("This is a PDF."), from_list),
            (
                r"This file of the archive holds (?P<name>.+), not posts.*",
                _("This file of the archive holds %(name)s, not posts."),
                _("Send data/tweets.js of the same archive."),
            ),
            ("This is JSON, but no list of posts.*", _("This is JSON, but not a list of posts."), from_list),
            ("The file is empty.*", _("The file is empty."), as_made),
            (r"(?:Line (?P<line>\d+): t|T|t)he file is binary.*", _("This is not a text file."), from_list),
            (
                ".*not (?:UTF-8|UTF-16|UTF-32).*",
                _("The letters of this file are in an encoding that is not read."),
                as_made,
            ),
            (r"Line (?P<line>\d+): two columns.*", _("Two columns have the same name."), as_made),
            (
                r"Line (?P<line>\d+): (?:a cell does not end|what begins here|something follows|a row of over).*",
                _("The file is broken at line %(line)s. It may be cut off."),
                as_made,
            ),
            (r"Line (?P<line>\d+): more than.*", _("The file has more columns than any export of X."), as_made),
            (
                r"The file exceeds (?P<n>[\d,]+) MiB\.",
                _("The file is larger than %(n)s MiB."),
                _("Send the export in parts, such as one month at a time."),
            ),
            (
                "Too many imports and exports at once.*",
                _("Too many files are being read."),
                _("Try again in a moment."),
            ),
            (
                r"More than (?P<n>\d+) imports and exports of this account at once.*",
                _("%(n)s files of this account are being read or written already."),
                _("Try again in a moment."),
            ),
            (
                "Nothing of the body came .*|The body came slower .*",
                _("The file came too slowly."),
                _("Send it again over a faster connection."),
            ),
            ("The database does not answer.*", _("The database does not answer."), _("Try again in a moment.")),
            ("must not lie in the future", _("The date lies in the future."), _("Correct it and send the file again.")),
            (
                "there is no table with Session manual ad content.*",
                _("This is not a report of Google Analytics 4 by ad content."),
                _("Add the dimension Session manual ad content to the report, and export it again."),
            ),
            (
                "there are no dates.*",
                _("The file does not say of which days it is."),
                _("Export the report itself: its file names the days above the table."),
            ),
        ),
    )


def advice_in_words(action: str, language: Interface) -> str:
    """Say what would help, which the API says in the language of the text."""
    return _advice(language).get(action, action)


@cache
def _advice(language: Interface) -> dict[str, str]:
    """Each advice in each of its languages, with its words in one."""
    known: list[Mapping[Any, str]] = [POLISH, *(words for words, _ in EDITS), *_worded(load_advice())]
    return {said: words[language] for words in known for said in (words["en"], words["es"])}


def _worded(content: Any) -> Iterator[dict[str, str]]:
    """What has words in both languages, wherever it stands within a JSON content."""
    if isinstance(content, dict) and {"en", "es"} <= content.keys():
        yield content
    elif isinstance(content, dict | list):
        for part in content.values() if isinstance(content, dict) else content:
            yield from _worded(part)


def note_in_words(note: str, language: Interface) -> str:
    """Say a note on a text or its candidates, which the API writes in the language of the text."""
    _ = translations(language).gettext
    note = note.removeprefix("No se propone nada: ")
    if told := re.fullmatch(FEWER, note, re.DOTALL):
        words = _("%(n)s of %(of)s versions: %(reason)s")
        return words % (told.groupdict() | {"reason": note_in_words(told["reason"], language)})
    if note in HARMS:
        harm = labels(_)["sensitivity"][HARMS[note]]
        return _("nothing is written for a text that reads as: %(harm)s.") % {"harm": harm}
    if told := re.fullmatch(r"they are written in English and Spanish; the text reads as `(\w+)`.*", note):
        return _(
            "they are written in English and Spanish, and this text reads as %(language)s. "
            "Under “Options” you can choose the language."
        ) % {"language": language_name(told[1], language)}
    if note.startswith("The text reads as filler, clickbait or a heap of words"):
        return _(
            "The text reads as filler, clickbait or a heap of words: that costs points. "
            "Say what happened, when or for whom."
        )
    for each in NOTED:
        for written in each.values():
            pattern = re.escape(written).replace(re.escape("{code}"), r"(?P<code>[\w-]+)")
            if told := re.fullmatch(pattern, note):
                code = told.groupdict().get("code", "")
                return each[language].replace("`{code}`", language_name(code, language)).replace("`", "")
    return note.replace("`", "")


def plan_in_words(message: str, language: Interface) -> str:
    """Say why something could not be planned."""
    _ = translations(language).gettext
    return _first(
        language,
        message,
        (
            (
                r"(?P<n>\d+) characters as X counts, and the account may post (?P<limit>\d+)",
                _("%(n)s characters as X counts, and you may post %(limit)s. Shorten it."),
            ),
            ("must lie in the future|must be later than from", _("This time is over: choose a later one.")),
            ("must be on a whole five minutes", _("Choose a time in whole five minutes, such as 9:05.")),
            (
                r"another post is planned less than (?P<n>\d+) minutes from it",
                _("Another post is planned less than %(n)s minutes from it."),
            ),
            (r"must lie within (?P<n>\d+) days of from", _("A plan covers at most %(n)s days.")),
            (r"must have at least 1 character.*|required", _("Write something first.")),
            (
                r"more than (?P<n>\d+) posts would be planned.*",
                _("More than %(n)s posts would be planned: delete some."),
            ),
            ("must differ from from", _("Quiet hours must begin and end at different times.")),
            (r"There is no such slot\.", _("This post is no longer in the plan.")),
            ("The database does not answer.*", _("The database does not answer.")),
        ),
    )


def template_in_words(message: str, language: Interface) -> str:
    """Say what is wrong with a template."""
    _ = translations(language).gettext
    return _first(
        language,
        re.sub(r"^template .*?: (?=slot|more|without|a slot|'|braces|a brace|\")", "", message, flags=re.DOTALL),
        (
            (
                r"slot (?P<slot>'.*'|\".*\") is unknown; there are (?P<known>.+)",
                _("There is no part %(slot)s. Parts are: %(known)s."),
            ),
            (r"more than (?P<n>\d+) variants", _("The wordings make more than %(n)s texts: leave some out.")),
            (
                "without a slot it says the same of everything.*",
                _("It would say the same of everything: use a part of your text, such as {text}."),
            ),
            (
                "a slot stands beside a sign.*",
                _("A part in braces stands beside a sign that makes a link or a handle of it: put a space between."),
            ),
            (r"'(?P<sign>[|{}])' stands outside of braces", _("The sign %(sign)s stands outside of braces.")),
            (r"braces nest deeper than (?P<n>\d+)", _("Braces stand within braces more than %(n)s deep.")),
            ("a brace is not closed", _("A brace is not closed.")),
            ("must have at least 1 character.*|required", _("Write something here.")),
            ("another template of this language has it.*|The name is taken.*", _("Another template has this name.")),
            (r"The template is archived\.", _("This template is archived.")),
            ("The database does not answer.*", _("The database does not answer.")),
        ),
    )


def setting_in_words(message: str, language: Interface) -> str:
    """Say why a setting was refused."""
    _ = translations(language).gettext
    return _first(
        language,
        message,
        (
            ("is no time zone;.*", _("There is no such time zone: choose one of the list, such as Europe/Madrid.")),
            (
                "must be (?:greater|less) than or equal to .*|must be a valid integer.*",
                _("Write a whole number from 1 to 3650, or nothing."),
            ),
            ("The database does not answer.*", _("The database does not answer.")),
        ),
    )


def _first(language: Interface, message: str, known: Iterable[tuple[str, str]]) -> str:
    for pattern, words in known:
        if told := re.fullmatch(pattern, message, re.DOTALL):
            return _filled(language, words, told)
    return message


def _pair(language: Interface, message: str, known: Iterable[tuple[str, str, str]]) -> tuple[str, str]:
    for pattern, words, then in known:
        if told := re.fullmatch(pattern, message, re.DOTALL):
            return _filled(language, words, told), then
    return message, ""


def _filled(language: Interface, words: str, told: re.Match[str]) -> str:
    show = Formats(language, UTC)
    values = {
        name: show.number(int(value.replace(",", ""))) if name in COUNTS and value else value or ""
        for name, value in told.groupdict().items()
    }
    return " ".join((words % values if values else words).replace(" .", ".").split())
