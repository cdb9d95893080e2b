"""When a file is still."""

import pytest

from batchup.inputs.glance import Sighting
from batchup.source import Source
from batchup.watch.stillness import OLD_S, Stillness

NOW_NS = 1_800_000_000 * 10**9


def seen(size=10, mtime_ns=NOW_NS, changed_ns=None, name="/p/a.jpg"):
    return Sighting(name, size, mtime_ns, mtime_ns if changed_ns is None else changed_ns)


def source(size=10, mtime_ns=NOW_NS):
    return Source(root="p", path="a.jpg", base="/p", size_bytes=size, mtime_ns=mtime_ns)


def test_a_file_is_still_once_it_was_seen_unchanged_for_long_enough():
    stillness = Stillness(10)

    assert stillness.look([seen()], 0, NOW_NS) == 0
    assert (stillness.has(source()), stillness.due_s) == (False, 10)
    assert stillness.look([seen()], 9.9, NOW_NS) == 0
    assert stillness.look([seen()], 10, NOW_NS) == 1
    assert (stillness.has(source()), stillness.due_s) == (True, None)
    assert stillness.look([seen()], 11, NOW_NS) == 0


def test_a_file_that_grows_begins_anew_each_time():
    stillness = Stillness(10)
    for now_s in range(0, 50, 5):
        assert stillness.look([seen(size=now_s + 1)], now_s, NOW_NS) == 0

    assert stillness.look([seen(size=46)], 55, NOW_NS) == 1
    assert stillness.has(source(size=46))
    assert not stillness.has(source(size=45))


@pytest.mark.parametrize("ahead_s", [-3600, 0, 3600], ids=["an hour behind", "right", "an hour ahead"])
def test_the_clock_of_the_disk_does_not_matter(ahead_s):
    stillness, mtime_ns = Stillness(10), NOW_NS + ahead_s * 10**9

    assert stillness.look([seen(mtime_ns=mtime_ns)], 0, NOW_NS) == 0
    assert stillness.look([seen(mtime_ns=mtime_ns)], 10, NOW_NS) == 1


def test_what_nobody_has_touched_for_a_day_is_still_at_once():
    old_ns = NOW_NS - round((OLD_S + 1) * 1e9)

    assert Stillness(10).look([seen(mtime_ns=old_ns)], 0, NOW_NS) == 1


def test_an_old_time_that_was_set_just_now_is_no_old_file():
    old_ns = NOW_NS - round((OLD_S + 1) * 1e9)

    assert Stillness(10).look([seen(mtime_ns=old_ns, changed_ns=NOW_NS)], 0, NOW_NS) == 0


def test_a_file_that_is_gone_is_not_waited_for():
    stillness = Stillness(10)
    stillness.look([seen()], 0, NOW_NS)

    stillness.look([], 1, NOW_NS)

    assert (stillness.due_s, stillness.growing) == (None, 0)


def test_a_url_is_always_still():
    assert Stillness(10).has(Source(root="", path="a.jpg", url="https://example.com/a.jpg"))
