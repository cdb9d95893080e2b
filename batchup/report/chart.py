"""Charts: tasks and spending over the hours of the runs, as the geometry of two small drawings."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import Decimal

from batchup.manifest.quantities import format_duration, format_usd
from batchup.report.model import Report, Session

WIDTH, HEIGHT = 520, 190
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 12, 30
POINTS = 160
"""Steps of a line; more cannot be told apart at this width."""
MOST_TICKS = 4
TICK_GAP = 90.0
"""Least distance of two moments under the axis."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A number at the left, or a moment below; *at* is its place on the axis."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Curve:
    """One quantity that grows.

    Attributes:
        name: A CSS class.
        end: Where it ends, so that its name can stand there.
        line: Of an SVG path; *area* is what lies below it.
    """

    name: str
    end: float
    line: str
    area: str


@dataclass(frozen=True, slots=True)
class Chart:
    """One drawing.

    Attributes:
        title: What it shows.
        description: What a person would read off it, for those who do not see it.
        breaks: Places where one run ended and the next began.
        limits: Levels that are marked: estimate, budget.
    """

    key: str
    title: str
    description: str
    curves: tuple[Curve, ...]
    rows: tuple[Tick, ...]
    moments: tuple[Tick, ...]
    breaks: tuple[float, ...]
    limits: tuple[Tick, ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    bottom: int = HEIGHT - BOTTOM


class _Axis:
    """The hours of all runs laid end to end: what lies between them is left out."""

    def __init__(self, sessions: Sequence[Session]) -> None:
        self._began = [one.began_at for one in sessions]
        self._before_s = [0.0]
        for one in sessions:
            self._before_s.append(self._before_s[-1] + (one.ended_at - one.began_at).total_seconds())
        self.total_s = self._before_s[-1]

    def seconds(self, at: datetime) -> float:
        """Return how long runs had gone on at this moment."""
        place = bisect_right(self._began, at) - 1
        if place < 0:
            return 0.0
        passed_s = self._before_s[place] + (at - self._began[place]).total_seconds()
        return min(passed_s, self._before_s[place + 1])

    def x(self, seconds: float) -> float:
        """Return the place on the drawing."""
        return round(LEFT + (WIDTH - LEFT - RIGHT) * (seconds / self.total_s if self.total_s else 1.0), 1)

    def breaks(self) -> tuple[float, ...]:
        """Return where one run ended and the next began; a last one that found little to do is not told apart."""
        return tuple(x for seconds in self._before_s[1:-1] if (x := self.x(seconds)) < WIDTH - RIGHT - 2)

    def moments(self, zone: tzinfo | None) -> tuple[Tick, ...]:
        """Return when runs began, as far as there is room; the date only where it changes."""
        ticks: list[Tick] = []
        day = None
        for began, seconds in zip(self._began, self._before_s, strict=False):
            local, x = began.astimezone(zone), self.x(seconds)
            if (ticks and x - ticks[-1].at < TICK_GAP) or x > WIDTH - TICK_GAP / 2:
                continue
            text = f"{local:%H:%M}" if local.date() == day else f"{local.day} {local:%b %H:%M}"
            ticks.append(Tick(x, text))
            day = local.date()
        return tuple(ticks)


def charts(report: Report, zone: tzinfo | None = None) -> tuple[Chart, ...]:
    """Return what can be drawn of a report: tasks over time, and spending where anything was charged.

    Args:
        report: To be drawn.
        zone: Of the moments that are shown; None for this machine's.
    """
    axis = _Axis(report.sessions)
    if not axis.total_s or not (report.done_at or report.failed_at):
        return ()
    tasks = _tasks(report, axis, zone)
    return (tasks, _money(report, axis, zone)) if report.spent else (tasks,)


def _tasks(report: Report, axis: _Axis, zone: tzinfo | None) -> Chart:
    counts = report.summary.tasks
    done = _steps(axis, ((at, 1.0) for at in report.done_at))
    failed = _steps(axis, ((at, 1.0) for at in report.failed_at))
    top, rows = _scale(max(counts.done, counts.failed, 1), whole=True)
    curves = [_curve("done", done, top, axis)]
    if counts.failed:
        curves.append(_curve("failed", failed, top, axis))
    told = (
        f"{counts.done:,} done and {counts.failed:,} failed in {format_duration(report.elapsed_s)} of runs."
    )
    return Chart(
        key="tasks",
        title="Tasks over time",
        description=told,
        curves=tuple(curves),
        rows=tuple(Tick(_y(value, top), f"{value:,.0f}") for value in rows),
        moments=axis.moments(zone),
        breaks=axis.breaks(),
        limits=(),
    )


def _money(report: Report, axis: _Axis, zone: tzinfo | None) -> Chart:
    cost = report.summary.cost_usd
    spent = _steps(axis, ((one.at, one.usd) for one in report.spent))
    highest = max(value for _, value in spent)
    marks = [("estimate", cost.estimated), *([] if cost.budget is None else [("budget", cost.budget)])]
    # A limit far above all that was spent would press the curve flat; the numbers beside the chart tell it.
    near = [(name, usd) for name, usd in marks if 0 < usd <= 3 * highest]
    top, rows = _scale(max([highest, *(usd for _, usd in near)]), whole=False)
    return Chart(
        key="money",
        title="Spending over time",
        description=f"{format_usd(_decimal(cost.charged))} charged, {format_usd(_decimal(cost.estimated))} estimated for all.",
        curves=(_curve("spent", spent, top, axis),),
        rows=tuple(Tick(_y(value, top), f"{value:g}") for value in rows),
        moments=axis.moments(zone),
        breaks=axis.breaks(),
        limits=tuple(Tick(_y(usd, top), name) for name, usd in near),
    )


def _steps(axis: _Axis, amounts: Iterable[tuple[datetime, float]]) -> list[tuple[float, float]]:
    """Return (seconds of running, sum so far) at :data:`POINTS` even distances."""
    bins = [0.0] * (POINTS + 1)
    for at, amount in amounts:
        bins[min(POINTS, int(axis.seconds(at) / axis.total_s * POINTS) + 1)] += amount
    total, points = 0.0, []
    for number, amount in enumerate(bins):
        total += amount
        points.append((axis.total_s * number / POINTS, total))
    return points


def _curve(name: str, points: Sequence[tuple[float, float]], top: float, axis: _Axis) -> Curve:
    places = [f"{axis.x(seconds):g} {_y(value, top):g}" for seconds, value in points]
    line = "M" + "L".join(places)
    base = HEIGHT - BOTTOM
    return Curve(name, _y(points[-1][1], top), line, f"{line}L{axis.x(axis.total_s):g} {base}L{LEFT} {base}Z")


def _y(value: float, top: float) -> float:
    return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top, 1)


def _scale(highest: float, *, whole: bool) -> tuple[float, list[float]]:
    """Return the top of an axis, and round numbers to stand at it."""
    power = 10.0 ** (_decimal(highest / MOST_TICKS).adjusted())
    step = next(power * by for by in (1, 2, 5, 10) if power * by * MOST_TICKS >= highest)
    step = max(1.0, step) if whole else step
    rows = [
        round(step * number, 10) for number in range(1, MOST_TICKS + 1) if step * number <= highest * 1.001
    ]
    return max(highest, step), rows


def _decimal(value: float) -> Decimal:
    return Decimal(str(value))
