"""The graph of an ncnn network: the text of a ``.param`` file, and what follows from it before anything runs.

How large the output is, how far a pixel looks around itself, and how much memory a tile takes are worked out by walking
the layers once. Layers that are not known here are taken
for ones that leave the size alone; whoever runs the network sees whether that was true.

Source: https://github.com/Tencent/ncnn/wiki/param-and-model-file-structure and .../operators, read 2026-11.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

MAGIC = "7767517"
MAX_BYTES = 10_000_000
"""Of a ``.param``: the largest that are in use have a tenth of it."""

_PROBE = (96, 64)
_PIXELS = _PROBE[0] * _PROBE[1]
_SAME = {-233, -234}
_ARRAYS = -23300


class GraphError(ValueError):
    """The files are no network that can upscale, said as the end of a sentence about them."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One line of a ``.param``.

    Attributes:
        kind: ``Convolution``.
        name: Its own.
        takes: The blobs that go in.
        gives: The blobs that come out.
        numbers: Its parameters by their ids; of an array the first number.
    """

    kind: str
    name: str
    takes: tuple[str, ...]
    gives: tuple[str, ...]
    numbers: Mapping[int, float]

    def whole(self, key: int, default: int = 0) -> int:
        """Return a parameter as a whole number."""
        return int(self.numbers.get(key, default))


@dataclass(frozen=True, slots=True)
class Graph:
    """A network that upscales.

    Attributes:
        layers: In the order in which they run.
        source: The blob that takes the picture; *result* the one that gives it.
        scale: How much larger each side becomes.
        radius_px: How far a pixel of the output looks around its place, in pixels of the input.
        tile_bytes: What the blobs take that are needed at once, for each pixel of the input.
    """

    layers: tuple[Layer, ...]
    source: str
    result: str
    scale: int
    radius_px: int
    tile_bytes: int


class _Blob(NamedTuple):
    """What flows between two layers, where the input is as large as _PROBE."""

    width: int
    height: int
    channels: int
    radius: Fraction

    @property
    def scale(self) -> Fraction:
        return Fraction(self.width, _PROBE[0])

    @property
    def size_bytes(self) -> int:
        return 4 * self.width * self.height * max(1, self.channels)


def read(path: Path) -> Graph:
    """Return what a ``.param`` says.

    Raises:
        GraphError: It is no network, or none that upscales pictures.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    lines = data.decode("utf-8", "replace").split("\n")
    if lines[0].strip() != MAGIC or len(data) > MAX_BYTES:
        raise GraphError(f"{path.name} is no text of an ncnn network, which begins with {MAGIC}")
    layers = tuple(_layers(path.name, lines))
    return _walked(path.name, layers)


def _layers(name: str, lines: list[str]) -> Iterator[Layer]:
    try:
        declared = int(lines[1].split()[0])
    except (IndexError, ValueError):
        raise GraphError(f"{name} is broken in line 2: it must count layers and blobs") from None
    written = 0
    for number, line in enumerate(lines[2:], 3):
        words = line.split()
        if not words:
            continue
        try:
            yield _layer(words)
        except (IndexError, ValueError):
            raise GraphError(f"{name} is broken in line {number}: {' '.join(words)[:60]!r}") from None
        written += 1
    if written != declared:
        raise GraphError(f"{name} is cut: it has {written} of {declared} layers")


def _layer(words: list[str]) -> Layer:
    ins, outs = int(words[2]), int(words[3])
    if ins < 0 or outs < 0 or len(words) < 4 + ins + outs:
        raise ValueError(words)
    blobs = words[4 : 4 + ins + outs]
    pairs = (word.partition("=")[::2] for word in words[4 + ins + outs :])
    return Layer(words[0], words[1], tuple(blobs[:ins]), tuple(blobs[ins:]), dict(map(_number, pairs)))


def _number(pair: tuple[str, str]) -> tuple[int, float]:
    key, value = int(pair[0]), pair[1]
    if key > _ARRAYS:
        return key, float(value)
    numbers = value.split(",")  # how many, then the numbers themselves
    return _ARRAYS - key, float(numbers[min(1, len(numbers) - 1)])


def _walked(name: str, layers: tuple[Layer, ...]) -> Graph:
    """Follow a picture through the layers."""
    inputs = [layer.gives[0] for layer in layers if layer.kind == "Input" and layer.gives]
    taken = {blob for layer in layers for blob in layer.takes}
    results = [blob for layer in layers for blob in layer.gives if blob not in taken]
    if len(inputs) != 1 or len(results) != 1:
        raise GraphError(
            f"{name} has {len(inputs)} inputs and {len(results)} outputs; one picture in, one out is what upscales"
        )
    walk = _Walk(name)
    peak = walk.through(layers)
    out = walk.blobs[results[0]]
    scale = out.scale
    if out.height * _PROBE[0] != out.width * _PROBE[1]:
        raise GraphError(
            f"{name} gives pictures without their borders (as waifu2x and realcugan do), which is not supported here"
        )
    if scale.denominator != 1 or scale < 1:
        raise GraphError(f"{name} makes pictures {float(scale):g} times as large, which is no upscaling")
    if out.channels not in {0, 3}:
        raise GraphError(f"{name} gives {out.channels} channels; a picture has 3")
    radius = -(-out.radius.numerator // out.radius.denominator)
    return Graph(layers, inputs[0], results[0], int(scale), radius, -(-peak // _PIXELS))


@dataclass(slots=True)
class _Walk:
    """The blobs that there are so far."""

    name: str
    blobs: dict[str, _Blob] = field(default_factory=dict)

    def through(self, layers: tuple[Layer, ...]) -> int:
        """Make all blobs, and return how many bytes of them are needed at once at most."""
        last = {blob: number for number, layer in enumerate(layers) for blob in layer.takes}
        live: dict[str, int] = {}
        peak = 0
        for number, layer in enumerate(layers):
            made = self._made(layer)
            for blob in layer.gives:
                self.blobs[blob] = made
                # A split gives the same memory many names.
                live[blob] = 0 if layer.kind == "Split" and blob != layer.gives[0] else made.size_bytes
            peak = max(peak, sum(live.values()))
            for blob in layer.takes:
                if last[blob] == number:
                    live.pop(blob, None)
        return peak

    def _made(self, layer: Layer) -> _Blob:
        if layer.kind == "Input":
            return _Blob(*_PROBE, 3, Fraction(0))
        if layer.kind == "MemoryData":
            return _Blob(layer.whole(0), layer.whole(1), layer.whole(2), Fraction(0))
        try:
            blobs = [self.blobs[blob] for blob in layer.takes]
            # A smaller one beside it is a weight, or the attention to a channel.
            largest = max(blobs, key=lambda blob: (blob.width * blob.height, blob.channels))
        except (KeyError, ValueError):
            raise GraphError(f"{self.name} is broken: layer {layer.name} takes what no layer gives") from None
        largest = largest._replace(radius=max(blob.radius for blob in blobs))
        if layer.kind == "Concat" and layer.whole(0) == 0:
            return largest._replace(channels=sum(blob.channels for blob in blobs))
        try:
            return _after(layer, largest)
        except (ZeroDivisionError, OverflowError):
            raise GraphError(f"{self.name} is broken: layer {layer.name} has a step or factor of 0") from None


def _after(layer: Layer, blob: _Blob) -> _Blob:
    """Return what a layer makes of the largest blob that it takes."""
    change = _CHANGES.get(layer.kind)
    return change(layer, blob) if change else blob


def _pooled(layer: Layer, blob: _Blob) -> _Blob:
    if layer.whole(4):
        return blob._replace(width=1, height=1)
    step = layer.whole(2, 1)
    return blob._replace(width=blob.width // step, height=blob.height // step)


def _unfolded(layer: Layer, blob: _Blob) -> _Blob:
    by = layer.whole(0, 1)
    return blob._replace(width=blob.width * by, height=blob.height * by, channels=blob.channels // by**2)


def _folded(layer: Layer, blob: _Blob) -> _Blob:
    by = layer.whole(0, 1)
    return blob._replace(width=blob.width // by, height=blob.height // by, channels=blob.channels * by**2)


def _padded(layer: Layer, blob: _Blob) -> _Blob:
    width = blob.width + layer.whole(2) + layer.whole(3)
    return blob._replace(width=width, height=blob.height + layer.whole(0) + layer.whole(1))


def _convolved(layer: Layer, blob: _Blob) -> _Blob:
    across = (layer.whole(1), layer.whole(2, 1), layer.whole(3, 1), layer.whole(4))
    down = tuple(layer.whole(10 + n, usual) for n, usual in zip((1, 2, 3, 4), across, strict=True))
    reach = Fraction(max(across[1] * (across[0] - 1), down[1] * (down[0] - 1)), 2)
    pads = (across[3] + layer.whole(15, across[3]), down[3] + layer.whole(16, down[3]))
    width, height = (
        -(-side // step) if pad in _SAME else (side + pads_px - dilation * (kernel - 1) - 1) // step + 1
        for side, (kernel, dilation, step, pad), pads_px in zip(blob[:2], (across, down), pads, strict=True)
    )
    return _Blob(width, height, layer.whole(0), blob.radius + reach / blob.scale)


def _deconvolved(layer: Layer, blob: _Blob) -> _Blob:
    kernel, step, pad = layer.whole(1), layer.whole(3, 1), layer.whole(4)
    less = 2 * pad - kernel - layer.whole(18)
    width, height = ((side - 1) * step - less for side in blob[:2])
    return _Blob(width, height, layer.whole(0), blob.radius + Fraction(kernel - 1, 2) / (blob.scale * step))


def _interpolated(layer: Layer, blob: _Blob) -> _Blob:
    if layer.whole(3) or layer.whole(4):
        raise GraphError("it makes all pictures the same size, which is no upscaling")
    down, across = layer.numbers.get(1, 1.0), layer.numbers.get(2, 1.0)
    reach = Fraction(0 if layer.whole(0) == 1 else layer.whole(0)) / blob.scale  # bilinear 1, bicubic 2
    return _Blob(int(blob.width * across), int(blob.height * down), blob.channels, blob.radius + reach)


_CHANGES = {
    "Convolution": _convolved,
    "ConvolutionDepthWise": _convolved,
    "Deconvolution": _deconvolved,
    "DeconvolutionDepthWise": _deconvolved,
    "Interp": _interpolated,
    "Padding": _padded,
    "PixelShuffle": _unfolded,
    "Pooling": _pooled,
    "Reorg": _folded,
}
