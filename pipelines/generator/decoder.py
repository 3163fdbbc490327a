"""The language model that writes posts, run by ONNX Runtime on the CPU: many samples of a few prompts at once.

A prompt is read once; its keys and values are copied to as many rows as samples are wanted, and all rows, of all
prompts, take each step together. A row leaves the batch when it ends. What a row becomes depends on its prompt, its
seed and the settings, never on the rows beside it: activations are quantized with constant scales.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from safetensors.numpy import load_file
from tokenizers import Tokenizer

Floats = npt.NDArray[np.float32]
Veto = Callable[[list[int], Floats], None]
"""Gets the tokens of a row so far and the (vocabulary,) logits of the next; sets those it forbids to -inf."""
Over = Callable[[], bool]

END = "<|im_end|>"
MAX_ROWS = 32
POSITIONS = 1024
GRAIN = 32
NEGLIGIBLE = 12.0
"""A token whose tempered logit is this far below the best is never drawn: e^-12 is six in a million."""


@dataclass(frozen=True)
class Request:
    """A prompt, and one seed for each sample that is wanted."""

    prompt: str
    seeds: Sequence[int]
    veto: Veto | None = None


@dataclass(frozen=True)
class Settings:
    """How to draw: with top-p 1 and temperature 1 from the model's own distribution."""

    temperature: float = 0.7
    top_p: float = 0.9
    longest: int = 110


@dataclass(frozen=True)
class Sample:
    """A text, and the log-probabilities that the model itself, untempered, gave its tokens and the end mark."""

    text: str
    log_probabilities: list[float]
    finished: bool

    @property
    def total(self) -> float:
        """Log-likelihood of the whole."""
        return sum(self.log_probabilities)

    @property
    def mean(self) -> float:
        """Log-likelihood per token."""
        return self.total / max(len(self.log_probabilities), 1)


@dataclass
class _Row:
    """One sample in the making; `length` counts the tokens whose keys and values are stored."""

    request: int
    place: int
    veto: Veto | None
    chance: np.random.Generator
    length: int
    logits: Floats
    tokens: list[int] = field(default_factory=list)
    log_probabilities: list[float] = field(default_factory=list)
    finished: bool = False


class Decoder:
    """The model in `folder`: model.onnx, tokenizer.json, prefix.safetensors. One call at a time: rows share a cache."""

    def __init__(self, folder: Path, threads: int = 2) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.enable_mem_pattern = False
        options.log_severity_level = 3
        self.tokenizer: Tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        end = self.tokenizer.token_to_id(END)
        if end is None:
            raise ValueError(f"{folder}: the tokenizer has no {END}")
        self.end: int = end
        prefix = load_file(folder / "prefix.safetensors")
        self._prefix_tokens: list[int] = prefix["tokens"].tolist()
        self._prefix: Floats = prefix["cache"].astype(np.float32)
        self._session = ort.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
        self._cache: list[Floats] = []
        self._n_layers, _, self._n_heads, _, self._head = self._prefix.shape
        self._vocabulary = self.tokenizer.get_vocab_size()

    def sample(
        self,
        requests: Sequence[Request],
        settings: Settings = Settings(),
        deadline: float | None = None,
        *,
        told: Callable[[int, Sample], None] | None = None,
        left: Over | None = None,
    ) -> list[list[Sample]]:
        """Return the samples of each request, in the order of its seeds.

        At `deadline`, on the clock of `time.monotonic`, the rest is returned as it is, unfinished; so it is once
        `left`, which is asked before each step, says that nobody waits any more. `told` gets each sample that ends,
        with the number of its request, while the others go on.

        Raises:
            ValueError: a prompt does not begin as all prompts do, or is too long.
        """

        def over() -> bool:
            return (deadline is not None and time.monotonic() >= deadline) or (left is not None and left())

        jobs = [(i, place) for i, request in enumerate(requests) for place in range(len(request.seeds))]
        prompts = [self._encoded(request.prompt) for request in requests]
        done: dict[tuple[int, int], _Row] = {}
        for start in range(0, len(jobs), MAX_ROWS):
            rows = self._opened(requests, prompts, jobs[start : start + MAX_ROWS], settings, over)
            done |= {(row.request, row.place): row for row in rows}
            for row in self._run(rows, settings, over):
                if told is not None:
                    told(row.request, self._finished(row))
        return [
            [self._finished(done.get((i, place))) for place in range(len(request.seeds))]
            for i, request in enumerate(requests)
        ]

    def score(self, prompt: str, texts: Sequence[str]) -> list[float]:
        """Return the log-likelihood per token of each text, the end mark included, as answers to the prompt.

        Raises:
            ValueError: the prompt does not begin as all prompts do, or it and a text are too long.
        """
        tokens = self._encoded(prompt)
        answers = [[*self.tokenizer.encode(text).ids, self.end] for text in texts]
        self._reserve(1, len(tokens) + max(map(len, answers), default=0))
        n = len(tokens)
        first = self._read(0, tokens)
        means = []
        for answer in answers:
            logits = first[None]
            if len(answer) > 1:
                rest = self._step(
                    0, 1, np.array([answer[:-1]]), np.array([n + len(answer) - 1]), np.arange(len(answer) - 1)
                )
                logits = np.concatenate([logits, rest])
            chosen = logits[np.arange(len(answer)), answer]
            means.append(float((chosen - _log_sum(logits)).mean()))
        return means

    def _encoded(self, prompt: str) -> list[int]:
        tokens: list[int] = self.tokenizer.encode(prompt).ids
        n = len(self._prefix_tokens)
        if tokens[:n] != self._prefix_tokens or len(tokens) == n:
            raise ValueError("the prompt does not begin as it should")
        return tokens

    def _reserve(self, rows: int, tokens: int) -> None:
        """See to it that the cache has room: for each layer keys and values of (rows, heads, tokens, head)."""
        if tokens > POSITIONS:
            raise ValueError(f"{tokens} tokens are more than {POSITIONS}")
        have = self._cache[0].shape if self._cache else (0, 0, 0, 0)
        if have[0] < rows or have[2] < tokens:
            capacity = -(-max(tokens, have[2]) // GRAIN) * GRAIN
            shape = (max(rows, have[0]), self._n_heads, capacity, self._head)
            self._cache = []
            self._cache = [np.zeros(shape, np.float32) for _ in range(2 * self._n_layers)]

    def _read(self, row: int, tokens: list[int]) -> Floats:
        """Read a prompt into a row of the cache; returns the (vocabulary,) logits of what follows it."""
        n = len(self._prefix_tokens)
        for i, part in enumerate(self._cache):
            part[row, :, :n] = self._prefix[i // 2, i % 2]
        width = len(tokens) - n
        logits: Floats = self._step(
            row, row + 1, np.array([tokens[n:]]), np.array([len(tokens)]), np.array([width - 1])
        )[0]
        return logits

    def _step(
        self,
        start: int,
        stop: int,
        tokens: npt.NDArray[np.int64],
        lengths: npt.NDArray[np.int64],
        places: npt.NDArray[np.int64],
    ) -> Floats:
        """Put (rows, width) tokens through the model, in place in the rows start:stop of the cache.

        `lengths` (rows,) count the tokens of each row after this step; returns the (places, vocabulary) logits at
        `places` of the flattened tokens.
        """
        binding = self._session.io_binding()
        # Bound by address: these must live until the run is over.
        last = (lengths - 1).astype(np.int32)
        longest = np.array(lengths.max(), np.int32)
        for name, array in (("tokens", tokens), ("places", places), ("lengths", last), ("longest", longest)):
            binding.bind_input(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
        for i, part in enumerate(self._cache):
            name, shape = f"{'value' if i % 2 else 'key'}.{i // 2}", (stop - start, *part.shape[1:])
            address = part.ctypes.data + start * part.strides[0]
            binding.bind_input(name, "cpu", 0, np.float32, shape, address)
            binding.bind_output(f"new_{name}", "cpu", 0, np.float32, shape, address)
        logits = np.empty((len(places), self._vocabulary), np.float32)
        binding.bind_output("logits", "cpu", 0, np.float32, logits.shape, logits.ctypes.data)
        self._session.run_with_iobinding(binding)
        return logits

    def _opened(
        self,
        requests: Sequence[Request],
        prompts: list[list[int]],
        jobs: list[tuple[int, int]],
        settings: Settings,
        over: Over,
    ) -> list[_Row]:
        """Read the prompts of the jobs into the cache; returns one row a job, row i in place i of the cache."""
        self._reserve(len(jobs), max(len(prompts[i]) for i, _ in jobs) + settings.longest)
        rows: list[_Row] = []
        for at, (i, place) in enumerate(jobs):
            n = len(prompts[i])
            if rows and rows[-1].request == i:
                logits = rows[-1].logits
                for part in self._cache:
                    part[at, :, :n] = part[at - 1, :, :n]
            elif over():
                break
            else:
                logits = self._read(at, prompts[i])
            chance = np.random.default_rng(requests[i].seeds[place])
            rows.append(_Row(i, place, requests[i].veto, chance, n, logits))
        return rows

    def _run(self, rows: list[_Row], settings: Settings, over: Over) -> Iterator[_Row]:
        """Draw tokens for all rows until each has ended, is as long as allowed, or it is over; yield those that end."""
        live = list(rows)
        while live:
            for at in reversed(range(len(live))):
                if not self._draw(live[at], settings):
                    yield live[at]
                    # The last row takes the place of the one that ended.
                    moved = live.pop()
                    if at < len(live):
                        for part in self._cache:
                            part[at, :, : moved.length] = part[len(live), :, : moved.length]
                        live[at] = moved
            if not live or over():
                return
            for row in live:
                row.length += 1
            logits = self._step(
                0,
                len(live),
                np.array([[row.tokens[-1]] for row in live]),
                np.array([row.length for row in live]),
                np.arange(len(live)),
            )
            for row, its in zip(live, logits, strict=True):
                row.logits = its

    def _draw(self, row: _Row, settings: Settings) -> bool:
        """Draw the next token of a row; returns whether it goes on."""
        logits = row.logits
        if row.veto is not None:
            logits = logits.copy()
            row.veto(row.tokens, logits)
        token = drawn(logits, settings, row.chance)
        if token is None:
            return False
        row.log_probabilities.append(float(row.logits[token] - _log_sum(row.logits)))
        row.finished = token == self.end
        if row.finished:
            return False
        row.tokens.append(token)
        return len(row.tokens) < settings.longest

    def _finished(self, row: _Row | None) -> Sample:
        if row is None:
            return Sample("", [], finished=False)
        return Sample(self.tokenizer.decode(row.tokens), row.log_probabilities, row.finished)


def drawn(logits: Floats, settings: Settings, chance: np.random.Generator) -> int | None:
    """Draw from (vocabulary,) logits; None if all are forbidden. Temperature 0 takes the best."""
    best = int(logits.argmax())
    if np.isneginf(logits[best]):
        return None
    if settings.temperature <= 0:
        return best
    candidates = np.flatnonzero(logits > logits[best] - NEGLIGIBLE * settings.temperature)
    weights = np.exp((logits[candidates] - logits[best]).astype(np.float64) / settings.temperature)
    order = np.argsort(-weights, kind="stable")
    sums = np.cumsum(weights[order])
    kept = int(np.searchsorted(sums, settings.top_p * sums[-1])) + 1
    kept = min(kept, len(order))
    at = int(np.searchsorted(sums[:kept], chance.random() * sums[kept - 1], side="right"))
    return int(candidates[order[min(at, kept - 1)]])


def _log_sum(logits: Floats) -> Floats:
    """Return the log of the sum of the exponentials over the last axis."""
    top = logits.max(-1, keepdims=True)
    total: Floats = np.log(np.exp(logits - top).sum(-1)) + top[..., 0]
    return total
