"""The engine torch: networks as ``.safetensors`` and ``.pth``, of every architecture that spandrel knows.

Only torch can tell what such a file holds, and takes seconds and 700 MB for it. So another process looks, once for each
contents, and what it said is kept in the user's cache.
"""

import json
import os
import subprocess
import sys
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from batchup.models.superres.params import Engine
from batchup.models.superres.places import TORCH
from batchup.models.superres.weights import Files, WeightsError

PROCESS_BYTES = 3_000_000_000
"""Of a worker with torch, a network of 64 channels and a tile."""

_LOOK = "batchup.providers.local.superres.checkpoint"
_LOOK_S = 300.0
_VERSION = 1
"""Of what is kept in the cache."""


def _cache_folder() -> Path:
    """Source: https://specifications.freedesktop.org/basedir-spec/latest/, read 2026-11."""
    if own := os.environ.get("BATCHUP_STATE_HOME"):
        return Path(own) / "networks"
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "batchup" / "networks"


def scale(files: Files) -> int:
    """Return how much larger a network makes each side.

    Raises:
        WeightsError: The file is broken, no network that upscales, or of an architecture that is not known.
    """
    return _scale(files.paths[0], files.sha256)


@lru_cache(maxsize=16)
def _scale(path: Path, sha256: str) -> int:
    note = None
    with suppress(OSError, RuntimeError, ValueError, KeyError):  # what is kept is a help, and no more
        note = _cache_folder() / f"{sha256}-{_VERSION}.json"
        return int(json.loads(note.read_text(encoding="utf-8"))["scale"])
    found = _looked(path)
    if note is not None:
        with suppress(OSError):
            note.parent.mkdir(parents=True, exist_ok=True)
            part = note.with_suffix(f".{os.getpid()}")
            part.write_text(json.dumps({"scale": found}), encoding="utf-8")
            part.replace(note)
    return found


def _looked(path: Path) -> int:
    command = [sys.executable, "-P", "-m", _LOOK, str(path)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_LOOK_S, check=False)  # noqa: S603 - ourselves
        said = json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired as error:
        raise WeightsError(f"{path}: spandrel did not say within {_LOOK_S:g} s what it is") from error
    except (ValueError, IndexError) as error:
        words = done.stderr.decode(errors="replace").strip().splitlines()
        raise WeightsError(
            f"{path}: torch could not look at it: {words[-1] if words else done.returncode}"
        ) from error
    if "fault" in said:
        raise WeightsError(f"{path}: {said['fault']}")
    return int(said["scale"])


ENGINE = Engine("torch", TORCH, scale, lambda _: PROCESS_BYTES)
