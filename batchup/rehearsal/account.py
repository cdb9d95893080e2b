"""Account: what its owner has sent, what that has cost, and how long it is remembered."""

from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal

from batchup.clock import Clock
from batchup.rehearsal.endpoints import EIGHT, Endpoint
from batchup.rehearsal.job import Job
from batchup.rehearsal.settings import Settings


class Account:
    """Every accepted request, in order, and the bill; all by *clock*."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self.clock = clock
        self.accepted: list[Job] = []
        self.billed_usd = Decimal(0)
        self.inputs_billed: Counter[tuple[str, str]] = Counter()
        self.peak = 0
        self._ids: dict[str, Job] = {}
        self._open = 0
        self.endpoints: Mapping[str, Endpoint] = {
            **EIGHT,
            **{custom.id: custom.endpoint() for custom in settings.custom},
        }

    def accept(self, job: Job) -> None:
        """Take a request: from here on it is worked on, and may be billed, whatever its sender learns of it."""
        self.accepted.append(job)
        self._ids[job.id] = job
        self._open += 1
        self.peak = max(self.peak, self._open)

    def close(self) -> None:
        """Take note that one more has ended."""
        self._open -= 1

    @property
    def unfinished(self) -> int:
        """How many requests are queued or in progress."""
        return self._open

    def bill(self, job: Job, units: Decimal) -> None:
        """Put so many units of *job* on the bill."""
        job.units = units
        job.cost_usd = units * self.unit_usd(job.endpoint)
        self.billed_usd += job.cost_usd
        self.inputs_billed[job.same_input] += 1

    def unit_usd(self, endpoint: Endpoint) -> Decimal:
        """Return what a unit costs today."""
        return Decimal(self._settings.prices.get(endpoint.id, endpoint.price.unit_usd))

    @property
    def is_locked(self) -> bool:
        """Whether the credit is used up."""
        return bool(self._settings.balance_usd) and self.billed_usd >= Decimal(self._settings.balance_usd)

    def forget(self, request_id: str) -> None:
        """No longer know a request, as after its time."""
        self._ids.pop(request_id, None)

    def find(self, app: str, request_id: str) -> Job | None:
        """Return a request of *app* that is still known."""
        job = self._ids.get(request_id)
        if job is None or job.mode != "queue" or job.endpoint.app != app:
            return None
        ttl_s = job.ttl_s(self._settings.result_ttl_s)
        if job.state == "COMPLETED" and ttl_s is not None:
            age_s = (self.clock.now_s() - job.ended_s) * self._settings.time_scale
            return job if age_s < ttl_s else None
        return job

    def endpoint_of(self, request_id: str) -> str:
        """Return the endpoint of a request; empty where it is not known."""
        job = self._ids.get(request_id)
        return job.endpoint.id if job else ""

    def history(self) -> Iterator[Job]:
        """Yield the requests that the history knows by now, the latest first."""
        newest_s = self.clock.now_s() - self._settings.clock_s(self._settings.history_lag_s)
        for job in reversed(self.accepted):
            shown = self._settings.history_shows == "sent" or job.state == "COMPLETED"
            if shown and job.sent_s <= newest_s:
                yield job
