"""A manifest's program is run at the end, as it was agreed to, and changes nothing."""

import json
import os
import pty
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from batchup import finish
from batchup.cli.programs import run_program
from batchup.manifest import load
from batchup.progress import Progress
from batchup.rehearsal.stage import relocated
from batchup.run import Options, run
from tests.library import BATCHUP, alive, batchup, manifest, photo, wait_until

NOTE = """
import json, os, sys
note = {"args": sys.argv[1:], "stdin": sys.stdin.read(), "folder": os.getcwd(), "names": sorted(os.environ)}
open("note.json", "w").write(json.dumps(note))
print("all noted")
sys.exit(9)
"""


def script(folder, text, name="after.py"):
    file = folder / name
    file.write_text(f"#!{sys.executable}\n{text}")
    file.chmod(0o755)
    return file


def job(folder, command="[./after.py, --quiet, 'two words; $HOME']", *, photos=1):
    for number in range(photos):
        photo(folder / f"photos/{number}.png", seed=number)
    return manifest(folder, f"params: {{scale: 2}}\non_finish: {command}")


def after(folder, text, **more):
    """Run a program after a run that has ended, and return what a person was told."""
    script(folder, text)
    told: list[str] = []
    finish.run(load(job(folder, "[./after.py]", photos=0)), {"job": "holiday"}, told.append, **more)
    return told


def on_terminal(*args, cwd, answer):
    """Run the command line on a terminal, type *answer*, and return its status and what it showed."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([*BATCHUP, *args], cwd=cwd, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    os.write(ours, answer)
    shown = b""
    try:
        while part := os.read(ours, 4096):
            shown += part
    except OSError:  # it has ended
        pass
    os.close(ours)
    return process.wait(20), shown.decode()


def test_a_program_gets_the_summary_and_its_arguments_and_no_key_and_does_not_change_the_exit_status(
    tmp_path, monkeypatch
):
    script(tmp_path, NOTE)
    monkeypatch.setenv("FAL_KEY", "secret")
    monkeypatch.setenv("FAL_QUEUE_RUN_HOST", "secret")
    (tmp_path / "elsewhere").mkdir()

    done = batchup("run", job(tmp_path), "--json", "--allow-programs", cwd=tmp_path / "elsewhere", status=0)

    note = json.loads((tmp_path / "note.json").read_text())
    assert note["args"] == ["--quiet", "two words; $HOME"]
    assert json.loads(note["stdin"]) == json.loads(done.stdout)
    assert json.loads(note["stdin"])["tasks"]["done"] == 1
    assert note["folder"] == str(tmp_path)
    assert "PATH" in note["names"]
    assert not any(name.startswith("FAL_") for name in note["names"])
    assert "all noted" in done.stderr
    assert "on_finish (./after.py --quiet 'two words; $HOME') ended with status 9" in done.stderr


def test_without_a_terminal_a_program_that_was_never_agreed_to_stops_the_run_before_it_begins(tmp_path):
    script(tmp_path, NOTE)

    done = batchup("run", job(tmp_path), "--yes", cwd=tmp_path, status=2, stdin=subprocess.DEVNULL)

    assert "holiday.yaml:7:12: on_finish: this program was never agreed to: ./after.py" in done.stderr
    assert "--allow-programs" in done.stderr
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "note.json").exists()


def test_on_a_terminal_it_is_asked_once_and_anew_when_the_command_changes(tmp_path):
    script(tmp_path, NOTE)
    file = job(tmp_path)

    status, shown = on_terminal("run", file, cwd=tmp_path, answer=b"n\n")
    assert status == 2
    assert "./after.py --quiet 'two words; $HOME'" in shown
    assert not (tmp_path / "out").exists()

    assert on_terminal("run", file, cwd=tmp_path, answer=b"y\n")[0] == 0
    assert (tmp_path / "note.json").exists()
    assert finish.is_agreed(load(file))

    batchup("run", file, cwd=tmp_path, status=0, stdin=subprocess.DEVNULL)

    assert not finish.is_agreed(load(job(tmp_path, "[./after.py, --loud]")))
    assert not finish.is_agreed(load(job(tmp_path, "[./after.py, --quiet, two, 'words; $HOME']")))


def test_what_was_agreed_to_for_one_manifest_is_not_for_another(tmp_path):
    mine, other = load(job(tmp_path)), load(job(tmp_path / "other"))

    finish.agree(mine)

    assert finish.is_agreed(mine)
    assert not finish.is_agreed(other)


@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff", b'{"manifest": "x", "command": []}'], ids=repr)
def test_an_agreement_that_cannot_be_read_is_none(tmp_path, damage):
    one = load(job(tmp_path))
    finish.agree(one)

    finish._file(one).write_bytes(damage)

    assert not finish.is_agreed(one)


def test_a_program_that_is_not_there_is_found_before_the_run(tmp_path):
    script(tmp_path, NOTE)

    done = batchup("run", job(tmp_path, "[./gone.py]"), "--allow-programs", cwd=tmp_path, status=2)

    assert f'holiday.yaml:7:13: on_finish.0: there is no program "./gone.py" in {tmp_path}' in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("command", "hint"),
    [("[after.py]", "; write ./after.py for the one beside the manifest"), ("[./plain.py]", "may be run")],
    ids=["no slash", "not executable"],
)
def test_a_program_that_cannot_be_found_or_run_is_told_with_a_hint(tmp_path, command, hint):
    script(tmp_path, NOTE)
    script(tmp_path, NOTE, "plain.py").chmod(0o644)

    assert hint in finish.fault(load(job(tmp_path, command))).message


def test_a_program_that_takes_too_long_is_ended_with_what_it_has_started(tmp_path):
    text = """
import pathlib, signal, subprocess, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "60"])
pathlib.Path("child").write_text(str(child.pid))
time.sleep(60)
"""
    before = time.monotonic()

    told = after(tmp_path, text, limit_s=0.4, grace_s=0.1)

    assert told == ["on_finish (./after.py) took longer than 400ms and was ended"]
    assert time.monotonic() - before < 5
    child = int((tmp_path / "child").read_text())
    wait_until(lambda: not alive(child))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import sys; sys.stdin.close()", []),
        (
            "import os; os.kill(os.getpid(), 9)",
            ["on_finish (./after.py) was ended by SIGKILL; the run is not concerned"],
        ),
        ("raise SystemExit(3)", ["on_finish (./after.py) ended with status 3; the run is not concerned"]),
    ],
    ids=["reads nothing", "killed", "fails"],
)
def test_how_a_program_ends_is_told_in_one_line(tmp_path, text, said):
    assert after(tmp_path, text) == said


def test_a_program_that_cannot_be_started_is_told_in_one_line(tmp_path):
    (tmp_path / "after.py").write_bytes(b"\x7fnothing that can be run")
    (tmp_path / "after.py").chmod(0o755)
    told: list[str] = []

    finish.run(load(job(tmp_path, "[./after.py]", photos=0)), {}, told.append)

    assert len(told) == 1
    assert "on_finish (./after.py) could not be started" in told[0]


async def test_after_an_interruption_it_is_not_run_and_that_is_said(tmp_path, capsys):
    script(tmp_path, NOTE)
    one = load(job(tmp_path))
    outcome = await run(one, Options(), Progress(show=False))

    run_program(one, replace(outcome, signum=2))

    assert "was not run: the run was interrupted" in capsys.readouterr().err
    assert not (tmp_path / "note.json").exists()


def test_a_rehearsal_runs_no_program(tmp_path):
    assert relocated(load(job(tmp_path)), tmp_path).on_finish == ()
