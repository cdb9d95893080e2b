"""Quantities and moments mean what people write, exactly, or are refused with what to write."""

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchup.manifest import moments, quantities
from batchup.manifest.moments import Hours, Newer
from batchup.manifest.quantities import Price, Rate


@pytest.mark.parametrize(
    ("read", "written", "value"),
    [
        (quantities.duration, "250ms", 0.25),
        (quantities.duration, "1s", 1.0),
        (quantities.duration, "1.5 s", 1.5),
        (quantities.duration, "2m", 120.0),
        (quantities.duration, "2min", 120.0),
        (quantities.duration, "1h", 3600.0),
        (quantities.duration, "30d", 2_592_000.0),
        (quantities.duration, "1h30m", 5400.0),
        (quantities.duration, "1h 30min 5s", 5405.0),
        (quantities.duration, "1d2h3m4s5ms", 93784.005),
        (quantities.duration, " 90s ", 90.0),
        (quantities.duration, "0s", 0.0),
        (quantities.positive_duration, "1ms", 0.001),
        (quantities.size, "10B", 10),
        (quantities.size, "500 KB", 500_000),
        (quantities.size, "10MB", 10_000_000),
        (quantities.size, "1.5GB", 1_500_000_000),
        (quantities.size, "2TB", 2_000_000_000_000),
        (quantities.size, "1KiB", 1024),
        (quantities.size, "1.5MiB", 1_572_864),
        (quantities.size, "2GiB", 2_147_483_648),
        (quantities.size, "1 tib", 1_099_511_627_776),
        (quantities.size, 4096, 4096),
        (quantities.size, 0, 0),
        (quantities.positive_size, "1B", 1),
        (quantities.pixels, "4MP", 4_000_000),
        (quantities.pixels, "0.5 MP", 500_000),
        (quantities.pixels, "12.1mp", 12_100_000),
        (quantities.pixels, 1_000, 1_000),
        (quantities.rate, "10/s", Rate(10.0, 1.0)),
        (quantities.rate, "120/min", Rate(120.0, 60.0)),
        (quantities.rate, "120 / m", Rate(120.0, 60.0)),
        (quantities.rate, "500/h", Rate(500.0, 3600.0)),
        (quantities.rate, "0.5/s", Rate(0.5, 1.0)),
        (quantities.usd, "5 USD", Decimal(5)),
        (quantities.usd, "5USD", Decimal(5)),
        (quantities.usd, "0.000575 USD", Decimal("0.000575")),
        (quantities.usd, "2.50", Decimal("2.50")),
        (quantities.usd, 5, Decimal(5)),
        (quantities.usd, 0.1, Decimal("0.1")),
        (quantities.usd, 1e-7, Decimal("0.0000001")),
        (quantities.usd, 0, Decimal(0)),
        (quantities.price, "0.03 USD/MP", Price(Decimal("0.03"), "MP")),
        (quantities.price, "0.01 USD / s", Price(Decimal("0.01"), "s")),
        (quantities.price, "1USD/output", Price(Decimal(1), "output")),
        (moments.newer, "30d", Newer(age_s=2_592_000.0)),
        (moments.newer, "2019-01-01T12:00Z", Newer(at=datetime(2019, 1, 1, 12, tzinfo=UTC))),
        (moments.newer, "2019-01-01 12:00:30+01:00", Newer(at=datetime(2019, 1, 1, 11, 0, 30, tzinfo=UTC))),
        (moments.newer, "2019-01-01", Newer(at=datetime(2019, 1, 1).astimezone())),
        (moments.hours, "22:00-07:00", Hours(time(22), time(7))),
        (moments.hours, "9:30 - 17:00", Hours(time(9, 30), time(17))),
        (moments.hours, "18:00-24:00", Hours(time(18), time())),
        (moments.hours, "00:00-24:00", Hours(time(), time())),
        (moments.days, "mon-fri", (0, 1, 2, 3, 4)),
        (moments.days, "sat", (5,)),
        (moments.days, "Fri-Mon", (0, 4, 5, 6)),
        (moments.days, "mon, wed-fri", (0, 2, 3, 4)),
        (moments.days, ("sun", "sat"), (5, 6)),
        (moments.zone, "Europe/Berlin", "Europe/Berlin"),
    ],
)
def test_a_quantity_means_what_it_says(read, written, value):
    found = read(written)

    assert found == value
    assert type(found) is type(value)


WRONG: dict[Callable[[Any], Any], list[Any]] = {
    quantities.duration: [
        5,
        5.0,
        True,
        None,
        "",
        "5",
        "s",
        "-5s",
        "5 weeks",
        "5sec",
        "1h1h",
        "30m1h",
        "1h,5m",
        "5S",
        "1e3s",
        "9" * 16 + "s",
        "٣s",
        ("5s",),
        {},
    ],
    quantities.positive_duration: ["0s", "0ms"],
    quantities.size: [
        "",
        "5",
        "MB",
        "-5MB",
        "5 MP",
        "5Mb/s",
        -1,
        1.5,
        float("inf"),
        float("nan"),
        True,
        None,
        (),
        "5 XB",
    ],
    quantities.positive_size: [0, "0KB", "0.0001B"],
    quantities.pixels: ["", "5", "MP", "-4MP", "4 megapixels", "4M", 1.5, -1, float("nan"), True, None, {}],
    quantities.rate: [
        "",
        "fast",
        "10",
        10,
        "10/d",
        "10/ms",
        "0/s",
        "-1/s",
        "/s",
        "10/",
        "10 per s",
        None,
        True,
    ],
    quantities.usd: [
        "",
        "$5",
        "5 EUR",
        "5 usd",
        "-5 USD",
        -5,
        -0.1,
        "USD",
        "1,000 USD",
        "1e3 USD",
        float("inf"),
        True,
        None,
    ],
    quantities.price: ["", "0.03", 0.03, "0.03 USD", "0.03/MP", "0.03 USD/h", "0.03 USD/mp", None],
    moments.newer: [
        "",
        "yesterday",
        "2019",
        2019,
        "2019-13-01",
        "2019-02-30",
        "01.02.2019",
        "0001-01-01T00:00+23:59",
        None,
        "-1d",
    ],
    moments.hours: [
        "",
        "22-07",
        "22:00",
        "22:00-25:00",
        "22:60-07:00",
        "24:00-07:00",
        "22:00-22:00",
        "00:00-00:00",
        22,
        None,
    ],
    moments.days: ["", "mon-fry", "everyday", (), ("mon", 2), 1, None, "mon-tue-wed", "-", "montag"],
    moments.zone: [
        "",
        "Europe",
        "Europe/Berlinn",
        "../../etc/passwd",
        "/etc/localtime",
        "CEST+1",
        1,
        None,
        "a" * 5000,
        "\0",
    ],
}


@pytest.mark.parametrize(
    ("read", "written"),
    [
        pytest.param(read, value, id=f"{read.__name__}-{str(value)[:20]!a}")
        for read, values in WRONG.items()
        for value in values
    ],
)
def test_what_is_no_quantity_is_refused_in_a_sentence(read, written):
    with pytest.raises(ValueError, match=r"write|above 0|units go from long to short|did you mean"):
        read(written)


def test_a_rate_knows_its_starts_a_second():
    assert Rate(120.0, 60.0).per_second == pytest.approx(2.0)


@given(st.sampled_from(["10/s", "120/min", "500/h", "0.5/s"]))
def test_a_rate_is_shown_as_it_is_written(text):
    assert str(quantities.rate(text)) == text


def test_the_age_counts_back_from_now():
    now = datetime(2026, 11, 30, tzinfo=UTC)

    assert Newer(age_s=86400.0).cutoff(now) == now - timedelta(days=1)
    assert Newer(at=now - timedelta(days=3)).cutoff(now) == now - timedelta(days=3)
    assert Newer(age_s=1e15).cutoff(now).year == 1


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.25, "250ms"),
        (1, "1s"),
        (59.6, "1m"),
        (90, "1m30s"),
        (3600, "1h"),
        (5405, "1h30m"),
        (86400, "1d"),
        (180_000, "2d2h"),
    ],
)
def test_a_duration_is_shown_in_its_two_largest_units(seconds, text):
    assert quantities.format_duration(seconds) == text


@given(st.integers(1, 10**9))
def test_a_shown_duration_can_be_written(seconds):
    shown = quantities.format_duration(seconds)

    assert abs(quantities.duration(shown) - seconds) <= seconds / 20


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.00 KB"),
        (12_345, "12.3 KB"),
        (123_456, "123 KB"),
        (999_999, "1.00 MB"),
        (1_500_000_000, "1.50 GB"),
        (5_000_000_000_000_000, "5000 TB"),
    ],
)
def test_bytes_are_shown_with_three_digits(count, text):
    assert quantities.format_bytes(count) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0", "0.00 USD"),
        ("12.5", "12.50 USD"),
        ("0.1", "0.10 USD"),
        ("0.0042", "0.0042 USD"),
        ("0.000575", "0.00058 USD"),
        ("1234.567", "1234.57 USD"),
    ],
)
def test_dollars_are_shown_to_the_cent_and_less_as_far_as_it_counts(amount, text):
    assert quantities.format_usd(Decimal(amount)) == text
