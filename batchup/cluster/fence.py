"""The fence: what the scheduler keeps so that no attempt starts twice. Preloaded by ``dask scheduler``.

``dask scheduler --preload batchup.cluster.fence``. It holds the attempts that Dask holds a task for, no longer: what the
coordinator has let go of, or what it left behind when it died, can be claimed no more.
"""

import secrets
from dataclasses import dataclass
from typing import Any, Literal

from distributed import Scheduler
from distributed.diagnostics.plugin import SchedulerPlugin

from batchup.cluster.call import ABOUT, CLAIM, DONE, PREFIX, REVOKE, STOP, TOLD, WORKERS
from batchup.cluster.identity import code

State = Literal["claimed", "done", "revoked", "unclaimed", "unknown"]


@dataclass(slots=True)
class _Attempt:
    state: State
    worker: str = ""
    result: bytes = b""


class Fence(SchedulerPlugin):
    """Grants each attempt to one worker, once."""

    name = "batchup-fence"

    def __init__(self, scheduler: Scheduler) -> None:
        """Answer the workers and coordinators of *scheduler* from now on."""
        self._scheduler = scheduler
        self._attempts: dict[str, _Attempt] = {}
        self._fence = secrets.token_hex(8)
        scheduler.handlers[ABOUT] = self.about
        scheduler.handlers[CLAIM] = self.claim
        scheduler.handlers[DONE] = self.done
        scheduler.handlers[REVOKE] = self.revoke
        scheduler.stream_handlers[TOLD] = self.told

    async def about(self) -> dict[str, str]:
        """Tell that the fence is up, which version it is of, and its own name: a scheduler that is started again has another."""
        return {"code": code(), "fence": self._fence}

    async def claim(self, attempt: str, worker: str) -> bool:
        """Return whether *worker* may begin *attempt*: only if nobody was told so before, and somebody waits for it."""
        if attempt in self._attempts or attempt not in self._scheduler.tasks:
            return False
        self._attempts[attempt] = _Attempt("claimed", worker)
        return True

    async def done(self, attempt: str, result: bytes) -> bool:
        """Keep the result of an attempt, tell its coordinator, and return whether anybody waits for it."""
        found = self._attempts.get(attempt)
        if found is None or found.state != "claimed":
            return False
        found.state, found.result = "done", result
        self._tell(attempt, {"result": result})
        return True

    def told(self, attempt: str, done: float | str, worker: str) -> None:  # noqa: ARG002 - Dask tells who it was
        """Pass on how far an attempt is."""
        if attempt in self._scheduler.tasks:
            self._tell(attempt, {"told": done})

    async def revoke(self, attempt: str, fence: str) -> tuple[State, bytes]:
        """Return how far an attempt is, and its result; if it is not done, it never will be.

        What another *fence* has granted, before this scheduler was started, is unknown here.
        """
        if fence != self._fence:
            return "unknown", b""
        found = self._attempts.setdefault(attempt, _Attempt("unclaimed"))
        state = found.state
        if state != "done":
            found.state = "revoked"
            self._stop(attempt, found)
        return state, found.result

    def transition(self, key: Any, start: str, finish: str, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002 - Dask's
        """Tell of what ended without a result; drop what nobody waits for any more, and have its worker stop."""
        if finish in {"memory", "erred"}:
            found = self._attempts.get(key)
            if (found is None or found.state == "claimed") and str(key).startswith(PREFIX):
                self._tell(key, {"ended": True})
        if finish == "forgotten":
            found = self._attempts.pop(key, None)
            if found is not None and found.state == "claimed":
                self._stop(key, found)

    def add_worker(self, scheduler: Scheduler, worker: str) -> None:
        """Tell that a worker has come."""
        scheduler.log_event(WORKERS, {"came": worker})

    def remove_worker(self, scheduler: Scheduler, worker: str, **kwargs: Any) -> None:  # noqa: ARG002 - Dask's
        """Tell that a worker is gone."""
        scheduler.log_event(WORKERS, {"gone": worker})

    def _tell(self, attempt: str, told: dict[str, Any]) -> None:
        """Tell an attempt's coordinator, as of an event; Dask's own way of telling keeps the last 100,000 for ever."""
        event = {"op": "event", "topic": topic(attempt), "event": (0.0, {"attempt": attempt, **told})}
        for client in self._scheduler.tasks[attempt].who_wants or ():
            self._scheduler.client_send(client.client_key, event)

    def _stop(self, attempt: str, found: _Attempt) -> None:
        if found.worker in self._scheduler.stream_comms:
            self._scheduler.worker_send(found.worker, {"op": STOP, "attempt": attempt})


def topic(attempt: str) -> str:
    """Return where the coordinator of an attempt hears of it."""
    return attempt.rpartition("-")[0]


async def dask_setup(scheduler: Scheduler) -> None:
    """Put up the fence. Called by Dask."""
    scheduler.add_plugin(Fence(scheduler))
