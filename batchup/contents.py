"""Which inputs may be one and the same picture: hashed only where another file has the same size."""

from collections.abc import Callable

from batchup import digest
from batchup.batch import Batch
from batchup.history import History, Record, State
from batchup.task import Recipe, Task, canonical


class Contents:
    """Takes content hashes, as few as needed.

    Args:
        batch: All tasks, with the sizes of their inputs.
        history: Of the ledger, with the hashes that were taken before.
        endpoint: Model -> the endpoint that is part of its tasks' identity.

    Attributes:
        gone: Sizes in bytes of inputs that the ledger knows and the batch does not have.
    """

    def __init__(self, batch: Batch, history: History, endpoint: Callable[[str], str]) -> None:
        self.gone: set[int] = set()
        self._batch, self._history, self._endpoint = batch, history, endpoint
        self._recipes: dict[tuple[str, bytes], Recipe] = {}
        self._hashed: tuple[object, str] = (None, "")

    def of(self, task: Task, record: Record | None) -> tuple[str, str]:
        """Return content hash and content id; ("", "") where no other file can have these contents."""
        source, size = task.source, task.source.size_bytes
        if source.url or (record is not None and record.state is State.DONE):
            return "", ""
        # Once is the file itself.
        if self._batch.is_alone(size) and size not in self.gone:
            return "", ""
        sha256 = self._known(record) or self._take(task)
        return (sha256, self._recipe(task).content_id(sha256)) if sha256 else ("", "")

    def _known(self, record: Record | None) -> str:
        seen = self._history.seen(record) if record else None
        return seen.sha256 if seen else ""

    def _take(self, task: Task) -> str:
        # The tasks of one source follow one another, so that one remembered hash serves a whole matrix.
        if self._hashed[0] != task.source:
            try:
                self._hashed = (task.source, digest.sha256(task.source.name))
            except OSError:
                self._hashed = (task.source, "")  # its own attempt will say what is wrong with it
        return self._hashed[1]

    def _recipe(self, task: Task) -> Recipe:
        key = (task.model, canonical(task.changed))
        if key not in self._recipes:
            self._recipes[key] = Recipe(task.model, task.changed, self._endpoint(task.model))
        return self._recipes[key]
