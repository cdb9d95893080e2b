"""The weights of an ncnn network: what a ``.bin`` must hold, by the ``.param`` beside it.

Source: https://github.com/Tencent/ncnn/wiki/param-and-model-file-structure and modelbin.cpp of ncnn, read 2026-11.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from batchup.models.superres.graph import Graph, GraphError, Layer

_HALF, _BYTE, _WHOLE = 0x01306B47, 0x000D4B38, 0x0002C056
"""Tags that say how a weight is written."""

_CONVOLUTIONS = frozenset(("Convolution", "ConvolutionDepthWise", "Deconvolution", "DeconvolutionDepthWise"))
_UNWALKED = frozenset(
    ("LSTM", "GRU", "RNN", "MultiHeadAttention", "Gemm", "Embed", "LayerNorm", "GroupNorm", "Scale", "Bias")
)
"""Layers whose weights are not walked, as those of 8 bits: behind them nobody knows where one is."""
_WEIGHTLESS = frozenset(
    "Input Split Concat ReLU Sigmoid BinaryOp Eltwise Interp PixelShuffle Reorg Pooling Padding Crop Slice Clip Dropout"  # noqa: SIM905 - a list of quoted names says it worse
    " Noop Swish HardSwish HardSigmoid TanH UnaryOp ELU GELU Permute Reshape Flatten Softmax Mish".split()
)
_KNOWN = _WEIGHTLESS | _CONVOLUTIONS | {"InnerProduct", "PReLU", "BatchNorm", "MemoryData"}


def check(graph: Graph, path: Path) -> None:
    """See that a ``.bin`` has all the weights of *graph*, and no more.

    Raises:
        GraphError: It is cut, or belongs to another network.
        OSError: It cannot be read.
    """
    size_bytes = path.stat().st_size
    with path.open("rb") as file:
        for layer in graph.layers:
            if layer.kind in _UNWALKED or (layer.kind in _CONVOLUTIONS and layer.whole(8)):
                return
            for count, is_tagged in _weights(layer):
                _skip(file, count, tagged=is_tagged)
                if file.tell() > size_bytes:
                    raise GraphError(f"{path.name} is cut: it ends within the weights of layer {layer.name}")
        known = all(layer.kind in _KNOWN for layer in graph.layers)
        if known and file.tell() != size_bytes:
            message = f"has {size_bytes:,} bytes where the .param beside it tells of {file.tell():,}"
            raise GraphError(f"{path.name} {message}: they belong to two networks")


def _weights(layer: Layer) -> Iterator[tuple[int, bool]]:
    """Yield how many numbers each weight of a layer has, and whether a tag says how they are written."""
    match layer.kind:
        case kind if kind in _CONVOLUTIONS:
            yield layer.whole(6), True
            if layer.whole(5):
                yield layer.whole(0), False
        case "InnerProduct":
            yield layer.whole(2), True
            if layer.whole(1):
                yield layer.whole(0), False
        case "PReLU":
            yield layer.whole(0), False
        case "BatchNorm":
            yield 4 * layer.whole(0), False
        case "MemoryData":
            yield max(1, layer.whole(0)) * max(1, layer.whole(1)) * max(1, layer.whole(2)), False


def _skip(file: BinaryIO, count: int, *, tagged: bool) -> None:
    """Go past *count* numbers, which are rounded up to four bytes."""
    if not tagged:
        file.seek(4 * count, 1)
        return
    tag = int.from_bytes(file.read(4), "little")
    size = {_HALF: 2 * count, _BYTE: count, _WHOLE: 4 * count, 0: 4 * count}.get(tag, 4 * 256 + count)
    file.seek(-(-size // 4) * 4, 1)
