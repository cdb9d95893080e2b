"""Pictures: an image enlarged, or a blank one of the same size."""

from pathlib import Path

from PIL import Image

from batchup.media import open_image
from batchup.rehearsal.answers import WorkError, model_error
from batchup.source import Media, Size

FORMATS = {"png": "PNG", "jpg": "JPEG", "jpeg": "JPEG", "webp": "WEBP"}
"""``output_format`` -> Pillow's name."""

MEDIA_TYPES = {"png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "webp": "image/webp"}

_TURNED = 5
"""From this EXIF orientation on the picture lies on its side."""


def size(media: Media) -> Size:
    """Return the size of an image as it is stored: the models do not look at its orientation."""
    return Size(media.height, media.width) if media.orientation >= _TURNED else media.size


def enlarge(source: Path, media: Media, target: Path, to: Size, form: str) -> None:
    """Write *source* in size *to*. What it holds besides pixels is lost, as it is there.

    Raises:
        WorkError: It cannot be decoded.
    """
    try:
        with open_image(str(source), media.format) as image:
            image.load()
            alpha = "A" in image.getbands() or "transparency" in image.info
            plain = image.convert("RGBA" if alpha and form in {"png", "webp"} else "RGB")
    except (OSError, ValueError, SyntaxError) as error:
        raise WorkError(model_error("image_load_error", loc=("body", "image_url")), used_gpu=True) from error
    _save(plain.resize(to, Image.Resampling.LANCZOS), target, form)


def blank(target: Path, to: Size, form: str) -> None:
    """Write a black image of size *to*, in grey: a third of the work and memory."""
    _save(Image.new("L", to), target, form)


def _save(image: Image.Image, target: Path, form: str) -> None:
    options = {"compress_level": 1} if form == "png" else {}
    with target.open("wb") as file:
        image.save(file, FORMATS[form], **options)
