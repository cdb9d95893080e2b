"""Whatever has happened to a job, its plan says what its next run does, task by task.

Histories are drawn at random: inputs, outputs and manifest change between the runs; runs are limited, fail, are refused,
lose answers, retry and redo; ledgers lose their end, as by a power cut.
"""

import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import pytest
from hypothesis import HealthCheck, Phase, example, given, note, settings
from hypothesis import strategies as st

from batchup.coverage import Caps, Coverage, cover
from batchup.errors import ManifestError
from batchup.history import IN_FLIGHT, History, Record, State
from batchup.ledger import open_view
from batchup.manifest import load
from batchup.plan import LOOKED_FOR, Action, Choice, Plan, Step
from batchup.progress import Progress
from batchup.rehearsal import Cut, Fal, Script, Settings, answers, open_fal
from batchup.run import Options, run
from batchup.survey import survey
from tests.library import events, outputs, photo

NAMES = ("a.png", "b.png", "c.png", "sub/d.png", "sub/e.png")
SEEDS = 4
ENDED = {State.DONE, State.FAILED, State.HELD}


@dataclass(frozen=True)
class Chapter:
    """What happens before a run, and what is asked of it.

    Attributes:
        written: Name -> seed of its contents; the same seed is the same contents.
        removed: Names of inputs.
        spoilt: Number of an output, and what becomes of it.
        setting: Keys of the manifest from here on.
        choice: Of the run.
        refused: Numbers of the run's submissions whose work is refused.
        lost: Numbers of those whose answer is lost, with nobody to ask about them.
        cut: Number of lines that the ledger loses behind this run.
    """

    written: dict[str, int] = field(default_factory=dict)
    removed: tuple[str, ...] = ()
    spoilt: tuple[tuple[int, str], ...] = ()
    setting: dict[str, str] = field(default_factory=dict)
    choice: dict[str, Any] = field(default_factory=dict)
    refused: tuple[int, ...] = ()
    lost: tuple[int, ...] = ()
    cut: int = 0


def some(strategy, most=2):
    return st.lists(strategy, max_size=most).map(tuple)


SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "scale": st.sampled_from(["2", "3"]),
        "name": st.sampled_from(['"{dir}/{stem}{ext}"', '"{dir}/x-{stem}{ext}"', '"{stem}{ext}"']),
        "order": st.sampled_from(["listed", "smallest", "largest", "cheapest"]),
        "metadata": st.sampled_from(["keep", "strip"]),
        "missing": st.sampled_from(["heal", "leave"]),
        "budget": st.sampled_from(["100 USD", "0.08 USD", "0.2 USD", "0.4 USD"]),
    },
)
CHOICES = st.fixed_dictionaries(
    {},
    optional={
        "limit": st.integers(0, 3),
        "sample": st.integers(1, 3),
        "only": some(st.sampled_from(["a*", "sub/**", "[bc].png"])),
        "redo": some(st.sampled_from(["b*", "sub/**", "[ac].png"])),
        "retry_failed": st.booleans(),
        "restore": st.booleans(),
        "resubmit_held": st.booleans(),
    },
)
CHAPTERS = st.builds(
    Chapter,
    written=st.dictionaries(st.sampled_from(NAMES), st.integers(0, SEEDS - 1), max_size=3),
    removed=some(st.sampled_from(NAMES), 1),
    spoilt=some(st.tuples(st.integers(0, 4), st.sampled_from(["gone", "broken", "other", "copied"]))),
    setting=SETTINGS,
    choice=CHOICES,
    refused=some(st.integers(1, 4), 1),
    lost=some(st.integers(1, 4), 1),
    cut=st.sampled_from([0, 0, 0, 1, 2, 3, 5, 8]),
)
HISTORIES = st.tuples(
    st.dictionaries(st.sampled_from(NAMES), st.integers(0, SEEDS - 1), min_size=2, max_size=5),
    st.lists(CHAPTERS, min_size=1, max_size=4),
)


def _by_id(history: History) -> dict[str, Record]:
    return {key.hex(): record for key, record in history.records.items()}


class Foretold(NamedTuple):
    """What is said before a run, and how each task stands then."""

    plan: Plan
    coverage: Coverage
    records: dict[str, Record]


class World:
    """A job on disk, and a fal of its own."""

    def __init__(self, folder: Path, fal: Fal) -> None:
        self.folder, self.fal = folder, fal
        self.setting = {"scale": "2", "name": '"{dir}/{stem}{ext}"', "order": "listed", "budget": "100 USD"}
        self.setting |= {"metadata": "keep", "missing": "heal"}
        self.file, self.out = folder / "job.yaml", folder / "out"
        self.ledger = self.out / ".batchup/job.jsonl"
        (folder / "photos").mkdir()

    def change(self, chapter: Chapter) -> None:
        """Let happen what happens between two runs."""
        for name, seed in chapter.written.items():
            photo(self.folder / "photos" / name, size=(16 + 4 * seed, 12), seed=seed)
        for name in chapter.removed:
            (self.folder / "photos" / name).unlink(missing_ok=True)
        for number, fate in chapter.spoilt:
            self._spoil(list(outputs(self.out).values()), number, fate)
        self.setting |= chapter.setting
        told = self.setting
        self.file.write_text(f"""\
version: 1
name: job
inputs: [{{path: photos}}]
model: fal/topaz-image
params: {{output_format: png, upscale_factor: {told["scale"]}}}
output: {{dir: out, name: {told["name"]}, metadata: {told["metadata"]}, missing: {told["missing"]}}}
run: {{order: {told["order"]}, budget: {told["budget"]}, concurrency: 4}}
retry: {{initial: 1ms, max: 2ms, attempts: 2}}
fal: {{settle: 20ms}}
""")

    def _spoil(self, made: list[Path], number: int, fate: str) -> None:
        if not made:
            return
        file = made[number % len(made)]
        if fate == "gone":
            file.unlink()
        elif fate == "broken":
            file.write_bytes(b"no picture")
        elif fate == "other":
            photo(file, size=(9, 9), seed=7)
        else:
            file.write_bytes(made[0].read_bytes())

    def foretell(self, choice: Choice) -> Foretold:
        """Return what is said before a run."""
        manifest = load(self.file)
        with open_view(self.ledger) as view:
            history = History(view.read_line).fold(view.replay())
            plan = survey(manifest, history, choice, datetime.now(UTC))
            coverage = cover(plan, Caps.of(manifest), history, manifest.run.order)
        return Foretold(plan, coverage, _by_id(history))

    def records(self) -> dict[str, Record]:
        """Return how each task stands."""
        with open_view(self.ledger) as view:
            return _by_id(History().fold(view.replay()))

    async def run(self, choice: Choice, chapter: Chapter = Chapter()) -> None:
        dice = self.fal._dice
        dice._scripts.clear()
        for number in chapter.refused:
            self.fal.script(Script("task", answers.model_error("content_policy_violation"), nth=number))
        for number in chapter.lost:
            self.fal.script(Script("submit", Cut("after"), nth=number))
        if chapter.lost:
            self.fal.script(Script("history", answers.forbidden(), times=0))
        options = Options(choice=choice, environment=self.fal.environment())
        await run(load(self.file), options, Progress(show=False))

    def lines(self) -> list[dict[str, Any]]:
        return events(self.ledger) if self.ledger.exists() else []

    def last_run(self) -> list[dict[str, Any]]:
        """Return what the last run has told. A ledger that was cut may begin it earlier than it had ended."""
        lines = self.lines()
        return lines[max(number for number, line in enumerate(lines) if line["event"] == "run") :]

    def stats(self) -> dict[str, tuple[int, int]]:
        made = outputs(self.out) if self.out.exists() else {}
        return {name: (file.stat().st_ino, file.stat().st_mtime_ns) for name, file in made.items()}

    def cut(self, begin: int, lines: int) -> None:
        """Take the last lines off the ledger, none of those that stood before this run."""
        data = self.ledger.read_bytes().splitlines(keepends=True)
        self.ledger.write_bytes(b"".join(data[: max(begin + 1, len(data) - lines)]))


async def tell(folder: Path, inputs: dict[str, int], chapters: list[Chapter]) -> None:
    """Let a history happen, and compare each plan with its run."""
    async with open_fal(Settings(task_s=0.0, outputs="blank")) as fal:
        world = World(folder, fal)
        world.change(Chapter(written=inputs))
        for chapter in chapters:
            world.change(chapter)
            begin = len(world.lines())
            if not await compare(world, Choice(**chapter.choice), chapter):
                return
            if chapter.cut:
                world.cut(begin, chapter.cut)
        world.change(Chapter(setting={"budget": "100 USD"}))
        if await compare(world, Choice(), Chapter()):
            assert not world.foretell(Choice()).plan.actions[Action.RUN], (
                "a run to its end leaves nothing to run"
            )


async def compare(world: World, choice: Choice, chapter: Chapter) -> bool:
    """Plan and run, and return whether there is anything to go on with."""
    try:
        plan, coverage, before = world.foretell(choice)
    except ManifestError:
        with pytest.raises(ManifestError):
            await world.run(choice)
        return False
    stats, sent = world.stats(), world.fal.calls["submit"]
    steps = list(plan.steps)

    await world.run(choice, chapter)

    after = world.records()
    told = defaultdict(list)
    for line in world.last_run():
        if line["event"] not in {"task", "orphaned"}:
            told[line.get("id", "")].append(line["event"])
    # What has failed gives back what it had reserved, and others may run for it.
    is_exact = not any("failed" in events for events in told.values())
    now = world.stats()
    for number, step in enumerate(steps):
        task_id, waits = step.task.id, coverage.waiting.get(number, "")
        # What was changed by somebody keeps its place where the manifest gives it another: then there is nothing there.
        is_untouched = stats.get(step.task.output) == now.get(step.task.output)
        became = After(after[task_id].state, told[task_id], is_untouched)
        was = before[task_id].state if task_id in before else State.PENDING
        note(
            f"{step.task.source.label}: {was.name} {step.action} {step.reason} {step.detail} {waits}: {became}"
        )
        if not waits:
            check(step, was, became)
        elif is_exact:
            assert became == (was, [], became.is_untouched)
    submitted = [step for step in steps if step.action is Action.RUN and "submitting" in told[step.task.id]]
    assert world.fal.calls["submit"] - sent == len(submitted), "nothing else is submitted"
    return True


class After(NamedTuple):
    """What became of a task in a run: its state, its events, and whether its output is the same file as before, or none."""

    state: State
    told: list[str]
    is_untouched: bool


def check(step: Step, was: State, after: After) -> None:
    """Compare what was said of a task with what became of it."""
    match step.action:
        case Action.KEEP:
            assert after.told == []
            assert after.is_untouched or "deleted" in step.detail
        case Action.LATER:
            assert (after.state, after.told) == (was, [])
        case Action.LEAVE:
            assert after.state is was or LOOKED_FOR in step.detail
            assert "submitting" not in after.told
        case Action.ATTACH:
            assert was in IN_FLIGHT or step.other
            assert after.state in ENDED
        case Action.COPY | Action.HEAL:
            assert after.told == ["done"]
        case Action.FOLLOW:
            assert after.state in ENDED
            assert "submitting" not in after.told
        case Action.RUN:
            assert after.state in ENDED
            assert "submitting" in after.told


PHASES = [Phase.explicit, Phase.reuse, Phase.generate]
QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.differing_executors]


def happens(history: tuple[dict[str, int], list[Chapter]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        anyio.run(tell, Path(folder), *history)


def again(choice: str, **chapter: Any) -> tuple[dict[str, int], list[Chapter]]:
    """Return a history in which a task is to be run again that its budget leaves, and another one follows it."""
    tight = Chapter(written={"b.png": 0}, setting={"budget": "0.01 USD"}, choice={choice: True})
    return {"a.png": 0}, [Chapter(**chapter), tight]


@example(again("resubmit_held", lost=(1,)))
@example(again("retry_failed", refused=(1,)))
@settings(max_examples=25, derandomize=True, deadline=None, phases=PHASES, suppress_health_check=QUIET)
@given(HISTORIES)
def test_a_run_does_what_the_plan_has_said(history):
    happens(history)


@pytest.mark.soak
@settings(max_examples=2000, deadline=None, phases=PHASES, suppress_health_check=QUIET)
@given(HISTORIES)
def test_a_run_does_what_the_plan_has_said_whatever_has_happened_before(history):
    happens(history)
