"""What earlier tasks took tells what others will take, leaning high."""

from decimal import Decimal

import pytest

from batchup.experience import ENOUGH, REMEMBERED, Experience

MP = 1_000_000
STATED = Decimal("0.01")


def taught(*lessons):
    one = Experience()
    for lesson in lessons:
        one.learn("m", *lesson)
    return one


def test_nothing_is_expected_of_a_model_that_nobody_has_tried():
    assert taught((MP, 2.0, "0")).expected_s("other", MP) is None
    assert Experience().charged_usd("m", MP, STATED) == STATED


@pytest.mark.parametrize(
    ("pixels", "seconds"),
    [(MP, 2.0), (3 * MP, 6.0), (MP * 3 // 4, 2.0), (MP // 2, 2.0), (MP // 4, 1.0), (0, 2.0)],
    ids=["equal", "larger", "a little smaller", "half", "a quarter", "unknown"],
)
def test_a_larger_task_takes_as_much_more_and_a_smaller_one_less_only_below_half(pixels, seconds):
    assert taught((MP, 2.0, "0")).expected_s("m", pixels) == pytest.approx(seconds)


def test_it_covers_nine_tenths_of_what_there_was():
    one = taught(*((0, float(seconds), "0") for seconds in range(1, 51)))

    assert 45 <= one.expected_s("m", 0) <= 47


def test_a_single_slow_one_of_many_does_not_rule():
    one = taught(*((MP, 1.0, "0"),) * 15, (MP, 100.0, "0"))

    assert one.expected_s("m", MP) == 1.0


def test_of_many_sizes_the_nearest_tell():
    small, large = [(MP, 5.0, "0")] * 20, [(100 * MP, 50.0, "0")] * 20

    one = taught(*small, *large)

    assert one.expected_s("m", MP) == 5.0
    assert one.expected_s("m", 90 * MP) == 50.0


def test_icons_tell_nothing_about_photos_where_there_are_photos():
    icons, photos = [(9_216, 1.8, "0")] * 6, [(8 * MP, 2.0, "0"), (6 * MP, 2.1, "0"), (9 * MP, 2.2, "0")]

    assert taught(*icons, *photos).expected_s("m", 8 * MP) < 4
    assert taught(*icons).expected_s("m", 8 * MP) is None


def test_only_the_latest_are_remembered():
    one = taught(*((MP, 100.0, "0"),) * REMEMBERED, *((MP, 1.0, "0"),) * REMEMBERED)

    assert one.expected_s("m", MP) == 1.0


def test_what_was_asked_before_is_answered_anew_after_a_lesson():
    one = taught((MP, 1.0, "0.02"))
    assert one.expected_s("m", MP) == 1.0

    one.learn("m", MP, 3.0, "0.05")

    assert one.expected_s("m", MP) == 3.0
    assert one.charged_usd("m", MP, STATED) == Decimal("0.05")


@pytest.mark.parametrize(
    ("charges", "expected"),
    [
        (["0.02"], "0.02"),
        (["0.001"], "0.01"),
        (["0.001"] * (ENOUGH - 1), "0.01"),
        (["0.001"] * ENOUGH, "0.001"),
        ([None, "0"], "0.01"),
        (["0.001"] * ENOUGH + [None, "0"] * 20, "0.001"),
    ],
    ids=[
        *("dearer than stated", "cheaper once", "cheaper too seldom", "cheaper often enough"),
        *("nobody knows", "what nobody knows says nothing"),
    ],
)
def test_what_is_stated_counts_until_enough_tasks_were_cheaper(charges, expected):
    one = taught(*((MP, 1.0, usd) for usd in charges))

    assert one.charged_usd("m", MP, STATED) == Decimal(expected)


def test_asking_about_very_many_sizes_keeps_few_answers():
    one = taught((MP, 1.0, "0"))

    for pixels in range(1, 5000):
        one.expected_s("m", pixels)

    assert len(one._told) <= 1000
