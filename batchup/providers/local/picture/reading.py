"""Decoding, and what Pillow's errors about a file mean."""

from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, ImageFile

from batchup.errors import BatchupError, RejectedError

_CUT = (
    "truncated",
    "end of file",
    "not enough",
    "incomplete",
    "could not create decoder",
    "index out of range",
)


def decode(image: ImageFile.ImageFile, frame: int = 0) -> None:
    """Decode one frame, counted from 0.

    Raises:
        RejectedError: It is cut (``image_truncated``) or damaged (``image_damaged``).
        OSError: The disk failed.
    """
    with translated():
        image.seek(frame)
        image.load()


@contextmanager
def any_size() -> Iterator[None]:
    """Lift Pillow's limit on pixels while the block lasts: what runs was admitted by its size."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


@contextmanager
def translated() -> Iterator[None]:
    """Turn what Pillow raises about a file's contents into errors of ours."""
    try:
        yield
    except (BatchupError, MemoryError):
        raise
    # A damaged file makes plugins raise nearly anything: besides OSError and SyntaxError, TypeError, IndexError,
    # KeyError, struct.error, EOFError and RuntimeError were met by cutting and flipping bytes.
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        said = str(error).strip() or type(error).__name__
        if isinstance(error, EOFError) or any(word in said.lower() for word in _CUT):
            raise RejectedError(f"the image is cut: {said}", kind="image_truncated") from error
        raise RejectedError(f"the image is damaged: {said}", kind="image_damaged") from error
