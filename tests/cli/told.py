"""A job whose ledger is written line by line: whatever an earlier run may have left."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from batchup import events
from batchup.history import History
from batchup.ledger import format as ledger_format
from batchup.manifest import load
from batchup.plan import Choice
from batchup.survey import survey
from tests.cli.conftest import photo

NOW = datetime(2026, 8, 1, tzinfo=UTC)
FAL = "model: fal/topaz-image\nparams: {output_format: png}"
"""0.08 USD a picture, however small."""


class Job:
    """A manifest over a folder of photos, and a ledger written line by line."""

    def __init__(self, folder: Path, call, text=FAL):
        self.folder, self.call, self.file = folder, call, folder / "job.yaml"
        self.write(text)

    def write(self, text):
        inputs = "" if "inputs:" in text else "inputs: [{path: photos}]\n"
        self.file.write_text(f"version: 1\nname: job\noutput: {{dir: out}}\n{inputs}{text}\n")

    def photo(self, name, width=16):
        return photo(self.folder / "photos" / name, (width, 12), f"#{width:02x}8080")

    def plan(self, *options):
        answer = self.call("plan", self.file, "--json", *options)
        assert answer.status == 0, answer.err
        return json.loads(answer.out)

    def reasons(self, *options):
        return {one["input"].removeprefix("photos/"): one["reason"] for one in self.plan(*options)["items"]}

    def text(self, *options):
        answer = self.call("plan", self.file, *options)
        assert answer.status == 0, answer.err
        return answer.out

    def remember(self, **told):
        """Write a ledger that knows all tasks, and what *told* says of some: the stem of an input -> events."""
        manifest = load(self.file)
        ledger = manifest.ledger_path
        ledger.parent.mkdir(parents=True, exist_ok=True)
        lines = [
            events.Run(format=1, job="job", manifest="", version="", host="", pid=1, at=NOW),
            *(seen(step.task) for step in self.steps()),
            *(
                one(step.task.id)
                for step in self.steps()
                for one in told.get(Path(step.task.source.path).stem, ())
            ),
        ]
        ledger.write_bytes(ledger_format.encode([events.encode(line) for line in lines]))

    def steps(self):
        return list(survey(load(self.file), History(), Choice(), NOW).steps)


def seen(task):
    source = task.source
    return events.Seen(
        id=task.id, root=source.root, path=source.path, size_bytes=source.size_bytes, mtime_ns=source.mtime_ns,
        kind="image", model=task.model, params=task.changed, output=task.output, width=task.width,
        height=task.height, estimated_usd=task.cost_usd, at=NOW,
    )  # fmt: skip


def submitting(task_id):
    return events.Submitting(
        id=task_id, attempt=1, endpoint="fal-ai/topaz", body={}, reserved_usd=Decimal("0.08"), at=NOW
    )


def submitted(task_id):
    return events.Submitted(id=task_id, attempt=1, request_id="r1", at=NOW)


def failed(kind):
    return lambda task_id: events.Failed(id=task_id, attempt=1, kind=kind, message="no", at=NOW)


def held(task_id):
    return events.Held(id=task_id, attempt=1, message="?", reserved_usd=Decimal("0.08"), at=NOW)
