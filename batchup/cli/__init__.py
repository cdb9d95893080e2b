"""The command line: one thin file a command. Errors become exit statuses here and nowhere else."""

import importlib
import os
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from batchup import __version__
from batchup.errors import BatchupError, FatalError, Fault, Interrupted, LedgerError
from batchup.terminal import escape, program

COMMANDS = {
    "run": "run",
    "plan": "plan",
    "rehearse": "rehearse",
    "status": "status",
    "explain": "explain",
    "cancel": "cancel",
    "audit": "audit",
    "report": "report",
    "dashboard": "dashboard",
    "cluster": "cluster",
    "models": "models",
    "validate": "validate",
    "schema": "validate",
    "init": "init",
    "ledger": "ledger",
    "watch": "watch",
    "doctor": "doctor",
    "completion": "completion",
}
"""Command -> the module here that holds it; imported only when it is called."""

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_LIMIT = 3
EXIT_LEDGER = 4
EXIT_ACCOUNT = 5
EXIT_DISK = 6


class _Commands(click.Group):
    """Imports a command when it is called, so that ``--help`` is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - likewise
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"batchup.cli.{COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the nearest command where one is misspelt."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"no such command: {escape(args[0])}; {_meant(args[0])}")
        return super().resolve_command(ctx, args)


def _meant(word: str) -> str:
    """Return what somebody may have meant who gave *word* for a command."""
    from difflib import get_close_matches

    if word == "help":
        return f"did you mean {program()} --help?"
    near = get_close_matches(word, COMMANDS, n=1)
    if near:
        return f"did you mean {near[0]}?"
    path = Path(word).expanduser()
    if path.is_dir():
        return f"{program()} init {escape(shlex.quote(word))} writes a manifest for this folder"
    if path.is_file() or path.suffix.lower() in {".yaml", ".yml"}:
        return f"did you mean {program()} run {escape(shlex.quote(word))}?"
    return f"there are {', '.join(COMMANDS)}"


@click.group(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, message="batchup %(version)s")
def cli() -> None:
    """Upscale a folder of photos and videos from one manifest, and go on where it stopped.

    \b
    batchup init ~/Pictures/holiday     write a manifest for a folder
    batchup plan holiday.yaml           see what would happen, and what it costs
    batchup run holiday.yaml            do it; the same command resumes it
    """  # noqa: D301 - a backspace is how click is told to keep lines


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line and end the process with its exit status."""
    try:
        status = cli.main(args=args, prog_name="batchup", standalone_mode=False)
    except BatchupError as error:
        complain(str(error))
        status = exit_status(error)
        if "--json" in (sys.argv[1:] if args is None else args):
            print_json({"error": {"status": status, "messages": str(error).split("\n")}})
    except click.ClickException as error:
        error.show()
        if isinstance(error, click.NoSuchOption) and error.option_name == "--dry-run":
            click.echo(f"`{program()} plan` shows what a run would do.", err=True)
        status = EXIT_USAGE
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        status = 130
    except BrokenPipeError:
        # The reader of our output has left (`batchup plan ... | head`): nothing to complain about, and nothing more
        # can be written, not even by the interpreter's own flush at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 141
    sys.exit(status if isinstance(status, int) else 0)


def exit_status(error: BatchupError) -> int:
    """Return the exit status that an error which ends a command stands for."""
    if isinstance(error, LedgerError):
        return EXIT_LEDGER
    if isinstance(error, Interrupted):
        return 128 + error.signum
    if isinstance(error, FatalError):
        return EXIT_DISK if error.stopped == "disk" else EXIT_ACCOUNT
    return EXIT_USAGE


def complain(text: str) -> None:
    """Say on standard error what went wrong, line by line."""
    for line in text.split("\n"):
        click.echo(escape(line), err=True)


def warn(faults: Iterable[Fault]) -> None:
    """Say on standard error what is no error but may be a mistake."""
    for fault in faults:
        click.echo(escape(f"warning: {fault}"), err=True)


def print_json(document: Any) -> None:
    """Print one JSON document on standard output."""
    import msgspec

    encoded = msgspec.json.format(msgspec.json.encode(document), indent=2)
    click.echo(encoded.decode())
