"""Pool: worker processes that run functions, reused, killed on cancellation, bounded by number and by memory.

Processes rather than threads, because image code holds the interpreter for long, a hostile file may crash or exhaust
its process, and a thread cannot be killed.
"""

import json
import os
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import msgspec
from anyio.abc import Process, TaskGroup
from anyio.streams.buffered import BufferedByteReceiveStream

from batchup.errors import RejectedError, TransientError
from batchup.providers.local import worker as child
from batchup.providers.local.memory import MemoryLimit
from batchup.secrecy import without_secrets

LAST_WORDS_BYTES = 4096
END_S = 5.0
"""How long a killed process may take to be gone. Only one that hangs in the kernel takes longer."""


@asynccontextmanager
async def open_pool(workers: int, memory_bytes: int) -> AsyncIterator["Pool"]:
    """Give a pool of at most *workers* processes, which are started when needed and gone after the block.

    Args:
        workers: The most calls that run at once.
        memory_bytes: What calls that run at once may need together.

    Raises:
        ExceptionGroup: Holds what the block raised.
    """
    async with anyio.create_task_group() as group:
        pool = Pool(group, workers, memory_bytes)
        try:
            yield pool
        finally:
            await pool._close()  # noqa: SLF001 - this block is what closes it
            group.cancel_scope.cancel()


class Pool:
    """Runs functions in worker processes. Made by :func:`open_pool`."""

    def __init__(self, group: TaskGroup, workers: int, memory_bytes: int) -> None:
        self._group = group
        self._memory = MemoryLimit(memory_bytes)
        self._slots = anyio.Semaphore(workers, fast_acquire=True)
        self._homes: defaultdict[str, anyio.Lock] = defaultdict(lambda: anyio.Lock(fast_acquire=True))
        self._workers: set[_Worker] = set()
        self._idle: list[_Worker] = []

    async def call(
        self,
        function: str,
        argument: msgspec.Struct | Mapping[str, Any],
        *,
        memory_bytes: int = 0,
        tell: Callable[[float], None] | None = None,
        note: Callable[[str], None] = lambda _: None,
        home: str = "",
    ) -> Any:
        """Run *function* in a worker process and return what it returned, as JSON.

        Calls are admitted in the order they were made. There is no deadline: a video takes hours. Cancelling kills the
        process at once.

        Args:
            function: ``package.module:name`` of ``f(argument)``, ``f(argument, tell)`` or ``f(argument, tell, note)``. The
                argument is made into the Struct that the first parameter is annotated with, or is plain JSON.
            argument: JSON, or a Struct that can be written as such.
            memory_bytes: Estimated peak of this call.
            tell: Called with the done part, 0.0 to 1.0, at most ten times a second.
            note: Called with what the function runs on, before it begins.
            home: A device. Its calls run one after the other, in one process that is beside the pool's number and
                keeps what it has loaded.

        Raises:
            RejectedError: As the function raised it; ``too_large`` where *memory_bytes* is above the whole limit, told
                at once; ``unexpected`` for any other exception of the function's, its traceback in a note.
            TransientError: As the function raised it; ``out_of_memory`` for a MemoryError; ``worker_died`` where
                the process died; ``no_worker`` where none could be started.
            OSError: As the function raised it, with its errno.
        """
        async with self._admitted(memory_bytes, home):
            worker = await self._take(home)
            answered = False
            try:
                answer = await worker.ask(child.Request(function, argument), tell, note)
                answered = True
            finally:
                if answered:
                    self._idle.append(worker)
                else:
                    await self._end(worker)
            return _value(answer)

    @asynccontextmanager
    async def _admitted(self, memory_bytes: int, home: str) -> AsyncIterator[None]:
        if home:
            # Whoever waits for a device holds no memory meanwhile, which others could use.
            async with self._homes[home], self._memory.reserve(memory_bytes):
                yield
        else:
            async with self._memory.reserve(memory_bytes), self._slots:
                yield

    async def _take(self, home: str) -> "_Worker":
        while worker := next((one for one in reversed(self._idle) if one.home == home), None):
            self._idle.remove(worker)
            if worker.process.returncode is None:
                return worker
            await self._end(worker)
        worker = await _start(home)
        self._workers.add(worker)
        self._group.start_soon(worker.listen)
        return worker

    async def _end(self, worker: "_Worker") -> None:
        self._workers.discard(worker)
        await worker.end()

    async def _close(self) -> None:
        self._idle.clear()
        for worker in self._workers:
            worker.kill()
        while self._workers:
            await self._end(next(iter(self._workers)))


class _Worker:
    """One process: asked one thing at a time."""

    def __init__(self, process: Process, home: str) -> None:
        assert process.stdin
        assert process.stdout
        self.process = process
        self.home = home
        self._requests = process.stdin
        self._answers = BufferedByteReceiveStream(process.stdout)
        self._last_words = b""
        self._silent = anyio.Event()
        self._killed = False

    async def listen(self) -> None:
        """Read what the process prints until it ends, or it would block on a full pipe; keep the last of it."""
        assert self.process.stderr
        try:
            async for chunk in self.process.stderr:
                self._last_words = (self._last_words + chunk)[-LAST_WORDS_BYTES:]
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            pass  # it was ended
        finally:
            self._silent.set()

    async def ask(
        self, request: child.Request, tell: Callable[[float], None] | None, note: Callable[[str], None]
    ) -> child.Answer:
        """Return the final answer. After any exception, cancellation included, the process is of no more use."""
        with suppress(
            anyio.BrokenResourceError, OSError
        ):  # it died; there will be no answer, which tells why
            await self._requests.send(child.pack(request))
        while isinstance(answer := await self._receive(), child.Told | child.Noted):
            if isinstance(answer, child.Noted):
                note(answer.text)
            elif tell:
                tell(answer.done)
        return answer

    async def _receive(self) -> child.Answer:
        try:
            head = await self._answers.receive_exactly(child.HEAD_BYTES)
            body = await self._answers.receive_exactly(int.from_bytes(head, "big"))
        except (anyio.IncompleteRead, anyio.EndOfStream, anyio.BrokenResourceError, OSError) as error:
            raise TransientError(await self._why_died(), kind="worker_died") from error
        answer: child.Answer = msgspec.convert(json.loads(body), child.Answer)
        return answer

    async def _why_died(self) -> str:
        with anyio.move_on_after(END_S):
            await self.process.wait()
            await self._silent.wait()
        words = self._last_words.decode(errors="replace").strip()
        said = f"; its last words: {words.splitlines()[-1][:200]}" if words else ""
        return f"the worker process {_ending(self.process.returncode)}{said}"

    def kill(self) -> None:
        """Kill the process, if it still lives."""
        if self._killed or self.process.returncode is not None:
            return
        self._killed = True
        with suppress(ProcessLookupError):
            if os.name == "nt":
                self.process.kill()
            else:
                # Popen.kill would reap a process that has just ended, and asyncio's watcher complain that it is gone.
                os.kill(self.process.pid, signal.SIGKILL)

    async def end(self) -> None:
        """Kill the process and wait until it is gone, so that its memory is free."""
        self.kill()
        with anyio.move_on_after(END_S, shield=True):
            await self.process.wait()
        if self.process.returncode is not None:  # otherwise it hangs in the kernel, and so would aclose
            with anyio.CancelScope(shield=True):
                await self.process.aclose()


async def _start(home: str) -> _Worker:
    """Start a worker process, for one device where *home* names it.

    It is in a session of its own, so that Ctrl-C on the terminal, which goes to the whole foreground group, reaches
    only the parent: what becomes of running work is the parent's to say.
    """
    # -P: the folder that batchup is run in may hold a file called json.py.
    command = [sys.executable, "-P", "-m", child.__name__, str(os.getpid())]
    environment = without_secrets(os.environ)  # a decoder has no use for a key
    try:
        with anyio.CancelScope(shield=True):  # a process that nobody knows of would be left over
            process = await anyio.open_process(
                command,
                env=environment,
                start_new_session=True,
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # the same, on Windows
            )
    except OSError as error:
        raise TransientError(f"could not start a worker process: {error}", kind="no_worker") from error
    return _Worker(process, home)


def _ending(status: int | None) -> str:
    if status is None:
        return "stopped answering"
    if status >= 0:
        return f"ended with status {status}"
    with suppress(ValueError):
        name = signal.Signals(-status).name
        hint = ", perhaps because memory ran out" if name == "SIGKILL" else ""
        return f"was killed by signal {-status} ({name}{hint})"
    return f"was killed by signal {-status}"


def _value(answer: child.Answer) -> Any:
    match answer:
        case child.Returned(value):
            return value
        case child.RaisedOSError(errno, message, file):
            raise OSError(errno, message, file)
        case child.Raised(message, kind, again=True, retry_after_s=wait_s):
            raise TransientError(message, kind=kind, retry_after_s=wait_s)
        case child.Raised(message, kind, traceback=traceback):
            error = RejectedError(message, kind=kind)
            if traceback:
                error.add_note(traceback)
            raise error
    raise AssertionError(answer)
