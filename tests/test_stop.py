"""Ways in which a run ends early, and what it leaves."""

import os
import signal
import subprocess
import sys

import msgspec
import pytest

from batchup.errors import Interrupted
from batchup.manifest import load
from batchup.progress import Progress
from batchup.recorder import CHUNK
from batchup.run import Options, run
from tests.library import batchup, events, manifest, outputs, photo, size, start, wait_until

ROOT = os.name == "posix" and os.geteuid() == 0


@pytest.fixture
def job(tmp_path):
    """A job of many photos, each of which takes a moment."""
    for number in range(40):
        photo(tmp_path / f"photos/{number:03}.png", seed=number, size=(300, 300))
    return manifest(tmp_path, "params: {scale: 8}")


def ledger(job):
    return job.parent / "out/.batchup/holiday.jsonl"


def some_done(job):
    return lambda: ledger(job).exists() and len(events(ledger(job), "done")) >= 2


def goes_on_to_its_end(job):
    batchup("run", job, cwd=job.parent)
    done = [event["output"] for event in events(ledger(job), "done")]
    return sorted(done) == sorted(outputs(job.parent / "out")) == [f"{n:03}.png" for n in range(40)]


@pytest.mark.parametrize(
    ("signum", "status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=["ctrl-c", "term", "hup"],
)
def test_the_first_signal_finishes_what_is_in_flight_and_the_next_run_goes_on(job, signum, status):
    process = start("run", job, "--json", cwd=job.parent)
    wait_until(some_done(job))

    process.send_signal(signum)
    out, err = process.communicate(timeout=30)

    assert process.returncode == status
    assert "stopping: starting nothing more, waiting for" in err
    summary = msgspec.json.decode(out)
    assert summary["stopped"] == "interrupted"
    assert 0 < summary["tasks"]["pending"] < 40
    assert events(ledger(job))[-2]["event"] == "stopped"
    assert not list((job.parent / "out").rglob("*.part"))
    assert goes_on_to_its_end(job)


async def test_ctrl_c_while_a_first_run_names_its_tasks_ends_it_and_the_next_one_names_the_rest(tmp_path):
    class Impatient(Progress):
        pressed = False

        def preparing(self, text):
            if "written" in text and not self.pressed:
                self.pressed = True
                os.kill(os.getpid(), signal.SIGINT)

    (tmp_path / "urls.txt").write_text("".join(f"http://127.0.0.1:1/{n}.png\n" for n in range(5 * CHUNK)))
    job = manifest(tmp_path, "inputs: [{list: urls.txt, allow_private: true}]")

    with pytest.raises(Interrupted):
        await run(load(job), Options(), Impatient(show=False))
    named = len(events(ledger(job), "task"))
    batchup("run", job, "--limit", "0", cwd=tmp_path, status=3)

    assert CHUNK <= named < 5 * CHUNK
    assert len(events(ledger(job), "task")) == 5 * CHUNK


def test_the_second_signal_leaves_at_once_and_the_next_run_goes_on(tmp_path):
    photo(tmp_path / "photos/large.png", size=(2500, 2000))
    photo(tmp_path / "photos/small.png")
    file = manifest(tmp_path, "params: {scale: 6}\nrun: {order: smallest}")
    process = start("run", file, cwd=tmp_path)
    wait_until(lambda: list(tmp_path.rglob("*.part")))

    process.send_signal(signal.SIGINT)
    assert process.stderr
    said = iter(process.stderr.readline, "")
    assert any("stopping" in line for line in said)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)

    assert process.returncode == 130
    assert "leaving at once" in err
    assert not list(tmp_path.rglob("*.part"))
    assert "large.png" not in outputs(tmp_path / "out")
    batchup("run", file, "--limit", "0", cwd=tmp_path, status=3)


@pytest.fixture
def small_disk(tmp_path):
    """A disk with room for a few outputs only."""
    if not ROOT or sys.platform != "linux":
        pytest.skip("only root mounts a disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(disk)], check=True)
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_ends_the_run_with_six_and_what_was_written_is_whole(tmp_path, small_disk):
    for number in range(12):
        photo(tmp_path / f"photos/{number:03}.bmp", seed=number, size=(500, 400))
    file = manifest(tmp_path, output="{dir: disk/out}")

    done = batchup("run", file, "--json", cwd=tmp_path, status=6)

    assert "full" in done.stderr
    summary = msgspec.json.decode(done.stdout)
    assert (summary["stopped"], summary["tasks"]["failed"]) == ("disk", 0)
    assert summary["tasks"]["pending"] > 0
    written = outputs(small_disk / "out")
    assert len(written) == summary["tasks"]["done"] > 0
    assert {size(path) for path in written.values()} == {(1000, 800)}

    subprocess.run(["mount", "-o", "remount,size=100m", str(small_disk)], check=True)
    batchup("run", file, cwd=tmp_path)

    assert len(outputs(small_disk / "out")) == 12


@pytest.fixture
def closed_folder(tmp_path):
    """An output folder that nobody may write, root neither."""
    folder = tmp_path / "out"
    folder.mkdir()
    if not ROOT:
        folder.chmod(0o555)
        yield folder
        folder.chmod(0o755)
        return
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,size=1m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.skipif(sys.platform != "linux" and ROOT, reason="root writes anywhere here")
def test_an_output_folder_that_may_not_be_written_ends_the_run_with_six(tmp_path, closed_folder):
    photo(tmp_path / "photos/a.png")

    done = batchup("run", manifest(tmp_path), cwd=tmp_path, status=6)

    assert "writable" in done.stderr
    assert not list(closed_folder.iterdir())


def test_a_task_that_needs_more_memory_than_allowed_fails_alone_and_says_what_to_do(tmp_path):
    photo(tmp_path / "photos/a.png", size=(600, 600))
    photo(tmp_path / "photos/b.png")

    file = manifest(tmp_path, "params: {scale: 16}\nrun: {memory: 400MB}")
    done = batchup("run", file, cwd=tmp_path, status=1)

    failed = events(tmp_path / "out/.batchup/holiday.jsonl", "failed")
    assert [event["kind"] for event in failed] == ["too_large"]
    assert "run.memory allows 400 MB" in failed[0]["message"]
    assert "1 of 2 tasks done" in done.stdout
