"""What it costs to run, plan and ask about a library of which everything is done, on the disk as it is then.

``BATCHUP_BENCH_FILES=1000000`` makes it a million: 2 GB, and ten minutes.
"""

import os
import pty
import random
import select
import signal
import subprocess
import time
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
from PIL import Image

from batchup.catalogue import Catalogue
from batchup.clock import SystemClock
from batchup.events import Done, Run, Stopped, encode
from batchup.execution import _seen
from batchup.expand import Expansion, expand
from batchup.inputs import find
from batchup.ledger.format import encode as group_of
from batchup.ledger.format import pack
from batchup.manifest import load
from batchup.plan import Action, Step
from batchup.task import Task
from tests.benchmarks.measure import measured
from tests.benchmarks.test_million import AT, digest
from tests.benchmarks.test_plan import FILES
from tests.library import BATCHUP

pytestmark = pytest.mark.bench

LOOK = """
import os
def look(folder, reads):
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                look(entry.path, reads)
                continue
            os.stat(entry.path)
            if reads:
                with open(entry.path, "rb") as file:
                    file.read(64)
look({photos!r}, True)
look({out!r}, False)
"""


class Told(NamedTuple):
    """What a command came to, as somebody before a terminal sees it."""

    status: int
    wall_s: float
    cpu_s: float
    peak_bytes: int
    first_s: float
    silent_s: float
    text: str


def watched(*command: str, interrupt_s: float = 0.0) -> Told:
    """Run batchup on a terminal, and press Ctrl-C after so many seconds if that is not 0."""
    ours, theirs = pty.openpty()
    began_s = time.monotonic()
    process = subprocess.Popen([*BATCHUP, *command], stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    marks: list[float] = []
    text, peak_bytes = b"", 0
    while True:
        if interrupt_s and time.monotonic() > began_s + interrupt_s:
            process.send_signal(signal.SIGINT)
            interrupt_s = 0.0
        if not select.select([ours], [], [], 0.02)[0]:
            continue
        try:
            said = os.read(ours, 65536)
        except OSError:  # nobody holds its other end any more
            break
        text += said
        marks.append(time.monotonic())
        peak_bytes = max(peak_bytes, peak_of(process.pid))
    os.close(ours)
    _, status, used = os.wait4(process.pid, 0)
    ended_s = time.monotonic()
    process.returncode = os.waitstatus_to_exitcode(status)
    ends = [began_s, *marks, ended_s]
    return Told(
        status=process.returncode,
        wall_s=ended_s - began_s,
        cpu_s=used.ru_utime + used.ru_stime,
        peak_bytes=peak_bytes,
        first_s=marks[0] - began_s,
        silent_s=max(late - early for early, late in pairwise(ends)),
        text=text.decode(),
    )


def peak_of(pid: int) -> int:
    """Return the most memory that a process has had, in bytes: without what started it, which getrusage counts in."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM")), 0)


def photos(folder, number):
    """Make files with the headers of pictures and the sizes of photos, which take no room."""
    rng, heads = random.Random(1), []
    for _ in range(100):
        data = BytesIO()
        Image.new("RGB", (rng.randrange(8, 40), rng.randrange(8, 40))).save(data, "JPEG")
        heads.append(data.getvalue())
    for one in range(number):
        file = folder / f"photos/{one // 1000:03}/{one:07}.jpg"
        if one % 1000 == 0:
            file.parent.mkdir(parents=True)
        with file.open("wb", buffering=0) as new:
            new.write(heads[one % len(heads)])
            new.truncate(rng.randrange(1_000_000, 9_000_000))


def finished(job):
    """Yield the events of a run of *job* from its beginning to its end, and make its outputs."""
    found = find(
        job.inputs,
        resolve=job.resolve,
        fault=job.fault,
        output_dir=job.output_dir,
        ledger=job.ledger_path,
        now=AT,
    )
    yield Run(format=1, job=job.name, manifest=job.sha256, version="1", host="h", pid=1, at=AT)
    for number, task in enumerate(expand(Expansion(job, Catalogue(job), AT), found)):
        assert isinstance(task, Task)
        output = job.output_dir / task.output
        if number % 1000 == 0:
            output.parent.mkdir(parents=True)
        size, mtime_ns = 2 * task.source.size_bytes, task.source.mtime_ns
        with output.open("wb", buffering=0) as new:
            new.truncate(size)
        os.utime(output, ns=(mtime_ns, mtime_ns))
        yield _seen(Step(task, Action.RUN, "new"), SystemClock())
        yield Done(
            id=task.id,
            output=task.output,
            size_bytes=size,
            mtime_ns=mtime_ns,
            sha256=digest(number, 1) * 2,
            width=task.width,
            height=task.height,
            source_sha256=digest(number, 2) * 2,
            content=digest(number, 3),
            pixels=task.pixels,
            seconds=0.136,
            at=AT,
        )
    yield Stopped(elapsed_s=1.0, at=AT)


def library(folder, number):
    photos(folder, number)
    file = folder / "job.yaml"
    file.write_text(
        "version: 1\nname: job\nmodel: local/lanczos\ninputs: [{path: photos}]\noutput: {dir: out}\n"
    )
    job = load(file)
    job.ledger_path.parent.mkdir(parents=True)
    with job.ledger_path.open("wb") as ledger:
        for group in pack(map(encode, finished(job))):
            ledger.write(group_of(group))
    return folder


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    return library(tmp_path_factory.mktemp("large"), FILES)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return library(tmp_path_factory.mktemp("small"), 1)


@pytest.fixture(scope="module")
def bare_s(large):
    """CPU seconds of looking at the same files without knowing what to make of them."""
    look = LOOK.format(photos=str(large / "photos"), out=str(large / "out"))
    return min(measured(look)["cpu_s"] for _ in range(2))


@pytest.mark.parametrize("name", ["run", "plan", "status"])
def test_a_finished_library_is_looked_through_in_a_kilobyte_a_file_and_never_in_silence(
    large, small, bare_s, name
):
    few = watched(name, str(small / "job.yaml"))
    told = watched(name, str(large / "job.yaml"))

    file_bytes, ratio = (told.peak_bytes - few.peak_bytes) / FILES, (told.cpu_s - few.cpu_s) / bare_s
    print(
        f"\n{name} of {FILES:,} finished files: {told.wall_s:.1f} s, {told.cpu_s:.2f} s CPU,"
        f" {(told.cpu_s - few.cpu_s) / FILES * 1e6:.0f} us a file, {ratio:.1f} times a bare look (at most 10);"
        f" {told.peak_bytes / 1e6:.0f} MB, {file_bytes:.0f} bytes a file (at most 1,000);"
        f" first words after {told.first_s:.2f} s, at most {told.silent_s:.2f} s without any (at most 2)"
    )
    assert told.status == 0
    assert ratio <= 10
    assert file_bytes <= 1000
    assert told.silent_s <= 2


@pytest.mark.parametrize("form", ["html", "json", "csv"])
def test_a_finished_library_is_told_in_700_bytes_a_task_and_never_in_silence(large, small, tmp_path, form):
    options = "--format", form, "--output", str(tmp_path / f"report.{form}")
    few = watched("report", str(small / "job.yaml"), *options)
    told = watched("report", str(large / "job.yaml"), *options)

    task_bytes = (told.peak_bytes - few.peak_bytes) / FILES
    size = (tmp_path / f"report.{form}").stat().st_size
    print(
        f"\nreport of {FILES:,} finished files as {form}, {size / 1e6:.0f} MB: {told.wall_s:.1f} s,"
        f" {told.cpu_s:.2f} s CPU, {(told.cpu_s - few.cpu_s) / FILES * 1e6:.0f} us a task;"
        f" {told.peak_bytes / 1e6:.0f} MB, {task_bytes:.0f} bytes a task (at most 700);"
        f" first words after {told.first_s:.2f} s, at most {told.silent_s:.2f} s without any (at most 2)"
    )
    assert told.status == 0
    assert task_bytes <= 700
    assert told.silent_s <= 2


@pytest.mark.parametrize("wait_us", [15, 35], ids=["expanded", "planned"])
def test_ctrl_c_is_heard_while_a_library_is_looked_through(large, wait_us):
    wait_s = wait_us * FILES / 1e6

    told = watched("run", str(large / "job.yaml"), interrupt_s=wait_s)

    late_s = told.wall_s - wait_s
    print(f"\nCtrl-C after {wait_s:.1f} s: the run is over {late_s:.2f} s later (at most 1)")
    assert told.status == 130
    assert "Traceback" not in told.text
    assert late_s <= 1
