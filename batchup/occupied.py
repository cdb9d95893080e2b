"""What stands where an output is to go: ours, somebody's, or nothing."""

import os
import posixpath
from collections.abc import Callable
from pathlib import Path

from batchup.errors import Faults, RejectedError
from batchup.events import Done
from batchup.history import History
from batchup.manifest import Manifest
from batchup.source import Media, to_path
from batchup.task import Task

MAX_FAULTS = 20


class Occupied:
    """Looks at names that are about to be written.

    Attributes:
        faults: What must be put right before anything runs.
    """

    def __init__(self, manifest: Manifest, history: History, verify: Callable[[Path], Media]) -> None:
        self.faults = Faults(MAX_FAULTS)
        self._manifest, self._history, self._verify = manifest, history, verify
        self._out = str(manifest.output_dir)
        self._folders: dict[str, bool] = {}

    def by(self, task: Task) -> str | None:
        """Return the output's name if somebody else's file stands there and is to stay; None if it may be written.

        A broken file of somebody else's, or any where the manifest says ``error``, is a fault.
        """
        if not self._exists(task.output):
            return None
        file = Path(self._out, to_path(task.output))
        if not file.is_file():
            self._fault(f"{task.output} is to be written, but is a folder, a broken link or no regular file")
            return task.output
        exists = self._manifest.output.exists
        if exists == "overwrite" or self._is_ours(task, file):
            return None
        if exists == "error":
            self._fault(f"{task.output} exists, and output.exists is error")
        else:
            self._check(task, file)
        return task.output

    def _is_ours(self, task: Task, file: Path) -> bool:
        """Return whether this job wrote *file*: for this task, or for one whose place it takes."""
        if task.output in self._history.written:
            return True
        claim = self._history.claim(task.output)
        if claim is None or isinstance(claim, Done):
            return claim is not None
        # Only meant to be written: it was, if the run was killed before it could say so.
        try:
            found = self._verify(file)
        except RejectedError:
            return False
        kept = self._manifest.output.metadata == "keep" and claim.mtime_ns
        return (found.width, found.height) == (claim.width, claim.height) and (
            not kept or file.stat().st_mtime_ns == claim.mtime_ns
        )

    def _check(self, task: Task, file: Path) -> None:
        try:
            found = self._verify(file)
            expected = task.source.media.kind if task.source.media else found.kind
            if found.kind == expected:
                return
            why = (
                f"a {found.kind}, not an {expected}"
                if expected == "image"
                else f"an {found.kind}, not a {expected}"
            )
        except (RejectedError, OSError) as error:
            why = f"broken ({error})"
        self._fault(
            f"{task.output} exists, is not from this job, and is {why}; remove it, or write output.exists: overwrite"
        )

    def _exists(self, output: str) -> bool:
        """Return whether anything is there. Folders that are not there are asked for once."""
        folder = posixpath.dirname(output)
        if folder not in self._folders:
            self._folders[folder] = os.path.isdir(f"{self._out}/{to_path(folder)}")  # noqa: PTH112 - a million times
        return self._folders[folder] and os.path.lexists(f"{self._out}/{to_path(output)}")

    def _fault(self, message: str) -> None:
        self.faults.add(self._manifest.fault(("output", "exists"), message))
