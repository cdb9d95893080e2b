"""Still pictures as files: what Pillow must be told so that it keeps what it would drop."""

from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from PIL import Image, PngImagePlugin

from batchup.errors import RejectedError
from batchup.models.formats import Format
from batchup.providers.local.picture import chunks, exif
from batchup.providers.local.picture.metadata import Metadata

PNG_LEVEL = 2
"""Of 9. Measured on a photo of 48 megapixels: 2 takes 3.8 s for 76 MB, 6 takes 17 s for 70 MB."""

QUALITY = {"JPEG": 95, "WEBP": 90, "AVIF": 85, "HEIC": 85}
_WEBP_METHOD = 2
"""Of 6. Measured: half the time of the usual 4 at the same size."""
_AVIF_SPEED = 8
"""Of 10. Measured: a quarter of the time of the usual 6, 7% larger."""
_HEIC_PRESET = "veryfast"
"""Of x265. Measured: 0.4 of the time of its usual ``slow``, 4% larger."""
_SEGMENT_BYTES = 65_533
_JPEG_XMP_BYTES = _SEGMENT_BYTES - 29

_TIFF_COMPRESSIONS = {
    "raw": "raw",
    "packbits": "packbits",
    "tiff_lzw": "tiff_lzw",
    "tiff_deflate": "tiff_adobe_deflate",
    "tiff_adobe_deflate": "tiff_adobe_deflate",
    "zstd": "zstd",
    "jpeg": "jpeg",
}
_PREDICTED = frozenset({"tiff_lzw", "tiff_adobe_deflate", "zstd"})
_PREDICTOR_TAG = 317


@dataclass(frozen=True, slots=True)
class Manner:
    """How a picture was written, as far as it goes on being written so.

    Attributes:
        subsampling: Of a JPEG's colours: 0 is 4:4:4, 1 is 4:2:2, 2 is 4:2:0.
        progressive: A JPEG that appears in passes.
        lossless: A WebP without loss.
        compression: Of a TIFF, by Pillow's name.
    """

    subsampling: int = 0
    progressive: bool = False
    lossless: bool = False
    compression: str = "tiff_lzw"


def manner(image: Image.Image, found: str, file: BinaryIO) -> Manner:
    """Return how the file was written whose header Pillow has read.

    Args:
        image: Opened.
        found: Its format.
        file: The same file, to be read anew.
    """
    if found == "JPEG":
        from PIL import JpegImagePlugin

        subsampling = JpegImagePlugin.get_sampling(image)
        progressive = bool(image.info.get("progressive"))
        return Manner(subsampling=max(0, subsampling), progressive=progressive)
    if found == "WEBP":
        return Manner(
            lossless=any(name == b"VP8L" or data[16:20] == b"VP8L" for name, data in chunks.webp(file))
        )
    return Manner()


def tiff_manner(image: Image.Image) -> Manner:
    """Return how the loaded page of a TIFF was written. What only black and white can have becomes LZW."""
    compression = str(image.info.get("compression", "raw"))
    return Manner(compression=_TIFF_COMPRESSIONS.get(compression, "tiff_lzw"))


@dataclass(frozen=True, slots=True)
class Still:
    """A picture ready to be written.

    Attributes:
        image: In a mode that the format holds, with an empty ``info``.
        meta: What goes with it.
        how: What to keep of the way it was written.
        quality: 1 to 100, None for :data:`QUALITY`.
    """

    image: Image.Image
    meta: Metadata
    how: Manner
    quality: int | None = None


class _Unnumbered:
    """A file without a descriptor, so that Python does the writing.

    Pillow 13 overlooks that ``write(2)`` may write less than it is given: on a full disk a JPEG ends early without an error.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.write, self.flush = file.write, file.flush


def save(still: Still, file: BinaryIO, form: Format) -> None:
    """Write *still*.

    Args:
        still: The picture with all that goes with it.
        file: Open for writing.
        form: Neither GIF nor TIFF, which have modules of their own.

    Raises:
        RejectedError: A part of its metadata does not fit into *form*.
        OSError: The encoder or the disk failed; only the disk's has an ``errno``.
    """
    options = _OPTIONS[form.name](still)
    if still.meta.dpi:
        options["dpi"] = still.meta.dpi
    if form.name == "HEIC":
        import pillow_heif

        pillow_heif.register_heif_opener()
    unnumbered = cast("BinaryIO", _Unnumbered(file))
    still.image.save(unnumbered, "HEIF" if form.name == "HEIC" else form.name, **options)


def save_page(still: Still, file: Any) -> None:
    """Write *still* as one page of a TIFF, without what ``metadata.page_tags`` tells. Errors as :func:`save`."""
    still.image.save(file, "TIFF", **_tiff(still))


def _jpeg(still: Still) -> dict[str, Any]:
    block = exif.PREFIX + still.meta.exif if still.meta.exif else b""
    for name, length, limit in (
        ("EXIF", len(block), _SEGMENT_BYTES),
        ("XMP", len(still.meta.xmp), _JPEG_XMP_BYTES),
    ):
        if length > limit:
            raise RejectedError(
                f"its {name} has {length:,} bytes, a JPEG holds {limit:,}; set output_format to png or output.metadata"
                " to strip",
                kind="metadata_too_large",
            )
    return {
        "quality": still.quality or QUALITY["JPEG"],
        "subsampling": still.how.subsampling,
        "progressive": still.how.progressive,
        "exif": block,
        "xmp": still.meta.xmp,
        "icc_profile": still.meta.icc,
        "extra": _segments(still.meta),
    }


def _segments(meta: Metadata) -> bytes:
    segments = [*meta.segments, *((0xFE, comment) for comment in meta.comments)]
    head, step = b"Photoshop 3.0\0", _SEGMENT_BYTES - 14
    resources = meta.photoshop
    segments += [(0xED, head + resources[at : at + step]) for at in range(0, len(resources), step)]
    return b"".join(
        bytes([0xFF, marker]) + (len(data) + 2).to_bytes(2, "big") + data
        for marker, data in segments
        if len(data) <= _SEGMENT_BYTES
    )


def _png(still: Still) -> dict[str, Any]:
    texts = PngImagePlugin.PngInfo()
    for name, data in still.meta.chunks:
        texts.add(name, data)
    if still.meta.xmp:
        # Keyword, uncompressed, no language and no translation: XMP Specification Part 3, 1.1.5.
        texts.add(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + still.meta.xmp)
    for comment in still.meta.comments:
        texts.add_itxt("Comment", comment.decode("utf-8", "replace"))
    options: dict[str, Any] = {"compress_level": PNG_LEVEL, "pnginfo": texts, "exif": still.meta.exif}
    return {**options, "icc_profile": still.meta.icc} if still.meta.icc else options


def _webp(still: Still) -> dict[str, Any]:
    packed = {"exif": still.meta.exif, "xmp": still.meta.xmp, "icc_profile": still.meta.icc}
    if still.how.lossless:  # then "quality" is the effort
        return {"lossless": True, "quality": 20, "method": 1, **packed}
    return {"quality": still.quality or QUALITY["WEBP"], "method": _WEBP_METHOD, **packed}


def _avif(still: Still) -> dict[str, Any]:
    subsampling = "4:0:0" if still.image.mode == "L" else "4:4:4"
    packed = {
        "exif": exif.PREFIX + still.meta.exif if still.meta.exif else b"",
        "xmp": still.meta.xmp,
        "icc_profile": still.meta.icc,
    }
    return {
        "quality": still.quality or QUALITY["AVIF"],
        "speed": _AVIF_SPEED,
        "subsampling": subsampling,
        **packed,
    }


def _heic(still: Still) -> dict[str, Any]:
    packed = {
        "exif": exif.PREFIX + still.meta.exif if still.meta.exif else b"",
        "xmp": still.meta.xmp,
        "icc_profile": still.meta.icc,
    }
    return {
        "quality": still.quality or QUALITY["HEIC"],
        "enc_params": {"preset": _HEIC_PRESET},
        **{name: value for name, value in packed.items() if value},
    }


def _tiff(still: Still) -> dict[str, Any]:
    compression = still.how.compression
    if compression == "jpeg" and still.image.mode not in {"L", "RGB", "CMYK"}:
        compression = "tiff_lzw"
    options: dict[str, Any] = {"compression": compression, "icc_profile": still.meta.icc}
    if compression == "jpeg":
        options["quality"] = still.quality or QUALITY["JPEG"]
    elif compression in _PREDICTED and still.image.mode not in {"F", "I"}:
        options["tiffinfo"] = {_PREDICTOR_TAG: 2}  # differences of neighbours: less than half the size
    return options


def _bmp(_: Still) -> dict[str, Any]:
    return {}


_OPTIONS = {
    "JPEG": _jpeg,
    "PNG": _png,
    "WEBP": _webp,
    "AVIF": _avif,
    "HEIC": _heic,
    "BMP": _bmp,
}
