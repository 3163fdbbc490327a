"""The fluency critic: how likely a small GPT-2 finds a text, so that a broken sentence ranks below a whole one.

Trained by training.generator. It says nothing about sense or truth.
"""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pipelines.errors import WeightsRefused
from pipelines.generator.language_model import fast_dtype
from pipelines.text.tweets import masked
from pipelines.weights import read_arrays, read_weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

FORMAT: Final = 1
END: Final = "<|endoftext|>"
MEASURES: Final = ("mean", "slor")
MAX_BATCH: Final = 16


def read_critic(folder: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return metadata and files of a critic without loading torch.

    Raises:
        WeightsRefused: see weights.read_weights; or a file, the measure or the languages are missing.
    """
    metadata, files = read_weights(folder, FORMAT)
    if missing := {"config.json", "model.safetensors", "tokenizer.json", "unigrams.npz"} - files.keys():
        raise WeightsRefused(f"{folder}: metadata.json vouches for no {min(missing)}")
    if metadata.get("measure") not in MEASURES:
        raise WeightsRefused(f"{folder}: measure is {metadata.get('measure')!r}, not one of {', '.join(MEASURES)}")
    if not metadata.get("languages") or not metadata.get("version"):
        raise WeightsRefused(f"{folder}: metadata.json names no languages or no version")
    if not isinstance(metadata.get("fluency_floor"), float):
        raise WeightsRefused(f"{folder}: metadata.json has no fluency_floor")
    return metadata, files


class FluencyCritic:
    """Holds one GPT-2 with its tokenizer and the log-probabilities of single tokens."""

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        """Load the critic; see language_model.fast_dtype for its precision.

        Raises:
            WeightsRefused: see read_critic; or the files do not fit each other.
        """
        import torch  # noqa: PLC0415  # templates alone do without torch and transformers
        from safetensors.torch import load  # noqa: PLC0415
        from tokenizers import Tokenizer  # noqa: PLC0415

        transformers: Any = import_module("transformers")
        metadata, files = read_critic(folder)
        try:
            self._tokenizer = Tokenizer.from_str(files["tokenizer.json"].decode())
            model = transformers.GPT2LMHeadModel(transformers.GPT2Config(**json.loads(files["config.json"])))
            # The output layer is the embedding, which is stored once.
            missing, unknown = model.load_state_dict(load(files["model.safetensors"]), strict=False)
            log_p = read_arrays(files["unigrams.npz"])["log_p"]
        except Exception as error:  # tokenizers raises no narrower one
            raise WeightsRefused(f"{folder}: {error}") from error
        end = self._tokenizer.token_to_id(END)
        size = model.config.vocab_size
        if unknown or set(missing) - {"lm_head.weight"} or end is None or self._tokenizer.get_vocab_size() > size:
            raise WeightsRefused(f"{folder}: weights, tokenizer and config do not fit each other")
        if log_p.shape != (size,) or log_p.dtype != np.float32 or not np.isfinite(log_p).all():
            raise WeightsRefused(f"{folder}: unigrams.npz is not {size} finite log-probabilities in float32")
        model.tie_weights()
        self._model: Any = model.to(device=device, dtype=fast_dtype(device)).eval()
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._end = end
        self._unigrams = torch.from_numpy(log_p).to(device)
        self._slor = metadata["measure"] == "slor"
        self._device = device
        self.version = str(metadata["version"])
        self.languages = frozenset(metadata["languages"])

    def score(self, texts: Sequence[str]) -> list[float]:
        """Return for each text, in nats, the mean log-likelihood of its tokens and the end after them.

        Where metadata.json says "slor", what the tokens' own frequency explains is taken off first: the syntactic
        log-odds ratio (log p_LM - log p_unigram) / tokens (Pauls and Klein 2012; Lau, Clark and Lappin 2017,
        doi:10.1111/cogs.12414).
        """
        return [mean - unigram * self._slor for mean, unigram in self.likelihoods(texts)]

    def likelihoods(self, texts: Sequence[str]) -> list[tuple[float, float]]:
        """Return for each text the mean log-likelihood of a token, by the model and by its frequency alone, in nats.

        Links and handles are read as masks. What comes after the model's last position is not read.
        """
        # A text that spells the end token is a text.
        plain = [masked(text.replace(END, "< |endoftext|>")) for text in texts]
        encoded = self._tokenizer.encode_batch(plain, add_special_tokens=False)
        return self.token_likelihoods([encoding.ids for encoding in encoded])

    def token_likelihoods(self, texts: Sequence[Sequence[int]]) -> list[tuple[float, float]]:
        """Return the same for texts whose token ids are known, without end tokens."""
        import torch  # noqa: PLC0415

        most = self._model.config.n_positions
        tokens = [[self._end, *ids, self._end][: most + 1] for ids in texts]
        order = sorted(range(len(tokens)), key=lambda index: len(tokens[index]))
        found = [(0.0, 0.0)] * len(tokens)
        with torch.inference_mode():
            for start in range(0, len(order), MAX_BATCH):
                chunk = order[start : start + MAX_BATCH]
                for index, pair in zip(chunk, self._read([tokens[index] for index in chunk]).tolist(), strict=True):
                    found[index] = (pair[0], pair[1])
        return found

    def _read(self, tokens: list[list[int]]) -> torch.Tensor:
        """Return (rows, 2) for token ids of like length, shortest first; padding stands right, seen by no token."""
        import torch  # noqa: PLC0415

        longest = len(tokens[-1])
        rows = torch.tensor([row + [self._end] * (longest - len(row)) for row in tokens], device=self._device)
        counts = torch.tensor([len(row) - 1 for row in tokens], device=self._device)
        read = torch.arange(longest - 1, device=self._device) < counts[:, None]
        targets = rows[:, 1:][read]
        hidden = self._model.transformer(input_ids=rows[:, :-1], use_cache=False).last_hidden_state
        logits = self._model.lm_head(hidden[read]).float()
        log_p = -torch.nn.functional.cross_entropy(logits, targets, reduction="none")
        sums = torch.zeros(len(tokens), 2, device=self._device)
        row_of = read.nonzero()[:, 0]
        sums.index_add_(0, row_of, torch.stack([log_p, self._unigrams[targets]], dim=1))
        return sums / counts[:, None]
