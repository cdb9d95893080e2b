"""Metrics: a run's numbers, kept as it goes on and served on loopback as OpenMetrics, for Prometheus to fetch.

Names and units follow https://prometheus.io/docs/practices/naming/, read 2026-11. Counters count from the run's
beginning, as ever; gauges tell how the whole job stands.
"""

import errno
from collections import Counter as Tally
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from aiohttp import web

from batchup.errors import Fault, ManifestError
from batchup.events import Done, Event, Failed, Held, Result, Retried, Submitted, Submitting, Uploaded
from batchup.history import IN_FLIGHT, History, State
from batchup.plan import Action, Plan, Step
from batchup.version import __version__
from batchup.webserver import LOOPBACK, open_server

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

END_S = 1.0
"""How long an answer that is under way may take when the run has ended."""

SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
"""Bounds of the histograms' buckets: a photo on this machine takes tenths, a video an hour."""

_STATES: Mapping[State, str] = {
    State.PENDING: "pending",
    State.DONE: "done",
    State.FAILED: "failed",
    State.HELD: "held",
    **dict.fromkeys(IN_FLIGHT, "in_flight"),
}
_NOTHING = Decimal(0)
_OF_A_TASK = Submitting | Submitted | Result | Done | Retried | Failed | Held


class _Numbers:
    """The metrics themselves, in a registry of their own."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

        self.registry = CollectorRegistry(auto_describe=True)

        def made(kind: Callable[..., Any], name: str, text: str, *labels: str, **more: Any) -> Any:
            return kind(f"batchup_{name}", text, labels, registry=self.registry, **more)

        self.run = made(Info, "run", "The job that is run, and by which version.")
        self.tasks = made(Gauge, "tasks", "Tasks of the job in each state, by its ledger.", "model", "state")
        self.running = made(
            Gauge,
            "tasks_running",
            "Tasks under way on this machine: brought, worked on, or fetched.",
            "model",
        )
        self.refusals = made(
            Counter, "refusals", "Requests that were refused for now (HTTP 429), by step.", "model", "step"
        )
        self.retries = made(
            Counter,
            "retries",
            "Requests that failed and are tried again, by class.",
            "model",
            "class",
            "step",
        )
        self.failures = made(Counter, "failures", "Tasks that were given up, by class.", "model", "class")
        self.seconds = made(
            Histogram,
            "task_duration",
            "From a task's submission to its output in place; copies and outputs fetched again are left out.",
            "model",
            unit="seconds",
            buckets=SECONDS,
        )
        self.uploaded = made(Counter, "uploaded", "Inputs brought to the provider.", "model", unit="bytes")
        self.downloaded = made(
            Counter, "downloaded", "Outputs fetched from the provider.", "model", unit="bytes"
        )
        self.reserved = made(
            Gauge, "reserved", "In flight, unconfirmed or held: it may be charged.", "model", unit="usd"
        )
        self.charged = made(Counter, "charged", "Charged in this run.", "model", unit="usd")
        self.job_charged = made(Gauge, "job_charged", "Charged for the job by all its runs.", unit="usd")
        self.budget = made(Gauge, "budget", "Cap on the job's cost, where there is one.", "job", unit="usd")
        self.saved = made(
            Counter,
            "saved",
            "What was not paid again: by dedupe of equal contents, by healing lost outputs.",
            "model",
            "by",
            unit="usd",
        )


class Metrics:
    """Hears of a run, see :class:`batchup.audience.Observer`; looks at single tasks only, however many there are.

    Attributes:
        registry: What there is to serve.
    """

    def __init__(self) -> None:
        self._numbers = _Numbers()
        self.registry: CollectorRegistry = self._numbers.registry
        self._history = History()
        self._steps: dict[str, Step] = {}
        self._states: dict[str, State] = {}
        self._was_done: set[str] = set()
        self._charged: dict[str, Decimal] = {}
        self._new: set[str] = set()

    def begin(self, plan: Plan, history: History) -> None:
        """Count where the job stands."""
        self._history, numbers = history, self._numbers
        numbers.run.info({"name": history.job, "version": __version__})
        numbers.job_charged.set(float(history.money.charged))
        if history.budget_usd is not None:
            numbers.budget.labels(history.job).set(float(history.budget_usd))
        found = Tally(
            (record.model, _STATES[record.state])
            for record in history.records.values()
            if not record.orphaned
        )
        # What has not happened yet is 0, and not missing.
        for model in {model for model, _ in found} | set(plan.models):
            self._charged[model] = history.money_of(model).charged
            for state in set(_STATES.values()):
                numbers.tasks.labels(model, state).set(found[model, state])
            numbers.reserved.labels(model).set(float(history.money_of(model).reserved))
            for metric in (numbers.running, numbers.charged, numbers.seconds):
                metric.labels(model)

    def started(self, step: Step) -> None:
        """Note that a task is under way, and where it stands."""
        task = step.task
        record = self._history.get(task.id)
        self._steps[task.id] = step
        self._states[task.id] = record.state if record else State.PENDING
        if self._states[task.id] in {State.DONE, State.FAILED}:
            self._was_done.add(task.id)
        self._numbers.running.labels(task.model).inc()

    def ended(self, step: Step) -> None:
        """Note that a task is not under way any more."""
        self._numbers.running.labels(step.task.model).dec()

    def heard(self, event: Event) -> None:
        """Take in an event that has become durable."""
        if isinstance(event, Uploaded):
            self._new.add(event.url)
        elif isinstance(event, _OF_A_TASK) and (step := self._steps.get(event.id)):
            self._move(event.id, step.task.model)
            self._count(event, step)
            self._pay(step.task.model)

    def _move(self, task_id: str, model: str) -> None:
        """Let a task leave the state in which it was, for the one that the history has."""
        record = self._history.get(task_id)
        was, now = self._states[task_id], record.state if record else State.PENDING
        if was is not now:
            self._states[task_id] = now
            self._numbers.tasks.labels(model, _STATES[was]).dec()
            self._numbers.tasks.labels(model, _STATES[now]).inc()

    def _count(self, event: Event, step: Step) -> None:
        numbers, model = self._numbers, step.task.model
        if isinstance(event, Submitting):
            self._count_upload(event, step)
        elif isinstance(event, Failed):
            numbers.failures.labels(model, event.kind).inc()
        elif isinstance(event, Done):
            self._count_done(event, step)
        elif isinstance(event, Retried):
            step_name = event.step or "submit"
            if event.kind == "rate_limited":
                numbers.refusals.labels(model, step_name).inc()
            else:
                numbers.retries.labels(model, event.kind, step_name).inc()

    def _count_upload(self, event: Submitting, step: Step) -> None:
        """Count an upload when it is first referred to: its own event does not tell whose it is, nor how large."""
        for value in event.body.values():
            if isinstance(value, str) and value in self._new:
                self._new.discard(value)
                self._numbers.uploaded.labels(step.task.model).inc(step.task.source.size_bytes)

    def _count_done(self, event: Done, step: Step) -> None:
        numbers, model = self._numbers, step.task.model
        price_usd = float(step.task.cost_usd or 0)
        healed = step.action is Action.HEAL and event.id in self._was_done
        if event.copied_from:
            numbers.saved.labels(model, "dedupe").inc(price_usd)
            return
        if healed:
            numbers.saved.labels(model, "healing").inc(price_usd)
        elif step.action is not Action.HEAL:
            numbers.seconds.labels(model).observe(event.seconds)
        if step.task.provider != "local":
            numbers.downloaded.labels(model).inc(event.size_bytes)

    def _pay(self, model: str) -> None:
        money, numbers = self._history.money_of(model), self._numbers
        numbers.reserved.labels(model).set(float(money.reserved))
        more = money.charged - self._charged.get(model, _NOTHING)
        if more > 0:
            self._charged[model] = money.charged
            numbers.charged.labels(model).inc(float(more))
            numbers.job_charged.set(float(self._history.money.charged))


@asynccontextmanager
async def open_metrics(port: int, say: Callable[[str], None]) -> AsyncIterator[Metrics]:
    """Serve a run's metrics on loopback while the block lasts.

    Args:
        port: 0 for any that is free.
        say: Called with where they are.

    Raises:
        ManifestError: The port cannot be had, or prometheus-client is not installed.
    """
    try:
        metrics = Metrics()
    except ImportError as error:
        message = "--metrics needs a part that is not installed; pip install 'batchup[metrics]'"
        raise ManifestError([Fault("", 0, 0, message)]) from error
    app = web.Application()
    app.router.add_get("/metrics", _answering(metrics))
    async with AsyncExitStack() as stack:
        try:
            bound = await stack.enter_async_context(open_server(app, port, end_s=END_S))
        except OSError as error:
            raise ManifestError([Fault("", 0, 0, _refused(port, error))]) from error
        say(f"metrics are at http://{LOOPBACK}:{bound}/metrics")
        yield metrics


def _refused(port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"--metrics {port}: this port is in use; name another, or 0 for any that is free"
    return f"--metrics {port}: this port cannot be had: {error.strerror or error}"


def _answering(metrics: Metrics) -> Callable[[web.Request], Any]:
    """Return what answers a request for the metrics."""
    from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest

    async def answer(request: web.Request) -> web.Response:
        # A name that was bound anew to this address, by a page in this machine's browser, reads nothing here.
        if request.host.rsplit(":", 1)[0] not in {LOOPBACK, "localhost"}:
            raise web.HTTPForbidden(text=f"ask for http://{LOOPBACK}\n")
        body = generate_latest(metrics.registry)  # type: ignore[no-untyped-call]  # its authors left its types out
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    return answer
