"""TIFFs: every page enlarged by the same factor, one at a time."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from pathlib import Path
from typing import BinaryIO

from PIL import ImageFile
from PIL.TiffImagePlugin import AppendingTiffWriter

from batchup.errors import RejectedError
from batchup.providers.local.picture import encode, ifd, metadata, pixels
from batchup.providers.local.picture.encode import Still
from batchup.providers.local.picture.metadata import Metadata
from batchup.providers.local.picture.reading import decode
from batchup.source import Size

_SUBFILE_TAG, _BITS_TAG = 254, 258
_REDUCED_OR_MASK = 0b101
_BYTE_BITS = 8
_ONE_CHANNEL = pixels.DEEP_GREY | {"F", "I"}


@dataclass(frozen=True, slots=True)
class Page:
    """One page.

    Attributes:
        index: Its place in the file, from 0.
        tags: What it says of itself.
    """

    index: int
    tags: ifd.Directory


def pages(file: BinaryIO) -> list[Page]:
    """Return all pages. Thumbnails, levels of a pyramid, and masks are none.

    Raises:
        ValueError: It is no TIFF.
    """
    found = [Page(index, tags) for index, tags in enumerate(ifd.directories(file))]
    return [page for page in found if page.index == 0 or not _subfile(page.tags) & _REDUCED_OR_MASK]


def _subfile(tags: ifd.Directory) -> int:
    return tags[_SUBFILE_TAG].first if _SUBFILE_TAG in tags else 0


def enlarged(
    image: ImageFile.ImageFile, page: Page, ratio: tuple[Fraction, Fraction], by: pixels.Enlarge
) -> Still:
    """Return one page, enlarged, with what goes with it; as it is on disk, apart from its mode.

    Args:
        image: Open.
        page: Which one.
        ratio: How much wider and higher it becomes.
        by: Does it.

    Raises:
        RejectedError: It cannot be read, or not without loss.
    """
    decode(image, page.index)  # Pillow turns the pixels of a TIFF upright by itself
    _check_depth(image.mode, page)
    how = encode.tiff_manner(image)
    width, height = (
        max(1, floor(side * factor + Fraction(1, 2))) for side, factor in zip(image.size, ratio, strict=True)
    )
    size = Size(width, height)
    meta = metadata.of_page(image, page.tags, size)
    large = by(pixels.workable(image), size, lambda _: None)
    return Still(pixels.as_it_was(large, image.mode), meta, how)


def _check_depth(mode: str, page: Page) -> None:
    entry = page.tags.get(_BITS_TAG)
    bits = max(entry.data[0::2], default=0) if entry else 0
    if bits > _BYTE_BITS and mode not in _ONE_CHANNEL:
        raise RejectedError(
            f"page {page.index + 1} has {bits} bits a channel, and colours are computed in 8;"
            " convert it to 8 bits first if that is enough",
            kind="mode_unsupported",
        )


class _Pages(AppendingTiffWriter):
    """Joins pages in a file that belongs to whoever opened it.

    Pillow's own ``close`` finishes the last page, which ``newFrame`` has done already, and (in Pillow 13) does not say that it is
    closed: so Python closes it once more when it is collected, and from 3.13 on prints the traceback of seeking in a closed file.
    """

    def close(self) -> None:
        pass


def write(stills: Iterable[Still], output: Path) -> None:
    """Write *stills* as the pages of one TIFF. Errors as :func:`batchup.providers.local.picture.encode.save`."""
    metas: list[Metadata] = []
    with output.open("w+b") as file:
        joined = _Pages(file)
        for still in stills:
            encode.save_page(still, joined)
            joined.newFrame()
            metas.append(still.meta)
        written = ifd.directories(file)
        tags = [metadata.page_tags(meta) for meta in metas]
        ifd.append(file, [{**page, **more} for page, more in zip(written, tags, strict=True)])
