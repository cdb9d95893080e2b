"""The alarm, where the system's news cannot be told."""

import os

import anyio
import pytest

from batchup.watch import open_alarm


@pytest.fixture
def nameless(tmp_path):
    """A file whose name is not UTF-8."""
    name = os.fsencode(tmp_path) + b"/bad\xff.png"
    try:
        os.close(os.open(name, os.O_CREAT | os.O_WRONLY))
    except OSError:
        pytest.skip("this disk takes no such names")
    return name


async def test_a_name_that_is_no_utf_8_is_told_once_and_ends_nothing(tmp_path, nameless):
    told, heard = [], anyio.Event()

    def tell(text):
        told.append(text)
        heard.set()

    async with open_alarm(tell) as alarm:
        alarm.folders = (tmp_path,)
        with anyio.fail_after(20):
            await alarm.wait(20)
            while not heard.is_set():
                os.utime(nameless)
                await anyio.sleep(0.05)
        assert not await alarm.wait(0)

    assert len(told) == 1
    assert "bad" in told[0]
    assert "looking every minute instead" in told[0]
