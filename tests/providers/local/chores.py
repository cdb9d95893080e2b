"""What the tests let worker processes do. Imported there, so it imports nothing heavy."""

import ctypes
import errno
import os
import signal
import sys
import time
from pathlib import Path

import msgspec

from batchup.errors import RejectedError, TransientError


class Sum(msgspec.Struct, frozen=True):
    left: int
    right: int
    names: tuple[str, ...] = ()


class Answer(msgspec.Struct):
    total: int
    names: tuple[str, ...]


def add(argument: Sum) -> Answer:
    assert isinstance(argument, Sum)
    return Answer(argument.left + argument.right, argument.names)


def echo(argument):
    return argument


def pid(_):
    return os.getpid()


def environment(_):
    return dict(os.environ)


def modules(_):
    return sorted(sys.modules)


def priority(_):
    return os.nice(0)


def interrupt(_):
    os.kill(os.getpid(), signal.SIGINT)


def count(argument, tell):
    for step in range(argument["steps"]):
        tell(step / argument["steps"])
    return "counted"


def reject(_):
    raise RejectedError("photo.jpg: cut after 12 of 40 lines", kind="image_truncated")


def put_off(_):
    raise TransientError("busy", kind="device_busy", retry_after_s=2.5)


def fill_disk(_):
    raise OSError(errno.ENOSPC, "No space left on device", Path("out.png"))


def divide(argument):
    return 1 // argument["by"]


def leave(_):
    sys.exit(3)


def exhaust(_):
    raise MemoryError


def crash(argument):
    print("about to crash", file=sys.stderr, flush=True)
    os.kill(os.getpid(), getattr(signal, argument["signal"]))


def note(_argument, _tell, note):
    note("on a toaster")
    os.kill(os.getpid(), signal.SIGKILL)


def end(_):
    os._exit(7)


def chatter(argument):
    """Print more than any pipe holds, by Python and by C, to both streams."""
    line = b"x" * 1000 + b"\n"
    for _ in range(argument["lines"]):
        os.write(1, line)
        os.write(2, line)
    print("printed", flush=True)
    ctypes.CDLL(None).puts(b"put")
    ctypes.CDLL(None).fflush(None)
    return sys.stdin.read()


def meet(argument):
    """Return once the other side of both named pipes is there too: two such calls need two processes."""
    if argument["first"]:
        Path(argument["there"]).write_text("hello")
        return Path(argument["back"]).read_text()
    hello = Path(argument["there"]).read_text()
    Path(argument["back"]).write_text("and back")
    return hello


def hold(argument):
    """Say which process this is through a named pipe, then be busy for ever with the pipe open."""
    with Path(argument["pipe"]).open("w") as pipe:
        pipe.write(f"{os.getpid()}\n")
        pipe.flush()
        if argument["how"] == "asleep":
            time.sleep(1e6)
        else:  # in C code that never lets go of the interpreter
            sum(range(10**15))
