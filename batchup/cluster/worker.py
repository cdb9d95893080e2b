"""A worker: does what the coordinator asks for, once the fence has granted it. Preloaded by ``dask worker``.

``dask worker tcp://scheduler:8786 --preload batchup.cluster.worker``. Work on files runs in a pool of processes of its
own; one that has to be cut is killed, which Dask by itself cannot do.
"""

import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any

import anyio
from anyio import to_thread
from anyio.abc import TaskGroup, TaskStatus
from distributed import Worker
from msgspec.structs import replace

from batchup.clock import SystemClock
from batchup.cluster.call import (
    ABOUT,
    CLAIM,
    CLEAR,
    DONE,
    OPEN,
    READ,
    STOP,
    TOLD,
    WRITE,
    Call,
    Outcome,
    failed,
    pack,
    unpack,
)
from batchup.cluster.carriage import Folder
from batchup.cluster.identity import account, code, plugged
from batchup.errors import BatchupError, SubmissionUnknown
from batchup.manifest import Manifest
from batchup.providers.base import Provider
from batchup.providers.local.memory import machine_memory_bytes
from batchup.providers.local.pool import Pool, open_pool

TRANSFERS = 8
"""Up- and downloads that a worker makes beside its slots of work."""

TELL_EVERY_S = 0.5

RUNS = 100
"""Runs that a worker knows beside those that it works for just now: some may be over, and nobody says so."""

FILES = "BATCHUP_CLUSTER_FILES"
"""Environment variable: ``carry`` where files are to come over the network though the coordinator's folders can be seen."""


class Bench:
    """What one worker has to work with."""

    def __init__(self, worker: Worker, group: TaskGroup, pool: Pool, slots: int) -> None:
        """Take part in the cluster from now on."""
        self._worker, self._group, self._pool, self._slots = worker, group, pool, slots
        self._memory_bytes = machine_memory_bytes() // 2
        self._folder = Folder(Path(worker.local_directory) / "batchup-files")
        self._running: dict[str, anyio.CancelScope] = {}
        self._jobs: dict[str, _Job] = {}
        worker.handlers |= {
            ABOUT: self.about,
            OPEN: self.open,
            READ: self._folder.read,
            WRITE: self._folder.write,
            CLEAR: self._folder.clear,
        }
        worker.stream_handlers[STOP] = self.stop

    async def about(self, nonce: str, token: str, models: list[str]) -> dict[str, Any]:
        """Tell who this is.

        Args:
            nonce: Random.
            token: A file of the coordinator's.
            models: That packages add to batchup.
        """
        return {
            "code": code(),
            "slots": self._slots,
            "transfers": TRANSFERS,
            "labels": dict(self._worker.state.total_resources),
            "shares": os.environ.get(FILES) != "carry" and await to_thread.run_sync(os.path.exists, token),
            "account": account(os.environ, nonce),
            "plugged": {model: await to_thread.run_sync(plugged, model) for model in models},
            "folder": str(self._folder.path),
        }

    async def open(self, run: str, manifest: bytes) -> None:
        """Make ready for a run's calls.

        What another run has open and does not use just now is closed, as that run may be over; it is opened anew when
        that run asks for more.
        """
        busy = {attempt.rpartition("-")[0] for attempt in self._running}
        idle = [other for other in self._jobs if other not in busy]
        for other in idle:
            self._jobs[other].close()
        for other in idle[:-RUNS]:
            del self._jobs[other]
        self._jobs[run] = _Job(unpack(manifest), self._pool)

    def stop(self, attempt: str) -> None:
        """Cut a call: nobody waits for it any more."""
        scope = self._running.get(attempt)
        if scope is not None:
            scope.cancel()

    async def perform(self, call: Call) -> None:
        """Make a call, if the fence allows it, and hand in what came of it."""
        kept = False
        with anyio.CancelScope() as scope:
            # What may be paid is brought to its end: its answer is worth having, should the coordinator still be there.
            self._running[call.attempt] = scope if call.stoppable else anyio.CancelScope()
            try:
                # Before the fence is asked: nothing that takes time may lie between its leave and what may be paid.
                ready = await _outcome(partial(self._readied, call))
                if not await self._fence(CLAIM, call, worker=self._worker.address):
                    return
                outcome = ready if ready.error else await _outcome(partial(self._made, call, ready.value))
                kept = await self._fence(DONE, call, result=pack(outcome))
            finally:
                del self._running[call.attempt]
                if not kept:
                    _discard(call)

    async def _fence(self, step: str, call: Call, **arguments: Any) -> bool:
        answer: bool = await getattr(self._worker.scheduler, step)(attempt=call.attempt, **arguments)
        return answer

    async def _readied(self, call: Call) -> Provider | None:
        """Return the provider of a step that has one."""
        if call.step in {"nothing", "pool"}:
            return None
        job = self._jobs[call.attempt.rpartition("-")[0]]
        async with job.opening:
            if job.provider is None:
                job.provider = await self._group.start(job.serve, call.name)
        return job.provider

    async def _made(self, call: Call, provider: Provider | None) -> Any:
        tell = self._teller(call) if call.tells else _silent
        for file in call.writes:
            await to_thread.run_sync(_make_folder, Path(file).parent)
        if call.step == "nothing":
            return None
        if provider is None:
            argument, home = call.arguments
            # What writes nothing examines an output that is there: never too large for this machine.
            memory_bytes = call.memory_bytes if call.writes else min(call.memory_bytes, self._memory_bytes)
            note = partial(self._send_told, call) if call.tells else _silent
            return await self._pool.call(
                call.name, argument, memory_bytes=memory_bytes, tell=tell, note=note, home=home
            )
        job, *rest = call.arguments
        with nullcontext() if call.stoppable else _doubted():
            return await getattr(provider, call.step)(replace(job, tell=tell), *rest)

    def _teller(self, call: Call) -> Callable[[float], None]:
        next_at_s, clock = 0.0, SystemClock()

        def tell(done: float) -> None:
            nonlocal next_at_s
            if clock.now_s() >= next_at_s:
                next_at_s = clock.now_s() + TELL_EVERY_S
                self._send_told(call, done)

        return tell

    def _send_told(self, call: Call, told: float | str) -> None:
        """Tell the coordinator how far it is, or what it runs on."""
        self._worker.batched_send({"op": TOLD, "attempt": call.attempt, "done": told})


class _Job:
    """What a worker has open for one run."""

    def __init__(self, manifest: Manifest, pool: Pool) -> None:
        self._manifest, self._pool = manifest, pool
        self.provider: Provider | None = None
        self.opening = anyio.Lock()
        self._closing = anyio.Event()

    def close(self) -> None:
        """Let go of the provider; the next call has it opened anew."""
        self.provider = None
        self._closing.set()
        self._closing = anyio.Event()

    async def serve(self, name: str, *, task_status: TaskStatus[Provider]) -> None:
        """Keep the provider called *name* open until it is let go."""
        from batchup.catalogue import Catalogue
        from batchup.history import History
        from batchup.provision import Tools, open_provider
        from batchup.transport import open_transport

        clock, times, closing = SystemClock(), self._manifest.timeouts, self._closing
        async with (
            open_transport(connect_s=times.connect_s, stall_s=times.stall_s, clock=clock) as transport,
            open_provider(
                name,
                Tools(
                    self._manifest,
                    Catalogue(self._manifest),
                    clock,
                    self._pool,
                    transport,
                    History(),
                    os.environ,
                ),
            ) as provider,
        ):
            task_status.started(provider)
            await closing.wait()


async def _outcome(step: Callable[[], Awaitable[Any]]) -> Outcome:
    try:
        return Outcome(await step())
    # Whatever a library raises: the coordinator is told, which decides what becomes of the task.
    except Exception as error:  # noqa: BLE001 - see above
        return failed(error)


@contextmanager
def _doubted() -> Iterator[None]:
    """Take what nobody foresaw for the one that costs nothing: what was to be paid may have been accepted."""
    try:
        yield
    except BatchupError:
        raise
    # Likewise: a fault of ours, or of a library's.
    except Exception as error:
        message = f"unexpected {type(error).__name__} while it was submitted: {error}"
        raise SubmissionUnknown(message, kind="unexpected") from error


def _silent(told: float | str) -> None:
    """Nobody wants to hear it."""


def _make_folder(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)


def _discard(call: Call) -> None:
    for file in call.writes:
        with suppress(OSError):
            Path(file).unlink(missing_ok=True)


_bench: Bench | None = None
"""A process holds one worker."""


async def perform(data: bytes) -> None:
    """Make a call, packed. What Dask runs; the scheduler reads it, too, so it imports nothing that is heavy."""
    assert _bench is not None, "dask worker was started without --preload batchup.cluster.worker"
    await _bench.perform(unpack(data))


async def dask_setup(worker: Worker) -> None:
    """Make a worker ready for calls. Called by Dask."""
    slots = worker.state.nthreads
    # Dask counts transfers as work; the coordinator knows better, and gives nobody too much.
    worker.state.nthreads += TRANSFERS
    ready = anyio.Event()
    worker.loop.add_callback(_serve, worker, slots, ready)
    await ready.wait()


async def _serve(worker: Worker, slots: int, ready: anyio.Event) -> None:
    global _bench  # noqa: PLW0603 - Dask passes nothing to a task
    memory_bytes = machine_memory_bytes() // 2
    async with open_pool(slots, memory_bytes) as pool, anyio.create_task_group() as group:
        _bench = Bench(worker, group, pool, slots)
        ready.set()
        await worker.finished()  # type: ignore[no-untyped-call]  # Dask's
        group.cancel_scope.cancel()
