"""Write the trained encoder as the int8 ONNX graph that serves: fixed integer scales, few and fast operators.

A plain dynamic quantization gave each pass a scale of its own, so that texts in one pass moved each other's logits (the
mean probability by .02), and spent a third of the time outside the products. Here every activation has one scale, the
largest seen on training texts: a text gets the same logits beside any others.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

CONTRIBUTED = "com.microsoft"
LAYER_NORM_EPSILON = 1e-12
Feed = dict[str, NDArray[np.int64]]


def export(model: Any, path: Path, samples: Sequence[Sequence[int]]) -> None:
    """Write `model` (a TweetEncoder) to `path`; `samples` are token ids of training texts, which set the scales."""
    from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415  # only to export
    from onnxruntime.transformers.optimizer import optimize_model  # noqa: PLC0415

    config = model.bert.config
    ids = torch.ones((2, 8), dtype=torch.int64)
    names = ["embedding", *model.heads]
    axes = {name: {0: "batch"} for name in names}
    if model.tagger:
        names.append("entities")
    axes |= {name: {0: "batch", 1: "tokens"} for name in ("input_ids", "attention_mask", "entities")}
    with tempfile.TemporaryDirectory() as folder:
        plain, fused, dynamic = (Path(folder) / f"{name}.onnx" for name in ("plain", "fused", "dynamic"))
        torch.onnx.export(
            model.float(),
            (ids, ids),
            str(plain),
            input_names=["input_ids", "attention_mask"],
            output_names=names,
            dynamic_axes=axes,
            opset_version=17,
            dynamo=False,
        )
        optimized = optimize_model(
            str(plain), model_type="bert", num_heads=config.num_attention_heads, hidden_size=config.hidden_size
        )
        optimized.save_model_to_file(str(fused))
        quantize_dynamic(
            str(fused),
            str(dynamic),
            weight_type=QuantType.QInt8,
            per_channel=True,
            # Seven bits: sums of eight overflow on processors without the newer instructions.
            reduce_range=True,
            # Shape inference does not know the fused operators.
            extra_options={"DefaultTensorType": TensorProto.FLOAT},
        )
        graph = onnx.load(dynamic)
        fix_scales(graph, ({"input_ids": row, "attention_mask": np.ones_like(row)} for row in _rows(samples)))
        onnx.save(graph, path)


def fix_scales(model: onnx.ModelProto, feeds: Iterable[Feed]) -> None:
    """Rewrite a dynamically quantized BERT graph in place.

    Scales become constants; product, rescaling and bias become one operator; SkipLayerNormalization, a scalar loop in
    ONNX Runtime, becomes a sum and the vectorised LayerNormalization (58 against 8 microseconds for 30 tokens).
    """
    nodes = list(model.graph.node)
    scaled = [node.input[0] for node in nodes if node.op_type == "DynamicQuantizeLinear"]
    rewriting = _Rewriting(model, _ranges(model, scaled, feeds))
    written = [made for node in nodes for made in rewriting.write(node)]
    del model.graph.node[:]
    model.graph.node.extend(written)


def _rows(samples: Sequence[Sequence[int]]) -> Iterator[NDArray[np.int64]]:
    return (np.array([row], np.int64) for row in samples)


def _ranges(model: onnx.ModelProto, names: Sequence[str], feeds: Iterable[Feed]) -> dict[str, tuple[float, float]]:
    """Return the smallest and the largest value, 0 among them, that each tensor takes."""
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    probe.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
    session = onnxruntime.InferenceSession(probe.SerializeToString(), providers=["CPUExecutionProvider"])
    low, high = np.zeros(len(names)), np.zeros(len(names))
    for feed in feeds:
        values = session.run(list(names), feed)
        low = np.minimum(low, [value.min() for value in values])
        high = np.maximum(high, [value.max() for value in values])
    return {name: (float(least), float(most)) for name, least, most in zip(names, low, high, strict=True)}


@dataclass(frozen=True)
class _Chain:
    """The nodes that follow an integer product: cast, rescaling, and what adds the bias."""

    scales: onnx.NodeProto
    rescaled: onnx.NodeProto
    end: onnx.NodeProto
    absorbed: tuple[onnx.NodeProto, ...]


class _Rewriting:
    def __init__(self, model: onnx.ModelProto, ranges: dict[str, tuple[float, float]]) -> None:
        self._graph = model.graph
        self._ranges = ranges
        self._maker = {name: node for node in model.graph.node for name in node.output}
        self._reader = {name: node for node in model.graph.node for name in node.input}
        self._absorbed: set[str] = set()

    def write(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """Return what stands in the place of one node."""
        if node.output[0] in self._absorbed:
            return []
        if node.op_type == "DynamicQuantizeLinear":
            return [self._quantize(node)]
        if node.op_type == "Mul" and self._is_scale(node.input[0]):
            return []
        if node.op_type == "MatMulInteger":
            return self._product(node)
        if node.op_type == "SkipLayerNormalization":
            return self._layer_norm(node)
        return [node]

    def _is_scale(self, name: str) -> bool:
        maker = self._maker.get(name)
        return maker is not None and maker.op_type == "DynamicQuantizeLinear"

    def _quantize(self, node: onnx.NodeProto) -> onnx.NodeProto:
        (source,), (integers, scale, zero) = node.input, node.output
        low, high = self._ranges[source]
        step = np.float32((high - low) / 255)
        self._graph.initializer.extend(
            (
                numpy_helper.from_array(np.array(step), scale),
                numpy_helper.from_array(np.array(np.uint8(round(-low / step))), zero),
            )
        )
        return helper.make_node("QuantizeLinear", [source, scale, zero], [integers])

    def _product(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        integers, weights, zero, weights_zero = node.input
        chain = self._chain(node)
        self._absorbed.update(name for absorbed in chain.absorbed for name in absorbed.output)
        inputs = [integers, weights, *chain.scales.input, zero, weights_zero]
        rescaled = chain.rescaled.output[0]
        if chain.end.op_type == "SkipLayerNormalization":
            return [_contributed("MatMulIntegerToFloat", [*inputs, chain.end.input[4]], rescaled)]
        (bias,) = (name for name in chain.end.input if name != rescaled)
        if chain.end.op_type == "BiasGelu":
            return [
                _contributed("MatMulIntegerToFloat", [*inputs, bias], rescaled),
                _contributed("Gelu", [rescaled], chain.end.output[0]),
            ]
        return [_contributed("MatMulIntegerToFloat", [*inputs, bias], chain.end.output[0])]

    def _chain(self, product: onnx.NodeProto) -> _Chain:
        cast = self._reader[product.output[0]]
        rescaled = self._reader[cast.output[0]]
        end = self._reader[rescaled.output[0]]
        (scales,) = (self._maker[name] for name in rescaled.input if name != cast.output[0])
        if (cast.op_type, rescaled.op_type, scales.op_type) != ("Cast", "Mul", "Mul"):
            raise ValueError(f"{product.name}: not the graph that quantize_dynamic writes")
        if end.op_type not in ("SkipLayerNormalization", "BiasGelu", "Add"):
            raise ValueError(f"{product.name}: no bias follows, but {end.op_type}")
        kept = end.op_type == "SkipLayerNormalization"
        return _Chain(scales, rescaled, end, (cast, rescaled) if kept else (cast, rescaled, end))

    def _layer_norm(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        # Its fifth input, a bias, is already in the product.
        states, skip, weight, bias = node.input[:4]
        total = f"{node.output[0]}_sum"
        return [
            helper.make_node("Add", [states, skip], [total]),
            helper.make_node("LayerNormalization", [total, weight, bias], [node.output[0]], epsilon=LAYER_NORM_EPSILON),
        ]


def _contributed(operator: str, inputs: Sequence[str], output: str) -> onnx.NodeProto:
    return helper.make_node(operator, inputs, [output], domain=CONTRIBUTED)
