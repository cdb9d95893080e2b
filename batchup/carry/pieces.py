"""A file made of pieces of another one and of new bytes, so that nothing in it is moved that need not be."""

from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, NamedTuple

_BLOCK_BYTES = 1 << 20


class Span(NamedTuple):
    """Bytes of the old file, from *start* up to *stop*."""

    start: int
    stop: int


Piece = bytes | Span


class Spliced(NamedTuple):
    """The new file.

    Attributes:
        pieces: All of it.
        notes: What has no place in it.
    """

    pieces: list[Piece]
    notes: tuple[str, ...] = ()


def is_same(pieces: Iterable[Piece], file: BinaryIO) -> bool:
    """Return whether *pieces* make up what *file* is already."""
    at = 0
    for piece in pieces:
        if isinstance(piece, Span):
            if piece.start != at:
                return False
            at = piece.stop
        else:
            file.seek(at)
            if file.read(len(piece)) != piece:
                return False
            at += len(piece)
    return at == file.seek(0, 2)


def joined(pieces: Iterable[Piece], data: bytes) -> bytes:
    """Return *pieces* of *data*, one behind the other."""
    return b"".join(data[piece.start : piece.stop] if isinstance(piece, Span) else piece for piece in pieces)


def write(pieces: Iterable[Piece], file: BinaryIO, target: Path) -> None:
    """Write *pieces* of *file* to *target*.

    Raises:
        OSError: A disk failed.
    """
    with target.open("wb") as out:
        for piece in pieces:
            if isinstance(piece, Span):
                _copy(file, piece, out)
            else:
                out.write(piece)


def _copy(file: BinaryIO, span: Span, out: BinaryIO) -> None:
    file.seek(span.start)
    left = span.stop - span.start
    while left and (block := file.read(min(left, _BLOCK_BYTES))):
        out.write(block)
        left -= len(block)
