"""Encoding, and what Pillow's errors mean while an output is written."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from batchup.errors import RejectedError

_SPARE_BYTES = 1 << 20


@contextmanager
def writing(output: Path, what: str) -> Iterator[None]:
    """Tell an encoder that gives up from a disk that is full: Pillow reports both without an errno.

    Args:
        output: What is written. It grows by a little if that fails.
        what: Begins what a person is told: ``the copy cannot be written as PNG``.

    Raises:
        RejectedError: The encoder gave up (``image_unwritable``).
        OSError: The disk failed.
    """
    try:
        yield
    except (OSError, ValueError, RuntimeError, OverflowError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        with output.open("ab") as file:
            file.write(bytes(_SPARE_BYTES))
        raise RejectedError(f"{what}: {error}", kind="image_unwritable") from error
