"""Trains a writer of frames: a small GPT-2 on posts whose facts are slots, asked by intent, tone and the slots at hand.

python -m training.frame_writer --data ../shared/data --out FOLDER   trains it
python -m training.frame_writer --queries FILE --out FOLDER          writes from a JSON list of queries

An experiment: it ships only if a reader finds its unselected texts postable; models/generator/CARD.md has the figure.
No congress here, and no Reddit: posts and headlines alone.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

import torch
from tokenizers import Tokenizer
from tqdm import tqdm

from pipelines.encoder import Encoder
from pipelines.query_analyzer.analyzer import QueryAnalyzer
from pipelines.records import Affect, Analysis, Intent, Tone
from pipelines.sentiment.ensemble import SentimentEnsemble
from pipelines.sentiment.intent import IntentModel
from training.corpus import Text, read_corpus
from training.generator import END, save, train

SLOTS = {
    "URL": "url",
    "MENTION": "user",
    "HASHTAG": "hashtag",
    "CASHTAG": "hashtag",
    "NAME": "name",
    "MONEY": "price",
    "PERCENT": "percent",
    "DATE": "date",
    "TIME": "date",
}
NAMES = ("topic", "number", *dict.fromkeys(SLOTS.values()))
SPECIAL = (
    *(f"<{name}>" for name in NAMES),
    *(f"<intent:{label}>" for label in get_args(Intent)),
    *(f"<tone:{label}>" for label in get_args(Tone)),
    "<write>",
)
SOURCES = frozenset({"upworthy", "tan2014", "tweet_acts", "ratio538"})
SLOT = re.compile("|".join(f"<{name}>" for name in NAMES))
NUMBER = re.compile(r"(?<![\w<])\d+(?:[.,:]\d+)*(?!\w)")
CHUNK = 256


def delexicalize(text: str, analysis: Analysis) -> str:
    """Return a text with a slot for each entity, number and its first keyword."""
    for entity in reversed(analysis.entities or ()):
        if entity.label in SLOTS:
            text = f"{text[: entity.start]}<{SLOTS[entity.label]}>{text[entity.end :]}"
    for keyword in analysis.keywords or ():
        found = re.search(rf"(?<!\w)(?<!<){re.escape(keyword.text)}(?![\w>])", text, re.IGNORECASE)
        if found:
            text = f"{text[: found.start()]}<topic>{text[found.end() :]}"
            break
    return NUMBER.sub("<number>", text)


def condition(frame: str, affect: Affect) -> str:
    """Return what is known before a frame is written: intent, tone, and the slots in the order of their names."""
    slots = sorted(set(SLOT.findall(frame)))
    intent = affect.intent.label if affect.intent else "other"
    return f"<intent:{intent}><tone:{tone(frame, affect)}>{''.join(slots)}<write>"


def tone(text: str, affect: Affect) -> Tone:
    """Guess the tone of a post from its marks and its emotion; nothing is labeled with tones."""
    if (affect.risks or {}).get("irony", 0.0) > 0.6:
        return "witty"
    if "!" in text or sum(map(str.isupper, text)) > len(text) / 4:
        return "bold"
    if affect.emotion and affect.emotion.label in {"joy", "optimism"}:
        return "friendly"
    return "neutral" if "'" in text or "?" in text else "formal"


def read_ensemble(models: Path) -> SentimentEnsemble:
    """Load the models that the conditions come from."""
    encoder = Encoder.load(models / "encoder")
    return SentimentEnsemble(encoder, IntentModel.load(models / "intent", encoder=encoder.version))


def delexicalized(texts: Sequence[Text], models: Path) -> Iterator[Text]:
    """Yield conditioned frames of posts."""
    analyzer, ensemble = QueryAnalyzer(), read_ensemble(models)
    mine = [item for item in texts if item.source in SOURCES]
    for start in tqdm(range(0, len(mine), CHUNK), unit="batch", desc="slots"):
        chunk = mine[start : start + CHUNK]
        plain = [item.text for item in chunk]
        languages = ["en"] * len(plain)
        read = zip(chunk, analyzer.analyze(plain, languages), ensemble.read(plain, languages), strict=True)
        for item, analysis, affect in read:
            frame = delexicalize(item.text, analysis)
            yield Text(condition(frame, affect) + frame, item.source, item.part)


def write(model: Any, tokenizer: Tokenizer, prompts: Sequence[str], seed: int) -> list[str]:
    """Return one sampled frame a prompt: temperature .8, top-p .9, no choice among several."""
    transformers: Any = import_module("transformers")
    torch.manual_seed(seed)
    end = tokenizer.token_to_id(END)
    frames = []
    config = transformers.GenerationConfig(
        do_sample=True, temperature=0.8, top_p=0.9, max_new_tokens=60, pad_token_id=end, eos_token_id=end
    )
    for prompt in prompts:
        ids = torch.tensor([[end, *tokenizer.encode(prompt, add_special_tokens=False).ids]])
        with torch.inference_mode():
            written = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=config)
        frames.append(tokenizer.decode(written[0, ids.shape[1] :].tolist(), skip_special_tokens=False).split(END)[0])
    return frames


def main() -> None:
    """Train, or write from queries."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--queries", type=Path)
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tokens", type=int, default=2_500_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.data:
        texts = list(delexicalized(read_corpus(options.data, congress=False), options.models))
        tokenizer, model = train(texts, options.tokens, options.seed, special=SPECIAL, pair_share=0.0)
        save(options.out, tokenizer, model)
    if options.queries:
        _write_from(json.loads(options.queries.read_text()), options)


def _write_from(queries: Sequence[str], options: argparse.Namespace) -> None:
    transformers: Any = import_module("transformers")
    model = transformers.GPT2LMHeadModel.from_pretrained(options.out, dtype=torch.float32).eval()
    tokenizer = Tokenizer.from_file(str(options.out / "tokenizer.json"))
    analyzer = QueryAnalyzer()
    ensemble = read_ensemble(options.models)
    languages = ["en"] * len(queries)
    analyses, affects = analyzer.analyze(queries, languages), ensemble.read(queries, languages)
    prompts, values = [], []
    for query, analysis, affect in zip(queries, analyses, affects, strict=True):
        frame = delexicalize(query, analysis)
        prompts.append(condition(frame, affect))
        values.append(_values(query, analysis))
    for query, frame, slots in zip(queries, write(model, tokenizer, prompts, options.seed), values, strict=True):
        text = "".join(slots.get(part, part) for part in re.split(f"({SLOT.pattern})", frame))
        print(json.dumps({"query": query, "text": " ".join(text.split())}, ensure_ascii=False))


def _values(query: str, analysis: Analysis) -> dict[str, str]:
    values = {f"<{SLOTS[entity.label]}>": entity.text for entity in (analysis.entities or ()) if entity.label in SLOTS}
    if analysis.keywords:
        values["<topic>"] = analysis.keywords[0].text
    if number := NUMBER.search(query):
        values["<number>"] = number[0]
    return values


if __name__ == "__main__":
    main()
