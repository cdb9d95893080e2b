"""Pictures made at test time, and the model run on them."""

from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
from PIL import Image

from batchup.media import probe
from batchup.models.local.lanczos import MODEL
from batchup.providers.local.image import upscale
from batchup.providers.local.work import Work

pillow_heif.register_heif_opener()


def photo(width=40, height=30, mode="RGB", seed=1):
    """A soft picture without symmetry."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC).convert(mode)


def shown(path: Path) -> Any:
    """Open a picture, as an object of which every format's own attributes may be asked."""
    return Image.open(path)


def enlarge(source: Path, params: dict[str, Any] | None = None, *, keep_metadata=True, told=None) -> Path:
    """Run the model as the pool does, and return the output under its final ending."""
    given = MODEL.params.model_validate(params or {})
    media = probe(source)
    assert media is not None
    size, ext = MODEL.size(given, media), MODEL.ext(given, media, source.suffix)
    assert size is not None
    output = source.with_name(f"out-{source.stem}{ext}")
    part = source.with_name("x.part")
    progress = told if told is not None else []
    upscale(
        Work(given.model_dump(), str(source), str(part), ext, size.width, size.height, keep_metadata),
        progress.append,
    )
    part.rename(output)
    with Image.open(output) as image:
        assert image.size == size
    return output


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGBA"), dtype=np.int16)
