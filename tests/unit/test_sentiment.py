"""What the ensemble reads: polarity, label, agreement, and what it does where a component is missing or fails."""

# ruff: noqa: RUF001  # styled letters are what is read here
from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from textblob import TextBlob

from pipelines.records import Affect, Sentiment
from pipelines.sentiment.ensemble import SentimentEnsemble, textblob_polarity
from pipelines.text.letters import plain_letters
from tests.checkpoints import WORDS, save_classifier


@pytest.fixture(scope="module")
def lexicons() -> SentimentEnsemble:
    return SentimentEnsemble()


@pytest.fixture(scope="module")
def classifier_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(save_classifier(tmp_path_factory.mktemp("classifier")))


@pytest.fixture(scope="module")
def ensemble(classifier_folder: Path) -> SentimentEnsemble:
    return SentimentEnsemble(transformer=str(classifier_folder))


def read(ensemble: SentimentEnsemble, text: str, language: str | None = "en") -> Affect:
    return ensemble.read([text], [language])[0]


def test_texts_and_languages_of_different_number_are_refused(lexicons: SentimentEnsemble) -> None:
    with pytest.raises(ValueError, match="zip"):
        lexicons.read(["one", "two"], ["en"])


def test_a_classifier_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        SentimentEnsemble(transformer=str(tmp_path / "nowhere"))


@pytest.mark.parametrize("language", ["es", "fr", "ja"])
def test_a_language_that_nothing_speaks_is_unsupported_not_neutral(lexicons: SentimentEnsemble, language: str) -> None:
    assert read(lexicons, "this is great", language) == Affect(
        sentiment=Sentiment(
            label=None, polarity=None, probabilities=None, components={}, agreement=None, supported=False
        )
    )


@pytest.mark.parametrize(
    ("styled", "label"),
    [
        ("𝐈 𝐥𝐨𝐯𝐞 𝐭𝐡𝐢𝐬 𝐚𝐩𝐩", "positive"),
        ("Ｉ ｈａｔｅ ｔｈｉｓ ａｐｐ", "negative"),
        ("𝗔𝘄𝗳𝘂𝗹 𝘀𝗲𝗿𝘃𝗶𝗰𝗲", "negative"),
        ("🅣🅗🅘🅢 is ⓖⓡⓔⓐⓣ", "positive"),
        ("ᴛʜɪꜱ ɪꜱ ᴛᴇʀʀɪʙʟᴇ", "negative"),
    ],
)
def test_styled_letters_are_read_as_plain_ones(lexicons: SentimentEnsemble, styled: str, label: str) -> None:
    reading = read(lexicons, styled)
    assert reading.sentiment.label == label
    assert reading == read(lexicons, plain_letters(styled))


@pytest.mark.parametrize("text", ["", "😀", "x" * 4000, "great " * 660, "but " * 1000, "!" * 4000])
def test_any_text_has_a_polarity_in_range(lexicons: SentimentEnsemble, text: str) -> None:
    polarity = read(lexicons, text).sentiment.polarity
    assert polarity is not None
    assert -1 <= polarity <= 1


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("I love this, it is a great launch", "positive"),
        ("This is the worst, most terrible service", "negative"),
        ("This is not a good idea", "negative"),
        ("The meeting is at noon", "neutral"),
        ("whatever the ambassador says", "neutral"),
        ("", "neutral"),
    ],
)
@pytest.mark.parametrize("language", ["en", "und", None])
def test_the_label_follows_the_polarity(
    lexicons: SentimentEnsemble, text: str, label: str, language: str | None
) -> None:
    assert read(lexicons, text, language).sentiment.label == label


def test_weights_are_renormalized_over_the_components_present(lexicons: SentimentEnsemble) -> None:
    sentiment = read(lexicons, "a good but boring day").sentiment
    assert sentiment.polarity == pytest.approx(sum(sentiment.components.values()) / 2)
    assert sentiment.components.keys() == {"vader", "textblob"}
    assert sentiment.probabilities is None


def test_a_component_without_weight_is_read_and_not_counted() -> None:
    ensemble = SentimentEnsemble(weights={"vader": 1.0})
    sentiment = read(ensemble, "the first new live show").sentiment
    assert sentiment.polarity == sentiment.components["vader"] == 0
    assert sentiment.components["textblob"] > 0
    ensemble.weights = {}
    assert read(ensemble, "great").sentiment.label is None


def test_components_of_opposite_sign_are_flagged(lexicons: SentimentEnsemble) -> None:
    assert read(lexicons, "what a great day").sentiment.agreement is True
    divided = read(lexicons, "the sick new live show").sentiment
    assert divided.components["vader"] < -0.05
    assert divided.components["textblob"] < -0.05
    assert divided.agreement is True
    opposed = lexicons.combine({"vader": 0.4, "textblob": -0.2}, None, supported=True)
    assert opposed.agreement is False
    assert lexicons.combine({"vader": 0.0, "textblob": 0.2}, None, supported=True).agreement is True


def test_without_a_classifier_nothing_is_degraded(lexicons: SentimentEnsemble) -> None:
    assert read(lexicons, "good").degraded == ()


def test_the_short_route_gives_textblobs_polarity() -> None:
    chance = random.Random(7)
    for _ in range(600):
        text = " ".join(chance.choices(WORDS, k=chance.randint(0, 14)))
        assert textblob_polarity(text) == TextBlob(text).sentiment.polarity, text


def test_a_lexicon_ensemble_loads_neither_torch_nor_transformers() -> None:
    script = (
        "import sys; from pipelines.sentiment.ensemble import SentimentEnsemble; "
        "SentimentEnsemble().read(['good'], ['en']); "
        "print({'torch', 'transformers', 'sklearn', 'pandas'} & sys.modules.keys())"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def test_a_classifier_gives_the_difference_of_its_probabilities(ensemble: SentimentEnsemble) -> None:
    good, bad = ensemble.read(["this is good", "this is bad"], ["en", "en"])
    assert good.sentiment.components["transformer"] > 0.5
    assert bad.sentiment.components["transformer"] < -0.5
    parts = good.sentiment.components
    expected = 0.4 * parts["transformer"] + 0.3 * parts["vader"] + 0.3 * parts["textblob"]
    assert good.sentiment.polarity == pytest.approx(expected)
    assert good.degraded == ()


def test_a_batch_answers_like_single_calls_in_the_order_asked(ensemble: SentimentEnsemble) -> None:
    texts = [f"{word} " * (index % 5 + 1) for index, word in enumerate(WORDS)]
    together = ensemble.read(texts, ["en"] * len(texts))
    for text, affect in zip(texts, together, strict=True):
        alone = read(ensemble, text).sentiment.components["transformer"]
        assert affect.sentiment.components["transformer"] == pytest.approx(alone, abs=1e-5)


def test_a_text_beyond_the_classifiers_positions_is_truncated(ensemble: SentimentEnsemble) -> None:
    affect = read(ensemble, "this is good " * 300)
    assert "transformer" in affect.sentiment.components
    assert affect.degraded == ()


def test_handles_and_links_do_not_move_the_classifier(ensemble: SentimentEnsemble) -> None:
    first = read(ensemble, "this is good @ana https://example.com/bad").sentiment.components["transformer"]
    second = read(ensemble, "this is good @bad_eva https://example.org").sentiment.components["transformer"]
    assert first == second


def test_a_classifier_speaks_its_own_languages_alone(classifier_folder: Path) -> None:
    spanish = SentimentEnsemble(transformer=str(classifier_folder), transformer_languages=["es"])
    assert read(spanish, "this is good", "es").sentiment.components.keys() == {"transformer"}
    assert read(spanish, "this is good", "es").sentiment.agreement is None
    assert read(spanish, "this is good", "en").sentiment.components.keys() == {"vader", "textblob"}
    assert read(spanish, "this is good", "fr").sentiment.supported is False


def test_a_classifier_that_fails_is_named_and_the_lexicons_answer(classifier_folder: Path) -> None:
    import torch

    ensemble = SentimentEnsemble(transformer=str(classifier_folder), transformer_languages=["en", "es"])
    classifier: Any = ensemble._classifier
    # Weights of another width: what a broken checkpoint does at the first text.
    classifier._model.classifier.dense = torch.nn.Linear(7, 7)
    english, spanish = ensemble.read(["what a great day", "this is good"], ["en", "es"])
    assert english.sentiment.components.keys() == {"vader", "textblob"}
    assert english.sentiment.label == "positive"
    assert english.degraded == ("sentiment.transformer",)
    assert spanish.sentiment.label is None
    assert spanish.sentiment.supported is True
    assert spanish.degraded == ("sentiment.transformer",)


def test_a_text_that_breaks_the_classifier_costs_none_of_its_neighbours_anything(tmp_path: Path) -> None:
    ensemble = SentimentEnsemble(transformer=save_classifier(tmp_path, poison="qqpoison"))
    texts = ["this is good", "this is qqpoison", "this is bad", "what qqpoison is this", "this is coffee"]
    affects = ensemble.read(texts, ["en"] * len(texts))
    poisoned = ("sentiment.transformer",)
    assert [affect.degraded for affect in affects] == [(), poisoned, (), poisoned, ()]
    alone = read(ensemble, "this is good").sentiment.components["transformer"]
    assert affects[0].sentiment.components["transformer"] == pytest.approx(alone, abs=1e-5)


@pytest.mark.parametrize("labels", [["1 star", "2 stars", "3 stars"], ["negative", "neutral", "neutral"]])
def test_labels_that_are_no_opinions_are_refused(classifier_folder: Path, tmp_path: Path, labels: list[str]) -> None:
    with pytest.raises(ValueError, match="id2label"):
        SentimentEnsemble(transformer=str(relabeled(classifier_folder, tmp_path, labels)))


def test_three_unnamed_labels_are_taken_in_the_usual_order(classifier_folder: Path, tmp_path: Path) -> None:
    unnamed = SentimentEnsemble(
        transformer=str(relabeled(classifier_folder, tmp_path, ["LABEL_0", "LABEL_1", "LABEL_2"]))
    )
    assert read(unnamed, "this is good").sentiment.components["transformer"] > 0.5


def relabeled(classifier_folder: Path, target: Path, labels: list[str]) -> Path:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(classifier_folder)
    model.config.id2label = dict(enumerate(labels))
    model.save_pretrained(target)
    AutoTokenizer.from_pretrained(classifier_folder).save_pretrained(target)
    return target


def test_the_version_tells_ensembles_apart(lexicons: SentimentEnsemble, ensemble: SentimentEnsemble) -> None:
    weighted = SentimentEnsemble(weights={"transformer": 0.5, "vader": 0.4, "textblob": 0.1})
    assert len({lexicons.version, ensemble.version, weighted.version}) == 3
