"""All that is known about one input, as values."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from batchup import digest, events
from batchup.bill import Charges
from batchup.cli.inquiry import Found, Gone
from batchup.cli.prospect import Prospect
from batchup.history import History, Record, State
from batchup.inputs import Skipped
from batchup.manifest import Manifest
from batchup.plan import Action, Step
from batchup.source import Media, to_path

_VERDICTS = {
    Action.RUN: "will run",
    Action.COPY: "will be copied from an output that is there, free",
    Action.FOLLOW: "will be copied from another task, once that is done, free",
    Action.ATTACH: "will be collected, not submitted again",
    Action.KEEP: "stays as it is",
    Action.LEAVE: "will not run",
    Action.LATER: "will not run this time",
}
GONE = "will not run: the manifest no longer makes this task; its output stays"


class Result(msgspec.Struct, frozen=True):
    """An output that was made. Moments are RFC 3339 in UTC here and below."""

    output: str
    size_bytes: int
    width: int
    height: int
    sha256: str
    seconds: float
    unexpected_size: bool
    copied_from: str
    at: str


class Moment(msgspec.Struct, frozen=True):
    """One line of the ledger, the fields that say when and whose it is left out of *what*."""

    at: str
    event: str
    what: dict[str, Any]


class Upload(msgspec.Struct, frozen=True):
    """Where the input lies on the provider's storage."""

    url: str
    at: str
    expires_at: str


class TaskFile(msgspec.Struct, frozen=True, kw_only=True):
    """One task of the input.

    Attributes:
        output: Absolute.
        changed: Parameters that differ from the model's defaults.
        params: All of them; for a task that the manifest no longer makes, only the former are known.
        state: As in :class:`batchup.cli.export.Row`; ``new`` where the ledger does not know it.
        verdict: Why it will or will not run, as a sentence.
        action: What a run would do, a name of :class:`batchup.plan.Action`; ``gone`` for a task that nothing makes.
        prospect: Where it will run; else None.
        error: Class of the last error; *message* is what it said.
        reserved_usd: What it may still be charged: in flight, unconfirmed or held.
    """

    id: str
    model: str
    params: dict[str, Any]
    changed: dict[str, Any]
    output: str
    width: int
    height: int
    state: str
    action: str
    reason: str
    detail: str
    verdict: str
    prospect: Prospect | None
    attempts: int
    error: str
    message: str
    estimated_usd: float | None
    charged_usd: float
    reserved_usd: float
    result: Result | None
    moments: list[Moment]


class Dossier(msgspec.Struct, frozen=True, kw_only=True):
    """One input.

    Attributes:
        file: Absolute; None for a URL, and where only its name is known.
        sha256: Of its contents, where they were read.
        upload: None where it was not uploaded, or nobody took its hash.
        skipped: Why it, or a part of it, makes no task.
    """

    input: str
    file: str | None
    url: str | None
    size_bytes: int | None
    modified_at: str | None
    media: Media | None
    sha256: str
    upload: Upload | None
    skipped: tuple[Skipped, ...]
    tasks: list[TaskFile]


class _Named(msgspec.Struct):
    event: str
    id: str = ""


def dossier(
    found: Found,
    manifest: Manifest,
    history: History,
    lines: Iterable[bytes],
    expected: Mapping[str, Prospect],
) -> Dossier:
    """Return all that is known about *found*; *lines* are the ledger's, *expected* its tasks' prospects."""
    told = _told(lines, {step.task.id for step in found.steps} | {one.seen.id for one in found.gone})
    out = manifest.output_dir
    made = [
        _task(step, out, history.get(step.task.id), told.get(step.task.id, []), expected.get(step.task.id))
        for step in found.steps
    ]
    gone = [_gone(one, out, told.get(one.seen.id, [])) for one in found.gone]
    source = found.steps[0].task.source if found.steps else None
    file = source if source is not None and not source.url else None
    hashes = (_contents(step, told.get(step.task.id, [])) for step in found.steps)
    sha256 = next(filter(None, hashes), "")
    if not sha256 and history.uploads and file is not None and file.file.is_file():
        # It may have been uploaded by a task that came to no end, whose lines do not tell its contents.
        sha256 = digest.sha256(file.file)
    return Dossier(
        input=found.label,
        file=None if file is None else str(file.file),
        url=source.url or None if source else None,
        size_bytes=file.size_bytes if file else None,
        modified_at=_stamp(datetime.fromtimestamp(file.mtime_ns / 1e9, UTC)) if file else None,
        media=source.media if source else None,
        sha256=sha256,
        upload=_upload(history.uploaded(sha256) if sha256 else None),
        skipped=found.skipped,
        tasks=made + gone,
    )


def _upload(told: events.Uploaded | None) -> Upload | None:
    return None if told is None else Upload(told.url, _stamp(told.at), _stamp(told.expires_at))


def _told(lines: Iterable[bytes], ids: Collection[str]) -> dict[str, list[events.AnyEvent]]:
    """Return what the ledger tells of each of these tasks, in order."""
    told: dict[str, list[events.AnyEvent]] = {}
    name = msgspec.json.Decoder(_Named).decode
    for line in lines:
        named = name(line)
        if named.id in ids and named.event in events.KINDS:
            told.setdefault(named.id, []).append(events.decode(line))
    return told


def _task(
    step: Step,
    out: Path,
    record: Record | None,
    told: Sequence[events.AnyEvent],
    prospect: Prospect | None,
) -> TaskFile:
    task = step.task
    return TaskFile(
        id=task.id,
        model=task.model,
        params=dict(task.params),
        changed=dict(task.changed),
        output=str(out / to_path(task.output)),
        width=task.width,
        height=task.height,
        state="new" if record is None else record.state.name.lower(),
        action=step.action,
        reason=step.reason,
        detail=step.detail,
        verdict=_verdict(step, record, prospect),
        prospect=prospect,
        attempts=step.attempts,
        estimated_usd=None if task.cost_usd is None else float(task.cost_usd),
        **_course(told, out),
    )


def _verdict(step: Step, record: Record | None, prospect: Prospect | None) -> str:
    because = f"{step.reason} ({step.detail})" if step.detail else step.reason
    verdict = f"{_VERDICTS[step.action]}: {because}"
    if prospect is not None:
        verdict += f"; {prospect.waits or f'it is number {prospect.place:,} of {prospect.of:,}'}"
    has_failed = record is not None and record.state is State.FAILED
    # What is lost says itself what can be done.
    if step.action is Action.LEAVE and has_failed and not step.detail:
        verdict += "; --retry-failed runs it again"
    return verdict


def _gone(one: Gone, out: Path, told: Sequence[events.AnyEvent]) -> TaskFile:
    seen = one.seen
    return TaskFile(
        id=seen.id,
        model=seen.model,
        params=dict(seen.params),
        changed=dict(seen.params),
        output=str(out / to_path(seen.output)),
        width=seen.width,
        height=seen.height,
        state=one.record.state.name.lower(),
        action="gone",
        reason="orphaned",
        detail="",
        verdict=GONE,
        prospect=None,
        attempts=one.record.attempts,
        estimated_usd=None if seen.estimated_usd is None else float(seen.estimated_usd),
        **_course(told, out),
    )


def _course(told: Sequence[events.AnyEvent], out: Path) -> dict[str, Any]:
    """Return what has become of a task: its charges, result, last error and moments."""
    charges, alone = Charges(), History()
    for event in told:
        charges.add(event)
        alone.add(events.encode(event))
    done = next((event for event in reversed(told) if isinstance(event, events.Done)), None)
    last = next((event for event in reversed(told) if not isinstance(event, events.Audited)), None)
    wrong = last if isinstance(last, events.Failed | events.Retried | events.Held) else None
    return {
        "charged_usd": float(charges.total),
        "reserved_usd": float(alone.money.reserved),
        "error": getattr(wrong, "kind", ""),
        "message": wrong.message if wrong else "",
        "result": _result(done, out) if done else None,
        "moments": [_moment(event) for event in told],
    }


def _result(done: events.Done, out: Path) -> Result:
    return Result(
        output=str(out / to_path(done.output)),
        size_bytes=done.size_bytes,
        width=done.width,
        height=done.height,
        sha256=done.sha256,
        seconds=round(done.seconds, 3),
        unexpected_size=done.unexpected_size,
        copied_from=done.copied_from,
        at=_stamp(done.at),
    )


def _moment(event: events.AnyEvent) -> Moment:
    fields = msgspec.json.decode(events.encode(event))
    what = {name: value for name, value in fields.items() if name not in {"event", "id", "at"}}
    return Moment(at=_stamp(event.at), event=fields["event"], what=what)


def _contents(step: Step, told: Sequence[events.AnyEvent]) -> str:
    """Return the content hash of a step's input, where somebody took it."""
    for event in reversed(told):
        if isinstance(event, events.Done) and event.source_sha256:
            return event.source_sha256
        if isinstance(event, events.Seen) and event.sha256:
            return event.sha256
    return step.sha256


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
