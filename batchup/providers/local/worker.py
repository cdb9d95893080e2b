"""A worker process: runs one function after another for its parent, and dies with it.

Started as ``python -m batchup.providers.local.worker PARENT_PID``. Requests come on standard input, answers go to standard
output, each as a frame: the length in four bytes, the highest first, then so much JSON. It is the standard library's
JSON because that carries file names that are not UTF-8 (as lone surrogates) and msgspec's does not.

What it promises:

- It ends when its parent ends, however that ended: a thread of its own waits for the end of standard input, which only
  the parent holds open. Code that never lets go of the interpreter starves that thread; on Linux the kernel kills
  the process all the same (PR_SET_PDEATHSIG).
- Nothing a library prints reaches the answers: descriptor 1 leads to standard error before any of them is imported.
- SIGINT is left to the parent, which decides what is finished and what is not.
- The desktop stays usable: the process has a lower priority, and when memory runs out Linux takes it first.

It imports next to nothing itself, so that it is ready within some 50 ms.
"""

import importlib
import inspect
import json
import os
import signal
import sys
import threading
import time
import traceback
import typing
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from typing import Any, BinaryIO

import msgspec

from batchup.errors import RejectedError, TransientError

HEAD_BYTES = 4
"""Length of a frame's head, which is the length of its body."""

NICENESS = 5
OOM_SCORE = 500
"""Of 1000: above anything that the user runs, below what the system marks as expendable."""
TELL_EVERY_S = 0.1

NOT_INSTALLED = "not_installed"
"""Class of the failure of a function whose module is not there."""
PR_SET_PDEATHSIG = 1
"""Source: linux/prctl.h."""


class Request(msgspec.Struct, frozen=True):
    """Call *function* (``package.module:name``) with *argument*."""

    function: str
    argument: Any


class Told(msgspec.Struct, frozen=True, tag="told"):
    """So much is done, 0.0 to 1.0."""

    done: float


class Noted(msgspec.Struct, frozen=True, tag="noted"):
    """The function is ready, and this is what it runs on."""

    text: str


class Returned(msgspec.Struct, frozen=True, tag="returned"):
    """The function returned *value*."""

    value: Any


class Raised(msgspec.Struct, frozen=True, tag="raised"):
    """The function raised one of our errors, which says whether to try again."""

    message: str
    kind: str
    again: bool
    retry_after_s: float | None = None
    traceback: str = ""


class RaisedOSError(msgspec.Struct, frozen=True, tag="os"):
    """The function raised an OSError of the system."""

    errno: int
    message: str
    file: str | None = None


Answer = Told | Noted | Returned | Raised | RaisedOSError


def pack(frame: Request | Answer) -> bytes:
    """Return *frame* as it goes through a pipe."""
    body = json.dumps(msgspec.to_builtins(frame, str_keys=True)).encode("ascii")
    return len(body).to_bytes(HEAD_BYTES, "big") + body


def main() -> None:
    """Serve the parent until it is gone."""
    requests, answers = _take_streams()
    _behave(parent_pid=int(sys.argv[1]))
    inbox: SimpleQueue[Request] = SimpleQueue()
    threading.Thread(target=_listen, args=(requests, inbox), daemon=True).start()
    lock = threading.Lock()  # a function may tell from a thread of its own

    def send(answer: Answer) -> None:
        with lock:
            answers.write(pack(answer))
            answers.flush()

    while True:
        request = inbox.get()
        send(_answer(request, _throttled(send), lambda text: send(Noted(text))))


def _take_streams() -> tuple[BinaryIO, BinaryIO]:
    """Keep standard input and output to ourselves: libraries get nothing to read, and print to standard error.

    The duplicates are not inherited, so a process that a library starts cannot hold them open.
    """
    requests, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return os.fdopen(requests, "rb"), os.fdopen(answers, "wb")


def _behave(parent_pid: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    if sys.platform != "linux":
        return
    # The kernel may share the processor out by session first, and a worker has its own: see sched(7), "autogroup".
    for name, value in (("oom_score_adj", OOM_SCORE), ("autogroup", NICENESS)):
        with suppress(OSError):  # absent or refused in some containers
            Path(f"/proc/self/{name}").write_text(str(value), encoding="ascii")
    import ctypes

    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:  # it was gone before we asked
        os._exit(1)


def _listen(requests: BinaryIO, inbox: "SimpleQueue[Request]") -> None:
    """Pass on what the parent asks, and end this process at once when the parent is gone."""
    try:
        while head := requests.read(HEAD_BYTES):
            body = requests.read(int.from_bytes(head, "big"))
            inbox.put(msgspec.convert(json.loads(body), Request))
    finally:
        os._exit(0)


def _throttled(send: Callable[[Told], None]) -> Callable[[float], None]:
    next_at_s = 0.0

    def tell(done: float) -> None:
        nonlocal next_at_s
        now_s = time.monotonic()
        if now_s >= next_at_s:
            next_at_s = now_s + TELL_EVERY_S
            send(Told(done))

    return tell


def _answer(request: Request, tell: Callable[[float], None], note: Callable[[str], None]) -> Answer:
    try:
        return Returned(msgspec.to_builtins(_call(request, tell, note), str_keys=True))
    except (RejectedError, TransientError) as error:
        again = isinstance(error, TransientError)
        return Raised(str(error), error.kind, again, getattr(error, "retry_after_s", None))
    except MemoryError:
        return Raised(
            "needs more memory than there is: lower the scale or run.concurrency", "out_of_memory", again=True
        )
    except ModuleNotFoundError as error:  # about this machine, and not about the file
        message = f"it needs {error.name}, which is not installed here"
        return Raised(message, NOT_INSTALLED, again=False, traceback=traceback.format_exc())
    # Whatever else a library raises, and be it SystemExit, is about this file. The process goes on.
    except (Exception, SystemExit) as error:  # noqa: BLE001 - see above; the parent tells it with its traceback
        if isinstance(error, OSError) and error.errno is not None:
            return RaisedOSError(error.errno, error.strerror or "", _file(error))
        message = f"unexpected {type(error).__name__}: {error}".removesuffix(": ")
        return Raised(message, "unexpected", again=False, traceback=traceback.format_exc())


def _file(error: OSError) -> str | None:
    name: object = error.filename  # whatever was passed to open
    return os.fsdecode(name) if isinstance(name, str | bytes | os.PathLike) else None


def _call(request: Request, tell: Callable[[float], None], note: Callable[[str], None]) -> Any:
    function, kind, takes = _function(request.function)
    argument = msgspec.convert(request.argument, kind) if kind else request.argument
    return function(*(argument, tell, note)[:takes])


@cache
def _function(name: str) -> tuple[Callable[..., Any], type[msgspec.Struct] | None, int]:
    """Return a function, the Struct that it takes, and the number of what it takes."""
    module, _, short = name.partition(":")
    function = getattr(importlib.import_module(module), short)
    parameters = list(inspect.signature(function).parameters)
    kind = typing.get_type_hints(function).get(parameters[0])
    is_struct = isinstance(kind, type) and issubclass(kind, msgspec.Struct)
    return function, kind if is_struct else None, len(parameters)


if __name__ == "__main__":
    main()
