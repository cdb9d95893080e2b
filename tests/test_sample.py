"""A sample shows what the whole will look like."""

import tracemalloc

import pytest

from batchup.sample import Candidates
from batchup.source import Media, Source
from tests.library import batchup, manifest, photo
from tests.test_run import plan, run


def task(width, height=10, *, model="fal/one", kind="image", frames=1, number=0, **changed):
    from batchup.task import Task

    media = Media(kind=kind, format="PNG", width=width, height=height, frames=frames)
    source = Source(root=".", path=f"{number}.png", media=media)
    return Task(
        id="0" * 32,
        model=model,
        params={},
        changed=changed,
        source=source,
        output="",
        width=width,
        height=height,
    )


def candidates(*tasks):
    found = Candidates()
    for one in tasks:
        found.add(one)
    return found


def test_a_sample_is_spread_over_the_sizes_with_both_ends():
    sizes = [70, 10, 40, 90, 20, 60, 30, 80, 50]

    chosen = candidates(*map(task, sizes)).spread(3)

    assert sorted(sizes[one] for one in chosen) == [10, 50, 90]
    assert chosen == sorted(chosen)


def test_one_alone_is_of_the_middle_size():
    sizes = [70, 10, 40, 90, 20]

    assert [sizes[one] for one in candidates(*map(task, sizes)).spread(1)] == [40]


def test_every_model_kind_and_rule_is_in_a_sample_that_has_room_for_them():
    many = [task(100 + number) for number in range(1000)]
    few = [task(50, model="fal/two"), task(60, kind="video", frames=9), task(70, scale=4)]

    chosen = candidates(*many, *few).spread(6)

    assert set(chosen) > {1000, 1001, 1002}
    assert len(chosen) == 6


def test_a_sample_too_small_for_every_rule_has_every_model_first():
    rules = [task(100 + number, scale=number) for number in range(10)]

    chosen = candidates(*rules, task(104, model="fal/two")).spread(3)

    assert chosen == [0, 9, 10], "the smallest, the largest and the other model"


def test_what_is_left_goes_to_the_sorts_by_their_number():
    tasks = [task(100 + n) for n in range(90)] + [task(100 + n, model="fal/two") for n in range(30)]

    chosen = candidates(*tasks).spread(8)

    assert sum(one < 90 for one in chosen) == 6


@pytest.mark.parametrize("number", [1, 2, 3, 7, 50, 99, 100, 101])
def test_a_sample_has_as_many_as_asked_for_or_all(number):
    tasks = [task(7 * n % 100 + 1, scale=n % 7, kind="video" if n % 3 else "image") for n in range(100)]

    chosen = candidates(*tasks).spread(number)

    assert len(chosen) == len(set(chosen)) == min(number, 100)
    assert chosen == candidates(*tasks).spread(number)


def test_sizes_that_nobody_knows_are_not_taken_for_the_smallest():
    sizes = [0, 10, 20, 0, 30, 0]

    assert [sizes[one] for one in candidates(*map(task, sizes)).spread(2)] == [10, 30]


def test_a_candidate_takes_no_more_than_thirty_bytes_of_memory():
    found, one = candidates(task(10)), task(20)
    tracemalloc.start()

    for _ in range(20_000):
        found.add(one)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert taken / 20_000 <= 30


@pytest.fixture
def job(tmp_path):
    for number in range(6):
        photo(tmp_path / f"photos/{number}.png", size=(20 + 10 * number, 20), seed=number)
    return manifest(tmp_path)


def test_a_run_takes_the_sample_only_ends_as_limited_and_goes_on_later(job):
    told = {item["input"]: item["reason"] for item in plan(job, "--sample", "2")["items"]}
    first = run(job, "--sample", "2", status=3)
    second = run(job)

    assert told == {
        "photos/0.png": "new",
        "photos/5.png": "new",
        **{f"photos/{number}.png": "beyond --sample" for number in (1, 2, 3, 4)},
    }
    assert (first["tasks"]["done"], first["tasks"]["pending"], first["stopped"]) == (2, 4, "limit")
    assert (second["tasks"]["done"], second["stopped"]) == (6, None)


def test_a_sample_of_all_there_is_is_no_limit(job):
    assert run(job, "--sample", "6")["stopped"] is None


def test_a_sample_is_taken_of_what_only_chooses_and_kept_within_limit(job):
    items = plan(job, "--sample", "5", "--limit", "2", "--only", "[2345].png")["items"]

    assert [item["input"] for item in items if item["action"] == "run"] == ["photos/2.png", "photos/5.png"]
    assert {item["reason"] for item in items[:2]} == {"not chosen by --only"}


def test_what_has_the_same_contents_as_one_of_the_sample_comes_along_free(job):
    photos = job.parent / "photos"
    (photos / "9.png").write_bytes((photos / "5.png").read_bytes())
    (photos / "8.png").write_bytes((photos / "3.png").read_bytes())

    summary = run(job, "--sample", "2", status=3)

    assert summary["tasks"]["done"] == 3
    assert sorted(path.name for path in (job.parent / "out").glob("*.png")) == ["0.png", "5.png", "9.png"]


def test_where_nothing_would_be_run_what_is_free_is_sampled(job):
    run(job)
    manifest(job.parent, "", output='{dir: out, name: "new/{stem}{ext}"}')

    items = plan(job, "--sample", "2")["items"]

    assert [item["reason"] for item in items].count("renamed") == 2


def test_a_sample_of_none_is_a_mistake(job):
    assert "--sample" in batchup("run", job, "--sample", "0", cwd=job.parent, status=2).stderr
