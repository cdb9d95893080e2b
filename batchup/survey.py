"""Manifest and history → plan: reads folders, asks nobody, changes nothing."""

import posixpath
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from batchup import courier, inputs, sidecar
from batchup.batch import collect
from batchup.catalogue import Catalogue
from batchup.cluster.address import trouble
from batchup.errors import Fault, LedgerError, ManifestError
from batchup.expand import Expansion, expand
from batchup.history import History
from batchup.inputs import Skipped, left
from batchup.ledger import index
from batchup.manifest import Manifest
from batchup.plan import Choice, Plan
from batchup.planner import make
from batchup.sidecar import SidecarError
from batchup.source import Source, to_text
from batchup.terminal import count


def survey(
    manifest: Manifest,
    history: History,
    choice: Choice,
    now: datetime,
    progress: Callable[[str], None] = lambda _: None,
    *,
    catalogue: Catalogue | None = None,
) -> Plan:
    """Return what a run would do now.

    Args:
        manifest: Checked.
        history: Of its ledger; empty where there is none.
        choice: What is asked of the run.
        now: Aware; ages in filters count from here.
        catalogue: Of the manifest's models; by default at the prices of the table.
        progress: Told how far it is, now and then, in words. What it raises ends the survey.

    Raises:
        ManifestError: Input paths are missing, names collide, the ledger was left behind, and the like. Nothing has
            been written.
        LedgerError: There is no ledger, but there are sidecars to make it from. Nothing has been written.
    """
    check_known(manifest)
    check_ledger(manifest)
    if not history.runs:
        check_sidecars(manifest, progress)
    out = manifest.output_dir
    real_out = posixpath.realpath(out)

    def own(path: Path) -> bool:
        below = posixpath.relpath(posixpath.realpath(path), real_out)
        return to_text(below) in history.claims

    found = inputs.find(
        manifest.inputs,
        resolve=manifest.resolve,
        fault=manifest.fault,
        output_dir=out,
        ledger=manifest.ledger_path,
        own=own,
        now=now,
    )
    catalogue = catalogue or Catalogue(manifest, experience=history.experience)
    expansion = Expansion(manifest, catalogue, now)
    ready = _Ready(found, choice.ready)
    batch = collect(
        manifest, expand(expansion, ready, lambda inputs: progress(f"{count(inputs, 'input')} found"))
    )
    total = count(len(batch.tasks), "task")
    plan = make(
        batch,
        history,
        manifest,
        choice,
        catalogue=catalogue,
        tick=lambda tasks: progress(f"{tasks:,} of {total} planned"),
    )
    if choice.partial or ready.left:
        # What is not there now may be soon: nothing is forgotten for it.
        plan.orphaned -= len(plan.orphans)
        plan.orphans.clear()
    plan.warnings += [*_lost(manifest), *found.warnings, *_transparent(plan)]
    if expansion.made:
        plan.warnings += [
            manifest.fault(("rules", number), "fits no input")
            for number, fitted in enumerate(expansion.fitted)
            if not fitted
        ]
    return plan


class _Ready(Iterator[Source | Skipped]):
    """Those sources that are ready; the others as left out.

    Attributes:
        left: Number of the others so far.
    """

    def __init__(self, found: Iterator[Source | Skipped], is_ready: Callable[[Source], bool] | None) -> None:
        self.left = 0
        self._found, self._is_ready = found, is_ready

    def __next__(self) -> Source | Skipped:
        one = next(self._found)
        if self._is_ready is None or not isinstance(one, Source) or self._is_ready(one):
            return one
        self.left += 1
        return Skipped(one.label, left.GROWING)


def _lost(manifest: Manifest) -> Iterator[Fault]:
    """Yield that a ledger which was there is gone: perhaps a disk is missing."""
    path = manifest.ledger_path
    if not path.exists() and index.last(manifest.file, manifest.name) == path:
        yield Fault(
            "", 0, 0, f"this job's ledger was at {path} and is gone; without it everything begins anew"
        )


def _transparent(plan: Plan) -> Iterator[Fault]:
    """Yield that pictures may fail for their transparency: only a run decodes them, but the format is chosen now."""
    if plan.transparent:
        more = f" and {plan.transparent - 1:,} more" if plan.transparent > 1 else ""
        message = (
            f"{plan.transparent_input}{more} may have transparency, which the output's format cannot hold; what has it "
            "fails before it is sent and paid. output_format: png keeps it"
        )
        yield Fault("", 0, 0, message)


def check_known(manifest: Manifest) -> None:
    """Refuse what a manifest may ask but this version does not do: a limit that is not kept is worse than none.

    Nor is an end announced to an address that nothing can be sent to.

    Raises:
        ManifestError: Holds all such keys.
    """
    faults = []
    reason = trouble(manifest.run.cluster) if manifest.run.cluster else ""
    if reason:
        faults.append(manifest.fault(("run", "cluster"), reason))
    faults += courier.faults(manifest)
    if faults:
        raise ManifestError(faults)


def check_ledger(manifest: Manifest) -> None:
    """Refuse to begin anew where an earlier ledger lies elsewhere: what it paid for would be paid again.

    Raises:
        ManifestError: Names both.
    """
    path = manifest.ledger_path
    old = index.moved(manifest.file, manifest.name, path)
    if old is not None:
        message = (
            f"there is no ledger at {path}, but this manifest's last one is {old}. If the outputs were moved, move "
            f"the ledger with them, or name the old one with the key ledger: {old}; to begin anew, remove the old one"
        )
        raise ManifestError([manifest.fault(("output", "dir"), message)])


def check_sidecars(manifest: Manifest, progress: Callable[[str], None] = lambda _: None) -> None:
    """Refuse to begin anew where sidecars tell what this job has done: it would be done, and paid for, again.

    Args:
        manifest: Of a job without a ledger.
        progress: As for :func:`survey`.

    Raises:
        LedgerError: Says what to do.
    """
    for file in sidecar.below(manifest.output_dir):
        progress("looking for sidecars")
        try:
            job = sidecar.read(file).job
        except SidecarError:
            continue
        if job == manifest.name:
            raise LedgerError(
                f"{manifest.ledger_path}: there is no ledger here (is a disk missing?), but below {manifest.output_dir} "
                f"there are sidecars of this job's outputs, such as {file.name}. `batchup ledger rebuild "
                f"{manifest.file}` makes the ledger again from them, so that nothing is done or paid again. To begin "
                "anew all the same, remove the sidecars, or give the job another name"
            )
