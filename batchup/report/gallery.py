"""What the page's gallery is given, as JSON in pieces: one small object a task, and tables of what many share."""

import base64
import os
from collections.abc import Callable, Iterator, Mapping
from itertools import islice, starmap
from pathlib import Path
from typing import Any

import msgspec

from batchup.keys import Keys
from batchup.report.model import Entry, Tasks
from batchup.report.places import Places, address, folder_address
from batchup.report.thumbnails import Made
from batchup.report.wanted import Pictures, look
from batchup.task import Scalar
from batchup.terminal import escape

AT_ONCE = 200
"""Tasks in a piece."""

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


class Gallery:
    """Everything that the page is given about *entries*. Asked for once.

    Models are told by name and parameters as text.
    """

    def __init__(self, entries: Tasks, places: Places, page: Path, cache: Path, made: Made) -> None:
        """Begin with nothing told.

        Args:
            entries: To be shown.
            places: Of the job.
            page: Folder of the page.
            cache: Folder of thumbnails and previews.
            made: What there is in it.
        """
        self._entries, self._places, self._made, self._cache = entries, places, made, cache
        self._shown = _Shown(page, cache, made)
        self._folders, self._models = _Table(), _Table()
        # An input is known by 64 bits of it: two of a million are taken for one once in 10^7 times.
        self._inputs = Keys(8)

    def __len__(self) -> int:
        return len(self._entries)

    def pieces(
        self, thumbs: Iterator[str], beside: str = "", tick: Callable[[int], None] = lambda _: None
    ) -> Iterator[bytes]:
        """Yield all as one JSON object.

        Args:
            thumbs: Keys of those thumbnails that are told with it.
            beside: Address of the folder of the others.
            tick: Called now and then with how many tasks were told.
        """
        encode = msgspec.json.encode
        yield b'{"items":['
        told, items = 0, starmap(self._item, look(self._entries, self._places))
        while some := list(islice(items, AT_ONCE)):
            # As an array without its brackets.
            yield (b"," if told else b"") + encode(some)[1:-1]
            told += len(some)
            tick(told)
        tables = {"folders": list(self._folders.numbers), "models": list(self._models.numbers)}
        yield b"]," + encode({**tables, "states": STATES, "beside": beside})[1:-1]
        yield b',"thumbs":{'
        for number, name in enumerate(thumbs):
            data = base64.b64encode((self._cache / f"{name}.webp").read_bytes())
            yield (b"," if number else b"") + b'"%s":"data:image/webp;base64,%s"' % (name.encode(), data)
        yield b"}}"

    def _item(self, entry: Entry, files: Pictures) -> Item:
        before, before_is_preview = self._shown.of(files.before, files.before_key)
        after, after_is_preview = self._shown.of(files.after, files.after_key)
        known_by = hash((entry.root, entry.path, entry.url)).to_bytes(8, "little", signed=True)
        return Item(
            n=escape(entry.url or entry.path.rpartition("/")[2]),
            f=self._folders(escape(entry.folder)),
            m=self._models((escape(entry.model), escape(said(entry.params)))),
            s=STATES.index(entry.state),
            g=self._inputs.add(known_by),
            v=entry.kind == "video",
            t=files.thumb if files.thumb and files.thumb in self._made else "",
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


class _Table:
    """Numbers for values that come again and again."""

    def __init__(self) -> None:
        self.numbers: dict[Any, int] = {}

    def __call__(self, value: Any) -> int:
        return self.numbers.setdefault(value, len(self.numbers))


class _Shown:
    """Finds how a page shows files."""

    def __init__(self, page: Path, cache: Path, made: Made) -> None:
        self._page, self._made = page, made
        self._cache = folder_address(str(cache), page)
        self._folders: dict[str, str] = {}

    def of(self, path: str | None, name: str | None) -> tuple[str, bool]:
        """Return a file's address, or that of its preview, and whether it is the preview."""
        if path is None or name is None:
            return "", False
        if self._made.has_preview(name):
            return f"{self._cache}{name}.jpg", True
        parent = os.path.dirname(path)  # noqa: PTH120 - names may hold what pathlib normalises
        if parent not in self._folders:
            self._folders[parent] = folder_address(parent, self._page)
        return address(path, self._page, self._folders), False


def said(params: Mapping[str, Scalar]) -> str:
    """Return parameters as a person reads them: ``scale 4, output_format png``."""
    return ", ".join(f"{name} {_plain(value)}" for name, value in params.items())


def _plain(value: Scalar) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)
