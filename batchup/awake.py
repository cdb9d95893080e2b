"""The machine kept from sleeping while there is work, where the system lets us."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import anyio
from anyio.abc import Process

from batchup.secrecy import without_secrets
from batchup.terminal import escape

PATIENCE_S = 2.0
"""Longest wait for the system's answer, which takes hundredths, and for its end: one that hangs holds up no work."""

_PROGRAMS = (
    # https://www.freedesktop.org/software/systemd/man/latest/systemd-inhibit.html, read 2026-11
    ("systemd-inhibit", ("--what=sleep:idle", "--who=batchup", "--mode=block")),
    # https://ss64.com/mac/caffeinate.html, read 2026-11. -i: no sleep for being idle.
    ("caffeinate", ("-i",)),
)
"""What holds a machine awake while a command of ours runs under it: its name and arguments, before that command."""

# https://learn.microsoft.com/windows/win32/api/winbase/nf-winbase-setthreadexecutionstate, read 2026-11
_CONTINUOUS, _SYSTEM_REQUIRED = 0x80000000, 0x00000001


@asynccontextmanager
async def kept_awake(why: str, patience_s: float = PATIENCE_S) -> AsyncIterator[str | None]:
    """Keep the machine from sleeping, or try to, while the block lasts; however this process ends, that ends with it.

    Yields the name of the means, or None where the system has none or refuses: in a container, or over ssh where only
    who sits at the machine may do so.

    Args:
        why: For the person who asks the system what keeps it awake.
        patience_s: Seconds in which the system has to answer before it counts as refusing, and to let go at the end.
    """
    if sys.platform == "win32":
        with _asked_of_windows() as means:
            yield means
        return
    means, process = None, None
    for name, arguments in _PROGRAMS:
        process = await _hold(name, arguments, why, patience_s)
        if process is not None:
            means = name
            break
    try:
        yield means
    finally:
        if process is not None:
            await _end(process, patience_s)


async def _hold(name: str, arguments: tuple[str, ...], why: str, patience_s: float) -> Process | None:
    """Return the process that keeps the machine awake for as long as its input stays open; None if it does not.

    The command under it is ``cat``. What it sends back tells that the machine is held, and it ends when the pipe to it
    is closed, which the system does even for a process that is killed.
    """
    program = shutil.which(name)
    if program is None:
        return None
    reason = [f"--why={escape(why)}"] if name == "systemd-inhibit" else []
    command = [program, *arguments, *reason, "cat"]
    environment = without_secrets(os.environ)
    try:
        with anyio.CancelScope(shield=True):  # a process that nobody knows of would be left over
            process = await anyio.open_process(
                # As bytes: not every locale can encode every reason.
                [os.fsencode(program), *(word.encode() for word in command[1:])],
                env=environment,
                stderr=subprocess.DEVNULL,
                # Ctrl-C is not for it, and without a terminal it cannot ask for a password.
                start_new_session=True,
            )
    except OSError:
        return None
    held = False
    try:
        with anyio.move_on_after(patience_s):
            held = await _answers(process)
    finally:
        if not held:
            await _end(process, 0.0)
    return process if held else None


async def _answers(process: Process) -> bool:
    """Return whether *process* sends back what it is sent, False once it has ended."""
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(anyio.BrokenResourceError, anyio.EndOfStream, OSError):
        await process.stdin.send(b"\n")
        return bool(await process.stdout.receive(1))
    return False


async def _end(process: Process, grace_s: float) -> None:
    """End *process* and what it has started; it gets *grace_s* seconds to do so by itself."""
    assert process.stdin is not None
    with anyio.CancelScope(shield=True):
        with suppress(anyio.BrokenResourceError, OSError):
            await process.stdin.aclose()
        with anyio.move_on_after(grace_s):
            await process.wait()
        if process.returncode is None and sys.platform != "win32":
            # Not Popen.kill: it would reap what has just ended, and asyncio's watcher complain that it is gone.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            with anyio.move_on_after(PATIENCE_S):
                await process.wait()
        if process.returncode is not None:  # otherwise it hangs in the kernel, and so would aclose
            await process.aclose()


@contextmanager
def _asked_of_windows() -> Iterator[str | None]:
    """Keep Windows awake for as long as this thread lives and the block lasts."""
    if sys.platform != "win32":
        raise AssertionError(sys.platform)
    import ctypes  # nobody else needs it

    ask = ctypes.windll.kernel32.SetThreadExecutionState
    means = "SetThreadExecutionState" if ask(_CONTINUOUS | _SYSTEM_REQUIRED) else None
    try:
        yield means
    finally:
        ask(_CONTINUOUS)
