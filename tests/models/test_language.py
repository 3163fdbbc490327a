"""The committed language models: invariance, direction, minimum function, on texts that nobody trained on."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.encoder import Encoder, as_read, softmax
from pipelines.errors import WeightsRefused
from pipelines.query_analyzer.analyzer import QueryAnalyzer
from pipelines.records import Affect
from pipelines.sentiment.ensemble import SentimentEnsemble
from pipelines.text.languages import identify

MODELS = Path(__file__).parents[2] / "models"
ENCODER = Encoder.load(MODELS / "encoder")
ENSEMBLE = SentimentEnsemble(ENCODER)
ANALYZER = QueryAnalyzer()

LANGUAGES = Path(__file__).with_name("languages.tsv")
SHORT = Path(__file__).with_name("languages_short.tsv")
FIELDS = ("sentiment", "emotion", "intent")
CASES = [
    json.loads(line)
    for language in ("en", "es")
    for line in (Path(__file__).parent / "kinds" / f"{language}.jsonl").read_text(encoding="utf-8").splitlines()
]
# What the committed encoder reached, less .05; the aim is .85.
FLOORS = {
    ("negation", "en"): 0.70,
    ("negation", "es"): 0.61,
    ("idioms", "en"): 0.80,
    ("idioms", "es"): 0.63,
    ("news", "en"): 0.91,
    ("news", "es"): 0.88,
    ("thanks", "en"): 0.69,
    ("thanks", "es"): 0.61,
    ("sarcasm", "en"): 0.77,
    ("sarcasm", "es"): 0.57,
    ("praise", "en"): 0.89,
    ("praise", "es"): 0.89,
    ("requests", "en"): 0.85,
    ("requests", "es"): 0.83,
    ("notices", "en"): 0.92,
    ("notices", "es"): 0.91,
}

OPPOSITES = [
    ("I am happy with this", "I am not happy with this"),
    ("I like the new design", "I don't like the new design"),
    ("The food was good", "The food was not good"),
    ("This works well", "This does not work well"),
    ("I would recommend it", "I would not recommend it"),
    ("The staff were friendly", "The staff were not friendly"),
    ("It is worth the money", "It is not worth the money"),
    ("I enjoyed the show", "I did not enjoy the show"),
    ("The room was clean", "The room was not clean"),
    ("I trust this company", "I don't trust this company"),
    ("This is helpful", "This is not helpful"),
    ("They care about customers", "They don't care about customers"),
    ("I am satisfied with the service", "I am not satisfied with the service"),
    ("The app is easy to use", "The app is not easy to use"),
    ("I love this song", "I don't love this song"),
    ("The update is an improvement", "The update is not an improvement"),
    ("We are proud of the result", "We are not proud of the result"),
    ("The coffee tastes great", "The coffee doesn't taste great"),
    ("I feel safe here", "I don't feel safe here"),
    ("It was a good day", "It was not a good day"),
    ("This is a fair price", "This is not a fair price"),
    ("The film is funny", "The film is not funny"),
    ("I'm impressed by the quality", "I'm not impressed by the quality"),
    ("The plan makes sense", "The plan makes no sense"),
    ("He did a great job", "He did not do a great job"),
    ("I was pleased with the delivery", "I was not pleased with the delivery"),
    ("The seats are comfortable", "The seats are not comfortable"),
    ("That was a smart decision", "That was not a smart decision"),
    ("I can recommend this hotel", "I cannot recommend this hotel"),
    ("It's the best phone I've had", "It's not the best phone I've had, far from it"),
    ("The team played well tonight", "The team did not play well tonight"),
    ("Their support is reliable", "Their support is not reliable"),
    ("I am excited about the trip", "I am not excited about the trip"),
    ("The book is interesting", "The book is not interesting"),
    ("She was kind to us", "She was not kind to us"),
    ("This shop is great for families", "This shop is not great for families"),
    ("The battery is good", "The battery is not good"),
    ("We had fun", "We had no fun"),
    ("I believe in this project", "I don't believe in this project"),
    ("The new menu is delicious", "The new menu is not delicious"),
]


def read(text: str, language: str | None = "en") -> Affect:
    return ENSEMBLE.read([text], [language])[0]


def emotion(text: str) -> str:
    found = read(text).emotion
    assert found is not None
    return found.label


def test_short_texts_of_many_languages_are_told_apart() -> None:
    """Two words or a list of names each, often: the last hundred were written after the rules."""
    with LANGUAGES.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    others = [row for row in rows if row["languages"].partition("|")[0] not in {"en", "es"}]
    assert len(rows) >= 600
    assert len({row["languages"].partition("|")[0] for row in others}) >= 30
    assert _right(rows) >= 0.955
    assert _right(others) >= 0.93
    for language in ("en", "es"):
        assert _right([row for row in rows if row["languages"] == language]) >= 0.945


def test_real_short_texts_are_told_apart() -> None:
    """Of other languages than English and Spanish `und` is right, too."""
    with SHORT.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    wrong = [
        (row["text"], code)
        for row in rows
        for code in [identify(row["text"])]
        if code not in row["language"].split("|") and (row["language"] in {"en", "es"} or code != "und")
    ]
    assert len(rows) == 500
    assert len(wrong) <= 10, wrong


def _right(rows: list[dict[str, str]]) -> float:
    return sum(identify(row["text"]) in row["languages"].split("|") for row in rows) / len(rows)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
def test_a_tampered_encoder_is_refused(tmp_path: Path, name: str) -> None:
    shutil.copytree(MODELS / "encoder", tmp_path / "encoder")
    content = bytearray((tmp_path / "encoder" / name).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "encoder" / name).write_bytes(content)
    with pytest.raises(WeightsRefused, match=name):
        Encoder.load(tmp_path / "encoder")


def test_the_encoder_is_small() -> None:
    assert (MODELS / "encoder" / "model.onnx").stat().st_size <= 30_000_000


def test_what_stands_beside_a_text_does_not_move_it() -> None:
    texts = [
        "good",
        "This is a rather long text about nothing in particular, with many words in it.",
        "😀",
        "#one @two",
        *(f"a tweet of like length, number {number}" for number in range(40)),
    ]
    together = ENCODER.encode(texts)
    for index, text in enumerate(texts):
        alone = ENCODER.encode([text])
        for name in ENCODER.heads:
            # Integer rounding at the edge of a step is all that may differ; a scale of the whole batch moved .15.
            np.testing.assert_allclose(softmax(together.logits[name][index]), softmax(alone.logits[name][0]), atol=2e-3)
    assert ENCODER.encode([]).embedding.shape[0] == 0


def test_negation_flips_the_sign() -> None:
    texts = [text for pair in OPPOSITES for text in pair]
    polarities = [affect.sentiment.polarity or 0.0 for affect in ENSEMBLE.read(texts, ["en"] * len(texts))]
    wrong = [
        pair
        for pair, first, second in zip(OPPOSITES, polarities[::2], polarities[1::2], strict=True)
        if not first > 0 > second
    ]
    assert len(wrong) <= 2, wrong


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("I love the new shoes from @acme", "I love the new shoes from @another_one"),
        ("Terrible service https://example.com/a", "Terrible service https://example.org/very/long?x=1"),
        ("What a wonderful morning", "What a wonderfull morning"),
        ("The worst flight I have ever had", "the worst flight i have ever had"),
        ("Thank you for the great support", "Thank you for teh great support"),
    ],
)
def test_handles_links_case_and_typos_do_not_turn_a_text_around(text: str, same: str) -> None:
    assert read(text).sentiment.label == read(same).sentiment.label


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("I love this, it is a great launch", "positive"),
        ("This is the worst, most terrible service", "negative"),
        ("The meeting is at 5pm", "neutral"),
        ("The office is on the third floor", "neutral"),
        ("whatever the ambassador says", "neutral"),
    ],
)
def test_the_plainest_texts_have_the_plainest_label(text: str, label: str) -> None:
    assert read(text).sentiment.label == label


def test_probabilities_sum_to_one_and_polarity_is_their_difference() -> None:
    sentiment = read("What a great day").sentiment
    assert sentiment.probabilities is not None
    assert sum(sentiment.probabilities.values()) == pytest.approx(1)
    difference = sentiment.probabilities["positive"] - sentiment.probabilities["negative"]
    assert sentiment.polarity == pytest.approx(difference)
    assert sentiment.components.keys() == {"transformer", "vader", "textblob"}
    assert all(-1 <= value <= 1 for value in sentiment.components.values())


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("I am so happy today!", "joy"),
        ("The meeting is at 5pm", "neutral"),
        ("I am furious about this", "anger"),
        ("I miss my grandmother so much, I can't stop crying", "sadness"),
        ("I am so scared of flying", "fear"),
        ("Wow, I did not expect that at all!", "surprise"),
    ],
)
def test_a_plain_emotion_is_named(text: str, label: str) -> None:
    assert emotion(text) == label


def test_negated_happiness_is_no_joy_and_a_word_within_a_word_no_emotion() -> None:
    assert emotion("I am not happy about this") != "joy"
    assert emotion("whatever you say") != "anger"


def test_an_insult_is_more_offensive_than_praise() -> None:
    insult, praise = read("You are a stupid idiot").risks, read("You are a wonderful person").risks
    assert insult is not None
    assert praise is not None
    assert insult["offensive"] > 0.5 > praise["offensive"]
    assert insult.keys() == {"irony", "offensive"}


@pytest.mark.parametrize("language", ["fr", "ja"])
def test_another_language_gets_no_numbers_from_english_and_spanish_models(language: str) -> None:
    affect = read("Me encanta este producto", language)
    assert affect.sentiment.supported is False
    assert affect.sentiment.components == {}
    assert affect.emotion is affect.risks is affect.intent is affect.entities is None


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Me encanta este producto", "positive"),
        ("Qué servicio tan malo, no vuelvo nunca", "negative"),
        ("La reunión es a las 17:00", "neutral"),
        pytest.param("No puedo estar más contenta con el resultado", "positive", marks=pytest.mark.xfail(strict=True)),
    ],
)
def test_spanish_is_read_by_the_encoder_and_by_no_english_lexicon(text: str, label: str) -> None:
    affect = read(text, "es")
    assert affect.sentiment.label == label
    assert affect.sentiment.supported
    assert affect.sentiment.components.keys() == {"transformer"}
    assert affect.emotion is not None
    assert affect.intent is not None
    assert affect.risks is not None
    assert affect.risks.keys() == {"offensive"}


@pytest.mark.parametrize("kind", sorted({case["kind"] for case in CASES}))
@pytest.mark.parametrize("language", ["en", "es"])
def test_the_kinds_that_everybody_notices_are_read(language: str, kind: str) -> None:
    cases = [case for case in CASES if (case["language"], case["kind"]) == (language, kind)]
    found = ENSEMBLE.read([case["text"] for case in cases], [language] * len(cases))
    wrong = [
        case["text"]
        for case, affect in zip(cases, found, strict=True)
        if any(getattr(affect, field).label not in case[field] for field in FIELDS if field in case)
    ]
    assert len(cases) >= 60
    assert 1 - len(wrong) / len(cases) >= FLOORS[kind, language], wrong


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Pedro Sánchez se reúne con Ursula von der Leyen en Bruselas", ["PERSON Pedro Sánchez", "LOC Bruselas"]),
        ("Google abre una oficina en Málaga", ["ORG Google", "LOC Málaga"]),
        ("@ana adora #madrid https://example.com/paris", []),
        ("¿Por qué llega tarde todo el mundo? Estamos esperando.", []),
    ],
)
def test_people_organisations_and_places_are_named_in_spanish(text: str, expected: list[str]) -> None:
    found = read(text, "es").entities
    assert found is not None
    spans = [f"{entity.label} {entity.text}" for entity in found]
    assert set(expected) <= set(spans)
    assert expected or not spans
    assert all(text[entity.start : entity.end] == entity.text for entity in found)


def test_emoji_and_handles_before_a_name_do_not_move_its_span() -> None:
    text = "😀 @ana 🚀 vio a Angela Merkel 😀 en Berlín"
    found = read(text, "es").entities or ()
    assert {"Angela Merkel", "Berlín"} <= {text[entity.start : entity.end] for entity in found}


def test_the_preset_of_the_specification_weighs_as_it_says() -> None:
    sentiment = SentimentEnsemble(ENCODER, weights="specification").read(["What a great day"], ["en"])[0].sentiment
    parts = sentiment.components
    expected = 0.4 * parts["transformer"] + 0.3 * parts["vader"] + 0.3 * parts["textblob"]
    assert sentiment.polarity == pytest.approx(expected)
    assert sentiment.probabilities is None


def test_an_encoder_that_fails_is_named_and_the_lexicons_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = Encoder.load(MODELS / "encoder")
    # A graph that answers with other widths, as a damaged one would.
    monkeypatch.setattr(encoder, "heads", {"nothing": ("a",)})
    affect = SentimentEnsemble(encoder).read(["What a great day"], ["en"])[0]
    assert affect.degraded == ("sentiment.transformer",)
    assert affect.sentiment.label == "positive"
    assert affect.sentiment.components.keys() == {"vader", "textblob"}
    assert affect.emotion is None
    assert affect.intent is None


@pytest.mark.parametrize(
    ("text", "language", "label"),
    [
        ("Good morning everybody, have a lovely day!", "en", "greeting"),
        ("Last chance: get 30% off everything until midnight", "en", "promote"),
        ("Which of these two colors do you prefer?", "en", "ask"),
        ("set a timer for ten minutes", "en", "other"),
        ("¡Buenos días a todos! Feliz lunes", "es", "greeting"),
        ("¿Cuál de estos dos colores prefieres?", "es", "ask"),
        ("Solo hoy: 30 % de descuento, compra ya", "es", "promote"),
    ],
)
def test_a_plain_intent_is_named(text: str, language: str, label: str) -> None:
    intent = read(text, language).intent
    assert intent is not None
    assert intent.label == label
    assert sum(intent.scores.values()) == pytest.approx(1)


def test_the_encoder_reads_names_of_emoji_and_no_names_of_people() -> None:
    assert as_read("Hi @ana 😀 https://example.com/x") == "Hi @user  grinning face  http"


def test_reading_sentiment_loads_neither_torch_nor_pandas() -> None:
    script = (
        "import sys; from pathlib import Path; from pipelines.encoder import Encoder;"
        "from pipelines.sentiment.ensemble import SentimentEnsemble;"
        f"SentimentEnsemble(Encoder.load(Path({str(MODELS / 'encoder')!r}))).read(['good'], ['en']);"
        "print({'torch', 'transformers', 'sklearn', 'pandas'} & sys.modules.keys())"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


PIECES = st.sampled_from(
    [
        "#tag",
        "@ana",
        "https://example.com/a",
        "$5",
        "10%",
        "👩🏽‍🚀",
        "¡",
        "NASA",
        "5 pm",
        "\n",
        "ñ",
        "\u200d",
        "中",
        "don't",
        "$TSLA",
    ]
)
TEXTS = st.lists(st.one_of(st.text(max_size=20), PIECES), min_size=1, max_size=12).map(" ".join)


def test_any_text_is_read_and_every_span_is_valid(request: pytest.FixtureRequest) -> None:
    @settings(
        max_examples=request.config.getoption("--fuzz"),
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
        database=None,
    )
    @given(st.lists(TEXTS, min_size=1, max_size=4), st.sampled_from([None, "en", "es", "fr"]))
    def fuzz(texts: list[str], language: str | None) -> None:
        languages = [language] * len(texts)
        for text, analysis in zip(texts, ANALYZER.analyze(texts, languages), strict=True):
            text = unicodedata.normalize("NFC", text)  # noqa: PLW2901  # offsets count in it
            for entity in analysis.entities or ():
                assert text[entity.start : entity.end] == entity.text
                assert entity.text
            for finding in analysis.findings or ():
                assert 0 <= finding.start < finding.end <= len(text)
            assert analysis.complexity_score is None or 0 <= analysis.complexity_score <= 1
        for affect in ENSEMBLE.read(texts, languages):
            assert affect.degraded == ()
            assert affect.sentiment.polarity is None or -1 <= affect.sentiment.polarity <= 1
            assert (affect.entities is None) == (language == "fr")

    fuzz()
