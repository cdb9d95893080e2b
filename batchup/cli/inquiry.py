"""Which input a person means, and all that is known about it."""

import os
import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches

import click

from batchup import events
from batchup.errors import ManifestError
from batchup.history import History, Record
from batchup.inputs import Skipped
from batchup.manifest import Manifest
from batchup.plan import Plan, Step
from batchup.source import Source, to_text
from batchup.terminal import escape

MOST_NAMES = 5
"""Names that a person is offered."""

_EXACT, _LABEL, _BELOW, _TAIL = 4, 3, 2, 1


@dataclass(frozen=True, slots=True)
class Gone:
    """A task of the ledger that the manifest no longer makes."""

    seen: events.Seen
    record: Record

    @property
    def label(self) -> str:
        """As :attr:`batchup.source.Source.label`."""
        return Source(root=self.seen.root, path=self.seen.path, url=self.seen.url).label


@dataclass(frozen=True, slots=True)
class Found:
    """One input.

    Attributes:
        label: How people know it. Path text.
        steps: What a run would do with each of its tasks.
        skipped: Why it, or a part of it, makes no task.
        gone: Its tasks that the manifest no longer makes.
    """

    label: str
    steps: tuple[Step, ...]
    skipped: tuple[Skipped, ...]
    gone: tuple[Gone, ...]


def look_up(file: str, manifest: Manifest, plan: Plan, history: History) -> Found:
    """Return the one input that *file* names.

    A name is a URL, an absolute path, one relative to the current folder, the input's label, its path below its root,
    or the end of that; the first of these that fits anything counts.

    Raises:
        click.UsageError: It names none, or several.
    """
    gone = [
        Gone(seen, record)
        for record in history.records.values()
        if not record.present and (seen := history.seen(record))
    ]
    named = _Named(file, manifest)
    ranks: dict[str, int] = {}
    for label, rank in named.ranks(plan, gone):
        ranks[label] = max(rank, ranks.get(label, 0))
    best = max(ranks.values(), default=0)
    labels = [label for label, rank in ranks.items() if rank == best]
    if not labels:
        raise click.UsageError(_unknown(file, manifest, _labels(plan, gone)))
    # A folder that is left out as a whole, and stands for the files in it, is less than a file.
    files = [label for label in labels if not label.endswith("/")] or labels
    if len(files) > 1:
        several = ", ".join(map(escape, files[:MOST_NAMES]))
        raise click.UsageError(
            f"{escape(file)} may be any of {len(files):,} inputs: {several}; name one by its whole path"
        )
    return _gather(files[0], plan, gone)


def _gather(label: str, plan: Plan, gone: Iterable[Gone]) -> Found:
    return Found(
        label=label,
        steps=tuple(step for step in plan.steps if step.task.source.label == label),
        skipped=tuple(skipped for skipped in plan.left_out if skipped.label == label),
        gone=tuple(one for one in gone if one.label == label),
    )


def _labels(plan: Plan, gone: Iterable[Gone]) -> Iterator[str]:
    yield from (step.task.source.label for step in plan.steps)
    yield from (skipped.label for skipped in plan.left_out)
    yield from (one.label for one in gone)


def _unknown(file: str, manifest: Manifest, labels: Iterable[str]) -> str:
    names: dict[str, str] = {}
    for label in labels:
        names.setdefault(posixpath.basename(label.rstrip("/")), label)
    near = get_close_matches(posixpath.basename(to_text(file)), names, n=MOST_NAMES)
    hint = f"; did you mean {' or '.join(escape(names[name]) for name in near)}?" if near else ""
    return f"{escape(file)} is no input of {escape(str(manifest.file))}{hint}"


class _Named:
    """A name that a person wrote, in the forms that it is compared in. All are path texts."""

    def __init__(self, file: str, manifest: Manifest) -> None:
        self._manifest = manifest
        self._roots: dict[str, str | None] = {}
        self._text = to_text(file)
        self._plain = posixpath.normpath(self._text)
        self._base = posixpath.basename(self._plain)
        self._whole = to_text(os.path.abspath(file))  # noqa: PTH100 - resolve() would follow links
        self._real = to_text(os.path.realpath(file))

    def ranks(self, plan: Plan, gone: Iterable[Gone]) -> Iterator[tuple[str, int]]:
        """Yield the label of every input that may be meant, and how well the name fits it."""
        for step in plan.steps:
            source = step.task.source
            if rank := self._rank(source.label, source.path, source.base, source.url):
                yield source.label, rank
        for skipped in plan.left_out:
            if rank := self._rank_skipped(skipped.label):
                yield skipped.label, rank
        for one in gone:
            seen = one.seen
            if rank := self._rank(one.label, seen.path, self._folder(seen.root) or "", seen.url):
                yield one.label, rank

    def _rank(self, label: str, path: str, base: str, url: str) -> int:
        if url:
            return _EXACT if url == self._text else 0
        if posixpath.basename(path) != self._base:
            return 0
        if f"{base}/{path}" in {self._whole, self._real}:
            return _EXACT
        if label in {self._text, self._plain}:
            return _LABEL
        if path == self._plain:
            return _BELOW
        return _TAIL if path.endswith(f"/{self._plain}") else 0

    def _rank_skipped(self, label: str) -> int:
        """Only the label is known here; one that ends in ``/`` is a folder, and stands for all below it."""
        if label in {self._text, self._plain}:
            return _EXACT if "://" in label else _LABEL
        if label.endswith("/"):
            folder = self._folder(label) if self._base else None
            return _EXACT if folder and f"{self._whole}/".startswith(f"{folder}/") else 0
        if posixpath.basename(label) != self._base:
            return 0
        if self._folder(label) in {self._whole, self._real}:
            return _EXACT
        return _TAIL if label.endswith(f"/{self._plain}") else 0

    def _folder(self, text: str) -> str | None:
        """Return what the manifest means by *text*, absolute; None where that cannot be said."""
        if text not in self._roots:
            try:
                self._roots[text] = to_text(str(self._manifest.resolve(text)))
            except ManifestError:
                self._roots[text] = None
        return self._roots[text]
