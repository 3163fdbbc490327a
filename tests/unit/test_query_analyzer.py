"""What is read from a query: language, entities, keywords, readability, complexity and findings."""

# ruff: noqa: RUF001  # styled letters are what is read here
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.query_analyzer.analyzer import QueryAnalyzer
from pipelines.records import Analysis

SIMPLE = "We have a new shop. Come and see it. It is big and fun."
MEDIUM = "Our new subscription helps small offices order better coffee every week without any paperwork."
HARD = (
    "Notwithstanding considerable organizational complexity, interdisciplinary stakeholders collaboratively "
    "operationalized sophisticated sustainability methodologies throughout geographically distributed subsidiaries."
)
SIMPLE_ES = "Hoy hay pan. Ven a la tienda. Es muy rico."
HARD_ES = (
    "Independientemente de la extraordinaria complejidad organizativa, las administraciones implementaron "
    "metodologías interdisciplinares especialmente sofisticadas para garantizar la sostenibilidad medioambiental."
)


@pytest.fixture(scope="module")
def analyzer() -> QueryAnalyzer:
    return QueryAnalyzer()


def analyze(analyzer: QueryAnalyzer, text: str, language: str | None = None) -> Analysis:
    return analyzer.analyze([text], [language])[0]


def entities_of(analysis: Analysis) -> list[str]:
    return [f"{entity.label} {entity.text}" for entity in analysis.entities or ()]


def keywords_of(analysis: Analysis) -> list[str]:
    return [keyword.text for keyword in analysis.keywords or ()]


def rules_of(analysis: Analysis) -> set[str]:
    return {finding.rule for finding in analysis.findings or ()}


def test_texts_and_languages_of_different_number_are_refused(analyzer: QueryAnalyzer) -> None:
    with pytest.raises(ValueError, match="zip"):
        analyzer.analyze(["one", "two"], [None])


def test_a_spacy_pipeline_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        QueryAnalyzer({"en": str(tmp_path / "nowhere")})


@pytest.mark.parametrize("text", ["a", "😀", "👨‍👩‍👧‍👦👍🏿", "...", "#", "\u200d", "1234567890", "https://example.com"])
def test_a_text_without_words_has_an_analysis(analyzer: QueryAnalyzer, text: str) -> None:
    analysis = analyze(analyzer, text)
    assert analysis.language == "und"
    assert analysis.keywords == ()


@pytest.mark.parametrize("text", ["🅰️ 🅾️", "Ⓜ️", "ℹ️ ①", "！？", "５０％"])
def test_styled_signs_alone_are_no_words(analyzer: QueryAnalyzer, text: str) -> None:
    assert analyze(analyzer, text).keywords == ()


@pytest.mark.parametrize(
    ("styled", "plain"),
    [
        ("𝐎𝐮𝐫 𝐧𝐞𝐰 𝐜𝐨𝐟𝐟𝐞𝐞 𝐬𝐮𝐛𝐬𝐜𝐫𝐢𝐩𝐭𝐢𝐨𝐧 𝐢𝐬 𝟓𝟎% 𝐨𝐟𝐟 𝐨𝐧 𝐅𝐫𝐢𝐝𝐚𝐲", "Our new coffee subscription is 50% off on Friday"),
        ("Ｔｈａｎｋｓ ｔｏ Ｍａｒｉａ Ｌｏｐｅｚ！！", "Thanks to Maria Lopez!!"),
        ("𝘓𝘢𝘯𝘻𝘢𝘮𝘰𝘴 𝘯𝘶𝘦𝘴𝘵𝘳𝘢 𝘴𝘶𝘴𝘤𝘳𝘪𝘱𝘤𝘪ó𝘯 𝘥𝘦 𝘭𝘪𝘣𝘳𝘰𝘴", "Lanzamos nuestra suscripción de libros"),
        ("The 🅱🅴🆂🆃 𝓌ℴ𝓇𝓀𝓈𝒽ℴ𝓅 ⓞⓕ ʟᴇᴇᴅꜱ #𝗧𝗼𝗼𝗹𝘀", "The BEST workshop of leeds #Tools"),
    ],
)
def test_styled_letters_are_read_as_plain_and_counted_as_they_are(
    analyzer: QueryAnalyzer, styled: str, plain: str
) -> None:
    read, expected = analyze(analyzer, styled), analyze(analyzer, plain)
    assert read.language == expected.language
    assert keywords_of(read) == keywords_of(expected) != []
    assert rules_of(read) == rules_of(expected)
    assert read.readability == expected.readability
    spans = [(entity.label, entity.start, entity.end) for entity in read.entities or ()]
    assert spans == [(entity.label, entity.start, entity.end) for entity in expected.entities or ()]
    assert all(entity.text == styled[entity.start : entity.end] for entity in read.entities or ())
    assert read.weighted_length > expected.weighted_length == len(plain)


@pytest.mark.parametrize("text", ["𝗲𝘃𝗶𝗹.𝗰𝗼𝗺", "ｅｖｉｌ．ｃｏｍ", "@𝗲𝘃𝗶𝗹", "＜ｓｃｒｉｐｔ＞"])
def test_no_link_handle_or_markup_comes_of_styled_letters(analyzer: QueryAnalyzer, text: str) -> None:
    analysis = analyze(analyzer, f"Our lamps for your kitchen {text} today")
    assert {entity.label for entity in analysis.entities or ()} == {"DATE"}
    assert not {".", "@", "<", ">"} & set("".join(keywords_of(analysis)))


@pytest.mark.parametrize("text", ["😀😀", "https://example.com", "50%"])
def test_where_there_is_no_word_reading_ease_is_unknown_not_zero(analyzer: QueryAnalyzer, text: str) -> None:
    analysis = analyze(analyzer, text)
    assert analysis.readability is None
    assert analysis.complexity_score is None


@pytest.mark.parametrize("text", [("word " * 1000)[:4000], "x" * 4000, "😀" * 4000, "a.b " * 1000])
def test_a_text_of_4000_characters_is_analyzed(analyzer: QueryAnalyzer, text: str) -> None:
    analysis = analyze(analyzer, text.strip())
    assert not analysis.valid
    assert "too_long" in rules_of(analysis)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("What do you think? #marketing", "en"),
        ("Join us at the conference in Madrid", "en"),
        ("just landed in Tokyo", "en"),
        ("¿Qué opinas? #marketing", "es"),
        ("Te esperamos en la conferencia de Madrid", "es"),
        ("envío gratis en todos los pedidos", "es"),
        ("Nouveau café, disponible vendredi", "fr"),
        ("Neuer Kaffee ab Freitag", "de"),
        ("Nuovo caffè, arriva venerdì", "it"),
        ("新しいコーヒーは金曜日に発売", "ja"),
        ("hi", "en"),
        ("Avui obrim una botiga nova a Girona", "ca"),
        ("😀 https://example.com @ana", "und"),
    ],
)
def test_the_language_is_told_or_left_to_the_default_one(analyzer: QueryAnalyzer, text: str, language: str) -> None:
    assert analyze(analyzer, text).language == language


def test_a_given_language_overrides_detection(analyzer: QueryAnalyzer) -> None:
    assert analyze(analyzer, "Great coffee for everybody", "es").language == "es"


def test_words_that_nobody_knew_are_forgotten_after_their_text(analyzer: QueryAnalyzer) -> None:
    vocabularies = [lexicon.tokenizer.vocab for lexicon in analyzer._lexicons.values()]
    analyzer.analyze(["Hello shoes", "Hola zapatos"], [None, None])
    before = [len(vocabulary.strings) for vocabulary in vocabularies]
    for number in range(50):
        text = f"Order grumfle{number}x or zapatillo{number}o before {number}"
        analyzer.analyze([text, text], ["en", "es"])
    assert [len(vocabulary.strings) for vocabulary in vocabularies] == before


def test_a_text_without_a_sign_takes_the_default_language_and_the_version_tells_which() -> None:
    french = QueryAnalyzer(default_language="fr")
    assert analyze(french, "Messi, Ronaldo, Neymar").language == "fr"
    assert analyze(french, "best pizza in town").language == "en"
    assert french.version != QueryAnalyzer().version


def test_an_undetermined_text_is_read_as_english(analyzer: QueryAnalyzer) -> None:
    assert keywords_of(analyze(analyzer, "sale", "und")) == ["sale"]


def test_other_languages_have_no_keywords_rather_than_wrong_ones(analyzer: QueryAnalyzer) -> None:
    analysis = analyze(analyzer, "Nouveau café, disponible vendredi")
    assert analysis.keywords is None
    assert analysis.complexity_score is None
    assert analysis.readability is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("From $1,299.50 to 20 €, 15% off", ["MONEY $1,299.50", "MONEY 20 €", "PERCENT 15%"]),
        ("Friday, May 5, 2026 at 5:30 pm", ["DATE Friday", "DATE May 5, 2026", "TIME 5:30 pm"]),
        ("el 5 de mayo a las 18:00 por 20 euros", ["DATE 5 de mayo", "TIME 18:00", "MONEY 20 euros"]),
        ("Salary €65-80k, remote", ["MONEY €65-80k"]),
        ("-30% on all summer dresses", ["PERCENT -30%"]),
        ("del 14 al 19 de julio", ["DATE 14 al 19 de julio"]),
        ("May 4-6, 2026", ["DATE May 4-6, 2026"]),
        ("opens on Oct. 9 at booth No. 12", ["DATE Oct. 9"]),
        ("from 12 p.m. to 2 p.m. and 10:00-14:00", ["TIME 12 p.m. to 2 p.m.", "TIME 10:00-14:00"]),
        ("de 9 a 14 h y a las 18.30 h", ["TIME 9 a 14 h", "TIME 18.30 h"]),
        ("growth of 3-5 %, +4.5% last year", ["PERCENT 3-5 %", "PERCENT +4.5%"]),
        ("-5 °C, 10-12 km, 500g of flour", ["QUANTITY -5 °C", "QUANTITY 10-12 km", "QUANTITY 500g"]),
        ("10 a 15 dólares, 3 millones de euros", ["MONEY 10 a 15 dólares", "MONEY 3 millones de euros"]),
        ("The 5 best of 10, 24/7, 2nd floor, 5k run", []),
        ("by 2026-05-01 or 1/5/2026", ["DATE 2026-05-01", "DATE 1/5/2026"]),
        ("Black Friday 2 for 1, ratio 16:9", []),
        ("#sale5 https://example.com/50%25", ["HASHTAG #sale5", "URL https://example.com/50%25"]),
    ],
)
def test_amounts_dates_and_times_are_found_outside_of_links(
    analyzer: QueryAnalyzer, text: str, found: list[str]
) -> None:
    assert entities_of(analyze(analyzer, text)) == found


def test_offsets_point_into_the_normalized_text(analyzer: QueryAnalyzer) -> None:
    analysis = analyze(analyzer, "Cafe\u0301 por 20 euros")
    normalized = "Café por 20 euros"
    assert [normalized[entity.start : entity.end] for entity in analysis.entities or ()] == ["20 euros"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Our friends at Acme Robotics hired Maria Lopez from OpenAI", ["Acme Robotics", "Maria Lopez", "OpenAI"]),
        ("Nike is here. Great news from NASA!", ["Nike", "NASA"]),
        ("Bank of America said no", ["Bank of America"]),
        ("The new iPhone case", ["iPhone"]),
        ("Hoy abrimos en Ciudad de México con Marta Ruiz", ["Ciudad de México", "Marta Ruiz"]),
        ("I think I'm late for this", []),
        ("THE BEST SALE EVER IS HERE NOW", []),
        ("Download It From Our New Site", []),
        ("see you in paris", []),
        ("#Nike @Adidas https://Example.com/Nike", []),
    ],
)
def test_names_are_capitalized_words_that_need_not_be(analyzer: QueryAnalyzer, text: str, names: list[str]) -> None:
    found = [entity for entity in analyze(analyzer, text).entities or () if entity.label == "NAME"]
    assert [entity.text for entity in found] == names
    assert all(text[entity.start : entity.end] == entity.text for entity in found)


def test_names_are_found_where_a_spacy_pipeline_is_configured(tmp_path: Path, analyzer: QueryAnalyzer) -> None:
    import spacy

    nlp = spacy.blank("en")
    ruler = nlp.add_pipe("entity_ruler")
    names = {"PERSON": "Ada Lovelace", "GPE": "London", "CARDINAL": "two", "ORG": "#Acme"}
    ruler.add_patterns([{"label": label, "pattern": name} for label, name in names.items()])
    nlp.to_disk(tmp_path / "names")
    named = QueryAnalyzer({"en": str(tmp_path / "names")})
    text = "Meet Ada Lovelace in London on Friday for two days #Acme"
    assert entities_of(analyze(named, text, "en")) == [
        "PERSON Ada Lovelace",
        "LOC London",
        "DATE Friday",
        "HASHTAG #Acme",
    ]
    assert {entity.label for entity in analyze(named, text, "es").entities or ()} == {"NAME", "DATE", "HASHTAG"}
    assert named.version != analyzer.version


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("We are hiring a senior data engineer in Berlin", "senior data engineer"),
        ("Launching our new coffee subscription for parents", "coffee subscription"),
        ("e-commerce tips for Black Friday", "e-commerce tips"),
        ("the future of work is AI", "future of work"),
        ("Lanzamos nuestra nueva suscripción de café", "suscripción de café"),
    ],
)
def test_the_topic_leads_the_keywords(analyzer: QueryAnalyzer, text: str, first: str) -> None:
    assert keywords_of(analyze(analyzer, text))[0] == first


@pytest.mark.parametrize(
    ("text", "weak"),
    [
        ("The coffee can wait", "can"),
        ("This will change everything", "will"),
        ("Our team can and will win", "can"),
        ("Everything went well in the village", "well"),
        ("A friend of mine opened a bakery", "mine"),
        ("The choice is mine", "mine"),
        ("Our coat keeps you dry", "keeps"),
        ("The video shows how to cook", "shows"),
        ("Acme ships to Spain", "ships"),
        ("Acme launches new shoes", "launches"),
        ("We are hiring a data engineer", "hiring"),
        ("Best coffee in town", "best"),
    ],
)
def test_a_form_of_a_weak_word_is_no_keyword_where_no_noun_stands(
    analyzer: QueryAnalyzer, text: str, weak: str
) -> None:
    assert weak not in " ".join(keywords_of(analyze(analyzer, text, "en"))).lower().split()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Night shifts raise the risk of diabetes", ["Night shifts", "risk of diabetes"]),
        ("Last week the mayor met Barack Obama", ["Barack Obama", "week", "mayor"]),
        ("Our CEO resigned today", ["CEO"]),
        ("We launch our new eco-friendly running shoes", ["eco-friendly running shoes"]),
        ("Las mujeres ganan menos que los hombres", ["mujeres", "hombres"]),
        ("El festival de jazz de Vitoria vuelve", ["festival de jazz", "Vitoria"]),
        ("Se reúne con Ursula von der Leyen", ["Ursula von der Leyen"]),
        ("Children and mice love cheese", ["Children", "mice", "cheese"]),
    ],
)
def test_keywords_are_noun_phrases_without_verbs(analyzer: QueryAnalyzer, text: str, expected: list[str]) -> None:
    assert keywords_of(analyze(analyzer, text)) == expected


def test_keywords_of_one_length_do_not_all_weigh_the_same(analyzer: QueryAnalyzer) -> None:
    scores = [keyword.score for keyword in analyze(analyzer, "Children and mice love cheese").keywords or ()]
    assert scores == sorted(set(scores), reverse=True)


@pytest.mark.parametrize(
    ("text", "keyword"),
    [
        ("Old wells near the village", "Old wells"),
        ("Our wills team is hiring", "wills team"),
        ("Cans of tuna", "Cans of tuna"),
        ("A gold mine in Chile", "gold mine"),
        ("The mine is closed", "mine"),
        ("She left a will and an oil well", "oil well"),
        ("Union dues for mining towns", "mining towns"),
        ("Sporting goods for kids", "Sporting goods"),
        ("Cargo ships in the harbour", "Cargo ships"),
        ("TV shows about food", "TV shows"),
        ("Shares of Acme", "Shares of Acme"),
        ("Free shipping on all orders", "Free shipping"),
        ("Creative writing for beginners", "Creative writing"),
        ("Hundreds of runners", "Hundreds of runners"),
        ("Sobres de papel reciclado", "Sobres de papel"),
        ("Las cuentas de la asociación", "cuentas"),
    ],
)
def test_a_noun_that_is_written_like_a_form_of_a_weak_word_is_a_keyword(
    analyzer: QueryAnalyzer, text: str, keyword: str
) -> None:
    assert keyword in keywords_of(analyze(analyzer, text))


def test_keywords_hold_no_links_handles_punctuation_or_stop_words(analyzer: QueryAnalyzer) -> None:
    text = "The roastery of @ana: beans, beans & more beans!!! https://example.com/roast #ColdBrew $5 | {x}"
    found = keywords_of(analyze(analyzer, text, "en"))
    assert set(found) == {"roastery", "beans", "ColdBrew"}
    assert len(found) == 3


def test_keyword_scores_fall_from_one(analyzer: QueryAnalyzer) -> None:
    analysis = analyze(analyzer, "Organic skincare products for sensitive skin, made in Lisbon by Rita")
    scores = [keyword.score for keyword in analysis.keywords or ()]
    assert scores[0] == 1
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert all(1 <= len(keyword.text.split()) <= 3 for keyword in analysis.keywords or ())


@pytest.mark.parametrize("texts", [(SIMPLE, MEDIUM, HARD), (SIMPLE_ES, HARD_ES)])
def test_complexity_orders_texts_and_reading_ease_runs_against_it(
    analyzer: QueryAnalyzer, texts: tuple[str, ...]
) -> None:
    analyses = analyzer.analyze(texts, [None] * len(texts))
    complexity = [analysis.complexity_score or 0.0 for analysis in analyses]
    ease = [analysis.readability.score if analysis.readability else -1.0 for analysis in analyses]
    assert complexity == sorted(complexity)
    assert ease == sorted(ease, reverse=True)
    assert complexity[0] < 0.3
    assert complexity[-1] > 0.7
    assert all(0 <= score <= 1 for score in complexity)


def test_each_language_has_its_own_formula(analyzer: QueryAnalyzer) -> None:
    english, spanish = analyzer.analyze([MEDIUM, HARD_ES], ["en", "es"])
    assert english.readability is not None
    assert spanish.readability is not None
    assert (english.readability.formula, spanish.readability.formula) == ("flesch", "fernandez-huerta")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("a" * 281, "too_long"),
        ("zero\ufeffwidth", "forbidden_character"),
        ("#a1 #b2 #c3", "many_hashtags"),
        ("hi @a @b @c @d", "many_mentions"),
        ("https://example.com https://example.org", "many_links"),
        ("😀😀😀😀😀😀", "many_emoji"),
        ("@ana thanks for coming", "leading_mention"),
        ("THIS IS HUGE", "shouting"),
        ("really?!", "repeated_punctuation"),
        ("the the shop", "repeated_word"),
    ],
)
def test_a_finding_names_its_rule(analyzer: QueryAnalyzer, text: str, rule: str) -> None:
    assert rules_of(analyze(analyzer, text, "en")) == {rule}


def test_a_good_tweet_has_no_findings(analyzer: QueryAnalyzer) -> None:
    text = "Our NASA guide for US teachers is out... Thanks @ana! 🚀 https://example.com #space"
    assert analyze(analyzer, text).findings == ()


def test_too_long_points_at_what_x_would_cut(analyzer: QueryAnalyzer) -> None:
    findings = analyze(analyzer, "a" * 290).findings or ()
    assert [(finding.start, finding.end, finding.severity) for finding in findings] == [(280, 290, "error")]


def test_a_batch_answers_like_single_calls(analyzer: QueryAnalyzer) -> None:
    texts = [SIMPLE, SIMPLE_ES, HARD, "😀", "Bonjour à tous et à toutes"]
    assert analyzer.analyze(texts, [None] * 5) == [analyze(analyzer, text) for text in texts]


def test_loading_takes_no_torch_along() -> None:
    script = "import sys; from pipelines.query_analyzer.analyzer import QueryAnalyzer; QueryAnalyzer(); "
    script += "print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
