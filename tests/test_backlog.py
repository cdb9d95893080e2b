"""What waits is begun in order, as soon as every limit lets it, and not before."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import anyio
import pytest

from batchup.backlog import Backlog
from batchup.bell import Bell
from batchup.budget import Budget
from batchup.circuits import Circuits
from batchup.dispatcher import dispatch
from batchup.errors import LeftError, PostponedError
from batchup.events import Done, Failed, Seen, encode
from batchup.gate import Gate
from batchup.history import History
from batchup.plan import Action, Step
from batchup.shutdown import Shutdown
from batchup.source import Source
from batchup.task import Task
from batchup.window import Window
from tests.providers.fal import simulation

AT = datetime(2026, 11, 22, tzinfo=UTC)
NIGHT = Window(time(22), time(7), tuple(range(7)), ZoneInfo("UTC"))


class Clock(simulation.Clock):
    """The loop's own, on a wall that shows *wall* at its beginning, and can be set."""

    def __init__(self, wall=AT):
        self.wall, self.began_s = wall, None

    def utc(self):
        if self.began_s is None:
            self.began_s = self.now_s()
        return self.wall + timedelta(seconds=self.now_s() - self.began_s)


@dataclass
class Case:
    """A backlog with everything it asks."""

    budget: str | None = None
    caps: dict[str, str] = field(default_factory=dict)
    most: dict[str, int] = field(default_factory=dict)
    window: Window | None = None
    stays: bool = True
    jumps: bool = False
    expected_s: float | None = None
    stop_after: int = 20
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self):
        self.history, self.shutdown = History(), Shutdown()
        self.told: list[str] = []
        self.waits: list[str] = []
        self.bell = Bell(self.clock)
        caps = {model: Decimal(usd) for model, usd in self.caps.items()}
        self.gate = Gate(
            budget=Budget(
                None if self.budget is None else Decimal(self.budget), self.history, caps, bell=self.bell
            ),
            circuits=Circuits(self.stop_after, self.history, self.told.append),
            hours=self.window,
            stays=self.stays,
            jumps=self.jumps,
            expected_s=lambda _task: self.expected_s,
            clock=self.clock,
            bell=self.bell,
            shutdown=self.shutdown,
            notices=self,
        )
        self.begun: list[tuple[float, int]] = []

    @property
    def why(self):
        return self.waits[-1] if self.waits else ""

    def waiting(self, why):
        self.waits.append(why)

    def backlog(self, *tasks, free=()):
        steps: dict[str, list[tuple[int, Step]]] = {}
        for number, (model, usd) in enumerate(tasks):
            steps.setdefault(model, []).append((number, step(number, model, usd)))
            self.hear(Seen(id=task_id(number), model=model, output=str(number), at=AT))
        made = {model: iter(numbered) for model, numbered in steps.items()}
        return Backlog(free, made, self.most, self.gate)

    def hear(self, event):
        self.history.add(encode(event))
        self.gate.circuits.heard(event)

    async def work(self, backlog, *, workers=4, takes_s=1.0, costs=None, fails=()):
        """Do everything, and note what was begun at which second."""
        began_s = self.clock.now_s()

        async def work(step):
            number = int(step.task.id, 16)
            self.begun.append((round(self.clock.now_s() - began_s, 1), number))
            with self.gate.budget.begun():
                await anyio.sleep(takes_s)
                usd = step.task.cost_usd if costs is None else Decimal(costs)
                self.hear(failed(number) if number in fails else done(number, usd))
            backlog.ended(step)

        await dispatch(backlog.take, work, workers=lambda: workers)
        return [number for _, number in self.begun]


def task_id(number):
    return f"{number:032x}"


def step(number, model="fal/one", usd="0"):
    cost_usd = None if usd is None else Decimal(usd)
    task = Task(
        task_id(number), model, {}, {}, Source("photos", f"{number}.jpg"), str(number), cost_usd=cost_usd
    )
    return Step(task, Action.RUN, "new")


def done(number, usd):
    return Done(
        id=task_id(number),
        output=str(number),
        size_bytes=1,
        mtime_ns=1,
        sha256="",
        width=1,
        height=1,
        charged_usd=usd,
        at=AT,
    )


def failed(number, kind="timeout"):
    return Failed(id=task_id(number), attempt=1, kind=kind, message="", may_retry=True, at=AT)


def free(count, model="fal/one"):
    return [(model, "0")] * count


class TestOrder:
    def test_steps_are_begun_in_the_plans_order_whatever_their_models(self):
        case = Case()
        tasks = [("fal/a", "0"), ("fal/b", "0"), ("fal/a", "0"), ("fal/c", "0"), ("fal/b", "0")]

        found = simulation.simulated(lambda: case.work(case.backlog(*tasks), workers=1))

        assert found == [0, 1, 2, 3, 4]

    def test_a_model_at_its_limit_lets_the_others_go_ahead(self):
        case = Case(most={"fal/slow": 1})
        tasks = [*free(3, "fal/slow"), *free(3, "fal/quick")]

        simulation.simulated(lambda: case.work(case.backlog(*tasks), workers=4))

        assert case.begun[:4] == [(0.0, 0), (0.0, 3), (0.0, 4), (0.0, 5)]
        assert case.begun[4:] == [(1.0, 1), (2.0, 2)]

    def test_what_no_limit_concerns_comes_first_even_outside_the_window(self):
        case = Case(window=NIGHT, clock=Clock(AT.replace(hour=12)), stays=False)

        found = simulation.simulated(lambda: case.work(case.backlog(*free(1), free=[step(7)])))

        assert found == [7]

    def test_a_drain_ends_the_waiting(self):
        case = Case(window=NIGHT, clock=Clock(AT.replace(hour=12)))
        backlog = case.backlog(*free(1))

        async def drained():
            async with anyio.create_task_group() as group:
                group.start_soon(case.work, backlog)
                await anyio.sleep(5)
                case.shutdown.drain()
                case.bell.ring()
            return case.begun

        assert simulation.simulated(drained) == []

    def test_a_step_that_is_put_back_is_the_next(self):
        case = Case()
        backlog = case.backlog(*free(3))

        async def taken():
            first = await backlog.take()
            backlog.put_back(first)
            backlog.ended(first)
            return [int((await backlog.take()).task.id, 16) for _ in range(3)], await backlog.take()

        assert simulation.simulated(taken) == ([0, 1, 2], None)

    def test_a_step_that_somebody_else_began_and_could_not_go_on_with_joins_those_that_wait(self):
        case = Case()
        backlog = case.backlog(*free(2))

        async def taken():
            backlog.put_back(step(7))
            return [int((await backlog.take()).task.id, 16) for _ in range(3)]

        assert sorted(simulation.simulated(taken)) == [0, 1, 7]

    def test_what_is_added_while_a_pause_holds_what_came_back_is_taken_though_a_worker_has_left_before(self):
        case = Case()
        backlog = case.backlog(*free(2))

        async def taken():
            first, second = await backlog.take(), await backlog.take()
            assert await backlog.take() is None  # a third worker leaves
            case.gate.pause.is_on = True
            for one in (first, second):
                backlog.put_back(one)
                backlog.ended(one)
            async with anyio.create_task_group() as group:
                group.start_soon(backlog.take)
                await anyio.sleep(1)
                is_taken = backlog.add(7, step(7))
                group.cancel_scope.cancel()
            return is_taken

        assert simulation.simulated(taken)

    def test_what_comes_back_when_nobody_takes_any_more_is_told_as_left(self):
        case = Case()
        backlog = case.backlog(*free(1))

        async def late():
            await case.work(backlog)
            backlog.put_back(step(7))

        simulation.simulated(late)

        assert case.gate.budget.refused


class TestBudget:
    def test_what_does_not_fit_waits_for_what_turns_out_cheaper(self):
        case = Case(budget="1.00")
        tasks = [("fal/one", "0.60")] * 3

        found = simulation.simulated(lambda: case.work(case.backlog(*tasks), costs="0.20"))

        assert found == [0, 1, 2]
        assert not case.gate.budget.refused

    def test_what_is_left_when_nothing_is_under_way_stays(self):
        case = Case(budget="1.00")
        tasks = [("fal/one", "0.60")] * 3

        found = simulation.simulated(lambda: case.work(case.backlog(*tasks)))

        assert found == [0]
        assert case.gate.budget.refused

    @pytest.mark.parametrize(("jumps", "begun"), [(False, [0]), (True, [0, 2])], ids=["listed", "cheapest"])
    def test_what_fits_goes_ahead_only_where_the_order_is_by_size_or_price(self, jumps, begun):
        case = Case(budget="1.00", jumps=jumps)
        tasks = [("fal/one", "0.60"), ("fal/one", "0.50"), ("fal/two", "0.40")]

        assert simulation.simulated(lambda: case.work(case.backlog(*tasks))) == begun
        assert case.gate.budget.refused

    def test_what_was_passed_over_for_its_price_is_begun_once_it_fits_the_cheapest_first(self):
        case = Case(budget="1.00", jumps=True)
        tasks = [("fal/one", "0.60"), ("fal/one", "0.50"), ("fal/one", "0.40"), ("fal/one", "0.30")]

        found = simulation.simulated(lambda: case.work(case.backlog(*tasks), costs="0.10"))

        assert found == [0, 2, 3, 1]
        assert not case.gate.budget.refused

    def test_what_costs_nothing_waits_for_no_budget(self):
        case = Case(budget="0.10")
        tasks = [("fal/one", "0.60"), ("fal/free", "0"), ("fal/two", "0.05")]

        assert simulation.simulated(lambda: case.work(case.backlog(*tasks))) == [1]

    def test_what_has_no_price_is_left_and_lets_the_others_go_ahead(self):
        case = Case(budget="1.00")
        tasks = [("fal/one", None), ("fal/one", "0.50")]

        assert simulation.simulated(lambda: case.work(case.backlog(*tasks))) == [1]
        assert case.gate.budget.refused

    def test_one_models_budget_stops_only_that_model(self):
        case = Case(budget="9.00", caps={"fal/one": "0.50"})
        tasks = [("fal/one", "0.50"), ("fal/one", "0.50"), ("fal/two", "0.50"), ("fal/two", "0.50")]

        assert simulation.simulated(lambda: case.work(case.backlog(*tasks))) == [0, 2, 3]
        assert case.gate.budget.refused

    def test_many_workers_never_pass_it(self):
        case = Case(budget="1.00")
        tasks = [("fal/one", "0.01")] * 150

        found = simulation.simulated(lambda: case.work(case.backlog(*tasks), workers=40))

        assert found == list(range(100))
        assert case.history.money.charged == Decimal("1.00")

    def test_two_that_were_given_back_and_cost_the_same_wait_side_by_side(self):
        case = Case(budget="0.10", jumps=True)
        backlog = case.backlog()
        for number in range(2):
            backlog.put_back(step(number, usd="0.20"))

        assert simulation.simulated(lambda: case.work(backlog)) == []
        assert case.gate.budget.refused


class TestPause:
    def test_what_is_free_waits_for_it_to_end_and_is_not_forgotten(self):
        case = Case()
        backlog = case.backlog(free=[step(7)])
        case.gate.pause.is_on = True

        async def paused():
            async with anyio.create_task_group() as group:
                group.start_soon(lambda: case.work(backlog))
                await anyio.sleep(5)
                case.gate.pause.is_on = False
                case.bell.ring()
            return case.begun

        assert simulation.simulated(paused) == [(5.0, 7)]


class TestCircuits:
    def test_a_model_that_fails_in_a_row_is_paused_and_the_others_go_on(self):
        case = Case(stop_after=3)
        tasks = [*free(9, "fal/broken"), *free(3, "fal/good")]

        found = simulation.simulated(lambda: case.work(case.backlog(*tasks), workers=1, fails=range(9)))

        assert found == [0, 1, 2, 9, 10, 11]
        assert "fal/broken is paused: 3 failures in a row" in case.told[0]
        assert len(case.told) == 1

    def test_a_success_begins_the_count_anew(self):
        case = Case(stop_after=3)

        found = simulation.simulated(
            lambda: case.work(case.backlog(*free(8)), workers=1, fails={0, 1, 3, 4, 6, 7})
        )

        assert found == list(range(8))

    def test_failures_of_different_classes_are_no_row(self):
        case = Case(stop_after=2)
        case.backlog(*free(4))

        for number, kind in enumerate(["a", "b", "a", "b"]):
            case.hear(failed(number, kind))

        assert not case.gate.circuits.paused

    def test_what_is_about_to_be_submitted_for_a_paused_model_is_left(self):
        case = Case(stop_after=1)
        case.backlog(*free(1))
        case.hear(failed(0))

        with pytest.raises(LeftError, match="paused"):
            case.gate.check(step(0).task)


class TestWindow:
    def test_nothing_is_begun_before_it_opens_and_one_line_says_so(self):
        case = Case(window=NIGHT, clock=Clock(AT.replace(hour=21)))

        simulation.simulated(lambda: case.work(case.backlog(*free(2))))

        assert case.begun == [(3600.0, 0), (3600.0, 1)]
        assert case.waits == ["the window is closed until Sun 22:00 UTC (in 1h)", ""]

    def test_at_its_end_what_runs_is_finished_and_the_rest_waits_for_the_next_night(self):
        case = Case(window=NIGHT, clock=Clock(AT.replace(hour=6, minute=59)))

        simulation.simulated(lambda: case.work(case.backlog(*free(4)), workers=1, takes_s=25))

        assert case.begun == [(0.0, 0), (25.0, 1), (50.0, 2), (15 * 3600 + 60.0, 3)]

    @pytest.mark.parametrize("budget", ["0.10", None], ids=["the budget", "a paused model"])
    def test_nobody_sleeps_till_it_opens_for_what_another_limit_stops_anyway(self, budget):
        case = Case(budget=budget, window=NIGHT, clock=Clock(AT.replace(hour=12)), stop_after=1)
        backlog = case.backlog(("fal/one", "0.20"))
        if budget is None:
            case.hear(failed(0))

        async def lasts_s():
            began_s = case.clock.now_s()
            await case.work(backlog)
            return case.clock.now_s() - began_s

        assert simulation.simulated(lasts_s) == 0
        assert case.gate.budget.refused is (budget is not None)
        assert not backlog.window_left

    def test_nothing_is_begun_that_would_not_end_in_it(self):
        case = Case(window=NIGHT, clock=Clock(AT.replace(hour=6, minute=59)), expected_s=30)

        simulation.simulated(lambda: case.work(case.backlog(*free(4)), workers=1, takes_s=25))

        assert case.begun == [(0.0, 0), (25.0, 1), (15 * 3600 + 60.0, 2), (15 * 3600 + 85.0, 3)]

    def test_what_no_opening_is_long_enough_for_is_left_rather_than_waited_for(self):
        case = Case(window=NIGHT, clock=Clock(AT.replace(hour=23)), expected_s=10 * 3600)
        backlog = case.backlog(*free(2))

        assert simulation.simulated(lambda: case.work(backlog)) == []
        assert backlog.window_left

    def test_without_waiting_the_run_ends_with_it(self):
        case = Case(window=NIGHT, clock=Clock(AT.replace(hour=6, minute=59, second=50)), stays=False)
        backlog = case.backlog(*free(9))

        found = simulation.simulated(lambda: case.work(backlog, workers=1, takes_s=4))

        assert found == [0, 1, 2]
        assert backlog.window_left

    def test_a_clock_that_is_set_back_or_a_machine_that_was_suspended_is_noticed_within_half_a_minute(self):
        case = Case(window=NIGHT, clock=Clock(AT.replace(hour=21)))

        async def suspended():
            async with anyio.create_task_group() as group:
                group.start_soon(lambda: case.work(case.backlog(*free(1))))
                await anyio.sleep(600)
                case.clock.wall += timedelta(hours=4)  # asleep till 01:10
            return case.begun

        [(begun_s, _)] = simulation.simulated(suspended)

        assert 600 <= begun_s <= 630

    def test_a_clock_set_back_into_the_day_begins_nothing_more(self):
        case = Case(window=NIGHT, clock=Clock(AT.replace(hour=22)), stays=False)

        async def set_back():
            async with anyio.create_task_group() as group:
                group.start_soon(lambda: case.work(case.backlog(*free(99)), workers=1))
                await anyio.sleep(9.5)
                case.clock.wall -= timedelta(hours=2)
            return len(case.begun)

        assert simulation.simulated(set_back) == 10

    def test_what_was_prepared_when_it_closes_is_postponed(self):
        case = Case(window=NIGHT, clock=Clock(AT.replace(hour=12)))

        async def check():
            case.gate.check(step(0).task)

        with pytest.raises(PostponedError, match="window"):
            simulation.simulated(check)

    def test_what_would_not_end_in_it_any_more_when_it_is_to_be_submitted_is_postponed(self):
        case = Case(window=NIGHT, clock=Clock(AT.replace(hour=6, minute=40)), expected_s=1800)

        async def check():
            case.gate.check(step(0).task)

        with pytest.raises(PostponedError, match="would not end"):
            simulation.simulated(check)

    @pytest.mark.parametrize(
        ("evening", "hours"),
        [(datetime(2026, 3, 28, 20, tzinfo=UTC), 1), (datetime(2026, 10, 24, 19, tzinfo=UTC), 1)],
        ids=["clocks go forward", "clocks go back"],
    )
    def test_the_nights_of_the_clock_changes_open_by_the_clock_on_the_wall(self, evening, hours):
        night = Window(time(22), time(7), tuple(range(7)), ZoneInfo("Europe/Berlin"))
        case = Case(window=night, clock=Clock(evening))

        simulation.simulated(lambda: case.work(case.backlog(*free(1))))

        assert case.begun == [(hours * 3600.0, 0)]
