"""Every word of the studio stands in Spanish too, with the same places for what is put in."""

import re
from zoneinfo import ZoneInfo

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po
from starlette.requests import Request

from deployments.studio.languages import DASH, FOLDER, INTERFACES, Formats, language_of, translations
from deployments.studio.pages import _environment_in
from deployments.studio.said import plan_in_words, row_in_words, template_in_words
from deployments.studio.shell import _static

STUDIO = FOLDER.parent
# What the templates and the views mark for translation.
METHODS = [("templates/**.html", "jinja2.ext:babel_extract"), ("**.py", "python")]
OPTIONS = {"templates/**.html": {"extensions": "jinja2.ext.do", "trim_blocks": "true", "silent": "false"}}
PLACES = re.compile(r"%\(\w+\)[a-z]|%%|\{\w+\}")


def said() -> set[str]:
    """Each text that is marked for translation; of a plural its singular."""
    found = extract_from_dir(STUDIO, METHODS, OPTIONS, keywords={"_": None, "gettext": None, "ngettext": (1, 2)})
    return {text if isinstance(text, str) else text[0] for _, _, text, _, _ in found}


def spanish() -> dict[str, list[tuple[str, object]]]:
    """What each file says for each text."""
    words: dict[str, list[tuple[str, object]]] = {}
    for path in FOLDER.glob("es/*.po"):
        with path.open("rb") as file:
            messages = read_po(file, locale="es")
        for message in messages:
            if message.id:
                key = message.id if isinstance(message.id, str) else message.id[0]
                words.setdefault(key, []).append((path.name, message.string))
    return words


def test_every_text_of_the_studio_is_said_in_spanish_and_nothing_else_is() -> None:
    texts, words = said(), spanish()
    assert "Sign in" in texts
    assert {text for text in texts if text not in words} == set()
    assert {text for text in words if text not in texts} == set()


def test_a_translation_says_something_and_puts_the_same_things_in() -> None:
    for text, translated in spanish().items():
        for name, string in translated:
            for form in [string] if isinstance(string, str) else list(string):  # type: ignore[call-overload]
                assert form, (name, text)
                assert sorted(PLACES.findall(form)) == sorted(PLACES.findall(text)), (name, text)
        assert len({str(string) for _, string in translated}) == 1, ("two translations", text, translated)


def test_one_language_does_not_take_the_words_of_another() -> None:
    say = "{{ _('Menu') }} {% trans %}Menu{% endtrans %}"
    environments = {language: _environment_in(language) for language in INTERFACES}
    assert {language: each.from_string(say).render() for language, each in environments.items()} == {
        "en": "Menu Menu",
        "es": "Menú Menú",
    }


def test_the_file_of_each_page_is_read() -> None:
    assert translations("es").gettext("Sign in") == "Entrar"
    assert translations("en").gettext("Sign in") == "Sign in"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, "en"),
        ({"accept-language": "es-AR,es;q=0.9,en;q=0.8"}, "es"),
        ({"accept-language": "en;q=0.5, es"}, "es"),
        ({"accept-language": "fr, en;q=0.7, es;q=0.6"}, "en"),
        ({"accept-language": "de"}, "en"),
        ({"accept-language": ",;q=x, ;=;"}, "en"),
        ({"accept-language": "de", "cookie": "murmuration_language=es"}, "es"),
        ({"accept-language": "es", "cookie": "murmuration_language=xx"}, "es"),
    ],
)
def test_the_language_is_the_chosen_one_else_the_first_that_the_browser_knows(
    headers: dict[str, str], expected: str
) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    assert language_of(Request({"type": "http", "headers": raw})) == expected


def test_what_is_not_known_is_a_dash_and_numbers_are_written_as_the_language_does() -> None:
    english, spanish = Formats("en", ZoneInfo("UTC")), Formats("es", ZoneInfo("Europe/Madrid"))
    assert [english.number(None), english.signed(None), english.percent(None), english.time(None)] == [DASH] * 4
    assert (english.number(44.71, 1), spanish.number(44.71, 1)) == ("44.7", "44,7")
    assert (english.signed(3.14), spanish.signed(-3.14)) == ("+3.1", "-3,1")
    assert (english.percent(0.256, 1), spanish.percent(0.256)) == ("25.6%", "26\u00a0%")
    assert spanish.time("2026-11-30T12:00:00Z", style="HH:mm") == "13:00"


def test_only_files_of_the_folder_are_static() -> None:
    assert _static("studio.css") is not None
    for name in ("../pages.py", "..", ".", "", "studio.css/", "a\0b"):
        assert _static(name) is None


def test_counts_days_and_zones_are_written_as_the_language_does() -> None:
    say = "{{ ngettext('%(num)s post', '%(num)s posts', 1090) }}"
    assert [_environment_in(language).from_string(say).render() for language in INTERFACES] == [
        "1,090 posts",
        "1.090 publicaciones",
    ]
    english, spanish = Formats("en", ZoneInfo("UTC")), Formats("es", ZoneInfo("UTC"))
    assert spanish.time("2026-12-01T12:00:00Z", style="EEEE d MMMM y") == "martes 1 de diciembre de 2026"
    assert spanish.time("2026-12-01T12:00:00Z", style="d 'de' MMMM 'de' y") == "1 de diciembre de 2026"
    assert (english.day("2026-10-08"), spanish.day("2026-10-08")) == ("Oct 8, 2026", "8 oct 2026")
    assert (english.zone("America/New_York"), spanish.zone("America/New_York")) == ("New York", "Nueva York")


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("template a: slot 'texto' is unknown; there are text, url", "No existe la parte 'texto'."),
        ("template a: b: without a slot it says the same of everything: use one, such as {text}", "Diría lo mismo"),
        ("template a: '}' stands outside of braces", "El signo } está fuera"),
        ("template a: a brace is not closed", "Falta cerrar una llave."),
        ("another template of this language has it, archived ones included", "Otra plantilla tiene ya"),
        ("something else", "something else"),
    ],
)
def test_what_is_wrong_with_a_template_is_said_in_spanish(message: str, told: str) -> None:
    assert template_in_words(message, "es").startswith(told)


def test_counts_in_what_the_api_says_are_written_as_the_language_does() -> None:
    message = "1090 characters as X counts, and the account may post 280"
    assert plan_in_words(message, "es") == "Tiene 1.090 caracteres y el máximo es 280. Acórtala."
    assert row_in_words("a text of 100,001 characters, more than any", "es").startswith("El texto tiene 100.001 ")
