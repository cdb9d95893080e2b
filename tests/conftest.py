"""Fixtures that every test may use."""

import os
import signal

import pytest

from batchup.processors import cores

# What a shell runs in the background ignores Ctrl-C, and so would every run that a test starts and interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers():
    """Return how many workers `-n auto` is: half of the time a test waits, for a process or a clock."""
    return max(4, cores())


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="session")
def drowsy(tmp_path_factory):
    """A folder of programs that would keep this machine awake, and refuse to: no test asks the real ones."""
    folder = tmp_path_factory.mktemp("drowsy")
    for name in ("systemd-inhibit", "caffeinate"):
        (folder / name).write_text("#!/bin/sh\nexit 1\n")
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory, monkeypatch, drowsy):
    """Keep every test away from the user's own state folder and environment."""
    monkeypatch.setenv("PATH", f"{drowsy}{os.pathsep}{os.environ['PATH']}")
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    monkeypatch.delenv("FAL_KEY", raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
