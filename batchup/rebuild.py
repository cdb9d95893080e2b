"""Rebuild: makes a lost ledger again from the sidecars beside the outputs, so that nothing is paid again."""

import os
import platform
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from itertools import chain
from pathlib import Path

import msgspec
from msgspec.structs import replace

from batchup import events, outputs, sidecar
from batchup.disk import make_folders
from batchup.errors import LedgerError
from batchup.history import IN_FLIGHT, History, State
from batchup.ledger import disk, index, read_ledger
from batchup.ledger.disk import explained
from batchup.ledger.format import encode, pack
from batchup.ledger.lock import locked
from batchup.manifest import Manifest
from batchup.sidecar import Sidecar, SidecarError
from batchup.source import to_path, to_text
from batchup.spool import Spool
from batchup.survey import check_ledger
from batchup.version import __version__

TICK_EVERY = 100


class Unusable(msgspec.Struct, frozen=True):
    """A sidecar that could not be used, and why."""

    file: str
    why: str


class Rebuilt(msgspec.Struct):
    """What came of it.

    Attributes:
        ledger: Path of the new one.
        tasks: Number of those that were written to it.
        known: Number of sidecars that tell nothing new to the ledger that is there.
        outputs: What has become of their outputs (``intact``, ``changed``, ``missing``, ``damaged``), and how often.
        charged_usd: What they are known to have cost.
        jobs: Names of the jobs whose sidecars were used, and their numbers.
        left: Likewise of those whose sidecars were left alone.
        unusable: Sidecars that are damaged.
    """

    ledger: str
    tasks: int = 0
    known: int = 0
    outputs: Counter[str] = msgspec.field(default_factory=Counter)
    charged_usd: Decimal = Decimal(0)
    jobs: Counter[str] = msgspec.field(default_factory=Counter)
    left: Counter[str] = msgspec.field(default_factory=Counter)
    unusable: list[Unusable] = msgspec.field(default_factory=list)


class _Found(msgspec.Struct, frozen=True):
    """A sidecar, and the output that it lies beside.

    Attributes:
        output: Path text below the output folder.
        is_home: Whether it lies where it was written.
    """

    sidecar: Sidecar
    output: str
    is_home: bool


def rebuild(
    manifest: Manifest,
    now: datetime,
    *,
    jobs: Collection[str] = (),
    progress: Callable[[int], None] = lambda _: None,
) -> Rebuilt:
    """Make the ledger of *manifest* again from the sidecars below its output folder. Blocks.

    Everything that an intact sidecar tells is taken, whatever the manifest was called when it was written; only those
    of another job that still has a ledger there are left to that. A ledger that is there, from a backup or because a
    run began anew, gets the tasks that it does not know, and the end of those that it has left open; all that it has
    stays. Whenever the machine stops, there is the whole ledger or what was there before.

    Args:
        manifest: Whose ledger is lost.
        now: Aware; when a new ledger begins.
        jobs: Names of the jobs whose sidecars are taken; all, where there are none.
        progress: Called with the number of sidecars read so far, now and then.

    Raises:
        LedgerError: There is no sidecar that could be used; or the ledger that is there is damaged or in use. Nothing
            was changed.
        ManifestError: This manifest's ledger lies elsewhere.
        FatalError: The ledger cannot be written.
    """
    check_ledger(manifest)
    path = manifest.ledger_path
    rebuilt = Rebuilt(str(path))
    found = Spool(_Found)
    order = _read(manifest, rebuilt, found, frozenset(jobs), progress)
    if not len(found):
        raise LedgerError(_nothing(manifest, rebuilt))
    real = Path(os.path.realpath(path))
    with explained(path):
        make_folders(real.parent)
    with locked(real), explained(path):
        if not real.exists():
            os.close(os.open(real, os.O_WRONLY | os.O_CREAT, 0o666))
        history = History().fold(read_ledger(real))
        news = [number for number, one in zip(order, found.pick(order), strict=True) if _is_new(one, history)]
        rebuilt.known = len(order) - len(news)
        if news:
            lines = map(events.encode, _events(manifest, rebuilt, found, news, history, now))
            disk.replace(real, map(encode, pack(chain((line for _, line in read_ledger(real)), lines))))
    index.remember(manifest.file, manifest.name, path)
    return rebuilt


def _is_new(one: _Found, history: History) -> bool:
    """Return whether the ledger does not know yet that a task is done, and has sent nothing for it since."""
    own = one.sidecar.own
    record = history.get(own.done.id)
    if record is None:
        # Of a task that was pruned, what it cost is in the books.
        return own.submitted is None or own.submitted.request_id not in history.requests
    if record.state is State.DONE or record.attempts > own.done.attempt:
        return False
    # What was sent, and not by the one that the output was copied from, is collected by the next run.
    return record.state not in IN_FLIGHT or own.submitted is not None


def _nothing(manifest: Manifest, rebuilt: Rebuilt) -> str:
    said = [f"{one.file}: {one.why}" for one in rebuilt.unusable[:10]]
    if rebuilt.left:
        said.append(f"sidecars of other jobs are there: {', '.join(sorted(rebuilt.left))}")
    why = f"no sidecar below {manifest.output_dir} can be used, so there is nothing to make a ledger from"
    return "\n".join([*said, f"{why}; `output.sidecar: true` has them written from the next run on"])


def _read(
    manifest: Manifest,
    rebuilt: Rebuilt,
    found: Spool[_Found],
    jobs: Collection[str],
    progress: Callable[[int], None],
) -> list[int]:
    """Read all sidecars into *found*, and return their numbers in the order in which a ledger has them."""
    places: list[tuple[bool, datetime, int]] = []
    alive: dict[str, bool] = {}
    for number, file in enumerate(sidecar.below(manifest.output_dir)):
        if number % TICK_EVERY == 0:
            progress(number)
        try:
            one = sidecar.read(file)
        except SidecarError as error:
            rebuilt.unusable.append(Unusable(to_text(str(file)), str(error)))
            continue
        if one.job not in alive:
            alive[one.job] = one.job != manifest.name and _has_ledger(manifest, one.job)
        if (jobs and one.job not in jobs) or (not jobs and alive[one.job]):
            rebuilt.left[one.job] += 1
            continue
        rebuilt.jobs[one.job] += 1
        output, is_home = _output(manifest.output_dir, file, one)
        places.append((is_home, one.own.done.at, len(found)))
        found.append(_Found(one, output, is_home))
    # What lies where it was written has the last word on its task: the others are copies, or were moved.
    return [number for _, _, number in sorted(places)]


def _has_ledger(manifest: Manifest, job: str) -> bool:
    path = manifest.usual_ledger(job)
    return path.exists() and path.stat().st_size > 0


def _output(folder: Path, file: Path, one: Sidecar) -> tuple[str, bool]:
    """Return the output that a sidecar lies beside, as path text, and whether both are where they were written."""
    home = folder / to_path(one.own.done.output)
    if sidecar.beside(home) == file:
        return one.own.done.output, True
    renamed = file.with_name(file.name.removesuffix(sidecar.ENDING))
    output = renamed if renamed.is_file() else file.with_name(home.name)
    return to_text(output.relative_to(folder).as_posix()), False


def _charged_usd(found: Iterable[_Found]) -> Decimal:
    """Return what all of them cost; a task's submission counts once, however many sidecars tell of it."""
    charged: dict[tuple[str, int], Decimal] = {}
    for one in found:
        for story in filter(None, (one.sidecar.origin, one.sidecar.own)):
            if story.result is not None and story.result.charged_usd:
                charged[story.result.id, story.result.attempt] = story.result.charged_usd
            if story.done.charged_usd:
                charged[story.done.id, story.done.attempt] = story.done.charged_usd
    return sum(charged.values(), Decimal(0))


def _events(
    manifest: Manifest,
    rebuilt: Rebuilt,
    found: Spool[_Found],
    order: list[int],
    history: History,
    now: datetime,
) -> Iterator[events.Event]:
    """Yield the events that are to be written, counting what they tell."""
    rebuilt.charged_usd = _charged_usd(found.pick(order))
    if not history.runs:
        yield events.Run(
            format=events.FORMAT,
            job=manifest.name,
            manifest=manifest.sha256,
            version=__version__,
            host=platform.node(),
            pid=os.getpid(),
            agreed_usd=rebuilt.charged_usd,
            at=now,
        )
    tasks = {bytes.fromhex(one.sidecar.own.done.id) for one in found.pick(order)}
    for one in found.pick(order):
        origin = one.sidecar.origin
        # Of which no sidecar is left: that of the copy has taken its place.
        if (
            origin is None
            or bytes.fromhex(origin.done.id) in tasks
            or history.get(origin.done.id) is not None
        ):
            continue
        tasks.add(bytes.fromhex(origin.done.id))
        yield from origin.events
    for one in found.pick(order):
        own, record = one.sidecar.own, history.get(one.sidecar.own.done.id)
        # What the ledger has in reserve for this submission is settled by its end, and is not another's.
        is_begun = record is not None and record.attempts == own.done.attempt
        task = replace(own.task, output=one.output)
        done = _checked(manifest.output_dir, one, rebuilt)
        sent = None if is_begun else own.submitting
        yield from replace(own, task=task, submitting=sent, done=done).events
    rebuilt.tasks = len(tasks)
    if not history.runs:
        yield events.Stopped(why=None, elapsed_s=0.0, at=now)


def _checked(folder: Path, one: _Found, rebuilt: Rebuilt) -> events.Done:
    """Return the output as it is on the disk now, if its contents are what they were."""
    done, file = replace(one.sidecar.own.done, output=one.output), folder / to_path(one.output)
    finding = outputs.inspect(file, done, outputs.verify)
    rebuilt.outputs[finding] += 1
    if finding != "intact":
        return done  # the next run sees the same, and knows what is to be done about it
    stat = file.stat()
    return replace(done, size_bytes=stat.st_size, mtime_ns=stat.st_mtime_ns)
