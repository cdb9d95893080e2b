import pytest

from batchup.providers.fal.pace import Pace
from batchup.providers.fal.schedule import (
    MOST_STEP_S,
    OTHERS_FIRST_S,
    SCOUT_FIRST_S,
    SCOUTS,
    Endpoint,
    Sighting,
    scouting_s,
)

UNSEEN = Sighting()


def known(*runs_s, wait_s=0.0, per_s=None):
    """Return an endpoint whose requests ran so long, each found complete as soon as it was."""
    endpoint = Endpoint(0.0)
    for number, run_s in enumerate(runs_s, 1):
        before = Sighting(wait_s + run_s, "IN_PROGRESS", None, wait_s)
        now_s = number / per_s if per_s else float(number)
        endpoint = endpoint.learned(before, wait_s + run_s, now_s, run_s, fresh=True)
    return endpoint


@pytest.mark.parametrize(
    ("endpoint", "sighting", "low_s", "high_s"),
    [
        (known(*[60.0] * 9), UNSEEN, 60, 61.5),
        (known(*[60.0] * 9, wait_s=90.0), UNSEEN, 150, 151.5),
        (known(*range(70, 130)), UNSEEN, 80, 95),
        (known(*range(70, 130)), Sighting(100.0, "IN_PROGRESS"), 107, 113),
        (known(*[60.0] * 9), Sighting(60.5, "IN_PROGRESS"), 66, 74),
        (known(*[5.0] * 40, per_s=2.0), Sighting(1.0, "IN_QUEUE", 9), 10.5, 11.5),
        (known(*[5.0] * 9), Sighting(1.0, "IN_QUEUE", None), 8, 9),
        (known(*[5.0] * 9, wait_s=10.0), Sighting(16.0, "IN_PROGRESS", None, 13.0), 19, 20),
        (known(*[0.001] * 9), Sighting(0.5, "IN_PROGRESS"), 0.52, 0.7),
        (known(*[50_000.0] * 9), UNSEEN, MOST_STEP_S, MOST_STEP_S),
        (known(*[50_000.0] * 9), Sighting(9000.0, "IN_PROGRESS"), 9000 + MOST_STEP_S, 9000 + MOST_STEP_S),
    ],
    ids=[
        "a run that is always the same",
        "a wait before it",
        "a quarter of those that vary",
        "a quarter of the rest",
        "longer than any before",
        "ten ahead at two a second",
        "a queue that tells no place",
        "seen waiting, then running",
        "never twice in no time",
        "never hours ahead",
        "never hours ahead again",
    ],
)
def test_a_request_is_asked_for_when_it_is_likely_complete(endpoint, sighting, low_s, high_s):
    assert low_s <= endpoint.next_s(sighting, 20.0) <= high_s


def test_a_wait_that_is_thought_too_long_shrinks():
    endpoint = known(*[60.0] * 3)
    endpoint = Endpoint(0.0, runs_s=endpoint.runs_s, ordered_s=endpoint.ordered_s, waits_s=(30.0,) * 16)

    for _ in range(60):
        age_s = endpoint.next_s(UNSEEN, 0.0)  # complete long since
        endpoint = endpoint.learned(UNSEEN, age_s, 0.0, 60.0, fresh=True)

    assert endpoint.next_s(UNSEEN, 0.0) < 63


@pytest.mark.parametrize("inference_s", [None, 0.0, 1e9], ids=["none", "zero", "longer than it lay"])
def test_a_run_time_that_is_not_believable_is_learned_from_when_it_was_asked(inference_s):
    seen_running = Sighting(8.0, "IN_PROGRESS")

    endpoint = Endpoint(0.0).learned(seen_running, 10.0, 0.0, inference_s, fresh=True)

    assert endpoint.run_s == 9.0


def test_a_request_of_an_earlier_run_teaches_only_what_it_tells():
    told = Endpoint(0.0).learned(UNSEEN, 0.5, 0.0, 0.4, fresh=False)
    silent = Endpoint(0.0).learned(UNSEEN, 0.5, 0.0, None, fresh=False)

    assert (told.run_s, told.waits_s) == (0.4, ())
    assert silent.is_unknown
    assert not silent.is_news


def test_a_change_is_news_once():
    endpoint = known(5.0)

    assert endpoint.is_news
    assert not endpoint.scheduled().is_news


def test_while_nothing_is_known_the_oldest_are_asked_for_in_turns_and_the_others_seldom():
    first, second = (scouting_s(UNSEEN, rank) for rank in range(SCOUTS))

    assert first == SCOUT_FIRST_S
    assert first < second < scouting_s(Sighting(first, "IN_PROGRESS"), 0)
    assert scouting_s(UNSEEN, SCOUTS) == OTHERS_FIRST_S
    assert scouting_s(Sighting(1e6, "IN_PROGRESS"), 0) == 1e6 + MOST_STEP_S


def sent(pace, seconds):
    """Return the moments at which calls go if there is always one more, for so long."""
    moments, now_s = [], 0.0
    while now_s <= seconds:
        wait_s, pace = pace.taken(now_s)
        now_s += wait_s
        moments.append(now_s)
    return moments


def test_calls_go_as_fast_as_their_pace_and_no_faster():
    moments = sent(Pace(100.0, 100.0), 10.0)

    assert 1000 <= len(moments) <= 1008


def test_a_429_halves_the_pace_and_the_others_that_it_came_with_do_not():
    slowed = Pace(100.0, 100.0).slowed(50.0, 4.0).slowed(50.1, None)

    assert slowed.per_second == 50
    assert slowed.taken(51.0)[0] == 3.0
    assert slowed.slowed(55.0, None).per_second == 25


def test_a_pace_recovers_step_by_step_and_never_stands_still():
    pace = Pace(100.0, 100.0)
    for at_s in range(0, 200, 10):
        pace = pace.slowed(float(at_s), 0.0)
    assert pace.per_second == 1

    steps = 0
    while pace.per_second < 100:
        pace, steps = pace.recovered(), steps + 1

    assert 90 < steps <= 100
    assert pace.recovered() == pace
