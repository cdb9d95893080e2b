"""A small picture library, and the real command line on it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
from PIL import Image

BATCHUP = [sys.executable, "-m", "batchup"]


def photo(path: Path, size=(48, 36), seed=0) -> Path:
    """Write a picture whose contents *seed* decides; its format is its ending's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    small = Image.new("RGB", (48, 36))
    small.putdata(
        [((x * 5 + seed * 40) % 256, (y * 7 + seed) % 256, seed % 256) for y in range(36) for x in range(48)]
    )
    picture = small.resize(size, Image.Resampling.BILINEAR)
    picture.save(path)
    return path


def size(path: Path) -> tuple[int, int]:
    """Return a picture's size in pixels, decoded to its end."""
    with Image.open(path) as picture:
        picture.load()
        return picture.size


def manifest(
    folder: Path, text: str = "", *, name="holiday", output="{dir: out}", model="local/lanczos"
) -> Path:
    """Write a manifest for the folder ``photos`` beside it; *text* is added."""
    file = folder / f"{name}.yaml"
    lines = ["version: 1", f"name: {name}", f"output: {output}"]
    if "inputs:" not in text:
        lines.append("inputs: [{path: photos}]")
    if "\nmodel:" not in "\n" + text:
        lines.append(f"model: {model}")
    file.write_text("\n".join([*lines, text]) + "\n")
    return file


def batchup(*args, cwd: Path, status: int | None = 0, **more) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end, and check its exit status unless that is None."""
    done = subprocess.run(
        [*BATCHUP, *map(str, args)], check=False, cwd=cwd, capture_output=True, text=True, timeout=120, **more
    )
    if status is not None:
        assert done.returncode == status, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done


def start(*args, cwd: Path, **more) -> subprocess.Popen[str]:
    """Start the command line in a process group of its own."""
    return subprocess.Popen(
        [*BATCHUP, *map(str, args)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **more,
    )


def kill(process: subprocess.Popen[str]) -> None:
    """Kill a run with SIGKILL, as a power cut would."""
    process.send_signal(signal.SIGKILL)
    process.communicate()


def events(ledger: Path, kind: str = "") -> list[dict[str, Any]]:
    """Return the events of a ledger, those of one kind if it is given; a torn tail is left out."""
    found = []
    for line in ledger.read_bytes().split(b"\n")[:-1]:
        try:
            found.append(msgspec.json.decode(line))
        except msgspec.DecodeError:
            break
    return [event for event in found if not kind or event["event"] == kind]


def outputs(folder: Path) -> dict[str, Path]:
    """Return what lies below an output folder under a final name."""
    return {
        str(path.relative_to(folder)): path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }


def wait_until(true, timeout_s=20.0) -> None:
    """Return when *true* says so; a test that waits longer fails."""
    end = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < end, "it never became true"
        time.sleep(0.005)


def children(pid: int) -> list[int]:
    """Return the ids of a process' children (Linux)."""
    tasks = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in tasks.read_text().split()] if tasks.exists() else []


def alive(pid: int) -> bool:
    """Return whether a process is there and no zombie."""
    try:
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat")
        return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
