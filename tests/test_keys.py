"""What lies in arrays says what a dict would say."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchup.amounts import Amounts
from batchup.keys import Index, Keys, Offsets, Texts

# Few letters, so that keys meet and one looks like the end of one and the beginning of another.
KEY = st.binary(min_size=3, max_size=3).map(lambda key: bytes(byte % 2 for byte in key))


@given(st.lists(KEY))
def test_keys_are_numbered_in_the_order_in_which_they_came(keys):
    table = Keys(3)
    numbers: dict[bytes, int] = {}
    for key in keys:
        assert table.add(key) == numbers.setdefault(key, len(numbers))

    assert [table[number] for number in range(len(table))] == list(numbers)
    assert all(table.find(key) == number for key, number in numbers.items())
    assert table.find(b"abc") == -1


def test_keys_are_found_however_many_there_are():
    table = Keys(8)
    keys = [number.to_bytes(8, "big") for number in range(5000)]

    added = [table.add(key) for key in keys]

    assert added == [table.find(key) for key in keys] == list(range(5000))


@pytest.mark.parametrize("first", [False, True], ids=["the last", "the first"])
@given(pairs=st.lists(st.tuples(KEY, st.integers(0, 9))), asked=st.integers(0, 20))
def test_an_index_gives_the_number_that_counts_whenever_it_is_asked(first, pairs, asked):
    index = Index(3, "q", first=first)
    numbers: dict[bytes, int] = {}
    for place, (key, number) in enumerate(pairs):
        if place == asked:
            index.get(b"abc")
        index.put(key, number)
        numbers[key] = numbers.get(key, number) if first else number

    assert {key: index.get(key) for key in numbers} == numbers
    assert index.get(b"abc") == -1


def test_offsets_and_texts_know_what_was_put_in_and_nothing_else():
    offsets, texts = Offsets(), Texts()
    offsets["a"], offsets["b"], offsets["a"] = 1, 2, 3
    texts.add("a")

    assert [offsets.of(text) for text in ("a", "b", "c")] == [3, 2, -1]
    assert ["a" in offsets, "c" in offsets, "a" in texts, "c" in texts, 1 in texts] == [
        True,
        False,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    "text",
    [
        "0.0347826",
        "0.030000000000000002",
        "8.999999999999999999",
        "9",
        "120.5",
        "0.1234567890123456789",
        "-1",
    ],
)
def test_an_amount_comes_back_to_the_last_digit(text):
    amounts = Amounts()

    amounts[5] = Decimal(text)

    assert amounts[5] == Decimal(text)
    assert amounts[4] == amounts[7] == 0


def test_an_amount_may_be_set_anew_and_be_no_number():
    amounts = Amounts()
    amounts[0] = Decimal("NaN")
    was_nan = amounts[0].is_nan()
    amounts[0] = Decimal(120)
    amounts[0] = Decimal("0.01")

    assert was_nan
    assert amounts[0] == Decimal("0.01")
