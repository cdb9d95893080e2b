"""The loop: looks, waits until what is new is still, and runs. All that it knows for longer is in the ledger."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

from anyio import to_thread

from batchup.clock import Clock
from batchup.errors import BatchupError, FatalError, Interrupted, LedgerError, ManifestError
from batchup.history import History
from batchup.inputs.glance import Glance, glance
from batchup.manifest import Manifest, load
from batchup.manifest.quantities import format_usd
from batchup.plan import SPARED, Action, Plan
from batchup.run import Options, Outcome, Reporter, run
from batchup.shutdown import Shutdown, Signals, open_signals
from batchup.terminal import count
from batchup.watch.alarm import Alarm
from batchup.watch.stillness import Stillness

BEAT_S = 2.0
"""So often a manifest that changed and a folder that was not there are looked for."""

LEAST_S = 0.02

BUSY_S, AGAIN_S = 15.0, 600.0
"""When a run is tried again: whose ledger somebody else has, or whose disk or account refused."""

LOOK_S = 60.0
"""So often all inputs are looked at, even if nobody told of a change."""

REST = 5
"""So many times as long as a look at all of them took, none is taken after it."""

_REFUSED = frozenset({"disk", "account"})


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is asked of a watch.

    Attributes:
        settle_s: How long a file must have been still, in seconds.
        poll_s: How often to look, in seconds; None to be told by the system.
        yes: Whether all may be spent without asking.
        options: Of every run.
        asks: Asks a person; None where there is nobody.
    """

    settle_s: float = 10.0
    poll_s: float | None = None
    yes: bool = False
    options: Options = field(default_factory=Options)
    asks: Callable[[Plan, History], bool] | None = None


@dataclass(frozen=True, slots=True)
class Ears:
    """Who hears of a watch.

    Attributes:
        reporter: Makes one for each run.
        tell: Called with what a person wants to know.
        ended: Called in a thread with the manifest and the outcome of each run that did anything.
    """

    reporter: Callable[[], Reporter]
    tell: Callable[[str], None]
    ended: Callable[[Manifest, Outcome], None]


async def watch(file: Path, wishes: Wishes, ears: Ears, alarm: Alarm, clock: Clock) -> int:
    """Watch the inputs of the manifest *file*, and run what is new; return the signal that ended it.

    Raises:
        ManifestError: The manifest is wrong when the watch begins. Later, that is told and waited for.
    """
    load(file)
    async with open_signals() as signals:
        return await _Watch(file, wishes, ears, alarm, clock, signals).run()


@dataclass(slots=True)
class _Watch:
    file: Path
    wishes: Wishes
    ears: Ears
    alarm: Alarm
    clock: Clock
    signals: Signals
    stillness: Stillness = field(init=False)
    manifest: Manifest | None = None
    version: object = None
    is_rung: bool = True
    is_due: bool = True
    again_s: float | None = None
    looked_s: float = float("-inf")
    took_s: float = 0.0
    known: tuple[object, ...] = ()
    told: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.stillness = Stillness(self.wishes.settle_s)

    async def run(self) -> int:
        while True:
            job = await self._looked()
            if job is not None and self.is_due:
                self.is_due, self.again_s = False, None
                await self._once(*job)
                self.is_rung = True  # much may have happened meanwhile
            else:
                await self._waited()
            if self.signals.signum is not None:
                return self.signals.signum

    async def _looked(self) -> tuple[Manifest, bool] | None:
        """Look at everything if there is a reason to; return what can be run, and whether some of it is not there."""
        manifest = await self._loaded()
        if manifest is None:
            return None
        found = await to_thread.run_sync(_glance, manifest)
        known, now_s = (manifest.sha256, found.missing), self.clock.now_s()
        if known != self.known or (self.again_s is not None and now_s >= self.again_s):
            self.known, self.is_due = known, True
        if self.is_due or now_s >= self._next_look_s():
            self.is_rung, self.alarm.folders = False, found.folders
            utc_ns = round(self.clock.utc().timestamp() * 1e9)
            fresh = await to_thread.run_sync(self.stillness.look, found.files, now_s, utc_ns)
            self.is_due |= fresh > 0
            self.looked_s, self.took_s = now_s, self.clock.now_s() - now_s
        self._tell_missing(manifest, found)
        present = [one for number, one in enumerate(manifest.inputs) if number not in found.missing]
        if not present:
            return None
        return manifest.model_copy(update={"inputs": tuple(present)}), bool(found.missing)

    async def _loaded(self) -> Manifest | None:
        """Return the manifest as it is now; None while it is wrong."""
        version = await to_thread.run_sync(_version, self.file)
        if self.manifest is not None and version == self.version:
            return self.manifest
        try:
            self.manifest = await to_thread.run_sync(load, self.file)
        except BatchupError as error:
            self.manifest = None
            self._tell("manifest", f"{error}\nwaiting until the manifest is right again")
            return None
        self.version = version
        self.told.pop("manifest", None)
        return self.manifest

    def _next_look_s(self) -> float:
        """Return when to look at all files again; to look takes its time, where there are many."""
        rest_s = self.looked_s + REST * self.took_s
        often_s = self.wishes.poll_s or max(LOOK_S, REST * REST * self.took_s)
        moments = [self.looked_s + often_s, self.stillness.due_s, rest_s if self.is_rung else None]
        return max(rest_s, min(moment for moment in moments if moment is not None))

    def _tell_missing(self, manifest: Manifest, found: Glance) -> None:
        names = [_named(manifest, number) for number in sorted(found.missing)]
        if names:
            self._tell("missing", f"waiting for what is not there: {', '.join(names)}")
        elif self.told.pop("missing", None):
            self.ears.tell("all inputs are there again")

    async def _once(self, manifest: Manifest, lacks: bool) -> None:  # noqa: FBT001 - as _looked gives it
        """Run once."""
        asked, spares = self.wishes.options.choice, not self.wishes.yes and self.wishes.asks is None
        choice = replace(asked, ready=self.stillness.has, partial=lacks, spares=spares)

        def confirm(plan: Plan, history: History) -> bool:
            return self._permits(manifest, plan, history)

        options = replace(self.wishes.options, choice=choice, confirm=confirm)
        try:
            outcome = await run(manifest, options, self.ears.reporter(), self.clock)
        except Interrupted:
            return
        except (ManifestError, LedgerError, FatalError) as error:
            self._tell("run", str(error))
            self.again_s = self.clock.now_s() + (BUSY_S if isinstance(error, LedgerError) else AGAIN_S)
            return
        self.told.pop("run", None)
        if outcome.summary is not None:
            await to_thread.run_sync(self.ears.ended, manifest, outcome)
            if outcome.summary.stopped in _REFUSED or outcome.summary.tasks.in_flight:
                self.again_s = self.clock.now_s() + AGAIN_S

    def _permits(self, manifest: Manifest, plan: Plan, history: History) -> bool:
        """Return whether a plan is run: not if it does nothing, which leaves no trace then."""
        self._tell_spared(plan)
        if not plan.to_run and not plan.actions[Action.ATTACH] and not plan.looking:
            return False
        if self.wishes.yes or not (plan.to_pay_usd or plan.unpriced):
            return True
        if self.wishes.asks is not None:
            return self.wishes.asks(plan, history)
        cap_usd: Decimal | None = self.wishes.options.budget_usd
        if cap_usd is None and manifest.run.budget_usd is None:
            self._tell(
                "budget",
                f"not begun: {count(plan.to_run, 'task')} for {format_usd(plan.to_pay_usd)}. There is nobody to ask, so "
                "that paid work needs a cap: run.budget in the manifest or --budget; or --yes",
            )
            return False
        return True

    def _tell_spared(self, plan: Plan) -> None:
        spared = plan.skipped[SPARED]
        if spared:
            self._tell(
                "spared",
                f"left alone: {count(spared, 'input')} done before would be paid for again; "
                f"`batchup run {self.file} --yes` agrees to that",
            )

    async def _waited(self) -> None:
        """Wait until there may be something to do, or a signal comes."""
        now_s = self.clock.now_s()
        moments = [now_s + BEAT_S, self._next_look_s(), self.again_s]
        wait_s = max(LEAST_S, min(moment for moment in moments if moment is not None) - now_s)
        shutdown = Shutdown()

        async def wait() -> None:
            self.is_rung |= await self.alarm.wait(wait_s)

        async with open_signals(shutdown):
            await shutdown.unless_draining(wait)

    def _tell(self, about: str, text: str) -> None:
        """Say something once, not with every look."""
        if self.told.get(about) != text:
            self.told[about] = text
            self.ears.tell(text)


def _version(file: Path) -> object:
    """Return what changes with the file."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def _glance(manifest: Manifest) -> Glance:
    return glance(
        manifest.inputs,
        resolve=manifest.resolve,
        output_dir=manifest.output_dir,
        ledger=manifest.ledger_path,
    )


def _named(manifest: Manifest, number: int) -> str:
    given = manifest.inputs[number]
    return str(getattr(given, "path", None) or getattr(given, "list", ""))
