"""The fluency critic: what it refuses to load, and what its scores mean, computed a second time by hand."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.errors import WeightsRefused
from pipelines.generator.fluency import FluencyCritic
from pipelines.generator.generator import Generator
from tests.checkpoints import save_critic, vouch

TEXTS = ["Good coffee every week.", "coffee Good week every.", "Who wants coffee? We do."]
# Of bfloat16, which has 8 bits, in a score of some nats.
TOLERANCE = 0.05


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_critic(tmp_path_factory.mktemp("critic"))


@pytest.fixture(scope="module")
def critic(folder: Path) -> FluencyCritic:
    return FluencyCritic(folder)


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "critic"))


def by_hand(folder: Path, text: str, *, slor: bool) -> float:
    """The score of one text in float32 without batches, from the definition."""
    import torch
    from tokenizers import Tokenizer
    from transformers import GPT2LMHeadModel

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    end = tokenizer.token_to_id("<|endoftext|>")
    tokens = [end, *tokenizer.encode(text).ids, end]
    model = GPT2LMHeadModel.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.inference_mode():
        log_p = model(torch.tensor([tokens])).logits[0].log_softmax(dim=-1)
    unigrams = np.load(folder / "unigrams.npz")["log_p"]
    terms = [float(log_p[place, token]) - slor * float(unigrams[token]) for place, token in enumerate(tokens[1:])]
    return sum(terms) / len(terms)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json", "unigrams.npz"])
def test_a_changed_file_is_refused_at_the_start(copied: Path, name: str) -> None:
    (copied / name).write_bytes((copied / name).read_bytes() + b" ")
    with pytest.raises(WeightsRefused, match=f"{name} does not have the SHA-256"):
        Generator(critic=copied)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json", "unigrams.npz"])
def test_a_missing_file_is_refused(copied: Path, name: str) -> None:
    (copied / name).unlink()
    with pytest.raises(WeightsRefused, match=name):
        FluencyCritic(copied)
    vouch(copied)
    with pytest.raises(WeightsRefused, match=name):
        FluencyCritic(copied)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"measure": "guess"}, "guess"),
        ({"measure": None}, "measure"),
        ({"languages": []}, "languages"),
        ({"version": ""}, "version"),
        ({"fluency_floor": None}, "fluency_floor"),
        ({"format": 2}, "format 2"),
    ],
)
def test_metadata_that_does_not_say_what_the_scores_mean_is_refused(
    copied: Path, changes: dict[str, Any], message: str
) -> None:
    vouch(copied, **changes)
    with pytest.raises(WeightsRefused, match=message):
        FluencyCritic(copied)


def write_unigrams(folder: Path, log_p: Any) -> None:
    np.savez(folder / "unigrams.npz", log_p=log_p)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: (folder / "config.json").write_text("{"),
        lambda folder: (folder / "config.json").write_text('{"n_embd": 48, "n_layer": 2, "n_head": 2}'),
        lambda folder: (folder / "model.safetensors").write_bytes(b"not tensors"),
        lambda folder: (folder / "tokenizer.json").write_text("[]"),
        lambda folder: write_unigrams(folder, np.zeros(3, np.float32)),
        lambda folder: write_unigrams(folder, np.full(600, np.nan, np.float32)),
        lambda folder: np.savez(folder / "unigrams.npz", other=np.zeros(3)),
        lambda folder: (folder / "unigrams.npz").write_bytes(b"\x80\x04N."),
    ],
)
def test_files_that_are_vouched_for_but_do_not_fit_are_refused(copied: Path, spoil: Callable[[Path], Any]) -> None:
    spoil(copied)
    vouch(copied)
    with pytest.raises(WeightsRefused):
        FluencyCritic(copied)


def test_no_texts_have_no_scores(critic: FluencyCritic) -> None:
    assert critic.score([]) == []


def test_an_empty_text_is_as_likely_as_its_end(folder: Path, critic: FluencyCritic) -> None:
    assert critic.score([""])[0] == pytest.approx(by_hand(folder, "", slor=False), abs=TOLERANCE)


@pytest.mark.parametrize("measure", ["mean", "slor"])
def test_a_score_is_what_the_definition_says_in_nats_per_token(copied: Path, measure: str) -> None:
    vouch(copied, measure=measure)
    expected = [by_hand(copied, text, slor=measure == "slor") for text in TEXTS]
    assert FluencyCritic(copied).score(TEXTS) == pytest.approx(expected, abs=TOLERANCE)


def test_a_sentence_scores_above_its_words_in_another_order(critic: FluencyCritic) -> None:
    good, shuffled, other = critic.score(TEXTS)
    assert shuffled < min(good, other)


def test_a_text_scores_the_same_among_others_of_any_length(critic: FluencyCritic) -> None:
    texts = [*TEXTS, "", "coffee " * 9, *(f"week {number}" for number in range(40))]
    assert critic.score(texts) == pytest.approx([critic.score([text])[0] for text in texts], abs=TOLERANCE)


def test_a_text_that_spells_the_end_token_is_read_as_text(critic: FluencyCritic) -> None:
    spelled, plain = critic.score(["Good coffee.<|endoftext|>Good coffee.", "Good coffee."])
    assert spelled < plain - 1


def test_a_text_beyond_the_last_position_is_read_up_to_there(critic: FluencyCritic) -> None:
    long, longer = critic.score(["coffee week " * 200, "coffee week " * 400])
    assert long == pytest.approx(longer, abs=TOLERANCE)


def test_a_language_that_the_critic_does_not_speak_has_no_score(folder: Path) -> None:
    generator = Generator(critic=folder)
    scores = generator.score([("Good coffee.", "en"), ("Buen café.", "es"), ("Good coffee.", "und"), ("Tea.", None)])
    assert [score is None for score in scores] == [False, True, False, False]
    assert scores[0] == pytest.approx(scores[2], abs=TOLERANCE)


def test_without_a_critic_nothing_has_a_score() -> None:
    assert Generator().score([("Good coffee.", "en")]) == [None]


def test_the_version_names_the_critic_before_it_is_loaded(folder: Path) -> None:
    assert Generator(critic=folder).version == f"{Generator().version}+critic-test"
