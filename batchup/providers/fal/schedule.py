"""When to ask for a request's status next: pure arithmetic on what earlier requests took.

A request waits, then runs, then is complete until somebody asks. How long it ran is known exactly once it is complete,
because its status says so; how long it waited only as closely as it was asked for. From both follows when an answer is
likely. To ask whenever a fixed part of what may still come has come costs about the same number of calls whatever the
run times look like, and as good as one where they hardly vary.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

State = Literal["IN_QUEUE", "IN_PROGRESS", "COMPLETED"]

KEPT_RUNS, KEPT_WAITS, KEPT_ENDS = 64, 16, 32
"""So many of the latest completions count: enough for quantiles, few enough to follow a change."""

# The figures down to NEWS were found by simulation, as in tests/providers/fal/test_poller.py: they are where fewer
# calls began to cost more than a tenth of a run in latency.

QUANTILE = 0.27
"""Of what may still come, so much has come by the next asking."""

SLACK = 0.01
"""Of a run: asked so much later, so that run times that hardly vary are met by one call instead of just missed."""

RUN_STEP, AGE_STEP, LEAST_STEP_S = 0.1, 0.05, 0.02
"""Of a run, of the time since the submission, and in seconds: the least time between two askings for one request."""

PROBE = 0.2
"""Where the first asking found a request complete, it may have been so for a while: so much of its wait is believed.
Without this a wait that is thought too long would confirm itself for ever."""

UNSEEN = 0.2
"""Likewise of a run time that nobody told: so much is not believed."""

MOST_STEP_S = 3600.0
"""The most: however far away the end seems, the platform may have been quicker, and keeps a result for an hour.

Source: https://fal.ai/docs/documentation/model-apis/inference/queue, read 2026-11.
"""

BEYOND = 1.2
"""Of its run so far: when to ask again for a request that runs longer than any before it."""

NEWS = 1.2
"""So many times longer or shorter than it was: then what is scheduled is scheduled anew."""

SCOUTS = 2
"""While nothing is known of an endpoint its oldest requests are asked for often; the others wait for what they tell."""

SCOUT_FIRST_S, SCOUT_GROWTH = 0.1, 1.5
OTHERS_FIRST_S, OTHERS_GROWTH = 20.0, 6.0


@dataclass(frozen=True, slots=True)
class Sighting:
    """What is known of a request that is not complete.

    Attributes:
        age_s: Seconds from its submission to the last asking; 0.0 before the first.
        state: What the last answer said; None before the first.
        position: In the queue, from 0; None where that was not said.
        queued_s: Age at which it was last seen waiting; 0.0 if never.
    """

    age_s: float = 0.0
    state: State | None = None
    position: int | None = None
    queued_s: float = 0.0

    def after(self, age_s: float, state: State, position: int | None) -> "Sighting":
        """Return what is known after an answer that came when the request was *age_s* old."""
        return Sighting(age_s, state, position, age_s if state == "IN_QUEUE" else self.queued_s)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What is known of an endpoint.

    Attributes:
        since_s: Moment from which its completions are counted.
        ends_s: Moments at which its latest completions were seen.
        runs_s: How long its latest requests ran, oldest first.
        waits_s: How long they lay before they ran, about, oldest first.
        ordered_s: ``runs_s``, ascending.
        scheduled_s: What :attr:`usual_s` was when everything was scheduled.
    """

    since_s: float
    ends_s: tuple[float, ...] = ()
    runs_s: tuple[float, ...] = ()
    waits_s: tuple[float, ...] = ()
    ordered_s: tuple[float, ...] = ()
    scheduled_s: float = 0.0

    @property
    def is_unknown(self) -> bool:
        """Whether not one of its requests has been complete yet."""
        return not self.runs_s

    @property
    def run_s(self) -> float:
        """The usual run time."""
        return _quantile(self.ordered_s, 0.5)

    @property
    def wait_s(self) -> float:
        """The usual wait."""
        return _quantile(sorted(self.waits_s), 0.5) if self.waits_s else 0.0

    @property
    def is_news(self) -> bool:
        """Whether requests take so much longer or shorter than when they were scheduled that it must be done anew."""
        if self.is_unknown:
            return False
        usual_s = self.wait_s + self.run_s
        return not self.scheduled_s / NEWS <= usual_s <= self.scheduled_s * NEWS

    def scheduled(self) -> "Endpoint":
        """Return it once everything is scheduled by what is known now."""
        return replace(self, scheduled_s=self.wait_s + self.run_s)

    def resumed(self, now_s: float) -> "Endpoint":
        """Return it when the first request after a pause is submitted."""
        return replace(self, since_s=now_s, ends_s=())

    def learned(
        self, before: Sighting, age_s: float, now_s: float, inference_s: float | None, *, fresh: bool
    ) -> "Endpoint":
        """Return what is known once a request was found complete.

        Args:
            before: What was known of the request.
            age_s: Its age when the answer came.
            now_s: The moment when it came.
            inference_s: How long it ran, by its own account; None where it gave none.
            fresh: Whether *age_s* counts from the submission, as it cannot for one of an earlier run.
        """
        counted = self._counted(now_s)
        seen_s = (before.age_s + age_s) / 2 if before.state else age_s
        if inference_s is not None and 0 < inference_s <= age_s:
            run_s = inference_s
        elif fresh:
            run_s = (seen_s - before.queued_s) * (1.0 if before.state == "IN_PROGRESS" else 1 - UNSEEN)
        else:
            return counted
        runs = (*self.runs_s, run_s)[-KEPT_RUNS:]
        learned = replace(counted, runs_s=runs, ordered_s=tuple(sorted(runs)))
        if not fresh:
            return learned
        wait_s = max(0.0, max(seen_s, run_s) - run_s) * (1.0 if before.state else PROBE)
        return replace(learned, waits_s=(*self.waits_s, wait_s)[-KEPT_WAITS:])

    def _counted(self, now_s: float) -> "Endpoint":
        ends = (*self.ends_s, now_s)
        since_s = ends[-KEPT_ENDS - 1] if len(ends) > KEPT_ENDS else self.since_s
        return replace(self, since_s=since_s, ends_s=ends[-KEPT_ENDS:])

    def next_s(self, sighting: Sighting, now_s: float) -> float:
        """Return the age at which to ask for a request next; something must be known of its endpoint."""
        run_s = self.run_s
        if sighting.state is None:
            return min(MOST_STEP_S, self._end_s(self.wait_s, 0.0) + SLACK * run_s)
        if sighting.state == "IN_QUEUE":
            end_s = self._end_s(sighting.age_s + self._ahead_s(sighting, now_s), sighting.age_s)
        elif sighting.queued_s:
            end_s = self._end_s((sighting.queued_s + sighting.age_s) / 2, sighting.age_s)
        else:
            end_s = self._end_s(min(self.wait_s, sighting.age_s), sighting.age_s)
        step_s = max(LEAST_STEP_S, RUN_STEP * run_s, AGE_STEP * sighting.age_s)
        return min(sighting.age_s + MOST_STEP_S, max(end_s + SLACK * run_s, sighting.age_s + step_s))

    def _ahead_s(self, sighting: Sighting, now_s: float) -> float:
        """Return seconds until those ahead of a waiting request have made room for it."""
        if sighting.position is None or not self.ends_s or now_s <= self.since_s:
            return self.run_s / 2
        return (sighting.position + 1) * (now_s - self.since_s) / len(self.ends_s)

    def _end_s(self, started_s: float, age_s: float) -> float:
        """Return the age at which a request that started at *started_s*, and is *age_s* old, has likely ended."""
        longer = self.ordered_s[bisect_right(self.ordered_s, age_s - started_s) :]
        return started_s + (_quantile(longer, QUANTILE) if longer else (age_s - started_s) * BEYOND)


def scouting_s(sighting: Sighting, rank: int) -> float:
    """Return the age at which to ask for a request next while nothing is known of its endpoint.

    Args:
        sighting: What is known of it.
        rank: How many of the endpoint's requests are older.
    """
    first_s, growth = OTHERS_FIRST_S, OTHERS_GROWTH
    if rank < SCOUTS:  # one asks halfway between the other's askings
        first_s, growth = SCOUT_FIRST_S * SCOUT_GROWTH ** (rank / SCOUTS), SCOUT_GROWTH
    return max(first_s, min(sighting.age_s * growth, sighting.age_s + MOST_STEP_S))


def _quantile(ordered: Sequence[float], quantile: float) -> float:
    return ordered[min(len(ordered) - 1, int(quantile * len(ordered)))]
