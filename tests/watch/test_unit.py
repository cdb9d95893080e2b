"""What `batchup watch --unit` prints is taken by those whom it is for."""

import os
import plistlib
import re
import shutil
import subprocess
import sys

import pytest

from batchup.cli.watch import UNIT
from tests.library import batchup, manifest, photo


@pytest.fixture(params=["plain", 'odd % $HOME "q" \\ é'], ids=["plain", "odd"])
def file(request, tmp_path):
    folder = tmp_path / request.param
    photo(folder / "photos/a.png")
    return manifest(folder)


def settings(unit):
    lines = (line for line in unit.splitlines() if "=" in line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


def words(line):
    """Return the words of a command, as systemd reads them."""

    def meant(match):
        code, plain = match.groups()
        return bytes([int(code, 16)]).decode("latin-1") if code else plain

    quoted = re.findall(r'"((?:[^"\\]|\\.)*)"', line.replace("%%", "%").replace("$$", "$"))
    return [re.sub(r"\\(?:x(..)|(.))", meant, word).encode("latin-1").decode() for word in quoted]


def test_a_systemd_unit_starts_this_python_on_this_manifest(file):
    said = batchup("watch", file, "--unit", "systemd", "--poll", "1min", "--yes", cwd=file.parent).stdout

    found = settings(said)
    command = words(found["ExecStart"])
    assert command[:5] == [sys.executable, "-P", "-m", "batchup", "watch"]
    assert command[5] == str(file)
    assert command[6:] == ["--settle", "10s", "--poll", "1min", "--yes"]
    assert found["WorkingDirectory"].replace("%%", "%") == str(file.parent)
    assert "FAL_KEY" not in found.get("Environment", "")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze here")
def test_systemd_finds_nothing_wrong_with_its_unit(file, tmp_path):
    unit = tmp_path / "batchup-holiday.service"
    unit.write_text(batchup("watch", file, "--unit", "systemd", cwd=file.parent).stdout)

    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", str(unit)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},  # without one it looks at nothing
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_a_launchd_file_is_a_property_list_of_the_same_command(file):
    said = batchup("watch", file, "--unit", "launchd", cwd=file.parent).stdout

    found = plistlib.loads(said.encode())
    assert found["ProgramArguments"][:6] == [sys.executable, "-P", "-m", "batchup", "watch", str(file)]
    assert (found["Label"], found["WorkingDirectory"]) == ("batchup.holiday", str(file.parent))
    assert found["RunAtLoad"] is True


def test_the_unit_of_this_machine_is_printed_wherever_the_option_stands(file):
    said = {
        batchup("watch", *arguments, cwd=file.parent).stdout
        for arguments in ((file, "--unit"), ("--unit", file), ("--unit", "--", file), ("--unit", UNIT, file))
    }

    assert len(said) == 1
    assert ("<plist" in said.pop()) == (UNIT == "launchd")


def test_a_folder_that_no_unit_can_name_is_refused(tmp_path):
    folder = tmp_path / "line\nbreak"
    photo(folder / "photos/a.png")

    for kind in ("systemd", "launchd"):
        said = batchup("watch", manifest(folder), "--unit", kind, cwd=folder, status=None)
        assert said.returncode == (2 if kind == "systemd" else 0)
