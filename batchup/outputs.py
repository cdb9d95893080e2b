"""Outputs: written beside their final name, checked, and only then there. All of it blocks: call it in a thread."""

import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from stat import S_ISDIR, S_ISLNK
from typing import Literal, NamedTuple

import msgspec

from batchup import digest, media
from batchup.disk import make_folders, sync, sync_folder, translated
from batchup.errors import RejectedError
from batchup.events import Done
from batchup.source import Media

TRIED_S, MOST_TRIED = 1.0, 1000
"""A folder that could be written so many seconds ago still can be; so many folders are remembered."""

_tried_s: dict[Path, float] = {}

Finding = Literal["intact", "changed", "missing", "damaged"]


class Placed(NamedTuple):
    """An output under its final name."""

    size_bytes: int
    mtime_ns: int


class Examination(msgspec.Struct, frozen=True):
    """What :func:`examine` is given.

    Attributes:
        source: Empty where it is not on this machine.
        source_sha256: Content hash of the source, where it was taken before.
        pixels: Of one frame of the output, as far as known.
        inherits: What kind of file it is, if it is to be given what its source says first: EXIF, profile, sound.
        keep_metadata: Whether that is all, or only what is needed to show it right.
    """

    part: str
    source: str
    source_sha256: str = ""
    pixels: int = 0
    inherits: Literal["", "image", "video"] = ""
    keep_metadata: bool = True


class Examined(msgspec.Struct, frozen=True):
    """What :func:`examine` found: the output's size in pixels, and both content hashes."""

    width: int
    height: int
    sha256: str
    source_sha256: str


def examine(files: Examination) -> Examined:
    """Decode an output from its first frame to its last, and hash it and its input. Runs in a worker process, or a thread.

    Raises:
        RejectedError: ``output_damaged``: it does not decode.
    """
    if files.inherits:
        from batchup.carry import Carrying, carry

        carry(Carrying(files.source, files.part, files.keep_metadata, files.inherits))
    try:
        found = media.verify(files.part)
    except RejectedError as error:
        raise RejectedError(f"the output does not decode: {error}", kind="output_damaged") from error
    return Examined(
        width=found.width,
        height=found.height,
        sha256=digest.sha256(Path(files.part)),
        source_sha256=files.source_sha256 or (digest.sha256(files.source) if files.source else ""),
    )


def part_path(output: Path, task_id: str) -> Path:
    """Return where the task writes before its output is complete: hidden, short, in the output's own folder."""
    return output.with_name(f".{task_id[:16]}.part")


def prepare(output: Path, part: Path, base: Path, *, keep: bool = False) -> None:
    """Make the output's folders below *base*, and remove what an earlier run left at *part*, unless told to keep it.

    Raises:
        FatalError: The folder cannot be written.
        RejectedError: The output's place is taken by a folder, or a folder's by a file or a symlink.
    """
    try:
        _make_folders(output.parent, base)
        if keep and part.exists():
            return
        part.unlink(missing_ok=True)
        _try_out(part)
    except OSError as error:
        raise translated(error, output.parent) from error
    if output.is_dir():
        raise RejectedError(
            f"{output} is a folder; rename it or change output.name", kind="output_is_a_folder"
        )


def _try_out(part: Path) -> None:
    """Find out now, rather than after the work, that nothing can be written to a folder; not for each of its files."""
    now_s = time.monotonic()
    if now_s - _tried_s.get(part.parent, float("-inf")) < TRIED_S:
        return
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    part.unlink()
    if len(_tried_s) >= MOST_TRIED:
        _tried_s.clear()
    _tried_s[part.parent] = now_s


def _make_folders(folder: Path, base: Path) -> None:
    make_folders(base)
    current = base
    for part in folder.relative_to(base).parts:
        parent, current = current, current / part
        mode = _mode(current)
        if S_ISLNK(mode):
            message = f"{current} is a symlink; outputs are never written through one"
            raise RejectedError(message, kind="output_behind_symlink")
        if not S_ISDIR(mode):
            current.mkdir(exist_ok=True)
            sync_folder(parent)


def _mode(file: Path) -> int:
    """Return what stands at *file* itself, as ``lstat`` says it; 0 for nothing."""
    try:
        return os.lstat(file).st_mode
    except FileNotFoundError:
        return 0


def place(part: Path, output: Path, mtime_ns: int | None) -> Placed:
    """Give a complete *part* its final name, durably.

    Args:
        part: Complete and checked.
        output: Its final name, in the same folder; replaced if it is there.
        mtime_ns: Modification time that it gets; None to leave it.

    Raises:
        FatalError: The disk refuses.
    """
    try:
        if mtime_ns is not None:
            os.utime(part, ns=(mtime_ns, mtime_ns))
        with part.open("rb") as file:
            sync(file.fileno())
            stat = os.fstat(file.fileno())
        part.replace(output)
        sync_folder(output.parent)
    except OSError as error:
        raise translated(error, output) from error
    return Placed(stat.st_size, stat.st_mtime_ns)


def copy(source: Path, part: Path, sha256: str) -> bool:
    """Copy an output to *part* and return True; False if it is gone, or not any more what it was.

    A *part* that holds it already is left as it is.

    Raises:
        FatalError: The disk refuses.
    """
    try:
        if part.exists() and digest.sha256(part) == sha256:
            return True
        if not os.access(source, os.R_OK):
            return False
        shutil.copyfile(source, part)
        if digest.sha256(part) == sha256:
            return True
        part.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise translated(error, part) from error
    return False


def inspect(file: str | Path, done: Done, verify: Callable[[str | Path], object]) -> Finding:
    """Return what has become of an output: judged by its contents, once its size or time differ."""
    try:
        stat = os.stat(file)  # noqa: PTH116 - a string is what there is
        known = (stat.st_size, stat.st_mtime_ns) == (done.size_bytes, done.mtime_ns)
        if known or (stat.st_size == done.size_bytes and digest.sha256(file) == done.sha256):
            return "intact"
        verify(file)
    except (FileNotFoundError, NotADirectoryError):
        return "missing"
    except (RejectedError, OSError):
        return "damaged"
    return "changed"


def verify(file: str | Path) -> Media:
    """Decode *file*.

    Raises:
        RejectedError: It does not decode.
    """
    return media.verify(file)


def discard(part: Path) -> None:
    """Remove a part that nobody needs any more; one that cannot be removed now is met by the next run."""
    with suppress(OSError):
        part.unlink(missing_ok=True)
