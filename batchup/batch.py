"""All tasks of a manifest, complete and checked for names before the first of them starts."""

import posixpath
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from batchup.digest import sha256
from batchup.errors import Faults
from batchup.inputs import Skipped
from batchup.inputs.seen import Seen
from batchup.manifest import Manifest
from batchup.manifest.template import FIELDS
from batchup.naming import folded, safe
from batchup.source import Source, to_path
from batchup.spool import Spool
from batchup.task import Task

MAX_FAULTS = 20

LARGER = "-large"
"""What keeps an output's name apart from its input's."""


class Batch:
    """The tasks of a manifest and what was left out, both on disk.

    Attributes:
        tasks: In the inputs' order.
        left_out: What makes no task, with its reason.
        skipped: Number of those by reason.
    """

    def __init__(self) -> None:
        self.tasks: Spool[Task] = Spool(Task)
        self.left_out: Spool[Skipped] = Spool(Skipped)
        self.skipped: Counter[str] = Counter()
        self._sizes, self._shared = Seen(), Seen()

    def note_size(self, size_bytes: int) -> None:
        """Take in the size of one more input file."""
        if not self._sizes.add(size_bytes):
            self._shared.add(size_bytes)

    def is_alone(self, size_bytes: int) -> bool:
        """Return whether at most one input file has this size."""
        return size_bytes not in self._shared

    def skip(self, skipped: Skipped) -> None:
        """Count one input, or one task, that is left out."""
        self.left_out.append(skipped)
        self.skipped[skipped.reason] += 1


def collect(manifest: Manifest, expanded: Iterable[Task | Skipped]) -> Batch:
    """Read *expanded* to its end, and check that every name is free.

    Raises:
        ManifestError: Two tasks have one name, an output is an input, a name runs through a symlink, or what
            *expanded* raises. The first :data:`MAX_FAULTS` such faults are told, and how many more there are.
    """
    batch, names = Batch(), _Names(manifest)
    source = None
    for item in expanded:
        if isinstance(item, Skipped):
            batch.skip(item)
            continue
        names.claim(item)
        if item.source is not source:
            source = item.source
            batch.note_size(source.size_bytes)
            names.note_input(item)
        batch.tasks.append(item)
    names.check(batch.tasks)
    return batch


class _Common(NamedTuple):
    """What every task has, so that a template of all may ask for it.

    Attributes:
        params: Names of the parameters.
        hashes: Whether every input's contents are known.
    """

    params: frozenset[str] = frozenset()
    hashes: bool = False


class _Names:
    """Names already taken, as 64-bit hashes: a hit is looked at closely, which only a mistake costs."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._out = posixpath.realpath(manifest.output_dir)
        self._taken = Seen()
        self._parents: set[int] = set()
        self._inputs = array("q")  # only of those that lie where outputs are written
        self._twice: set[int] = set()
        self._links: dict[str, str] = {}
        self._below_out: dict[str, str | None] = {}
        self._common = _Common()

    def claim(self, task: Task) -> None:
        """Take the task's name."""
        key = hash(folded(task.output))
        if not self._taken.add(key):
            self._twice.add(key)
        self._claim_parents(posixpath.dirname(task.output))

    def note_input(self, task: Task) -> None:
        """Remember the task's input, if it lies where outputs are written."""
        base = task.source.base
        if base not in self._below_out:
            real = posixpath.realpath(to_path(base)) if base else ""
            below = real == self._out or real.startswith(self._out + "/")
            self._below_out[base] = posixpath.relpath(real, self._out) if below else None
        prefix = self._below_out[base]
        if prefix is not None:
            self._inputs.append(hash(folded(posixpath.normpath(f"{prefix}/{task.source.path}"))))

    def _claim_parents(self, parent: str) -> None:
        while parent:
            key = hash(folded(parent))
            if key in self._parents:
                return
            self._parents.add(key)
            if Path(self._out, to_path(parent)).is_symlink():
                self._links[parent] = str(Path(self._out, to_path(parent)).readlink())
            parent = posixpath.dirname(parent)

    def check(self, tasks: Iterable[Task]) -> None:
        """Raise what is wrong, by looking again at the tasks whose hashes met."""
        faults = Faults(MAX_FAULTS)
        for link, target in self._links.items():
            message = f"outputs would run through {link!r} in the output folder, a symlink to {target!r}"
            faults.add(self._manifest.fault(("output", "name"), message))
        inputs = {key for key in self._inputs if key in self._taken}
        suspects = self._twice | inputs | {key for key in self._parents if key in self._taken}
        if suspects:
            self._common = _common(tasks)
            for message in self._clashes((t for t in tasks if hash(folded(t.output)) in suspects), inputs):
                faults.add(self._manifest.fault(("output", "name"), message))
        faults.tell()

    def _clashes(self, suspects: Iterable[Task], inputs: set[int]) -> Iterator[str]:
        first: dict[str, Task] = {}
        for task in suspects:
            name, label = folded(task.output), task.source.label
            if hash(name) in inputs:
                yield f"{label} would be written over an input, {task.output}; {self._aside()}"
            elif hash(name) in self._parents:
                yield f"{label} would be written to {task.output}, which is a folder; {self._aside()}"
            elif name in first:
                yield self._same_name(first[name], task)
            first.setdefault(name, task)

    def _aside(self) -> str:
        """Return what keeps an output apart from an input."""
        stem, ending = self._template()
        return f'another output.dir, or output.name: "{stem}{LARGER}{ending}", keeps them apart'

    def _same_name(self, one: Task, other: Task) -> str:
        alike = one.output == other.output
        names = one.output if alike else f"{one.output} and {other.output}, one name on many disks"
        return (
            f"{_whole(one)} and {_whole(other)} would both be written to {names}; "
            f'output.name: "{self._remedy(one, other)}" keeps them apart'
        )

    def _remedy(self, one: Task, other: Task) -> str:
        """Return the template that would tell these two apart."""
        stem, ending = self._template()
        template = stem + ending
        roots, folders = (
            {folded(part) for part in parts}
            for parts in (
                (posixpath.basename(one.source.base), posixpath.basename(other.source.base)),
                (posixpath.dirname(one.source.path), posixpath.dirname(other.source.path)),
            )
        )
        if len(roots) > 1 and "{root}" not in template:
            return "{root}/" + template
        if len(folders) > 1 and "{dir}" not in template:
            return "{dir}/" + template
        return f"{stem}-{{{self._field(one, other, template)}}}{ending}"

    def _template(self) -> tuple[str, str]:
        """Return the template of names before its ending, and ``{ext}``, which every output's name ends in."""
        template = self._manifest.output.name or f"{{dir}}/{{stem}}{self._varied()}{{ext}}"
        whole = template.endswith("{ext}")
        return template.removesuffix("{ext}") if whole else posixpath.splitext(template)[0], "{ext}"

    def _varied(self) -> str:
        """Return the part of the template that tells the matrix' variants apart, which every task has a value for."""
        names = self._manifest.matrix.values if self._manifest.matrix else ()
        common = [name for name in names if name == "model" or name in self._common.params]
        return "".join(f"-{{{name}}}" for name in common) + ("-{index}" if len(common) < len(names) else "")

    def _field(self, one: Task, other: Task, template: str) -> str:
        """Return the field, none of *template*'s, that tells these two apart and has a value for every task."""
        stems, endings = zip(*(posixpath.splitext(task.source.path) for task in (one, other)), strict=True)
        if folded(stems[0]) != folded(stems[1]) and "{stem}" not in template:
            return "stem"
        if endings[0].lower() != endings[1].lower():
            return "source_ext"
        if one.model != other.model:
            return "model"
        for name in one.params:
            # Some are called as what every template has: {model}, {width}.
            is_taken = name in FIELDS or name not in self._common.params
            if not is_taken and _differ_in(name, one, other):
                return name
        # Unlike {index}, {hash} stays the same whatever is added to the folder.
        return "hash" if self._common.hashes and _differ(one.source, other.source) else "index"


def _common(tasks: Iterable[Task]) -> _Common:
    params: frozenset[str] | None = None
    hashes = True
    for task in tasks:
        params = frozenset(task.params) if params is None else params & task.params.keys()
        hashes = hashes and not task.source.url
    return _Common(params or frozenset(), hashes)


def _differ_in(name: str, one: Task, other: Task) -> bool:
    """Return whether a parameter tells two tasks apart where names stand for both."""
    mine, others = (folded(safe(task.params.get(name))) for task in (one, other))
    return mine != others


def _differ(one: Source, other: Source) -> bool:
    """Return whether two files are known to have other contents."""
    if one.size_bytes != other.size_bytes:
        return True
    try:
        return sha256(one.name) != sha256(other.name)
    except OSError:
        return False


def _whole(task: Task) -> str:
    return f"{task.source.label} ({task.model})"
