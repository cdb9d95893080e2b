"""Pictures of Pillow through a network: colours as the network makes them, transparency in step with them."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from batchup.errors import RejectedError
from batchup.models.base import LocalModel
from batchup.models.superres.picture import PictureParams
from batchup.providers.local import image as images
from batchup.providers.local.picture.pixels import Enlarge, has_holes
from batchup.providers.local.superres import tiles
from batchup.providers.local.superres.loaded import Loaded
from batchup.providers.local.superres.tiles import Network
from batchup.providers.local.work import Note, Tell, Work
from batchup.source import Size

_REDUCTIONS = (64, 32, 16, 8, 4, 2)
"""How coarsely the colours around what is visible are spread into what is not, the coarsest first."""
_AROUND_PX = 5
_OPAQUE = 255


def upscaler(
    loaded: Loaded[Any], params: type[PictureParams], model: LocalModel
) -> Callable[[Work, Tell, Note], None]:
    """Return the function of a worker process that enlarges a picture, and notes what it runs on.

    It raises as :func:`batchup.providers.local.image.enlarge`.
    """

    def upscale(work: Work, tell: Tell, note: Note) -> None:
        asked = params.model_validate(dict(work.params))
        network = loaded.get(asked)
        note(network.device)
        images.enlarge(work, tell, model, enlarger(network, asked.tile))

    return upscale


def enlarger(network: Network, tile_px: int | None) -> Enlarge:
    """Return what enlarges pictures by *network*, in tiles of *tile_px*."""
    return partial(_enlarged, network, tile_px)


def _enlarged(
    network: Network, tile_px: int | None, image: Image.Image, size: Size, tell: Callable[[float], None]
) -> Image.Image:
    if image.mode not in {"L", "LA", "RGB", "RGBA"}:
        message = f"it has pixels of the kind {image.mode}, and networks know red, green and blue of 8 bits"
        raise RejectedError(message, kind="mode_unsupported")
    is_open = has_holes(image)
    part = 0.5 if is_open else 1.0
    colours = _seen(
        network, tile_px, _filled(image) if is_open else image.convert("RGB"), lambda d: tell(d * part)
    )
    colours = _fitted(colours, size)
    if image.mode in {"L", "LA"}:
        colours = colours.convert("L")
    if "A" in image.getbands():
        alpha = image.getchannel("A")
        large = _alpha(network, tile_px, alpha, size, lambda d: tell(part + d * part)) if is_open else None
        colours.putalpha(large or _OPAQUE)
    return colours


def _seen(
    network: Network, tile_px: int | None, image: Image.Image, tell: Callable[[float], None]
) -> Image.Image:
    return Image.fromarray(tiles.enlarged(network, np.asarray(image), tile_px, tell))


def _fitted(image: Image.Image, size: Size) -> Image.Image:
    """Return the network's picture at the size that is wanted."""
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)


def _filled(image: Image.Image) -> Image.Image:
    """Return the colours of a picture, those of invisible pixels spread from the visible ones around.

    Whatever colour lies hidden there would make an edge that the network draws.
    """
    image = image.convert("RGBA")
    ready = image.convert("RGBa")
    filled = Image.new("RGB", image.size)
    for by in _REDUCTIONS:
        coarse = ready.reduce(by).resize(image.size, Image.Resampling.BILINEAR).convert("RGBA")
        filled.paste(coarse.convert("RGB"), mask=_visible(coarse))
    filled.paste(image.convert("RGB"), mask=_visible(image))
    return filled


def _visible(image: Image.Image) -> Image.Image:
    return image.getchannel("A").point(lambda level: _OPAQUE if level else 0)


def _alpha(
    network: Network, tile_px: int | None, alpha: Image.Image, size: Size, tell: Callable[[float], None]
) -> Image.Image:
    """Return transparency as the network draws its edges; what is opaque or clear all around stays exactly so."""
    large = _fitted(_seen(network, tile_px, alpha.convert("RGB"), tell), size).convert("L")
    for extreme, level in (
        (ImageFilter.MinFilter(_AROUND_PX), _OPAQUE),
        (ImageFilter.MaxFilter(_AROUND_PX), 0),
    ):
        flat = alpha.filter(extreme).point(lambda value, level=level: _OPAQUE if value == level else 0)
        large.paste(level, mask=flat.resize(size, Image.Resampling.NEAREST))
    return large
