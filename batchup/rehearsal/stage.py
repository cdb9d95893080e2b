"""Stage: a manifest's run against a fal of our own, in a folder of its own, with nothing paid."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
from anyio import to_thread

from batchup.catalogue import Catalogue
from batchup.clock import SystemClock
from batchup.history import History
from batchup.ledger.lock import locked
from batchup.manifest import Manifest
from batchup.models.base import FalModel
from batchup.plan import NOT_REHEARSED, Action, Plan
from batchup.rehearsal.draft import draft
from batchup.rehearsal.endpoints import EIGHT, Custom
from batchup.rehearsal.faults import Faults, rough
from batchup.rehearsal.folder import IN_USE, make, take_over
from batchup.rehearsal.server import Fal, open_fal
from batchup.rehearsal.settings import Settings
from batchup.rehearsal.tempo import Tempo
from batchup.run import Options, Outcome, Reporter, run
from batchup.source import to_path
from batchup.summary import dollars

Tell = Callable[[Plan], None]

TASK_S = 2.0
"""How long the platform takes for a task, give or take half of it, where the work itself does not take longer."""

URL_SIZE = (1920, 1080)
"""What an input that is a URL is taken for, in pixels: nobody reads it."""

NO_FAULTS = Faults()
BAD_NIGHT = rough(0.1)
"""One call in ten meets a passing fault."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """How a rehearsal is to be.

    Attributes:
        speed: Seconds of the night's that pass in a real one, for the platform and for all that waits for it.
        blank: Cheap outputs of the right size, instead of upscaled ones.
        faults: What goes wrong.
        asked: What is asked of the run; where it happens is the rehearsal's own business.
    """

    speed: float = 1.0
    blank: bool = False
    faults: Faults = NO_FAULTS
    asked: Options = field(default_factory=Options)


class Night(msgspec.Struct, frozen=True):
    """What a rehearsal came to.

    Attributes:
        folder: Where its outputs and its ledger are.
        billed_usd: By the platform's own count.
        estimated_usd: By the plan, of what it meant to run; *unpriced* is the number of tasks that it knew no price of.
        not_rehearsed: Tasks that were left, since something would have been fetched from elsewhere for them.
        accepted: Requests that were accepted.
        calls: What they were for -> their number.
        faults: Calls that met one.
        speed: Seconds of the night's that passed in a real one.
        took_s: How long it took, in real seconds; the summary's are the night's.
    """

    folder: str
    outputs: str
    ledger: str
    billed_usd: float
    estimated_usd: float
    unpriced: int
    not_rehearsed: int
    accepted: int
    calls: dict[str, int]
    faults: int
    speed: float
    took_s: float


async def rehearse(
    manifest: Manifest, wishes: Wishes, reporter: Reporter, tell: Tell = lambda _: None
) -> tuple[Outcome, Night, Manifest]:
    """Run *manifest* against a fal of our own; return how that ended, what it came to, and the manifest that was run.

    What is planned is the manifest itself; only where outputs and events go is elsewhere. The process' own
    environment, its state folder, and the manifest's outputs and ledger are left as they are. The folder stays until
    the next rehearsal of the same manifest.

    Args:
        manifest: What is rehearsed.
        wishes: How.
        reporter: Shows the run.
        tell: Is shown the plan before anything is run.

    Raises:
        BatchupError: As :func:`batchup.run.run`; then no folder is left.
    """
    folder = await to_thread.run_sync(make)
    try:
        with locked(folder / IN_USE):
            await to_thread.run_sync(take_over, folder, manifest.file)
            staged = relocated(manifest, folder)
            if manifest.ledger_path.exists():
                await to_thread.run_sync(draft, manifest.ledger_path, staged.ledger_path)
            # One clock for both sides: the moments that they tell each other must be comparable.
            tempo = Tempo(wishes.speed, SystemClock())
            async with open_fal(settings(manifest, wishes), clock=tempo) as fal:
                outcome = await run(staged, _options(manifest, staged, wishes, fal, tell), reporter, tempo)
                _give_back(outcome.plan, manifest.output_dir, staged.output_dir)
                night = _night(outcome, fal, staged, folder, wishes)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return outcome, night, staged


def relocated(manifest: Manifest, folder: Path) -> Manifest:
    """Return *manifest* with its outputs and its ledger in *folder*, and nobody told of its end."""
    output = manifest.output.model_copy(update={"dir": str(folder / "outputs")})
    ledger = str(folder / manifest.ledger_path.name)
    return manifest.model_copy(update={"output": output, "ledger": ledger, "notify": (), "on_finish": ()})


def settings(manifest: Manifest, wishes: Wishes) -> Settings:
    """Return how fal behaves: at the manifest's prices, with its own endpoints."""
    catalogue = Catalogue(manifest)
    return Settings(
        task_s=TASK_S,
        task_spread=0.5,
        outputs="blank" if wishes.blank else "real",
        foreign=URL_SIZE,
        prices=_prices(manifest, catalogue),
        custom=tuple(_own(manifest, catalogue)),
        faults=wishes.faults,
    )


def _prices(manifest: Manifest, catalogue: Catalogue) -> Mapping[str, str]:
    """Return the manifest's prices of shipped models by endpoint, as far as they are for the platform's own unit."""
    table = Catalogue(manifest.model_copy(update={"prices": {}}))
    found: dict[str, str] = {}
    for name in manifest.prices:
        model, usual = catalogue.find(name), table.find(name)
        if isinstance(model, FalModel) and isinstance(usual, FalModel) and model.price and usual.price:
            same = model.price.per == usual.price.per
            found |= {model.app: str(model.price.usd)} if same and not model.endpoint else {}
    return found


def _own(manifest: Manifest, catalogue: Catalogue) -> list[Custom]:
    """Return the manifest's own endpoints. One that is there anyhow checks what it is sent, as the real one does."""
    found: dict[str, Custom] = {}
    for name, declared in manifest.models.items():
        model = catalogue.fal(f"fal/{name}")
        found[model.app] = Custom(
            id=model.app,
            kind=model.kind,
            input=declared.input,
            output=declared.output.replace("[", ".").replace("]", ""),
            factor=declared.factor or 2,
            unit_usd=str(model.price.usd) if model.price else "0",
            unit=model.price.per if model.price else "output",
        )
    return [custom for endpoint, custom in found.items() if endpoint not in EIGHT]


def _options(manifest: Manifest, staged: Manifest, wishes: Wishes, fal: Fal, tell: Tell) -> Options:
    def confirm(plan: Plan, _history: History) -> bool:
        tell(plan)
        _lend(plan, manifest.output_dir, staged.output_dir)
        return True

    return replace(
        wishes.asked,
        choice=replace(wishes.asked.choice, rehearsal=True),
        confirm=confirm,
        environment=fal.environment(),
        stands_for=manifest,
    )


def _borrowed(plan: Plan, home: Path, stage: Path) -> dict[Path, Path]:
    """Return the real outputs that others are copied from, by where the rehearsal looks for them."""
    found: dict[Path, Path] = {}
    for provider in plan.providers:
        for step in plan.pick(Action.COPY, provider):
            output = to_path(step.other_output)
            found[stage / output] = home / output
    return found


def _lend(plan: Plan, home: Path, stage: Path) -> None:
    for link, original in _borrowed(plan, home, stage).items():
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(original)


def _give_back(plan: Plan, home: Path, stage: Path) -> None:
    """Take the links away, but for those that an output has replaced."""
    for link in _borrowed(plan, home, stage):
        if link.is_symlink():
            link.unlink()


def _night(outcome: Outcome, fal: Fal, staged: Manifest, folder: Path, wishes: Wishes) -> Night:
    plan, summary = outcome.plan, outcome.summary
    models = [model for action, model in plan.numbers if action is Action.LATER]
    later = (step for model in models for step in plan.pick_model(Action.LATER, model))
    return Night(
        folder=str(folder),
        outputs=str(staged.output_dir),
        ledger=str(staged.ledger_path),
        billed_usd=dollars(fal.billed_usd),
        estimated_usd=dollars(plan.to_pay_usd),
        unpriced=plan.unpriced,
        not_rehearsed=sum(step.reason == NOT_REHEARSED for step in later),
        accepted=len(fal.accepted),
        calls=dict(fal.calls),
        faults=fal.record.faults.total(),
        speed=wishes.speed,
        took_s=round((summary.elapsed_s if summary else 0) / wishes.speed, 2),
    )
