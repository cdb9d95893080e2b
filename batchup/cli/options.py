"""Options that every command has, and where the log goes."""

import json
import logging
import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click
import msgspec

from batchup.errors import Fault, ManifestError

P = ParamSpec("P")
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
