"""What language a short text is in: its own, the default one where it shows none, or `und`."""

# ruff: noqa: RUF001  # letters of other scripts are what is read here
from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.text.languages import FUNCTION_WORDS, identify

BRIEFS = Path(__file__).parents[2] / "../shared/data/briefs"


@pytest.mark.parametrize(
    "text", ["", "a", "...", "😀", "2026 50% 🚀", "https://example.com @ana", "\u200d", "\x00\x01"]
)
def test_a_text_without_a_word_is_undetermined(text: str) -> None:
    assert identify(text) == "und"


@pytest.mark.parametrize(
    "text",
    [
        "Dark mode",
        "tick season",
        "omg i'm soooo happy",
        "donald trump bad hombres",
        "Messi Ronaldo Neymar Mbappé Haaland",
        "Salah, Núñez, Díaz, Szoboszlai",
        "Tokyo, Osaka, Kyoto",
        "yoga retreat lisbon may 4 spots left",
        "lol same",
        "#MondayMotivation",
    ],
)
def test_a_short_text_without_a_sign_of_another_language_is_in_the_default_one(text: str) -> None:
    assert identify(text) == "en"


@pytest.mark.parametrize("default", ["en", "es", "de", "fr"])
def test_a_list_of_names_is_in_whatever_the_default_is(default: str) -> None:
    assert identify("Messi, Ronaldo, Neymar", default) == default


@pytest.mark.parametrize("default", ["en", "es", "de"])
def test_a_text_that_shows_its_language_is_in_it_whatever_the_default_is(default: str) -> None:
    assert identify("We open the new shop on Monday and you are all welcome.", default) == "en"
    assert identify("Abrimos la nueva tienda el lunes y estáis todos invitados.", default) == "es"
    assert identify("Wir öffnen den neuen Laden am Montag und ihr seid alle eingeladen.", default) == "de"


@pytest.mark.parametrize(
    "text",
    [
        "We're opening a second shop in San Sebastián on Friday",
        "Pedro Sánchez meets Ursula von der Leyen in Brussels",
        "Best tacos al pastor in Austin",
        "jalapeño poppers are back",
        "Now on https://acme.org. Have a look",
        "Crème brûlée French toast, brunch only",
        "My abuela's arroz con pollo, now on the menu",
        "New album 愛 out now",
        "𝐈 𝐥𝐨𝐯𝐞 𝐭𝐡𝐢𝐬 𝐚𝐩𝐩",
        "🅸 🅻🅾🆅🅴 🆃🅷🅸🆂 🅰🅿🅿",
        "RT @ana: nous sommes the best band #français https://example.com/le-chat-et-la-souris",
    ],
)
def test_names_dishes_loanwords_links_and_styled_letters_leave_english_english(text: str) -> None:
    assert identify(text) == "en"


@pytest.mark.parametrize(
    "text",
    [
        "El festival de jazz de Vitoria vuelve del 14 al 19 de julio con 45 conciertos",
        "Pedro Sánchez se reúne con Ursula von der Leyen en Bruselas",
        "Menú del día: paella, ensalada y flan por 12 €",
        "envio gratis en pedidos de mas de 30",
        "Nuevo episodio del podcast: marketing y ventas",
        "Workshop de UX writing este viernes",
        "Nuestro newsletter sale los lunes",
        "El coworking abre a las 8",
        "El Barça gana",
        "pan de masa madre recien hecho sabados desde las 7",
    ],
)
def test_spanish_without_accents_or_with_names_and_english_words_is_spanish(text: str) -> None:
    assert identify(text) == "es"


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("Çok teşekkürler, harikasınız", "tr"),
        ("Bardzo dziękuję za pomoc", "pl"),
        ("Avui obrim una botiga nova a Girona", "ca"),
        ("Hoxe abrimos unha tenda nova en Vigo", "gl"),
        ("A nossa loja nova abre amanhã em Braga", "pt"),
        ("Aaj hum nayi dukaan khol rahe hain", "hi"),
        ("Ab Montag gibt es frisches Brot.", "de"),
        ("Fırınımız pazartesi açılıyor.", "tr"),
        ("Onze winkel opent maandag.", "nl"),
        ("Maraming salamat po sa inyong lahat", "tl"),
        ("arigatou gozaimasu", "ja"),
        ("Сегодня мы открываем новый магазин", "ru"),
        ("اليوم نفتتح متجرنا الجديد", "ar"),
        ("今日 iPhone の新しいケースが発売", "ja"),
        ("오늘 새 가게를 엽니다", "ko"),
        ("今天我们开了一家新店", "zh"),
        ("היום אנחנו פותחים חנות חדשה", "he"),
        ("oe aloha mai kakou e na hoa", "und"),
    ],
)
def test_another_language_is_its_own_code_or_undetermined(text: str, right: str) -> None:
    assert identify(text) in {right, "und"}


def test_no_brief_of_ours_is_taken_for_a_third_language() -> None:
    if not BRIEFS.is_dir():
        pytest.skip("../shared/data/briefs is not there")
    for language in ("en", "es"):
        texts = [
            text
            for path in sorted(BRIEFS.glob(f"{language}_*.jsonl"))
            for row in map(json.loads, path.read_text(encoding="utf-8").splitlines())
            for text in (row["brief"], *row["posts"])
        ]
        wrong = [text for text in texts if identify(text) != language]
        assert len(wrong) <= len(texts) // 1000, wrong


@given(st.text(max_size=400), st.sampled_from(["en", "es", "fr"]))
def test_any_text_gets_a_code_of_two_letters_or_none(text: str, default: str) -> None:
    code = identify(text, default)
    assert code == "und" or (len(code) == 2 and code.isascii() and code.islower())


def test_the_function_words_are_small_letters_each_once_in_a_language() -> None:
    for language, lines in json.loads(FUNCTION_WORDS.read_text(encoding="utf-8")).items():
        words = " ".join(lines).split()
        assert len(words) == len(set(words)), language
        assert words == [word.lower() for word in words], language
