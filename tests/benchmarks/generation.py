"""python -m tests.benchmarks.generation: ways to decode on this CPU, and how fast the critic reads.

Random weights in two sizes, the bundled one and gpt2's: speed does not depend on what was learned. One prompt for all
candidates, as a brief has it. All ways take turns in every round; medians, and the fastest and slowest round beside
them. Prints tables and writes tests/benchmarks/results/generation.json.
"""

import copy
import json
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers.pytorch_utils import Conv1D

from pipelines.generator.fluency import FluencyCritic
from pipelines.generator.language_model import fast_dtype, forward
from tests.benchmarks.local import ROOT
from tests.checkpoints import bundled_size, save_critic

RESULT = ROOT / "tests" / "benchmarks" / "results" / "generation.json"
SIZES = {
    "bundled": bundled_size(),
    "gpt2": transformers.GPT2Config(),
}
BATCHES = (1, 4, 8)
# Each number of candidates would be compiled by itself, for half a minute: this one stands for all.
COMPILED_BATCH = 4
ROUNDS = 3
PROMPT_TOKENS, NEW_TOKENS = 64, 32
TEXTS = 256
TEXT_TOKENS = 32
# No new round after that, so that a slow machine ends too.
BUDGET_S = 300.0

Decode = Callable[[Any, int], Any]


def plain(model: Any, cache: str = "dynamic") -> Decode:
    """transformers' own loop; every candidate reads the prompt again."""

    def decode(prompt: Any, rows: int) -> Any:
        config = transformers.GenerationConfig(
            do_sample=False, max_new_tokens=NEW_TOKENS, min_new_tokens=NEW_TOKENS, pad_token_id=0, eos_token_id=1,
            cache_implementation=None if cache == "dynamic" else cache,
        )  # fmt: skip
        tokens = prompt.expand(rows, -1)
        return model.generate(input_ids=tokens, attention_mask=torch.ones_like(tokens), generation_config=config)

    return decode


def own(model: Any, *, shared: bool) -> Decode:
    """The loop of pipelines.generator.language_model, with the prompt read once or for every candidate."""

    def decode(prompt: Any, rows: int) -> Any:
        tokens = prompt if shared else prompt.expand(rows, -1)
        mask = torch.ones_like(tokens)
        cache = transformers.DynamicCache(config=model.config)
        logits = forward(model, tokens, mask, cache)
        if shared:
            places = torch.zeros(rows, dtype=torch.long)
            cache.batch_select_indices(places)
            logits, mask = logits[places], mask[places]
        for _ in range(NEW_TOKENS - 1):
            drawn = logits.argmax(dim=-1, keepdim=True)
            mask = torch.cat([mask, mask.new_ones(rows, 1)], dim=1)
            logits = forward(model, drawn, mask, cache)
        return logits.argmax(dim=-1)

    return decode


def static(model: Any, *, compiled: bool) -> Decode:
    """A cache of fixed size, and a step that torch.compile may turn into one kernel a layer."""
    length = PROMPT_TOKENS + NEW_TOKENS

    def step(tokens: Any, mask: Any, places: Any, cache: Any) -> Any:
        output = model(
            input_ids=tokens, attention_mask=mask, position_ids=places, past_key_values=cache, use_cache=True
        )
        return output.logits[:, -1]

    fast = torch.compile(step, dynamic=False) if compiled else step

    def decode(prompt: Any, rows: int) -> Any:
        tokens = prompt.expand(rows, -1).contiguous()
        cache = transformers.StaticCache(config=model.config, max_cache_len=length)
        mask = torch.ones(rows, length, dtype=torch.long)
        mask[:, PROMPT_TOKENS:] = 0
        places = torch.arange(PROMPT_TOKENS).expand(rows, -1)
        logits = step(tokens, mask, places, cache)
        for place in range(PROMPT_TOKENS, length - 1):
            mask[:, place] = 1
            drawn = logits.argmax(dim=-1, keepdim=True)
            logits = fast(drawn, mask, torch.full((rows, 1), place), cache)
        return logits.argmax(dim=-1)

    return decode


def int8(model: Any) -> Any:
    """The model with linear layers in int8, their inputs quantized as they come; GPT-2's are stored transposed."""
    model = copy.deepcopy(model)
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, Conv1D):
                linear = torch.nn.Linear(*child.weight.shape)
                linear.weight.data, linear.bias.data = child.weight.data.t().contiguous(), child.bias.data
                setattr(module, name, linear)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.ao says that torchao replaces it
        return torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)


def time_in_turns(ways: dict[str, Callable[[], Any]], until: float) -> dict[str, list[float]]:
    """Milliseconds of every way in every round, after a first call that does not count."""
    for way in list(ways):
        try:
            ways[way]()
        except Exception as error:  # noqa: BLE001  # a compiler may be missing
            print(f"{way} does not run here: {type(error).__name__}", flush=True)
            del ways[way]
    times: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(ROUNDS):
        if turn and time.monotonic() > until:
            break
        for way, call in ways.items():
            started = time.perf_counter()
            call()
            times[way].append((time.perf_counter() - started) * 1000)
    return times


def summary(times: list[float]) -> dict[str, Any]:
    return {"median": statistics.median(times), "fastest": min(times), "slowest": max(times), "rounds": len(times)}


def decoding(size: str, started: float) -> list[dict[str, Any]]:
    torch.manual_seed(0)
    model = transformers.GPT2LMHeadModel(SIZES[size]).eval()
    fast = copy.deepcopy(model).to(torch.bfloat16)
    ways = {
        "generate": plain(model),
        "generate, static cache": plain(model, "static"),
        "own loop": own(model, shared=False),
        "own loop, static cache": static(model, compiled=False),
        "own loop, static cache, compiled step": static(model, compiled=True),
        "shared prompt": own(model, shared=True),
        "shared prompt, bf16": own(fast, shared=True),
        "shared prompt, int8": own(int8(model), shared=True),
    }
    prompt = torch.randint(2, 8192, (1, PROMPT_TOKENS))
    rows = []
    for batch in BATCHES:
        torch.compiler.reset()
        calls = {way: lambda decode=decode, batch=batch: decode(prompt, batch) for way, decode in ways.items()}
        if batch != COMPILED_BATCH:
            del calls["own loop, static cache, compiled step"]
        for way, times in time_in_turns(calls, started + BUDGET_S).items():
            found = summary(times)
            rows.append({
                "size": size, "batch": batch, "way": way, "ms": found,
                "ms_per_candidate": found["median"] / batch, "tokens_per_s": batch * NEW_TOKENS / found["median"] * 1e3,
            })  # fmt: skip
            print(f"{size} {batch} {way}: {found['median']:.0f} ms", flush=True)
    return rows


def scoring(started: float) -> list[dict[str, Any]]:
    """Texts a second of the critic's own batching, at the bundled size."""
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        critic = FluencyCritic(save_critic(Path(folder), steps=0))
    model = transformers.GPT2LMHeadModel(SIZES["bundled"]).eval()
    critic._unigrams = torch.zeros(8192)
    lengths = torch.randint(TEXT_TOKENS // 2, TEXT_TOKENS * 3 // 2, (TEXTS,)).tolist()
    tokens = [torch.randint(2, 8192, (length,)).tolist() for length in lengths]
    ways = {}
    for way, variant in {
        "float32": model, "bf16": copy.deepcopy(model).to(torch.bfloat16), "int8": int8(model)
    }.items():  # fmt: skip
        scorer = copy.copy(critic)
        scorer._model = variant
        ways[way] = lambda scorer=scorer: scorer.token_likelihoods(tokens)
    times = time_in_turns(ways, started + BUDGET_S)
    return [
        {"way": way, "ms": summary(found), "texts_per_s": TEXTS / statistics.median(found) * 1000}
        for way, found in times.items()
    ]


def table(result: dict[str, Any]) -> str:
    lines = [
        f"{PROMPT_TOKENS} + {NEW_TOKENS} tokens, {result['threads']} threads; fast here: {result['fast_dtype']}",
        "",
        "| size | candidates | way | ms (range) | ms a candidate | tokens/s | to generate |",
        "|---|---|---|---|---|---|---|",
    ]
    plainly = {
        (row["size"], row["batch"]): row["ms"]["median"] for row in result["decoding"] if row["way"] == "generate"
    }
    for row in result["decoding"]:
        ms = row["ms"]
        gain = plainly[row["size"], row["batch"]] / ms["median"]
        lines.append(
            f"| {row['size']} | {row['batch']} | {row['way']} | {ms['median']:.0f} ({ms['fastest']:.0f} to "
            f"{ms['slowest']:.0f}) | {row['ms_per_candidate']:.0f} | {row['tokens_per_s']:.0f} | {gain:.2f} |"
        )
    lines += ["", "| scoring | texts/s | ms for all (range) |", "|---|---|---|"]
    for row in result["scoring"]:
        ms = row["ms"]
        spread = f"{ms['median']:.0f} ({ms['fastest']:.0f} to {ms['slowest']:.0f})"
        lines.append(f"| {row['way']} | {row['texts_per_s']:.0f} | {spread} |")
    return "\n".join(lines)


def main() -> None:
    started = time.monotonic()
    transformers.logging.set_verbosity_error()
    with torch.inference_mode():
        result: dict[str, Any] = {
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "fast_dtype": str(fast_dtype("cpu")).removeprefix("torch."),
            "scoring": scoring(started),
            "decoding": [row for size in SIZES for row in decoding(size, started)],
        }
    result["seconds"] = round(time.monotonic() - started)
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(table(result))


if __name__ == "__main__":
    main()
