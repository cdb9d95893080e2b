"""Signals ask whoever listens, and none is missed between two who do."""

import os
import signal

import anyio

from batchup.shutdown import Shutdown, open_signals


async def test_the_first_signal_drains_and_the_second_detaches():
    shutdown = Shutdown()
    async with open_signals(shutdown):
        os.kill(os.getpid(), signal.SIGINT)
        await shutdown.wait_draining()
        assert (shutdown.stage, shutdown.signum) == ("drain", signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        await shutdown.wait_detaching()

    assert shutdown.signum == signal.SIGINT


async def test_what_comes_while_nobody_listens_drains_whoever_listens_next():
    async with open_signals() as signals:
        async with open_signals(Shutdown()):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        with anyio.fail_after(5):
            while signals.signum is None:  # noqa: ASYNC110 - a signal wakes nobody here
                await anyio.sleep(0.001)
        late = Shutdown()
        async with open_signals(late):
            assert (late.stage, late.signum) == ("drain", signal.SIGTERM)


async def test_only_who_listens_last_is_asked():
    outer, inner = Shutdown(), Shutdown()
    async with open_signals(outer), open_signals(inner):
        os.kill(os.getpid(), signal.SIGINT)
        await inner.wait_draining()

    assert not outer.draining
