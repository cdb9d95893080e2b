"""Tiles: a picture through a network in squares that overlap, so that memory is bounded and no seam is seen.

Each tile sees its surroundings, and only its middle is kept. What lies beyond the picture's edge is the picture mirrored:
a network's own zeros would darken the edge.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from batchup.errors import TransientError

Pixels = NDArray[Any]
"""(H, W, 3) of uint8 or uint16."""
Planes = NDArray[np.float32]
"""(3, h, w), 0.0 to 1.0."""

STEP_PX = 16
"""Where tiles begin: networks that fold pixels into channels (by 2 or 4), or look through windows (of 8 or 16), must meet
the same grid in every tile."""
SIDE_PX = 4
"""What the sides of a tile are a multiple of."""
LEAST_PX = 64
"""The smallest tile that is tried when memory runs out."""


class OutOfMemory(Exception):  # noqa: N818 - it is what happened
    """A tile was too large for the device."""


class Network(Protocol):
    """A network that is loaded.

    Attributes:
        scale: How much larger each side becomes.
        overlap_px: How far a tile looks beyond its middle, in pixels of the input.
        tile_px: Side of a tile's middle that is right for the device.
    """

    scale: int
    overlap_px: int
    tile_px: int

    def run(self, planes: Planes) -> Planes:
        """Return *planes* larger, whose sides are multiples of :data:`SIDE_PX`. May exceed 0.0 to 1.0.

        Raises:
            OutOfMemory: A smaller tile may work.
        """


class Tile(NamedTuple):
    """The middle of one tile, in pixels of the input."""

    left: int
    top: int
    right: int
    bottom: int


def tiles(width: int, height: int, tile_px: int) -> Iterator[Tile]:
    """Yield the middles that cover a picture: of much the same size, none larger than *tile_px* rounded up."""
    across, down = _step(width, tile_px), _step(height, tile_px)
    for top in range(0, height, down):
        for left in range(0, width, across):
            yield Tile(left, top, min(left + across, width), min(top + down, height))


def _step(side: int, tile_px: int) -> int:
    most = _up(tile_px, STEP_PX)
    return _up(-(-side // -(-side // most)), STEP_PX)


def _up(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple


def enlarged(
    network: Network,
    pixels: Pixels,
    tile_px: int | None = None,
    tell: Callable[[float], None] = lambda _: None,
) -> Pixels:
    """Return *pixels* as the network makes them, in the same type.

    Args:
        network: Loaded.
        pixels: The picture.
        tile_px: Side of a tile's middle, in place of the network's own.
        tell: Told the done part after each tile.

    Raises:
        TransientError: The device has no memory even for a small tile (``out_of_memory``).
    """
    side = tile_px or network.tile_px
    while True:
        try:
            return _enlarged(network, pixels, side, tell)
        except OutOfMemory as error:
            largest = min(side, max(pixels.shape[:2]))
            if largest <= LEAST_PX:
                message = f"the device has no memory for a tile of {largest} pixels: {error}"
                raise TransientError(message, kind="out_of_memory") from error
            # The next pictures need not try in vain.
            network.tile_px = side = max(LEAST_PX, largest // 2)


def _enlarged(network: Network, pixels: Pixels, side: int, tell: Callable[[float], None]) -> Pixels:
    height, width = pixels.shape[:2]
    by, margin = network.scale, _up(network.overlap_px, SIDE_PX)
    more = ((margin, margin + SIDE_PX - 1), (margin, margin + SIDE_PX - 1), (0, 0))
    wide = np.pad(pixels, more, mode="symmetric")
    large = np.empty((height * by, width * by, 3), pixels.dtype)
    middles = list(tiles(width, height, side))
    for done, tile in enumerate(middles, 1):
        seen = wide[
            tile.top : tile.top + _up(tile.bottom - tile.top, SIDE_PX) + 2 * margin,
            tile.left : tile.left + _up(tile.right - tile.left, SIDE_PX) + 2 * margin,
        ]
        inner = large[tile.top * by : tile.bottom * by, tile.left * by : tile.right * by]
        _fill(inner, network, seen, margin * by)
        tell(done / len(middles))
    return large


def _fill(inner: Pixels, network: Network, seen: Pixels, margin: int) -> None:
    """Write into *inner* what the network makes of the middle of *seen*."""
    peak = np.float32(np.iinfo(seen.dtype).max)
    planes = np.ascontiguousarray(seen.transpose(2, 0, 1), dtype=np.float32) / peak
    made = network.run(planes)[:, margin : margin + inner.shape[0], margin : margin + inner.shape[1]]
    inner[:] = (np.clip(made, 0.0, 1.0) * peak + np.float32(0.5)).astype(inner.dtype).transpose(1, 2, 0)
