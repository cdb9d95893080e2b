"""`batchup watch`: real files, a real process."""

import json
import os
import select
import shutil
import signal
import time
from pathlib import Path

import pytest

from tests.library import batchup, events, kill, manifest, outputs, photo, size, start, wait_until

SETTLE = ("--settle", "400ms")


@pytest.fixture
def watching():
    """Start watches, and end those that still run."""
    begun = []

    def begin(file, *options):
        process = start("watch", file, *SETTLE, *options, cwd=file.parent)
        begun.append(process)
        return process

    yield begin
    for process in begun:
        if process.poll() is None:
            kill(process)


def ledger(file):
    return file.parent / "out/.batchup/holiday.jsonl"


def done(file):
    path = ledger(file)
    return [event["output"] for event in events(path, "done")] if path.exists() else []


def hears(process, part, timeout_s=20.0):
    """Return once a watch has said *part* on standard error, of which the rest is left to be read."""
    said, end_s = b"", time.monotonic() + timeout_s
    while part.encode() not in said:
        ready, _, _ = select.select([process.stderr], [], [], max(0.0, end_s - time.monotonic()))
        assert ready, f"it never said {part!r}"
        piece = os.read(process.stderr.fileno(), 1 << 16)
        assert piece, f"it ended without {part!r}"
        said += piece


def end(process, signum=signal.SIGINT):
    process.send_signal(signum)
    out, err = process.communicate(timeout=20)
    return process.returncode, out, err


@pytest.fixture
def file(tmp_path):
    (tmp_path / "photos").mkdir()
    return manifest(tmp_path)


def copy_slowly(source: Path, target: Path, pieces=12, pause_s=0.1):
    data = source.read_bytes()
    step = len(data) // pieces + 1
    with target.open("wb", buffering=0) as writing:
        for begin in range(0, len(data), step):
            writing.write(data[begin : begin + step])
            time.sleep(pause_s)


def test_a_file_copied_slowly_is_run_once_and_whole(tmp_path, file, watching):
    large = photo(tmp_path / "elsewhere/large.bmp", size=(300, 200), seed=3)
    watching(file)

    copy_slowly(large, tmp_path / "photos/large.bmp")
    wait_until(lambda: done(file))

    assert done(file) == ["large.bmp"]
    assert size(tmp_path / "out/large.bmp") == (600, 400)
    assert len(events(ledger(file), "task")) == 1
    assert events(ledger(file), "failed") == []


def test_fifty_files_at_once_are_all_run_once(tmp_path, file, watching):
    for number in range(50):
        photo(tmp_path / f"elsewhere/{number:02}.png", seed=number)
    process = watching(file)
    hears(process, "watching the inputs")

    shutil.copytree(tmp_path / "elsewhere", tmp_path / "photos/burst")
    wait_until(lambda: len(done(file)) >= 50)

    assert end(process)[0] == 130
    assert sorted(done(file)) == [f"burst/{number:02}.png" for number in range(50)]
    assert 1 <= len(events(ledger(file), "run")) <= 3


def test_a_watch_that_was_killed_goes_on_when_it_is_started_again(tmp_path, file, watching):
    for number in range(12):
        photo(tmp_path / f"photos/{number:02}.png", seed=number, size=(300, 300))
    first = watching(file)
    wait_until(lambda: len(done(file)) >= 2)
    kill(first)
    before = len(done(file))

    photo(tmp_path / "photos/new.png", seed=99)
    second = watching(file)
    wait_until(lambda: len(set(done(file))) == 13)

    assert before < 12
    assert end(second, signal.SIGTERM)[0] == 143
    assert len(outputs(tmp_path / "out")) == 13


def test_a_second_watch_of_the_same_manifest_is_refused(tmp_path, file, watching):
    photo(tmp_path / "photos/a.png")
    first = watching(file)
    wait_until(lambda: done(file))

    second = batchup("watch", file, cwd=tmp_path, status=4)

    assert f"being watched already, by process {first.pid}" in second.stderr


@pytest.mark.parametrize("options", [(), ("--poll", "1s")], ids=["told by the system", "--poll"])
def test_a_folder_that_appears_later_is_waited_for_and_the_others_are_run(tmp_path, watching, options):
    photo(tmp_path / "photos/a.png")
    file = manifest(tmp_path, "inputs: [{path: photos}, {path: card}]")
    process = watching(file, *options)
    wait_until(lambda: done(file) == ["a.png"])

    photo(tmp_path / "elsewhere/b.png", seed=1)
    (tmp_path / "elsewhere").rename(tmp_path / "card")
    wait_until(lambda: len(done(file)) == 2)
    shutil.rmtree(tmp_path / "card")
    photo(tmp_path / "photos/c.png", seed=2)
    wait_until(lambda: len(done(file)) == 3)

    status, _, err = end(process)
    assert status == 130
    assert err.count("waiting for what is not there: card") == 2
    assert events(ledger(file), "orphaned") == []


def test_what_does_nothing_leaves_no_trace(tmp_path, file, watching):
    photo(tmp_path / "photos/a.png")
    process = watching(file)
    wait_until(lambda: done(file))

    (tmp_path / "photos/notes.txt").write_text("no picture")
    time.sleep(1.2)

    end(process)
    assert len(events(ledger(file), "run")) == 1


def test_a_manifest_that_is_wrong_for_a_while_is_told_and_waited_for(tmp_path, file, watching):
    photo(tmp_path / "photos/a.png")
    process = watching(file)
    good = file.read_text()
    wait_until(lambda: done(file))
    file.write_text("version: 1\nname: [")
    hears(process, "waiting until the manifest is right again")
    photo(tmp_path / "photos/b.png", seed=1)

    file.write_text(good)
    wait_until(lambda: len(done(file)) == 2)

    assert end(process)[0] == 130


def test_json_is_one_document_at_the_end(tmp_path, file, watching):
    photo(tmp_path / "photos/a.png")
    process = watching(file, "--json")
    wait_until(lambda: done(file))
    time.sleep(0.5)

    document = json.loads(end(process)[1])

    assert (document["signal"], document["last"]["tasks"]["done"]) == (2, 1)


def test_the_program_of_a_manifest_is_run_after_each_run_that_did_something(tmp_path, watching):
    photo(tmp_path / "photos/a.png")
    file = manifest(tmp_path, "on_finish: [sh, -c, 'cat >> told']")
    told = tmp_path / "told"

    assert "--allow-programs" in batchup("watch", file, cwd=tmp_path, status=2).stderr
    process = watching(file, "--allow-programs")
    wait_until(lambda: told.exists() and told.read_text().count('"job"') == 1)
    photo(tmp_path / "photos/b.png", seed=1)
    wait_until(lambda: told.read_text().count('"job"') == 2)

    assert end(process)[0] == 130


def test_without_the_extra_it_says_what_to_install_or_to_poll(tmp_path, file):
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden/watchfiles.py").write_text("raise ImportError('no such thing')")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "hidden")}

    said = batchup("watch", file, cwd=tmp_path, status=2, env=environment)

    assert "pip install 'batchup[watch]'" in said.stderr
    assert "--poll" in said.stderr
