"""A job that has been begun: what only reads its ledger finds one there."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from batchup.errors import LedgerError
from batchup.terminal import program

if TYPE_CHECKING:
    from batchup.manifest import Manifest


def load_begun(file: Path) -> "Manifest":
    """Return the manifest in *file*, whose ledger exists. Whether it can be read shows when it is.

    Raises:
        ManifestError: The manifest is wrong.
        LedgerError: There is no ledger: the job was never run.
    """
    from batchup.manifest import load

    job = load(file)
    if not job.ledger_path.exists():
        run = f"{program()} run {shlex.quote(str(file))}"
        raise LedgerError(f"{job.ledger_path}: no ledger yet; {run} begins one")
    return job
