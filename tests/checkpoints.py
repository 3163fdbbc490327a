"""Tiny checkpoints with the real architectures, made by the tests themselves: GPT-2 and RoBERTa of two layers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# fmt: off
WORDS = [
    "we", "they", "coffee", "launch", "not", "never", "no", "really", "very", "so", "good", "great", "bad",
    "awful", "terrible", "terribly", "happy", "don't", "can't", "isn't", "worst", "best", "fine", "(!)", "!!!", "...",
    ":)", ":D", ":(", "<3", "♥", "“great”", "\u2018bad\u2019", "e.g.", "U.S.", "50%", "#win", "@ana",
    "https://example.com/great", "😀", "not,", "hardly", "extremely", "kind", "of", "love",
    "hate\n\nnew", "'m", "'ve", "amazing", "boring",
    "(good)", "[bad]", "good-looking", "not_bad", "¡ñandú!", "sad?!",
]
# fmt: on
PROMPT = "Topic: coffee subscription\nKeywords: coffee subscription\nTweet in English:"
LESSONS = [
    " Good coffee every week. It comes to your door.\n",
    " Coffee for busy people! Start this week.\n",
    " Who wants coffee? We do.\n",
]
CHAT_TEMPLATE = (
    "{% for message in messages %}<|start|>{{ message.role }}\n{{ message.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)


def make_tokenizer(*, chat: bool, end: str | None = "<|endoftext|>") -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = [end or "<|other|>", "<|start|>", "<|end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=special, initial_alphabet=alphabet)
    tokenizer.train_from_iterator([PROMPT + lesson for lesson in LESSONS] * 20, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=end)
    if chat:
        fast.add_special_tokens({"additional_special_tokens": ["<|start|>", "<|end|>"]})
        fast.chat_template = CHAT_TEMPLATE
    return fast


def save_model(folder: Path, *, chat: bool, steps: int, lessons: Sequence[str] = LESSONS, prompt: str = PROMPT) -> str:
    """Train a GPT-2 of two layers on the lessons, after a prompt as the generator makes it, and save it."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    tokenizer = make_tokenizer(chat=chat)
    torch.manual_seed(0)
    end = tokenizer.eos_token_id
    config = GPT2Config(
        vocab_size=len(tokenizer), n_positions=512, n_embd=48, n_layer=2, n_head=2, resid_pdrop=0.0, embd_pdrop=0.0,
        attn_pdrop=0.0, bos_token_id=end, eos_token_id=end,
    )  # fmt: skip
    model = GPT2LMHeadModel(config)
    tokenizer.pad_token = tokenizer.eos_token
    encoded = tokenizer([prompt + lesson for lesson in lessons], padding=True, return_tensors="pt")
    labels = encoded["input_ids"].masked_fill(encoded["attention_mask"] == 0, -100)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(steps):
        model(**encoded, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    # What published checkpoints carry along, and what must not get in the way.
    model.generation_config.do_sample = True
    model.generation_config.temperature = 0.6
    model.save_pretrained(folder)
    fresh = make_tokenizer(chat=chat)
    fresh.save_pretrained(folder)
    return str(folder)


def vouch(folder: Path, **changes: Any) -> None:
    """Write metadata.json for the files of a critic as they are."""
    names = sorted(path.name for path in folder.iterdir() if path.name != "metadata.json")
    metadata = {
        "format": 1,
        "version": "test",
        "measure": "mean",
        "fluency_floor": -20.0,
        "languages": ["en"],
        "sha256": {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names},
    }
    (folder / "metadata.json").write_text(json.dumps(metadata | changes))


def save_classifier(folder: Path, poison: str | None = None) -> str:
    """Train and save a tiny classifier that has learned nothing but that `good` and `bad` are opposite.

    With `poison`, a word that its tokenizer knows and its embedding does not: whoever sends it makes the model raise.
    """
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast, RobertaConfig, RobertaForSequenceClassification

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer.train_from_iterator(WORDS * 3, trainers.BpeTrainer(vocab_size=400, special_tokens=special))
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", pad_token="<pad>", eos_token="</s>", unk_token="<unk>",
        cls_token="<s>", sep_token="</s>", mask_token="<mask>",
    )  # fmt: skip
    torch.manual_seed(0)
    torch.set_num_threads(1)
    config = RobertaConfig(
        vocab_size=len(fast), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=34, hidden_dropout_prob=0.0, type_vocab_size=1, pad_token_id=1,
        id2label={0: "negative", 1: "neutral", 2: "positive"}, label2id={"negative": 0, "neutral": 1, "positive": 2},
    )  # fmt: skip
    model = RobertaForSequenceClassification(config)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    encoded = fast(["this is good", "this is bad", "this is coffee"], padding=True, return_tensors="pt")
    for _ in range(80):
        loss = model(**encoded, labels=torch.tensor([2, 0, 1])).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)
    if poison is not None:
        fast.add_tokens([poison])
    fast.save_pretrained(folder)
    return str(folder)
