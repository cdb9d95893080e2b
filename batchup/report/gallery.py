"""What the page's gallery is given: one small object a task, and tables of what many share."""

import base64
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from batchup.report.model import Entry
from batchup.report.picture import shows
from batchup.report.places import Places, address, folder_address
from batchup.report.thumbnails import key
from batchup.task import Scalar
from batchup.terminal import escape

STATES = ("done", "failed", "held", "in flight", "pending")


class Item(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One task, as the page has it. Addresses are relative to the page.

    Attributes:
        n: Name of the input, without its folder; harmless.
        f: Number of its folder, *m* of its model with parameters, *s* of its state.
        g: Number of its input: tasks of one input have the same.
        v: Whether it is a video.
        t: Thumbnail: its key.
        b: The picture before, *a* after; *bp* and *ap* where that is a preview of what no browser shows.
        w: Width of the output in pixels, *h* height, *z* bytes.
        c: Charged, in USD; *d* seconds that it took; *u* whether its size is not the expected one.
        e: Class of the error, *x* what it said.
    """

    n: str
    f: int
    m: int
    s: int
    g: int
    v: bool = False
    t: str = ""
    b: str = ""
    bp: bool = False
    a: str = ""
    ap: bool = False
    w: int = 0
    h: int = 0
    z: int = 0
    c: float = 0.0
    d: float = 0.0
    u: bool = False
    e: str = ""
    x: str = ""


class Gallery(msgspec.Struct, frozen=True, kw_only=True):
    """All of them.

    Attributes:
        models: Name of the model, parameters as text.
        thumbs: Key -> data, where they are within the page; else *beside* is the address of their folder.
    """

    folders: list[str]
    models: list[tuple[str, str]]
    states: tuple[str, ...]
    items: list[Item]
    beside: str = ""
    thumbs: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Pictures:
    """The files of one entry: paths and keys, None for what is not there."""

    before: str | None = None
    after: str | None = None
    before_key: str | None = None
    after_key: str | None = None

    @property
    def thumb(self) -> tuple[str, str] | None:
        """Key and path of what stands for the task: its output, else its input."""
        for name, path in ((self.after_key, self.after), (self.before_key, self.before)):
            if name and path:
                return name, path
        return None


def look(entries: Iterable[Entry], places: Places) -> list[Pictures]:
    """Look for the files of all entries."""
    known: dict[str, str | None] = {}
    found = []
    for entry in entries:
        before, after = places.before(entry), places.after(entry)
        for path in (before, after):
            if path is not None and path not in known:
                known[path] = key(path)
        before_key = known[before] if before is not None else None
        after_key = known[after] if after is not None else None
        found.append(
            Pictures(before if before_key else None, after if after_key else None, before_key, after_key)
        )
    return found


def wanted(pictures: Iterable[Pictures]) -> dict[str, str]:
    """Return of which files something is to be made: key -> path."""
    made: dict[str, str] = {}
    shown: dict[str, bool] = {}
    for one in pictures:
        if one.thumb:
            made[one.thumb[0]] = one.thumb[1]
        if one.after_key and one.before_key and one.before:
            if one.before_key not in shown:
                shown[one.before_key] = shows(one.before)
            if not shown[one.before_key]:
                made[one.before_key] = one.before
    return made


class _Table:
    """Numbers for values that come again and again."""

    def __init__(self) -> None:
        self.numbers: dict[Any, int] = {}

    def __call__(self, value: Any) -> int:
        return self.numbers.setdefault(value, len(self.numbers))


def arrange(
    entries: Iterable[Entry], pictures: Iterable[Pictures], page: Path, cache: Path, there: Collection[str]
) -> Gallery:
    """Return what the page is given, thumbnails left out.

    Args:
        entries: Of the report.
        pictures: Of each.
        page: Folder of the page.
        cache: Folder of thumbnails and previews.
        there: Names of the files in it.
    """
    folders, models, inputs = _Table(), _Table(), _Table()
    shown = _Shown(page, cache, there)
    items = []
    for entry, files in zip(entries, pictures, strict=True):
        before, before_is_preview = shown.of(files.before, files.before_key)
        after, after_is_preview = shown.of(files.after, files.after_key)
        thumb = files.thumb
        items.append(
            Item(
                n=escape(entry.url or entry.path.rpartition("/")[2]),
                f=folders(escape(entry.folder)),
                m=models((escape(entry.model), escape(said(entry.params)))),
                s=STATES.index(entry.state),
                g=inputs((entry.root, entry.path, entry.url)),
                v=entry.kind == "video",
                t=thumb[0] if thumb and f"{thumb[0]}.webp" in there else "",
                b=before,
                bp=before_is_preview,
                a=after,
                ap=after_is_preview,
                w=entry.width,
                h=entry.height,
                z=entry.size_bytes,
                c=entry.charged_usd,
                d=entry.seconds,
                u=entry.unexpected_size,
                e=escape(entry.error),
                x=escape(entry.message),
            )
        )
    return Gallery(folders=list(folders.numbers), models=list(models.numbers), states=STATES, items=items)


class _Shown:
    """Finds how a page shows files."""

    def __init__(self, page: Path, cache: Path, there: Collection[str]) -> None:
        self._page, self._there = page, there
        self._cache = folder_address(str(cache), page)
        self._folders: dict[str, str] = {}

    def of(self, path: str | None, name: str | None) -> tuple[str, bool]:
        """Return a file's address, or that of its preview, and whether it is the preview."""
        if path is None or name is None:
            return "", False
        if f"{name}.jpg" in self._there:
            return f"{self._cache}{name}.jpg", True
        parent = os.path.dirname(path)  # noqa: PTH120 - names may hold what pathlib normalises
        if parent not in self._folders:
            self._folders[parent] = folder_address(parent, self._page)
        return address(path, self._page, self._folders), False


def embedded(gallery: Gallery, cache: Path) -> dict[str, str]:
    """Return all thumbnails as data addresses, by key."""
    names = {item.t for item in gallery.items if item.t}
    return {
        name: "data:image/webp;base64," + base64.b64encode((cache / f"{name}.webp").read_bytes()).decode()
        for name in names
    }


def said(params: Mapping[str, Scalar]) -> str:
    """Return parameters as a person reads them: ``scale 4, output_format png``."""
    return ", ".join(f"{name} {_plain(value)}" for name, value in params.items())


def _plain(value: Scalar) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)
