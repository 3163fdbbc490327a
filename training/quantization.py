"""Measure the activations of the tuned writer, so that set-up can put them into 8 bits, and vouch for what ships.

python -m training.quantization --wheel WHEEL --briefs training/briefs/en_*.jsonl --adapter models/generator

Writes calibration.safetensors beside the adapter: the largest activation of each channel at the four places of a layer
where activations are quantized, and before the vocabulary projection, over a sample of the training briefs. The tokens
of the prefix are left out: supervisor/smollm2.py stores their keys and values in float32. Then metadata.json names both
files by their SHA-256.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tqdm import tqdm

from pipelines.generator.writer import FORMAT
from supervisor.smollm2 import read_gguf, tokenizer_of
from training.generator import adapted, base_model, encode, gguf_of, load, read

PLACES = {"qkv": "self_attn.q_proj", "o": "self_attn.o_proj", "gate_up": "mlp.gate_proj", "down": "mlp.down_proj"}
PREFIX_TOKENS = 4
SAMPLE = 160


def main() -> None:
    """Run a sample of the briefs through the model, write the peaks and complete metadata.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheel", type=Path, required=True)
    parser.add_argument("--adapter", type=Path, required=True)
    parser.add_argument("--briefs", type=Path, nargs="+", required=True)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    values, tensors = read_gguf(gguf_of(arguments.wheel))
    model, adapter = adapted(base_model(tensors))
    load(adapter, arguments.adapter / "adapter.safetensors")
    rows = encode(tokenizer_of(values), read(arguments.briefs)[0])
    sample = random.Random(0).sample(rows, min(SAMPLE, len(rows)))
    save_file(peaks(model, [row.prompt + row.post for row in sample]), arguments.adapter / "calibration.safetensors")
    vouch(arguments.adapter)


def vouch(adapter: Path) -> None:
    """Complete metadata.json by what set-up asks of it: format, version, languages, and the SHA-256 of each file."""
    path = adapter / "metadata.json"
    metadata = json.loads(path.read_text())
    files = {
        name: hashlib.sha256((adapter / name).read_bytes()).hexdigest()
        for name in ("adapter.safetensors", "calibration.safetensors")
    }
    version = f"smollm2-{files['adapter.safetensors'][:12]}"
    told = {"format": FORMAT, "version": version, "languages": ["en"], "sha256": files}
    path.write_text(json.dumps(metadata | told, indent=1) + "\n")


@torch.no_grad()
def peaks(model: Any, texts: list[list[int]]) -> dict[str, torch.Tensor]:
    """Return the (layers, channels) largest inputs of each place, and the (1, channels) ones of the head."""
    found: dict[tuple[str, int], torch.Tensor] = {}

    def note(place: str, layer: int, states: torch.Tensor) -> None:
        peak = states[0, PREFIX_TOKENS:].float().abs().amax(0)
        found[place, layer] = torch.maximum(found.get((place, layer), peak), peak)

    for layer, block in enumerate(model.model.layers):
        for place, name in PLACES.items():
            block.get_submodule(name).register_forward_pre_hook(
                lambda _, inputs, place=place, layer=layer: note(place, layer, inputs[0])
            )
    for text in tqdm(texts):
        with torch.autocast("cpu", torch.bfloat16):
            states = model.model(input_ids=torch.tensor([text]), use_cache=False).last_hidden_state
        note("head", 0, states)
    return {
        place: torch.stack([peak for (its, _), peak in sorted(found.items()) if its == place]).half()
        for place in (*PLACES, "head")
    }


if __name__ == "__main__":
    main()
