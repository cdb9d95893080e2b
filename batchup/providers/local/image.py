"""Enlarges one image file with everything that it holds: the work of ``local/lanczos``, and the frame of others."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image, ImageFile

from batchup.errors import RejectedError
from batchup.media import open_image, probe
from batchup.models.base import LocalModel
from batchup.models.formats import Format, by_ending
from batchup.models.local.lanczos import MODEL
from batchup.providers.local.picture import animation, apng, encode, gif, metadata, pixels, tiff, webp
from batchup.providers.local.picture.encode import Still
from batchup.providers.local.picture.metadata import Metadata
from batchup.providers.local.picture.reading import any_size, decode, translated
from batchup.providers.local.picture.writing import writing
from batchup.providers.local.work import Tell, Work
from batchup.source import Media, Size

_DECODED, _ENLARGED = 0.2, 0.6
"""Done part of the work, roughly, as measured with JPEG."""


@dataclass(frozen=True, slots=True)
class _Job:
    """One file to be written, every question answered."""

    work: Work
    params: Any
    media: Media
    form: Format
    size: Size
    tell: Tell
    enlarge: pixels.Enlarge

    def kept(self, meta: Metadata) -> Metadata:
        """Return what of *meta* goes into the output.

        Raises:
            RejectedError: The output's format cannot say how the colours are meant.
        """
        if self.form.name != "PNG" and meta.colours_need_png:
            raise _lossy(
                "its colours are defined by a gamma or cICP that only PNG holds", "colours_unsupported"
            )
        if meta.icc and not self.form.metadata:
            raise _lossy(
                f"it has a colour profile, which {self.form.label} cannot hold", "profile_unsupported"
            )
        return meta if self.work.keep_metadata else metadata.stripped(meta)

    def enlarging(self, done: float) -> None:
        """Tell how much of a still is enlarged."""
        self.tell(_DECODED + done * (_ENLARGED - _DECODED))


def _lossy(what: str, kind: str) -> RejectedError:
    return RejectedError(f"{what}; set output_format to png", kind=kind)


def upscale(work: Work, tell: Tell) -> None:
    """Enlarge ``work.source`` into ``work.output`` by Lanczos. Raises as :func:`enlarge`."""
    enlarge(work, tell, MODEL, pixels.by_lanczos)


def enlarge(work: Work, tell: Tell, model: LocalModel, by: pixels.Enlarge) -> None:
    """Enlarge ``work.source`` into ``work.output``.

    Args:
        work: What is done.
        tell: Told how far it is.
        model: Knows what can be taken. Its parameters have a ``quality``.
        by: Makes pixels larger.

    Raises:
        RejectedError: The file cannot be read (the kinds of :func:`batchup.media.verify`), is another one than was
            planned (``source_changed``), cannot become what was asked for without a loss (``refused``,
            ``*_unsupported``, ``several_views``, ``metadata_too_large``), or its format's encoder gave up
            (``image_unwritable``).
        OSError: A disk failed.
    """
    job = _checked(work, tell, model, by)
    with any_size(), ExitStack() as stack:
        with translated():
            image = stack.enter_context(open_image(work.source, job.media.format))
        file = stack.enter_context(Path(work.source).open("rb"))
        if job.media.format == "TIFF":
            _tiff(job, image, file)
        elif job.media.frames > 1:
            _animation(job, image, file)
        else:
            _still(job, image, file)
    tell(1.0)


def _checked(work: Work, tell: Tell, model: LocalModel, by: pixels.Enlarge) -> _Job:
    """Hold the file against what was planned: it may have changed since, or have come by a URL."""
    media = probe(work.source)
    if media is None:
        raise RejectedError("the file is no image", kind="not_media")
    params = model.params.model_validate(dict(work.params))
    reason = model.refuse(params, media)
    if reason:
        raise RejectedError(reason, kind="refused")
    form = by_ending(work.ext)
    assert form is not None, work.ext  # the model named it
    planned, size = Size(work.width, work.height), model.size(params, media)
    assert size is not None
    if work.width and planned != size:
        raise RejectedError(
            f"the file has changed since it was planned: {size.width}x{size.height} would come out, not"
            f" {planned.width}x{planned.height}",
            kind="source_changed",
        )
    return _Job(work, params, media, form, size, tell, by)


def _still(job: _Job, image: ImageFile.ImageFile, file: BinaryIO) -> None:
    how = encode.manner(image, job.media.format, file)
    decode(image)
    job.tell(_DECODED)
    meta = job.kept(metadata.read(image, file, job.media.format, job.size))
    mode = image.mode
    small = _fitting(job, pixels.upright(pixels.workable(image), job.media.orientation))
    large = pixels.as_it_was(job.enlarge(small, job.size, job.enlarging), mode)
    job.tell(_ENLARGED)
    blocks = _gif_blocks(job, meta, file) if job.form.name == "GIF" else ()
    _save(job, Still(large, meta, how, job.params.quality), blocks)


def _fitting(job: _Job, image: Image.Image) -> Image.Image:
    return image if job.form.alpha else pixels.opaque(image, job.form.label)


def _writing(job: _Job) -> AbstractContextManager[None]:
    return writing(Path(job.work.output), f"the enlarged picture cannot be written as {job.form.label}")


def _save(job: _Job, still: Still, blocks: Iterable[bytes] = ()) -> None:
    output = Path(job.work.output)
    with _writing(job):
        if job.form.name == "TIFF":
            tiff.write([still], output)
            return
        with output.open("wb") as file:
            if job.form.name == "GIF":
                patch = animation.Patch(still.image, 0, 0, Fraction(0))
                gif.write(file, job.size, animation.ONCE, [patch], blocks)
            else:
                encode.save(still, file, job.form)


def _gif_blocks(job: _Job, meta: Metadata, file: BinaryIO) -> Iterable[bytes]:
    """Return the blocks that go into a GIF besides its frames: those of a GIF as they stand."""
    if job.media.format != "GIF":
        return map(gif.comment, meta.comments)
    return [
        block
        for label, block in gif.extensions(file)
        if job.work.keep_metadata or gif.is_profile(label, block)
    ]


def _tiff(job: _Job, image: ImageFile.ImageFile, file: BinaryIO) -> None:
    """Enlarge a TIFF, every page if it stays one."""
    ratio = Fraction(job.size.width, job.media.width), Fraction(job.size.height, job.media.height)
    pages = tiff.pages(file)

    def stills() -> Iterator[Still]:
        for done, page in enumerate(pages, 1):
            still = tiff.enlarged(image, page, ratio, job.enlarge)
            meta = job.kept(still.meta)
            yield replace(still, image=_fitting(job, still.image), meta=meta, quality=job.params.quality)
            job.tell(done / len(pages))

    if job.form.name == "TIFF":
        with _writing(job):
            tiff.write(stills(), Path(job.work.output))
    else:
        _save(job, next(stills()))


def _animation(job: _Job, image: ImageFile.ImageFile, file: BinaryIO) -> None:
    decode(image)
    how = encode.manner(image, job.media.format, file)
    meta = job.kept(metadata.read(image, file, job.media.format, job.size))
    timing = animation.timing(image, job.media.format)
    mode = animation.common_mode(image, timing.frames)
    whole = job.form.name == "GIF" and mode == "RGBA"
    canvas = animation.Canvas(job.size, job.media.orientation, mode, whole=whole, enlarge=job.enlarge)
    patches = animation.patches(image, timing, canvas, job.tell)

    def save(one: Image.Image, output: BinaryIO, first: bool = False) -> None:  # noqa: FBT001, FBT002 - see apng.Encode
        encode.save(Still(one, meta if first else Metadata(), how, job.params.quality), output, job.form)

    with _writing(job), Path(job.work.output).open("wb") as output:
        if job.form.name == "GIF":
            gif.write(output, job.size, timing, patches, _gif_blocks(job, meta, file))
        elif job.form.name == "WEBP":
            webp.write(output, job.size, timing, patches, meta, save)
        else:
            apng.write(output, timing, patches, save)
