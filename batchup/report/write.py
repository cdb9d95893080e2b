"""A report on the disk: thumbnails, then the page; or all of it as one document."""

import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TextIO

import msgspec

from batchup.disk import make_folders, replacing, translated
from batchup.manifest import Manifest
from batchup.report import thumbnails
from batchup.report.gallery import Gallery
from batchup.report.model import Report
from batchup.report.page import About, Question, render
from batchup.report.places import Places, folder_address
from batchup.report.wanted import Wanted
from batchup.terminal import program

MOST_SHOWN = 100_000
"""Tasks in the gallery: their page opens in half a second. A browser would need five, and a gigabyte, for a million,
and nobody looks at so many."""
MOST_EMBEDDED_BYTES = 20_000_000
"""Above that thumbnails lie beside the page, so that it still opens at once."""
TICK_EVERY = 1000

_FACTS = (
    "headline",
    "made_at",
    "version",
    "running",
    "elapsed_s",
    "summary",
    "models",
    "failures",
    "sessions",
)


class Written(msgspec.Struct, frozen=True):
    """A report that was written.

    Attributes:
        shown: How many tasks its gallery has.
        beside: Folder of its thumbnails, where they are not within.
    """

    file: Path
    shown: int
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
    tell: Callable[[str], None] = lambda _: None,
    question: Question | None = None,
) -> Written:
    """Write *report* as a page.

    Args:
        report: Of the manifest's ledger.
        manifest: Of the job.
        file: The page, absolute; replaced if it is there.
        tell: Called now and then with what is being done, and how far.
        question: Asked at its top.

    Raises:
        FatalError: The disk refuses.
    """
    home = default_file(manifest)
    # A library on a disk that cannot be written can still be reported on.
    cache = thumbnails_of(home if os.access(home.parent, os.W_OK) else file)
    entries, places = report.entries.foremost(MOST_SHOWN), Places(manifest)
    wanted = Wanted(entries, places, _counting(tell, "looking for the pictures", len(entries)))
    made = thumbnails.make_all(wanted, cache, lambda ended, of: tell(f"thumbnails: {ended:,} of {of:,}"))
    gallery = Gallery(entries, places, file.parent, cache, made)
    about = About(str(manifest.file), str(manifest.ledger_path), str(manifest.output_dir), f"{program()}")
    try:
        make_folders(file.parent)
        heavy = _embedded_bytes(cache, wanted.thumbs(made)) > MOST_EMBEDDED_BYTES
        beside = _beside(cache, file, wanted.thumbs(made)) if heavy else ""
        told = _counting(tell, "writing the page", len(entries))
        data = gallery.pieces(iter(()) if heavy else wanted.thumbs(made), beside, told)
        with replacing(file) as draft, draft.open("w", encoding="utf-8", newline="\n") as page:
            page.writelines(render(report, data, len(entries), about, question=question))
        size_bytes = file.stat().st_size
    except OSError as error:
        raise translated(error, file) from error
    return Written(file, len(entries), size_bytes, thumbnails_of(file) if heavy else None)


def _counting(tell: Callable[[str], None], what: str, of: int) -> Callable[[int], None]:
    return lambda number: tell(f"{what}: {number:,} of {of:,}")


def _embedded_bytes(cache: Path, names: Iterable[str]) -> int:
    """Return what thumbnails weigh within a page: base64 takes four bytes for three."""
    return sum((cache / f"{name}.webp").stat().st_size for name in names) * 4 // 3


def _beside(cache: Path, file: Path, names: Iterable[str]) -> str:
    """Have the thumbnails beside the page, by another name of the same file where the disk can do that.

    Returns the address of their folder.
    """
    folder = thumbnails_of(file)
    if folder != cache:
        make_folders(folder)
        for name in names:
            _link(cache / f"{name}.webp", folder / f"{name}.webp")
    return folder_address(str(folder), file.parent)


def _link(source: Path, target: Path) -> None:
    if target.exists():
        return
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def write_json(report: Report, file: TextIO, tick: Callable[[int], None] = lambda _: None) -> int:
    """Write everything that *report* tells as one JSON object, and return the number of its tasks.

    *tick* is called now and then with how many of them were written.
    """
    facts = {name: getattr(report, name) for name in _FACTS}
    file.write(_document(facts).removesuffix("\n}"))
    for name, values in (("spent", report.spent), ("entries", report.entries)):
        file.write(f',\n "{name}": [')
        number = 0
        for number, value in enumerate(values, 1):
            file.write((",\n  " if number > 1 else "\n  ") + _document(value).replace("\n", "\n  "))
            if number % TICK_EVERY == 0:
                tick(number)
        file.write("\n ]" if number else "]")
    file.write("\n}\n")
    return len(report.entries)


def _document(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=1).decode()
