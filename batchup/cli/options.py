"""Options that several commands have, and where the log goes."""

import json
import logging
import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click
import msgspec

from batchup.errors import Fault, ManifestError

if TYPE_CHECKING:
    from decimal import Decimal

    from batchup.plan import Choice

P = ParamSpec("P")
A = TypeVar("A")
R = TypeVar("R")

LOG = logging.getLogger("batchup")


class Output(msgspec.Struct, frozen=True):
    """How a command speaks.

    Attributes:
        json: One JSON document on standard output, and nothing else there.
        quiet: No progress, no summary; errors all the same.
        verbose: Each event on standard error.
        color: Whether the terminal gets colours.
    """

    json: bool = False
    quiet: bool = False
    verbose: bool = False
    color: bool = True


manifest_argument = click.argument("manifest", type=click.Path(path_type=Path))


def common(function: Callable[..., R]) -> Callable[..., R]:
    """Give a command the options that all have; it gets them as its argument *output*."""

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output.")
    @click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
    @click.option("-v", "--verbose", is_flag=True, help="Tell every event on standard error.")
    @click.option("--log-file", type=click.Path(path_type=Path), help="Write every event to this file.")
    @click.option(
        "--log-format", type=click.Choice(["text", "json"]), default="text", help="Of the log file."
    )
    @click.option("--no-color", is_flag=True, help="No colours; NO_COLOR=1 does the same.")
    @wraps(function)
    def wrapped(
        *args: Any,
        as_json: bool,
        quiet: bool,
        verbose: bool,
        log_file: Path | None,
        log_format: str,
        no_color: bool,
        **kwargs: Any,
    ) -> R:
        _open_log(verbose=verbose, file=log_file, as_json=log_format == "json")
        color = not no_color and not os.environ.get("NO_COLOR") and sys.stderr.isatty()
        output = Output(json=as_json, quiet=quiet, verbose=verbose, color=color)
        return function(*args, output=output, **kwargs)

    return wrapped


def choosing(function: Callable[..., R]) -> Callable[..., R]:
    """Give a command the options that say what a run does; it gets them as *choice*, *concurrency* and *cap_usd*."""

    @click.option(
        "--limit",
        type=click.IntRange(min=0),
        metavar="N",
        help="Run no more than N tasks; the rest stays pending. With 0 only what is in flight is collected.",
    )
    @click.option(
        "--sample",
        type=click.IntRange(min=1),
        metavar="N",
        help="Run N tasks that show what the others will be like: of all sizes, kinds, models and rules.",
    )
    @click.option(
        "--concurrency",
        type=click.IntRange(min=1),
        metavar="N",
        help="Tasks at a time, instead of the manifest's.",
    )
    @click.option(
        "--only",
        multiple=True,
        metavar="PATTERN",
        help="Only inputs whose path matches, as in .gitignore or as `plan` shows it.",
    )
    @click.option("--retry-failed", is_flag=True, help="Run failed tasks again.")
    @click.option(
        "--class",
        "kinds",
        multiple=True,
        metavar="CLASS",
        help="With --retry-failed: only failures of this class.",
    )
    @click.option(
        "--redo", multiple=True, metavar="PATTERN", help="Run done tasks again whose input's path matches."
    )
    @click.option(
        "--resubmit-held",
        is_flag=True,
        help="Submit held tasks again, though they may have been paid already.",
    )
    @click.option("--restore", is_flag=True, help="Replace outputs that somebody changed since.")
    @click.option(
        "--budget",
        metavar="AMOUNT",
        help="Cap on the whole job's cost, instead of the manifest's: \"5 USD\".",
    )
    @wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> R:
        names = ("limit", "sample", "only", "retry_failed", "kinds", "redo", "resubmit_held", "restore")
        choice = _choice(**{name: kwargs.pop(name) for name in names})
        return function(*args, choice=choice, cap_usd=cap_usd(kwargs.pop("budget")), **kwargs)

    return wrapped


def _choice(*, kinds: tuple[str, ...], **asked: Any) -> "Choice":
    from batchup.inputs import Patterns
    from batchup.plan import Choice

    if kinds and not asked["retry_failed"]:
        raise click.UsageError("--class goes with --retry-failed")
    parsed("--only", Patterns, asked["only"])
    parsed("--redo", Patterns, asked["redo"])
    return Choice(retry_kinds=frozenset(kinds), **asked)


def cap_usd(budget: str | None) -> "Decimal | None":
    """Return what ``--budget`` says, in USD; None where it says nothing.

    Raises:
        click.UsageError: It is no amount.
    """
    from batchup.manifest.quantities import usd

    return None if budget is None else parsed("--budget", usd, budget)


def parsed(option: str, parse: Callable[[A], R], value: A) -> R:
    """Return what *parse* makes of an option's value.

    Raises:
        click.UsageError: It raises ValueError.
    """
    try:
        return parse(value)
    except ValueError as error:
        raise click.UsageError(f"{option}: {error}") from error


def _open_log(*, verbose: bool, file: Path | None, as_json: bool) -> None:
    # Where nobody reads it, nothing is written: a record costs as much as an event of the ledger.
    LOG.setLevel(logging.DEBUG if verbose or file is not None else logging.WARNING)
    LOG.propagate = False
    for handler in list(LOG.handlers):
        LOG.removeHandler(handler)
        handler.close()
    LOG.addHandler(logging.NullHandler())
    if verbose:
        LOG.addHandler(_formatted(_Terminal(), as_json=False))
    if file is not None:
        try:
            LOG.addHandler(_formatted(logging.FileHandler(file, encoding="utf-8"), as_json=as_json))
        except OSError as error:
            message = f"--log-file {file}: {error.strerror or error}"
            raise ManifestError([Fault("", 0, 0, message)]) from error


class _Terminal(logging.Handler):
    """Writes above the bars instead of through them."""

    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        tqdm.write(self.format(record), file=sys.stderr)


def _formatted(handler: logging.Handler, *, as_json: bool) -> logging.Handler:
    handler.setFormatter(
        _JsonLines() if as_json else logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S%z")
    )
    return handler


class _JsonLines(logging.Formatter):
    """One JSON object a record."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {"at": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"), "message": record.getMessage()}
        return json.dumps(fields | getattr(record, "fields", {}))
