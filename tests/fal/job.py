"""A small job on a fal of our own: its manifest, its runs in this process, and what they left."""

from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from batchup.clock import Clock
from batchup.manifest import load
from batchup.plan import Choice
from batchup.progress import Progress
from batchup.rehearsal import Fal, Script, Settings, open_fal
from batchup.run import Options, Outcome, run
from tests.library import events, manifest, outputs, photo

RETRY = "retry: {initial: 10ms, max: 40ms}"
MODEL = "model: fal/seedvr-image\nparams: {output_format: png}"
LOSSY = "fal: {settle: 300ms}"

DEAR = "model: fal/topaz-image\nparams: {output_format: png}"
"""0.08 USD, however small: a person decides about it."""

TINY = (48, 36)

MOST_S = 120.0
"""A run that waits for ever, as one may that asks a stranger, fails its test."""


class Job:
    """A folder of photos, a manifest for it, and its ledger."""

    def __init__(self, folder: Path, text: str = MODEL, *, photos: int = 3, size=TINY) -> None:
        for number in range(photos):
            photo(folder / f"photos/{number}.png", size=size, seed=number)
        self.folder = folder
        self.write(text)

    def write(self, text: str) -> None:
        """Write the manifest anew, of the same inputs."""
        waits = "" if "retry:" in text else RETRY
        inputs = "" if "\ninputs:" in f"\n{text}" else "inputs: [{path: photos}]"
        self.file = manifest(self.folder, f"{text}\n{waits}\n{inputs}")

    async def run(self, *, concurrency: int | None = None, **choice: Any) -> Outcome:
        """Run it in this process, as the command line would."""
        options = Options(choice=Choice(**choice), concurrency=concurrency)
        with anyio.fail_after(MOST_S):
            return await run(load(self.file), options, Progress(show=False))

    async def tasks(self, **choice: Any) -> dict[str, int]:
        """Run it, and return the numbers of its tasks that are not 0."""
        summary = (await self.run(**choice)).summary
        assert summary is not None
        found = {name: getattr(summary.tasks, name) for name in summary.tasks.__struct_fields__}
        return {name: number for name, number in found.items() if number and name != "total"}

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def ledger(self) -> Path:
        return self.out / ".batchup/holiday.jsonl"

    def events(self, kind: str = "") -> list[dict[str, Any]]:
        return events(self.ledger, kind)

    def outputs(self) -> dict[str, Path]:
        return outputs(self.out)


@asynccontextmanager
async def fal_of(monkeypatch, *scripts: Script, clock: Clock | None = None, **settings: Any):
    """A fal of our own, to which this process' environment leads; at the end nothing went against its protocol."""
    settings = {"task_s": 0.0, "outputs": "blank", **settings}
    async with open_fal(Settings(**settings), clock=clock) as fal:
        for name, value in fal.environment().items():
            monkeypatch.setenv(name, value)
        fal.script(*scripts)
        yield fal
        assert fal.record.leaks == []
        # An address that no service has; "/" is asked to see whether the network is back.
        assert {call.path for call in fal.record.log if not call.step} <= {"/"}
        assert fal.record.disorderly == 0


async def until(true, timeout_s=20.0) -> None:
    """Return when *true* says so, of what another process does; a test that waits longer fails."""
    with anyio.fail_after(timeout_s):
        while not true():  # noqa: ASYNC110 - another process gets there
            await anyio.sleep(0.005)


def paid_once(fal: Fal) -> bool:
    """Return whether nothing was billed twice."""
    return set(fal.inputs_billed.values()) <= {1}


def forgive(fal: Fal) -> None:
    """Let no more go wrong."""
    fal._dice._scripts.clear()
    fal._dice._chances = ()
