"""Compacting a ledger beside the run that appends to it: the new file is written from what was there at the beginning,
then gets what was appended meanwhile, and takes the old one's place between two groups.

What is large is read by a process of its own, since it takes the interpreter for seconds. It knows the two files only by
its standard input and output: should the run be killed, it harms no file of the next one.
"""

import logging
import os
import subprocess
import sys
from pathlib import Path
from threading import Lock, Thread

from batchup.errors import LedgerError
from batchup.ledger import disk
from batchup.ledger.compact import write
from batchup.ledger.writer import Writer

SMALL_BYTES = 32 << 20
"""Half a second's work, which needs no process of its own."""

_log = logging.getLogger(__name__)


class Beside:
    """Compacts a ledger that is open, in a thread. What keeps it from that is logged: the ledger is whole as it is.

    Args:
        path: As it was named.
        real: Without links.
        writer: Of the open ledger.
    """

    def __init__(self, path: Path, real: Path, writer: Writer) -> None:
        self._path, self._real, self._writer, self._end = path, real, writer, writer.end
        self._process: subprocess.Popen[bytes] | None = None
        self._given_up = False
        self._lock = Lock()
        # A daemon, as the writer's: until the last moment, nothing is changed.
        self._thread = Thread(target=self._work, name="compaction", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Return when nothing is done any more: what is large is given up, for the next run to try. Blocks."""
        with self._lock:
            self._given_up = True
            if self._process is not None:
                self._process.kill()
        self._thread.join()

    def _work(self) -> None:
        try:
            with disk.anew(self._real) as (new, fd):
                if self._write(fd):
                    self._writer.move(fd, self._end, lambda: new.replace(self._real), self._real.parent)
                    _log.info("ledger %s: compacted beside the run", self._path)
        except (OSError, LedgerError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            _log.warning("ledger %s: not compacted: %s", self._path, reason)

    def _write(self, fd: int) -> bool:
        """Write to *fd* what the ledger comes to; return whether that was done."""
        with self._real.open("rb", buffering=0) as source:
            if self._end <= SMALL_BYTES:
                write(self._path, source.fileno(), self._end, fd)
                return True
            with self._lock:
                if self._given_up:
                    return False
                # -P: the folder that batchup is run in may hold a file called json.py.
                self._process = subprocess.Popen(  # noqa: S603 - ourselves
                    [sys.executable, "-P", "-m", __name__, str(self._path), str(self._end)],
                    stdin=source,
                    stdout=fd,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            return self._process.wait() == 0


if __name__ == "__main__":
    os.nice(10)
    write(Path(sys.argv[1]), 0, int(sys.argv[2]), 1)
