"""Finish: runs the program of ``on_finish:`` when a run has ended, once its user has agreed to that.

Whoever shows a run calls it, after the summary is shown and the ledger is free; the run itself knows nothing of it.
What was agreed to is in the user's state folder: this manifest, with exactly these arguments.
"""

import hashlib
import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from batchup.errors import Fault
from batchup.ledger.index import keep, state_folder
from batchup.manifest import Manifest
from batchup.manifest.quantities import format_duration
from batchup.secrecy import without_secrets
from batchup.source import to_text
from batchup.terminal import escape

LIMIT_S = 600.0
"""How long the program may take."""

GRACE_S = 3.0
"""How long it may take to end when it is asked to."""

STDERR = 2


class Agreed(msgspec.Struct, frozen=True):
    """What a person has agreed to, as it stands in the state folder.

    Attributes:
        manifest: Path text, see :func:`batchup.source.to_text`.
        command: Program and arguments.
    """

    manifest: str
    command: list[str]


def shown(manifest: Manifest) -> str:
    """Return the program with its arguments, as a person would type it."""
    return escape(shlex.join(manifest.on_finish))


def fault(manifest: Manifest) -> Fault | None:
    """Return that there is no such program; None where there is, or where none is asked for. The disk is asked."""
    if not manifest.on_finish or shutil.which(_program(manifest)):
        return None
    name = escape(manifest.on_finish[0])
    where = f" in {manifest.folder}" if "/" in name else ""
    why = f'there is no program "{name}"{where} that may be run'
    if "/" not in name and (manifest.folder / name).exists():
        why += f"; write ./{name} for the one beside the manifest"
    return manifest.fault(("on_finish", 0), why)


def is_agreed(manifest: Manifest) -> bool:
    """Return whether this manifest's program, with exactly these arguments, was agreed to."""
    try:
        found = msgspec.json.decode(_file(manifest).read_bytes(), type=Agreed)
    except (OSError, ValueError, RuntimeError):  # ValueError: it was not written by us
        return False
    return found == _agreed(manifest)


def agree(manifest: Manifest) -> None:
    """Remember that this manifest's program was agreed to.

    Raises:
        OSError: It cannot be written.
        RuntimeError: This user has no home.
    """
    keep(_file(manifest), msgspec.json.encode(_agreed(manifest)))


def run(
    manifest: Manifest,
    document: object,
    tell: Callable[[str], None],
    *,
    limit_s: float = LIMIT_S,
    grace_s: float = GRACE_S,
) -> None:
    """Run the manifest's program to its end, with *document* as JSON on its standard input. Blocks.

    It runs in the manifest's folder, without a shell and without any variable ``FAL_*``; what it prints goes to
    standard error.

    Args:
        manifest: With a program that was agreed to.
        document: The summary.
        tell: Called with one line where it could not be started, failed, or took too long.
        limit_s: How long it may take, in seconds; then it is ended, with what it has started.
        grace_s: How long it may take to end when it is asked to.
    """
    environment = without_secrets(os.environ)
    text = msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
    head = f"on_finish ({shown(manifest)})"
    try:
        process = subprocess.Popen(  # noqa: S603 - no shell; its user has agreed to exactly these arguments
            [_program(manifest), *manifest.on_finish[1:]],
            cwd=manifest.folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=STDERR,
            stderr=STDERR,
            process_group=0,  # what it has started ends with it
        )
    except (OSError, ValueError) as error:  # ValueError: an argument holds what none can hold
        tell(f"{head} could not be started: {error}")
        return
    try:
        process.communicate(text, timeout=limit_s)
    except subprocess.TimeoutExpired:
        _end(process, grace_s)
        tell(f"{head} took longer than {format_duration(limit_s)} and was ended")
    except KeyboardInterrupt:
        _end(process, grace_s)
        tell(f"{head} was ended by Ctrl-C")
    else:
        if process.returncode:
            tell(f"{head} {_ending(process.returncode)}; the run is not concerned")


def _end(process: subprocess.Popen[bytes], grace_s: float) -> None:
    """End the program and all that it has started in its group."""
    for signum in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, signum)
            process.wait(grace_s)
        except ProcessLookupError:
            break
        except subprocess.TimeoutExpired:
            continue
    if process.stdin is not None:
        with suppress(BrokenPipeError):  # it did not read all
            process.stdin.close()


def _ending(status: int) -> str:
    if status > 0:
        return f"ended with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"


def _program(manifest: Manifest) -> str:
    """Return the program: beside the manifest where its name has a slash, else the shell's way."""
    name = manifest.on_finish[0]
    return str(manifest.folder / Path(name).expanduser()) if "/" in name else name


def _agreed(manifest: Manifest) -> Agreed:
    return Agreed(to_text(os.path.realpath(manifest.file)), [to_text(part) for part in manifest.on_finish])


def _file(manifest: Manifest) -> Path:
    name = hashlib.sha256(msgspec.json.encode(_agreed(manifest))).hexdigest()[:32]
    return state_folder() / "programs" / f"{name}.json"
