"""The hours in which work may start, over every trick that a clock on the wall can play."""

import time as system_time
from datetime import UTC, datetime, time, timedelta
from math import inf
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchup.manifest import Window as Section
from batchup.window import NEVER, Window

MINUTE = timedelta(minutes=1)
BERLIN = "Europe/Berlin"


def window(hours, days="mon-sun", zone="UTC"):
    return Window.of(Section.model_validate({"hours": hours, "days": days, "zone": zone}))


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.fixture
def machine_zone(monkeypatch):
    """Let the machine's own clock be another."""

    def put(name):
        monkeypatch.setenv("TZ", name)
        system_time.tzset()

    yield put
    monkeypatch.undo()
    system_time.tzset()


@pytest.mark.parametrize(
    ("hours", "days", "at", "closes"),
    [
        pytest.param("09:00-17:00", "mon-sun", "2026-08-05 09:00", "2026-08-05 17:00", id="its first moment"),
        pytest.param("09:00-17:00", "mon-sun", "2026-08-05 17:00", None, id="its end"),
        pytest.param("09:00-17:00", "mon-sun", "2026-08-05 08:59:59.999999", None, id="just before"),
        pytest.param("09:00-17:00", "mon,tue", "2026-08-05 12:00", None, id="another day"),
        pytest.param(
            "22:00-07:00", "fri", "2026-08-08 06:59", "2026-08-08 07:00", id="Friday's, on Saturday"
        ),
        pytest.param("22:00-07:00", "fri", "2026-08-07 06:59", None, id="not Friday's, on Friday morning"),
        pytest.param("22:00-07:00", "sun", "2026-08-10 03:00", "2026-08-10 07:00", id="over the week's end"),
        pytest.param(
            "22:00-07:00", "mon-sun", "2027-12-31 23:00", "2028-01-01 07:00", id="over the year's end"
        ),
        pytest.param("22:00-07:00", "mon-sun", "2028-02-28 23:00", "2028-02-29 07:00", id="into a leap day"),
        pytest.param(
            "22:00-07:00", "mon-sun", "2028-02-29 23:00", "2028-03-01 07:00", id="out of a leap day"
        ),
        pytest.param(
            "22:00-07:00", "mon-sun", "2027-02-28 23:00", "2027-03-01 07:00", id="without a leap day"
        ),
        pytest.param("18:00-24:00", "mon", "2026-08-03 23:59", "2026-08-04 00:00", id="till midnight"),
        pytest.param("00:00-24:00", "wed", "2026-08-05 00:00", "2026-08-06 00:00", id="a whole day"),
    ],
)
def test_an_opening_lasts_from_its_start_to_its_end(hours, days, at, closes):
    assert window(hours, days).closes(utc(at)) == (closes and utc(closes))


@pytest.mark.parametrize(
    ("hours", "days", "at", "opens"),
    [
        pytest.param("22:00-07:00", "mon-fri", "2026-08-04 12:00", "2026-08-04 22:00", id="the same day"),
        pytest.param("22:00-07:00", "mon-fri", "2026-08-08 07:00", "2026-08-10 22:00", id="over the weekend"),
        pytest.param("09:00-10:00", "tue", "2026-08-04 10:00", "2026-08-11 09:00", id="a week later"),
        pytest.param("09:00-10:00", "tue", "2026-08-04 09:30", "2026-08-04 09:30", id="now"),
        pytest.param("00:00-24:00", "sat,sun", "2026-08-03 00:00", "2026-08-08 00:00", id="whole days"),
    ],
)
def test_a_closed_window_opens_at_its_next_start(hours, days, at, opens):
    assert window(hours, days).opens(utc(at)) == utc(opens)


def test_whole_days_that_follow_each_other_are_one_opening():
    week = window("00:00-24:00", "mon-fri", BERLIN)
    weekend = window("00:00-24:00", "sun,mon,sat", BERLIN)

    # By a clock two hours ahead.
    assert week.closes(utc("2026-08-05 12:00")) == utc("2026-08-07 22:00")
    assert weekend.closes(utc("2026-08-07 22:00")) == utc("2026-08-10 22:00")


def test_what_is_always_open_never_closes():
    always = window("00:00-24:00", zone=BERLIN)
    now = utc("2026-08-05 12:00")

    assert always.closes(now) == NEVER
    assert always.opens(now) == now
    assert NEVER.astimezone(ZoneInfo("Pacific/Kiritimati")).year == 9999


@pytest.mark.parametrize(
    ("zone", "hours", "opens", "closes"),
    [
        pytest.param(BERLIN, "22:00-07:00", "2026-03-28 21:00", "2026-03-29 05:00", id="8 hours in spring"),
        pytest.param(BERLIN, "22:00-07:00", "2026-10-24 20:00", "2026-10-25 06:00", id="10 hours in autumn"),
        pytest.param(
            BERLIN, "02:30-07:00", "2026-03-29 01:00", "2026-03-29 05:00", id="a start that is skipped"
        ),
        pytest.param(
            BERLIN, "22:00-02:30", "2026-03-28 21:00", "2026-03-29 01:00", id="an end that is skipped"
        ),
        pytest.param(
            BERLIN, "03:00-07:00", "2026-03-29 01:00", "2026-03-29 05:00", id="a start after the gap"
        ),
        pytest.param(
            BERLIN, "22:00-02:00", "2026-03-28 21:00", "2026-03-29 01:00", id="an end before the gap"
        ),
        pytest.param(
            BERLIN, "02:30-07:00", "2026-10-25 00:30", "2026-10-25 06:00", id="a start that comes twice"
        ),
        pytest.param(
            BERLIN, "22:00-02:30", "2026-10-24 20:00", "2026-10-25 00:30", id="an end that comes twice"
        ),
        pytest.param(BERLIN, "22:00-03:00", "2026-10-24 20:00", "2026-10-25 02:00", id="an end after both"),
        pytest.param(
            BERLIN, "02:10-02:50", "2026-10-25 00:10", "2026-10-25 00:50", id="all of it comes twice"
        ),
        # The clock there goes half an hour: at 02:00, in October forward, in April back.
        pytest.param(
            "Australia/Lord_Howe",
            "22:00-02:15",
            "2026-10-03 11:30",
            "2026-10-03 15:30",
            id="half an hour forward",
        ),
        pytest.param(
            "Australia/Lord_Howe",
            "01:45-06:00",
            "2026-04-04 14:45",
            "2026-04-04 19:30",
            id="half an hour back",
        ),
        # At midnight, so that a day has no 00:00.
        pytest.param(
            "Africa/Cairo",
            "00:00-06:00",
            "2026-04-23 22:00",
            "2026-04-24 03:00",
            id="a day without its 00:00",
        ),
        pytest.param(
            "Asia/Kolkata", "22:00-07:00", "2026-08-05 16:30", "2026-08-06 01:30", id="half an hour always"
        ),
        # https://en.wikipedia.org/wiki/Time_in_Samoa, read 2026-11: 30 December 2011 did not exist there.
        pytest.param(
            "Pacific/Apia", "22:00-07:00", "2011-12-30 08:00", "2011-12-30 17:00", id="over a day that is not"
        ),
    ],
)
def test_an_opening_goes_by_the_clock_on_the_wall(zone, hours, opens, closes):
    night = window(hours, zone=zone)

    assert night.closes(utc(opens)) == utc(closes)
    assert night.opens(utc(opens)) == utc(opens)
    assert night.closes(utc(opens) - MINUTE) is None
    assert night.closes(utc(closes)) is None


@pytest.mark.parametrize(
    ("zone", "hours", "days", "at", "opens"),
    [
        pytest.param(
            "Pacific/Apia", "22:00-07:00", "thu", "2011-12-30 10:00", "2012-01-05 08:00", id="a morning"
        ),
        pytest.param(BERLIN, "02:10-02:50", "sun", "2026-03-28 12:00", "2026-04-05 00:10", id="an hour"),
        pytest.param(
            "Pacific/Apia", "09:00-17:00", "fri", "2011-12-28 12:00", "2012-01-05 19:00", id="a day"
        ),
    ],
)
def test_an_opening_that_the_clock_skips_is_not_held(zone, hours, days, at, opens):
    assert window(hours, days, zone).opens(utc(at)) == utc(opens)


def test_a_window_without_a_zone_follows_the_machines_daylight_saving(machine_zone):
    machine_zone(BERLIN)
    own = window("22:00-07:00", zone=None)

    assert own.opens(utc("2026-03-28 12:00")) == utc("2026-03-28 21:00")
    assert own.closes(utc("2026-03-28 21:00")) == utc("2026-03-29 05:00")
    assert own.opens(utc("2026-03-29 12:00")) == utc("2026-03-29 20:00")
    assert own.closes(utc("2026-10-24 20:00")) == utc("2026-10-25 06:00")


def test_a_machines_zone_may_be_rules_without_a_name(machine_zone):
    machine_zone("CET-1CEST,M3.5.0,M10.5.0/3")
    own = window("02:30-07:00", zone=None)

    assert own.opens(utc("2026-03-28 12:00")) == utc("2026-03-29 01:00")
    assert own.opens(utc("2026-10-24 12:00")) == utc("2026-10-25 00:30")


@pytest.mark.parametrize(
    ("hours", "days", "hours_long"),
    [
        pytest.param("09:00-17:00", "mon-fri", 8, id="by day"),
        pytest.param("22:00-07:00", "mon-sun", 9, id="over midnight"),
        pytest.param("18:00-24:00", "mon-sun", 6, id="till midnight"),
        pytest.param("00:00-24:00", "mon-fri", 120, id="whole days in a row"),
        pytest.param("00:00-24:00", "sat,sun,mon,wed", 72, id="whole days over Sunday"),
        pytest.param("00:00-24:00", "mon-sun", inf, id="always"),
    ],
)
def test_the_longest_opening_is_known(hours, days, hours_long):
    assert window(hours, days, BERLIN).longest_s == hours_long * 3600


@pytest.mark.parametrize(
    ("hours", "days", "zone", "text"),
    [
        pytest.param("22:00-07:00", "mon-fri", BERLIN, "22:00-07:00 mon-fri Europe/Berlin", id="all"),
        pytest.param("22:00-07:00", "mon-sun", None, "22:00-07:00 local time", id="hours alone"),
        pytest.param(
            "0:00-24:00", "sun,mon,wed,thu", "UTC", "00:00-24:00 mon, wed-thu, sun UTC", id="some days"
        ),
    ],
)
def test_a_window_says_what_the_manifest_said(hours, days, zone, text):
    assert str(window(hours, days, zone)) == text


@pytest.mark.parametrize(
    ("hours", "days", "zone", "text"),
    [
        pytest.param("22:00-07:00", "mon-fri", None, "closed until Tue 22:00 (in 3h12m)", id="closed"),
        pytest.param(
            "23:00-7:00", "tue", BERLIN, "closed until Tue 23:00 Europe/Berlin (in 2h12m)", id="elsewhere"
        ),
        pytest.param(
            "09:00-10:00", "tue", None, "closed until Tue 2026-08-11 09:00 (in 6d14h)", id="in a week"
        ),
        pytest.param("18:00-24:00", "tue", None, "open until Wed 00:00 (for 5h12m)", id="open"),
        pytest.param("00:00-24:00", "mon-sun", None, "always open", id="always"),
    ],
)
def test_how_a_window_stands_is_a_line(hours, days, zone, text, machine_zone):
    machine_zone("UTC")

    assert window(hours, days, zone).line(utc("2026-08-04 18:48:01")) == f"the window is {text}"


# Where clocks do what nobody expects, and when.
CHANGES = [
    (BERLIN, "2026-03-29 01:00"),
    (BERLIN, "2026-10-25 01:00"),
    ("America/New_York", "2026-03-08 07:00"),
    ("America/New_York", "2026-11-01 06:00"),
    ("Australia/Lord_Howe", "2026-10-03 15:30"),
    ("Australia/Lord_Howe", "2026-04-04 15:00"),
    ("Pacific/Apia", "2011-12-30 10:00"),  # a day left out
    ("Pacific/Kwajalein", "1969-09-30 13:00"),  # 23 hours twice
    ("Pacific/Kwajalein", "1993-08-21 12:00"),  # a day left out
    ("America/Havana", "2026-11-01 05:00"),  # 00:00 twice
    ("Africa/Cairo", "2026-04-23 22:00"),  # no 00:00
    ("Africa/Casablanca", "2026-02-15 02:00"),  # back for Ramadan
    ("Antarctica/Troll", "2026-03-29 01:00"),  # two hours
    ("UTC", "2028-02-29 00:00"),
    ("Asia/Kathmandu", "2027-12-31 18:15"),
]
TIMES = st.builds(time, st.integers(0, 23), st.sampled_from([0, 10, 15, 30, 45, 59])) | st.just(time())
WINDOWS = st.builds(
    Window,
    TIMES,
    TIMES,
    st.sets(st.integers(0, 6), min_size=1).map(lambda days: tuple(sorted(days))),
    st.none(),
)


@st.composite
def places(draw):
    """A window in some zone, and a moment near one at which the zone's clock does something."""
    zone, change = draw(st.sampled_from(CHANGES))
    hours = draw(WINDOWS)
    at = utc(change) + timedelta(seconds=draw(st.integers(-3 * 86_400, 2 * 86_400)))
    return Window(hours.start, hours.end, hours.days, ZoneInfo(zone)), at


def wall_says_open(shown, hours):
    """Whether *hours* are open when the clock shows *shown*, said without a thought of moments."""
    today, yesterday = shown.weekday() in hours.days, (shown.weekday() - 1) % 7 in hours.days
    if hours.start < hours.end:
        return today and hours.start <= shown.time() < hours.end
    return (today and shown.time() >= hours.start) or (yesterday and shown.time() < hours.end)


def openings(hours, at, until):
    """Yield start and end of every opening from *at* to *until*."""
    while (at := hours.opens(at)) < until:
        end = hours.closes(at)
        yield at, end
        at = end


@settings(max_examples=60, deadline=None)
@given(place=places())
def test_a_window_is_open_when_a_clock_that_is_never_put_back_says_so(place):
    hours, at = place
    first = at.replace(second=0)
    until = first + timedelta(days=2)
    moments = [first + MINUTE * number for number in range(2 * 24 * 60)]
    # For two days before, so that the furthest that the clock has been is known.
    furthest = max(
        (first - MINUTE * number).astimezone(hours.zone).replace(tzinfo=None) for number in range(2 * 24 * 60)
    )

    by_wall = []
    for moment in moments:
        furthest = max(furthest, moment.astimezone(hours.zone).replace(tzinfo=None))
        by_wall.append(wall_says_open(furthest, hours))

    held = list(openings(hours, first, until))
    by_window = []
    for moment in moments:
        while held and held[0][1] <= moment:
            held.pop(0)
        by_window.append(bool(held) and held[0][0] <= moment)
    assert by_window == by_wall


ANYWHERE = st.tuples(
    WINDOWS,
    st.timezone_keys(allow_prefix=False),
    st.datetimes(datetime(1975, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - aware by timezones
).map(lambda drawn: (Window(drawn[0].start, drawn[0].end, drawn[0].days, ZoneInfo(drawn[1])), drawn[2]))


@settings(max_examples=200, deadline=None)
@given(place=places() | ANYWHERE)
def test_an_open_window_closes_later_and_a_closed_one_opens_at_its_first_moment(place):
    hours, at = place

    closes, opens = hours.closes(at), hours.opens(at)

    assert hours.closes(opens) > opens
    if closes is None:
        assert opens > at
        assert hours.closes(opens - timedelta(microseconds=1)) is None
    else:
        assert (opens, closes > at) == (at, True)
        assert closes == NEVER or hours.closes(closes) is None
        assert hours.closes(closes - timedelta(microseconds=1)) == closes
