"""`batchup init`: looks into a folder, and writes a manifest that fits what is there."""

import os
import re
import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from batchup.cli import print_json
from batchup.cli.options import Output, common
from batchup.errors import FatalError, Fault, ManifestError
from batchup.source import Kind
from batchup.terminal import count, escape, program

SCAN_S = 10.0
"""How long the folder is looked at; a library of a million files need not be counted for this."""

ENDING = "-2x"
"""Of the folder of results, which lies beside the folder that is read."""

MODELS: dict[Kind, str] = {"image": "local/lanczos", "video": "local/lanczos-video"}

_PLAIN = re.compile(r"[A-Za-z_./~][A-Za-z0-9_./~+-]*")
_NOT_TEXT = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "~"})
"""Words that one YAML parser or another takes for something else."""


@dataclass
class Holdings:
    """What there is in a folder.

    Attributes:
        formats: Of each kind, number of files by format.
        skipped: Number of what is left out, by reason.
        size_bytes: Of the images and videos.
        is_all: Whether the folder was read to its end.
    """

    formats: dict[Kind, Counter[str]] = field(
        default_factory=lambda: {"image": Counter(), "video": Counter()}
    )
    skipped: Counter[str] = field(default_factory=Counter)
    size_bytes: int = 0
    is_all: bool = True

    @property
    def kinds(self) -> list[Kind]:
        """The kinds that a manifest should be ready for."""
        return [kind for kind, formats in self.formats.items() if formats or not self.is_all]

    def __str__(self) -> str:
        from batchup.manifest.quantities import format_bytes

        parts = [_counted(kind, formats) for kind, formats in self.formats.items() if formats]
        at_least = "" if self.is_all else "at least "
        return f"{at_least}{' and '.join(parts)}, {format_bytes(self.size_bytes)}"


@click.command(
    short_help="Write a manifest for a folder.", epilog="Example:  batchup init ~/Pictures/holiday"
)
@click.argument("folder", metavar="[DIR]", type=click.Path(path_type=Path), default=".")
@click.option(
    "--output",
    "target",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write to FILE; by default DIR's name with .yaml, here.",
)
@click.option("--force", is_flag=True, help="Replace a manifest that is there.")
@common
def init(folder: Path, *, target: Path | None, force: bool, output: Output) -> int:
    """Look into DIR, by default this folder, and write a commented manifest fitted to what is there.

    It makes everything twice as large, on this machine, into a folder beside DIR. Nothing is run.
    """
    from batchup.manifest.unread import job_name

    folder = Path(os.path.abspath(folder))  # noqa: PTH100 - resolve() would follow links
    _check_folder(folder)
    job = job_name(folder.name)
    target = target or Path(f"{job}.yaml")
    if not force and os.path.lexists(target):
        raise click.UsageError(
            f"{escape(str(target))} is there already; --force replaces it, --output FILE names another"
        )
    holdings = _look(folder, target, job)
    if not any(holdings.formats.values()) and holdings.is_all:
        left = _left(holdings)
        raise _refusal(folder, f"there is no image or video in it{left}; nothing was written")
    text = "\n".join(_manifest(folder, target, job, holdings)) + "\n"
    _checked(text, folder, target)
    _write(target, text, replace=force)
    if output.json:
        print_json(_document(target, job, holdings))
    elif not output.quiet:
        for line in _told(folder, target, holdings):
            click.echo(line)
    return 0


def _left(holdings: Holdings) -> str:
    """Return what there is in a folder without images and videos, in brackets; empty if there is nothing."""
    from batchup.inputs.left import NO_MEDIA

    words = {NO_MEDIA: "of other kinds"}
    left = ", ".join(f"{number:,} {words.get(why, why)}" for why, number in holdings.skipped.most_common())
    return f" ({left})" if left else ""


def quoted(text: str) -> str:
    """Return *text* as a YAML scalar that every parser reads as this text."""
    if _PLAIN.fullmatch(text) and text.lower() not in _NOT_TEXT:
        return text
    # JSON's strings are YAML's; the line breaks that only YAML knows are escaped besides.
    plain = msgspec.json.encode(text).decode()
    return re.sub("[\x7f-\x9f\u2028\u2029\ufeff]", lambda match: f"\\u{ord(match[0]):04x}", plain)


def _check_folder(folder: Path) -> None:
    if not folder.exists():
        raise _refusal(folder, "there is no such folder")
    if not folder.is_dir():
        raise _refusal(folder, "this is a file; name the folder that it is in")
    try:
        str(folder).encode()
    except UnicodeEncodeError:
        raise _refusal(folder, "its name is not UTF-8, which a manifest has to be; rename it") from None


def _refusal(folder: Path, message: str) -> ManifestError:
    return ManifestError([Fault(str(folder), 0, 0, message)])


def _look(folder: Path, target: Path, job: str) -> Holdings:
    """Count what the manifest would find, for no longer than :data:`SCAN_S`."""
    from batchup.clock import SystemClock
    from batchup.inputs import Skipped, find

    draft = _checked("\n".join(_manifest(folder, target, job, Holdings())), folder, target)
    holdings, clock = Holdings(), SystemClock()
    end_s = clock.now_s() + SCAN_S
    for item in find(
        draft.inputs,
        resolve=draft.resolve,
        fault=draft.fault,
        output_dir=draft.output_dir,
        ledger=draft.ledger_path,
        now=datetime.now(UTC),
    ):
        if isinstance(item, Skipped):
            holdings.skipped[item.reason] += 1
        elif item.media is not None:
            holdings.formats[item.media.kind][item.media.format] += 1
            holdings.size_bytes += item.size_bytes
        if clock.now_s() > end_s:
            holdings.is_all = False
            break
    return holdings


def _checked(text: str, folder: Path, target: Path) -> Any:
    """Return the manifest that *text* is, if it means this folder.

    Raises:
        ManifestError: The folder has a name that no manifest can hold.
    """
    from batchup.manifest import parse

    try:
        manifest = parse(text.encode(), str(target), Path(os.path.abspath(target)).parent)  # noqa: PTH100 - as above
        fits = manifest.resolve(manifest.inputs[0].path) == folder  # type: ignore[union-attr] # it is a path
    except ManifestError:
        fits = False
    if not fits:
        raise _refusal(folder, "its name cannot stand in a manifest (control characters, or ${); rename it")
    return manifest


def _manifest(folder: Path, target: Path, job: str, holdings: Holdings) -> Iterator[str]:
    """Yield the manifest's lines."""
    start = Path(os.path.abspath(target)).parent  # noqa: PTH100 - as above
    results = folder.parent / f"{folder.name or job}{ENDING}"
    kinds = holdings.kinds or ["image"]
    main = MODELS[kinds[0]]
    if any(holdings.formats.values()):
        yield f"# {holdings}, on {datetime.now(UTC):%Y-%m-%d}."
    yield "# `batchup schema` prints what an editor needs to complete and check this file."
    yield "version: 1"
    yield f"name: {quoted(job)}  # names the ledger"
    yield ""
    yield "# What to read: a folder with all below it, a file, or a pattern such as photos/*.jpg."
    yield "inputs:"
    yield f"  - path: {quoted(_written(folder, start))}"
    yield '    # exclude: ["drafts/**"]  # patterns as in .gitignore; likewise include'
    yield ""
    yield f"# What to do with it: `batchup models` lists the models, `batchup models {main}` its parameters."
    yield f"model: {main}"
    yield "params: {scale: 2}"
    for kind in kinds[1:]:
        yield ""
        yield f"# The first rule that fits an input wins: {kind}s have a model of their own."
        yield "rules:"
        yield f"  - match: {{kind: {kind}}}"
        yield f"    model: {MODELS[kind]}"
        yield "    params: {scale: 2}"
    yield ""
    yield "output:"
    yield f"  dir: {quoted(_written(results, start))}"
    yield "  metadata: keep  # strip leaves out EXIF and the like"
    yield ""
    yield "# run:"
    yield "#   concurrency: 2  # tasks at a time; by default as many as there are cores"


def _written(path: Path, start: Path) -> str:
    """Return *path* as a manifest in the folder *start* names it: near by relative, else from home, else whole."""
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - Path.home() raises where there is none
    if path == start or start in path.parents:
        text = str(path.relative_to(start))
    elif path.parent == start.parent:
        text = f"../{path.name}"
    elif home in path.parents:
        return f"~/{path.relative_to(home)}"
    else:
        return str(path)
    return f"./{text}" if text.startswith("~") else text


def _write(target: Path, text: str, *, replace: bool) -> None:
    try:
        with target.open("w" if replace else "x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise FatalError(f"{target}: cannot be written: {error.strerror}", stopped="disk") from error


def _counted(kind: str, formats: Counter[str]) -> str:
    each = ", ".join(f"{number:,} {name}" for name, number in formats.most_common())
    return f"{count(formats.total(), kind)} ({each})"


def _steps(target: Path) -> dict[str, str]:
    name, batchup = shlex.quote(str(target)), program()
    return {
        f"{batchup} plan {name}": "see what would happen",
        f"{batchup} run {name}": "do it; the same command goes on where it stopped",
    }


def _told(folder: Path, target: Path, holdings: Holdings) -> Iterator[str]:
    yield f"{escape(str(folder))}: {holdings}"
    for reason, number in holdings.skipped.most_common():
        yield f"  skipped  {number:,}  {escape(reason)}"
    yield f"wrote {escape(str(target))}; next:"
    steps = {escape(command): why for command, why in _steps(target).items()}
    width = max(map(len, steps))
    for command, why in steps.items():
        yield f"  {command:<{width}}  {why}"


def _document(target: Path, job: str, holdings: Holdings) -> dict[str, Any]:
    return {
        "manifest": str(target),
        "job": job,
        "images": dict(holdings.formats["image"]),
        "videos": dict(holdings.formats["video"]),
        "size_bytes": holdings.size_bytes,
        "skipped": dict(holdings.skipped),
        "counted_all": holdings.is_all,
        "next": list(_steps(target)),
    }
