"""The command line as a person calls it: in this process where only words and exit status matter."""

import subprocess
import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest
from PIL import Image

from batchup.cli import main


class Answer(NamedTuple):
    status: int
    out: str
    err: str


Call = Callable[..., Answer]


@pytest.fixture
def call(capsys) -> Call:
    """Run one command in this process."""

    def run(*args: object) -> Answer:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main([str(arg) for arg in args])
        out, err = capsys.readouterr()
        return Answer(int(end.value.code or 0), out, err)

    return run


def spawn(*args: object, **options) -> Answer:
    """Run one command as a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "batchup", *map(str, args)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )
    return Answer(done.returncode, done.stdout, done.stderr)


def photo(path, size=(16, 12), colour="teal"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path
