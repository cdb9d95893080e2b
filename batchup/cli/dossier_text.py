"""All that is known about one input, as lines for a person."""

from collections.abc import Iterator
from decimal import Decimal

from batchup.cli.dossier import Dossier, Moment, Result, TaskFile
from batchup.manifest.quantities import format_bytes, format_duration, format_guess, format_usd
from batchup.source import Media
from batchup.terminal import count, escape, row

_STATES = {
    "submitting": "in flight: sent, and nobody has said yet whether it was accepted",
    "submitted": "in flight: accepted",
    "completed": "in flight: finished, its output is not here yet",
}


def lines(known: Dossier, window: str = "") -> Iterator[str]:
    """Yield what a person reads.

    Args:
        known: All of it.
        window: In which hours work is begun; empty for any.
    """
    yield escape(known.input)
    if known.file or known.url:
        yield row("file" if known.file else "url", known.file or known.url or "")
    if known.media is not None and known.size_bytes is not None:
        yield row(
            "is", f"{_said(known.media)}, {format_bytes(known.size_bytes)}, changed {known.modified_at}"
        )
    if known.sha256:
        yield row("sha256", known.sha256)
    if known.upload is not None:
        upload = known.upload
        yield row("upload", f"{upload.url}, since {upload.at}, till {upload.expires_at}")
    for skipped in known.skipped:
        detail = f": {skipped.detail}" if skipped.detail else ""
        yield row("left out", skipped.reason + detail)
    for task in known.tasks:
        yield ""
        yield from _task_lines(task, window)


def _said(media: Media) -> str:
    parts = [f"{media.format} {media.kind}, {media.width}x{media.height}"]
    if media.frames > 1:
        parts.append(count(media.frames, "frame"))
    if media.duration_s:
        parts.append(format_duration(media.duration_s))
    return ", ".join(parts)


def _task_lines(task: TaskFile, window: str) -> Iterator[str]:
    params = ", ".join(f"{name}: {value}" for name, value in task.changed.items())
    yield escape(f"{task.model} {{{params}}}" if params else task.model)
    yield row("next", task.verdict)
    if task.prospect is not None:
        if window:
            yield row("", f"in the hours {window}")
        if task.prospect.expected_s is not None:
            yield row("", f"it will take about {format_guess(task.prospect.expected_s)}")
    attempts = f" after {count(task.attempts, 'attempt')}" if task.attempts else ""
    yield row("state", _STATES.get(task.state, task.state) + attempts)
    if task.message:
        yield row("error", f"{task.error}: {task.message}" if task.error else task.message)
    if task.result is None:
        size = f", {task.width}x{task.height} expected" if task.width else ""
        yield row("output", f"{task.output}{size}")
    else:
        yield from _result_lines(task.result)
    yield row("cost", _cost(task))
    for number, moment in enumerate(task.moments):
        yield row("" if number else "history", f"{moment.at}  {moment.event:<10}  {_what(moment)}".rstrip())


def _result_lines(result: Result) -> Iterator[str]:
    size = f"{result.width}x{result.height}, {format_bytes(result.size_bytes)}, made in {format_duration(result.seconds)}"
    odd = ", not the size that was expected" if result.unexpected_size else ""
    yield row("output", f"{result.output}, {size}{odd}")
    yield row("", f"sha256 {result.sha256}")
    if result.copied_from:
        yield row("", f"copied from the output of task {result.copied_from}, which has the same contents")


def _cost(task: TaskFile) -> str:
    if not task.charged_usd and not task.reserved_usd and task.estimated_usd == 0:
        return "free"
    estimated = "unknown" if task.estimated_usd is None else _usd(task.estimated_usd)
    reserved = f", {_usd(task.reserved_usd)} reserved" if task.reserved_usd else ""
    return f"{estimated} estimated, {_usd(task.charged_usd)} charged{reserved}"


def _usd(amount: float | str) -> str:
    return format_usd(Decimal(str(amount)))


def _what(moment: Moment) -> str:
    """Return the part of a moment that a person wants; ``--json`` has all of it."""
    what = moment.what
    parts = [f"attempt {what['attempt']}" if "attempt" in what else ""]
    if "request_id" in what:
        parts.append(f"request {what['request_id']}")
    if what.get("step"):
        parts.append(f"to {what['step']} it")
    if "message" in what:
        parts.append(f"{what['kind']}: {what['message']}" if "kind" in what else what["message"])
    if "wait_s" in what:
        parts.append(f"again after {format_duration(what['wait_s'])}")
    if what.get("seconds"):
        parts.append(f"took {format_duration(what['seconds'])}")
    if what.get("copied_from"):
        parts.append(f"copied from task {what['copied_from']}")
    told = ["reserved", "charged", *(["estimated"] if moment.event == "task" else [])]
    parts += [f"{_usd(what[f'{word}_usd'])} {word}" for word in told if Decimal(what.get(f"{word}_usd") or 0)]
    return ", ".join(filter(None, parts))
