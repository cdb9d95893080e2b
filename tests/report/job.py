"""A job that cost money and in which much has happened: photos, a video, several models, failures, two runs."""

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from batchup.cli import main
from batchup.events import (
    Done,
    Event,
    Failed,
    Held,
    Result,
    Retried,
    Run,
    Seen,
    Stopped,
    Submitted,
    Submitting,
)
from tests.ledger.samples import ledger, task_id
from tests.library import photo
from tests.videos import make_video

EVIL = "<script>alert(1)<!--\"'&\u202egnp.evil\x1b[2J\n=cmd().png"
BEGAN = datetime(2026, 11, 3, 22, 0, tzinfo=UTC)
MODELS = ("fal/seedvr-image", "fal/aura-sr", "fal/crystal")
PRICE = Decimal("0.02")

MANIFEST = """\
version: 1
name: library
inputs: [{path: photos}]
model: local/lanczos
output: {dir: out}
run: {budget: 2 USD}
"""


@dataclass(frozen=True)
class Job:
    """A job on the disk."""

    folder: Path

    @property
    def manifest(self) -> Path:
        return self.folder / "library.yaml"

    @property
    def page(self) -> Path:
        return self.folder / "out/.batchup/library.html"


class Story:
    """Events as they happen, a minute after one another."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.at = BEGAN
        self._tasks = 0

    def add(self, event: type[Event], /, **fields) -> None:
        self.at += timedelta(seconds=20)
        self.events.append(event(at=self.at, **fields))

    def run(self, **fields) -> None:
        self.add(
            Run,
            **{
                "format": 1,
                "job": "library",
                "manifest": "m",
                "version": "1",
                "host": "h",
                "pid": 7,
                **fields,
            },
        )

    def task(self, path: str, model: str, output: str, kind: str = "image", **fields) -> str:
        self._tasks += 1
        self.add(
            Seen,
            id=task_id(self._tasks),
            root="photos",
            path=path,
            model=model,
            output=output,
            kind=kind,
            estimated_usd=PRICE,
            **fields,
        )
        return task_id(self._tasks)

    def done(self, task: str, output: str, **fields) -> None:
        self.add(Submitting, id=task, attempt=1, endpoint="e", body={}, reserved_usd=PRICE)
        self.add(Submitted, id=task, attempt=1, request_id=f"r-{task}")
        self.add(Result, id=task, attempt=1, urls=("u",), charged_usd=PRICE)
        given = {"size_bytes": 1, "mtime_ns": 1, "sha256": "", "width": 96, "height": 72, "seconds": 41.5}
        self.add(Done, id=task, output=output, charged_usd=PRICE, **{**given, **fields})

    def failed(self, task: str, kind: str, message: str) -> None:
        self.add(Retried, id=task, attempt=1, kind=kind, message=message, wait_s=1.0)
        self.add(Failed, id=task, attempt=2, kind=kind, message=message)


def written(folder: Path, events: list[Event], manifest: str = MANIFEST) -> Job:
    """Write a manifest and its ledger."""
    (folder / "out/.batchup").mkdir(parents=True, exist_ok=True)
    (folder / "photos").mkdir(exist_ok=True)
    (folder / "library.yaml").write_text(manifest)
    (folder / "out/.batchup/library.jsonl").write_bytes(ledger([events]))
    return Job(folder)


def finished(folder: Path) -> Job:
    """Write the job and its pictures."""
    story = Story()
    story.run(budget_usd=Decimal(2), skipped={"no image or video": 3})
    tasks = []
    for number in range(8):
        path = f"{'summer/deep' if number % 3 else 'winter'}/{number}.jpg"
        photo(folder / "photos" / path, (64, 48), seed=number)
        for model in MODELS[: 3 if number < 4 else 1]:
            output = f"{path[:-4]}-{model[4:]}.png"
            params = {"upscale_factor": 4.0} if model == "fal/aura-sr" else {}
            tasks.append((story.task(path, model, output, params=params), output, number))
    for task, output, number in tasks:
        photo(folder / "out" / output, (96, 72), seed=number + 20)
        story.done(task, output)
    story.add(Stopped, why="window", elapsed_s=60.0)
    story.at += timedelta(hours=14)
    story.run(budget_usd=Decimal(2), skipped={"no image or video": 3})
    _odd(folder, story)
    story.add(Stopped, why=None, elapsed_s=60.0)
    return written(folder, story.events)


def _odd(folder: Path, story: Story) -> None:
    """Add a name that is an attack, a picture that no browser shows, a video, failures, a held task, a pending one."""
    photo(folder / "photos" / EVIL, (64, 48), seed=3)
    photo(folder / "out" / EVIL, (96, 72), seed=4)
    story.done(story.task(EVIL, MODELS[0], EVIL), EVIL)
    photo(folder / "photos/scan.tif", (80, 60), seed=5)
    photo(folder / "out/scan.tif", (160, 120), seed=6)
    story.done(story.task("scan.tif", MODELS[0], "scan.tif"), "scan.tif")
    quick = {"deadline": "realtime", "cpu-used": "8"}
    make_video(folder / "photos/film.webm", seconds=2, audio=False, codec="libvpx", options=quick)
    shutil.copy(folder / "photos/film.webm", folder / "out/film.webm")
    story.done(story.task("film.webm", "fal/seedvr-video", "film.webm", "video"), "film.webm")
    for number in range(7):
        task = story.task(f"bad/{number}.jpg", MODELS[0], f"bad/{number}.png")
        story.failed(
            task, "content_policy_violation", f"refused </script><b>{number}</b>\u202e by the filter"
        )
    story.failed(story.task("bad/cut.jpg", MODELS[1], "bad/cut.png"), "image_truncated", "the image is cut")
    held = story.task("held.jpg", MODELS[0], "held.png")
    story.add(Held, id=held, attempt=1, message="the answer was lost", reserved_usd=PRICE)
    story.task("later.jpg", MODELS[0], "later.png")


def report(job: Job, *options: object) -> int:
    """Make the report as a person would, and return the exit status."""
    try:
        main(["report", str(job.manifest), "--quiet", *map(str, options)])
    except SystemExit as end:
        return int(end.code or 0)
    raise AssertionError("the command line did not end")
