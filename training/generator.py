"""Trains the fluency critic: a small GPT-2 with a vocabulary of its own, on texts that may train a language model.

python -m training.generator --data ../shared/data --out models/generator

Beside the likelihood of the texts it learns that a text is likelier than its corruption (training/corruptions.py), by
the same mean log-likelihood per token that the product asks of it. English: no other language may be had.
"""

from __future__ import annotations

import argparse
import json
import math
import random
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from tqdm import tqdm

from training.corpus import CONGRESS, Text, read_corpus
from training.corruptions import JUDGED, corrupt

END = "<|endoftext|>"
MASKS = ("<url>", "<user>")
VOCABULARY, POSITIONS, WIDTH, LAYERS, HEADS = 8192, 128, 320, 6, 5
BATCH_TOKENS = 1024
PEAK_RATE, WARM_UP, DECAY = 1.5e-3, 0.03, 0.1
# Pairs come late: from the start they drown the likelihood (seen: after 300 steps still the entropy of single words).
PAIRS_FROM, PAIR_SHARE, PAIR_SHARPNESS, PAIR_WEIGHT = 0.6, 0.4, 10.0, 0.15
# Of all tokens; half is what the data allows.
CONGRESS_SHARE = 0.4
LOG_EVERY = 100


def train_tokenizer(texts: Sequence[str], special: Sequence[str] = MASKS) -> Tokenizer:
    """Return a byte-level BPE that puts the end token around a text; `special` are tokens of their own."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END, *special],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        min_frequency=2,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    end = tokenizer.token_to_id(END)
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{END} $A {END}", special_tokens=[(END, end)])
    tokenizer.enable_truncation(POSITIONS)
    return tokenizer


def mix(texts: Sequence[Text], tokenizer: Tokenizer, epoch: int) -> list[str]:
    """Return one epoch: every text of an open licence, and congress for its share, others each time."""
    chance = random.Random(epoch)
    lengths = {item.text: len(item.text.split()) for item in texts}
    open_texts = [item.text for item in texts if item.source != CONGRESS]
    congress = [item.text for item in texts if item.source == CONGRESS]
    chance.shuffle(congress)
    tokens = sum(len(found.ids) for found in tokenizer.encode_batch(open_texts))
    tokens_per_word = tokens / sum(lengths[text] for text in open_texts)
    budget = tokens * CONGRESS_SHARE / (1 - CONGRESS_SHARE)
    taken: list[str] = []
    for text in congress:
        budget -= lengths[text] * tokens_per_word
        if budget < 0:
            break
        taken.append(text)
    return open_texts + taken


def batches(
    texts: Sequence[str], tokenizer: Tokenizer, seed: int, pair_share: float = PAIR_SHARE
) -> Iterator[tuple[torch.Tensor, torch.Tensor, int]]:
    """Yield (ids (rows, length) padded with -1, pair (pairs, 2) of rows, LM rows), texts of like length together."""
    chance = random.Random(seed)
    items: list[tuple[list[int], list[int] | None]] = []
    originals = tokenizer.encode_batch(list(texts))
    for text, original in zip(texts, originals, strict=True):
        broken = corrupt(text, chance.choice(JUDGED), chance) if chance.random() < pair_share else None
        items.append((original.ids, tokenizer.encode(broken).ids if broken else None))
    items.sort(key=lambda item: len(item[0]) + chance.random() * 4)
    groups: list[list[tuple[list[int], list[int] | None]]] = [[]]
    tokens = 0
    for item in items:
        cost = len(item[0]) * (2 if item[1] else 1)
        if tokens + cost > BATCH_TOKENS:
            groups.append([])
            tokens = 0
        groups[-1].append(item)
        tokens += cost
    chance.shuffle(groups)
    for group in groups:
        rows = [ids for ids, _ in group] + [broken for _, broken in group if broken]
        places = [index for index, (_, broken) in enumerate(group) if broken]
        pairs = torch.tensor([[place, len(group) + order] for order, place in enumerate(places)], dtype=torch.long)
        longest = max(map(len, rows))
        ids = torch.full((len(rows), longest), -1, dtype=torch.long)
        for row, tokens_of_row in zip(ids, rows, strict=True):
            row[: len(tokens_of_row)] = torch.tensor(tokens_of_row)
        yield ids, pairs, len(group)


def token_losses(model: Any, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the negative log-likelihood of each token after the first, and which are real, (rows, length - 1)."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hidden = model.transformer(input_ids=ids.clamp(min=0), use_cache=False).last_hidden_state[:, :-1]
        real = ids[:, 1:] >= 0
        logits = model.lm_head(hidden[real])
    losses = torch.zeros(real.shape)
    losses[real] = torch.nn.functional.cross_entropy(logits.float(), ids[:, 1:][real], reduction="none")
    return losses, real


def train(
    texts: Sequence[Text], budget: int, seed: int, *, special: Sequence[str] = MASKS, pair_share: float = PAIR_SHARE
) -> tuple[Tokenizer, Any]:
    """Train on about `budget` tokens; returns the tokenizer and the model."""
    transformers: Any = import_module("transformers")
    torch.manual_seed(seed)
    own = [item for item in texts if item.part == "train"]
    sample = [item.text for item in own if item.source != CONGRESS]
    sample += [item.text for item in own if item.source == CONGRESS][: len(sample) // 2]
    tokenizer = train_tokenizer(sample, special)
    end = tokenizer.token_to_id(END)
    config = transformers.GPT2Config(
        vocab_size=tokenizer.get_vocab_size(),
        n_positions=POSITIONS,
        n_embd=WIDTH,
        n_layer=LAYERS,
        n_head=HEADS,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=end,
        eos_token_id=end,
    )
    model = transformers.GPT2LMHeadModel(config)
    decayed = [weight for weight in model.parameters() if weight.dim() >= 2]
    others = [weight for weight in model.parameters() if weight.dim() < 2]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}],
        lr=PEAK_RATE,
        betas=(0.9, 0.95),
    )
    model.train()
    seen, step, epoch = 0, 0, 0
    bar = tqdm(total=budget, unit="token", unit_scale=True, mininterval=5)
    recent: list[tuple[float, float]] = []
    while seen < budget:
        for rows, broken, lm_rows in batches(mix(own, tokenizer, epoch), tokenizer, seed + epoch, pair_share):
            for group in optimizer.param_groups:
                group["lr"] = PEAK_RATE * rate(seen / budget)
            early = seen < PAIRS_FROM * budget
            ids, pairs = (rows[:lm_rows], broken[:0]) if early else (rows, broken)
            losses, real = token_losses(model, ids)
            loss = losses[:lm_rows].sum() / real[:lm_rows].sum()
            pair_loss = torch.zeros(())
            if len(pairs):
                mean = losses.sum(dim=1) / real.sum(dim=1)
                margin = mean[pairs[:, 1]] - mean[pairs[:, 0]]
                pair_loss = torch.nn.functional.softplus(-PAIR_SHARPNESS * margin).mean()
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss + PAIR_WEIGHT * pair_loss)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            tokens = int(real.sum())
            seen, step = seen + tokens, step + 1
            recent.append((float(loss.detach()), float(pair_loss.detach())))
            bar.update(tokens)
            if step % LOG_EVERY == 0:
                lm, pair = np.mean(recent, axis=0)
                bar.set_postfix(nats=f"{lm:.3f}", pair=f"{pair:.3f}", epoch=epoch)
                recent.clear()
            if seen >= budget:
                break
        epoch += 1
    bar.close()
    return tokenizer, model.eval()


def rate(done: float) -> float:
    """The share of the peak learning rate after a share of the tokens: linear warm-up, then a cosine to a twentieth."""
    if done < WARM_UP:
        return done / WARM_UP
    return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min((done - WARM_UP) / (1 - WARM_UP), 1.0)))


def save(folder: Path, tokenizer: Tokenizer, model: Any) -> None:
    """Write tokenizer.json, config.json and model.safetensors (fp16)."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.no_truncation()
    tokenizer.save(str(folder / "tokenizer.json"))
    model.config.to_json_file(str(folder / "config.json"))
    weights = {
        name: value.half().contiguous() for name, value in model.state_dict().items() if name != "lm_head.weight"
    }
    save_file(weights, str(folder / "model.safetensors"), metadata={"format": "pt"})


def main() -> None:
    """Train and save; the figures come from training.fluency_evaluation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tokens", type=int, default=9_000_000, help="how many tokens to train on, repeats included")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    texts = read_corpus(options.data, congress=True)
    tokenizer, model = train(texts, options.tokens, options.seed)
    save(options.out, tokenizer, model)
    by_source = {source: sum(item.source == source for item in texts) for source in sorted({t.source for t in texts})}
    record = {"tokens": options.tokens, "seed": options.seed, "texts": by_source}
    (options.out / "training.json").write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
