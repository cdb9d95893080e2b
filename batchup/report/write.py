"""A report on the disk: thumbnails, then the page."""

import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from batchup.disk import make_folders, replacing, translated
from batchup.manifest import Manifest
from batchup.report import gallery as galleries
from batchup.report import thumbnails
from batchup.report.gallery import Gallery
from batchup.report.model import Report
from batchup.report.page import About, Question, render
from batchup.report.places import Places, folder_address
from batchup.terminal import program

MOST_EMBEDDED_BYTES = 20_000_000
"""Above that thumbnails lie beside the page, so that it still opens at once."""


class Written(msgspec.Struct, frozen=True):
    """A report that was written.

    Attributes:
        beside: Folder of its thumbnails, where they are not within.
    """

    file: Path
    size_bytes: int
    beside: Path | None


def default_file(manifest: Manifest) -> Path:
    """Return where a job's report goes if nobody says otherwise: beside its ledger."""
    return manifest.ledger_path.parent / f"{manifest.name}.html"


def thumbnails_of(file: Path) -> Path:
    """Return the folder of a page's thumbnails. Hidden, so that no job takes them for photos."""
    return file.with_name(f".{file.stem}.thumbnails")


def write(
    report: Report,
    manifest: Manifest,
    file: Path,
    tick: Callable[[int, int], None] = lambda *_: None,
    question: Question | None = None,
) -> Written:
    """Write *report* as a page.

    Args:
        report: Of the manifest's ledger.
        manifest: Of the job.
        file: The page, absolute; replaced if it is there.
        tick: Called with how many thumbnails are made, and how many are to be.
        question: Asked at its top.

    Raises:
        FatalError: The disk refuses.
    """
    home = default_file(manifest)
    # A library on a disk that cannot be written can still be reported on.
    cache = thumbnails_of(home if os.access(home.parent, os.W_OK) else file)
    pictures = galleries.look(report.entries, Places(manifest))
    there = thumbnails.make_all(galleries.wanted(pictures), cache, tick)
    gallery = galleries.arrange(report.entries, pictures, file.parent, cache, there)
    about = About(str(manifest.file), str(manifest.ledger_path), str(manifest.output_dir), f"{program()}")
    names = {item.t for item in gallery.items if item.t}
    try:
        make_folders(file.parent)
        heavy = _embedded_bytes(cache, names) > MOST_EMBEDDED_BYTES
        gallery = _beside(gallery, cache, file, names) if heavy else _within(gallery, cache)
        page = render(report, gallery, about, question=question).encode()
        with replacing(file) as draft:
            draft.write_bytes(page)
    except OSError as error:
        raise translated(error, file) from error
    return Written(file, len(page), thumbnails_of(file) if heavy else None)


def _embedded_bytes(cache: Path, names: Iterable[str]) -> int:
    """Return what thumbnails weigh within a page: base64 takes four bytes for three."""
    return sum((cache / f"{name}.webp").stat().st_size for name in names) * 4 // 3


def _within(gallery: Gallery, cache: Path) -> Gallery:
    return msgspec.structs.replace(gallery, thumbs=galleries.embedded(gallery, cache))


def _beside(gallery: Gallery, cache: Path, file: Path, names: Iterable[str]) -> Gallery:
    """Have the thumbnails beside the page, by another name of the same file where the disk can do that."""
    folder = thumbnails_of(file)
    if folder != cache:
        make_folders(folder)
        for name in names:
            _link(cache / f"{name}.webp", folder / f"{name}.webp")
    return msgspec.structs.replace(gallery, beside=folder_address(str(folder), file.parent))


def _link(source: Path, target: Path) -> None:
    if target.exists():
        return
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
