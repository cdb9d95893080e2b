"""What `status` shows: in any terminal, and of any number of tasks."""

import time

import pytest

from batchup.events import Event
from batchup.terminal import display_width
from tests.cli.typist import Typist
from tests.ledger.samples import done, failed, ledger, run, seen, stopped
from tests.library import manifest
from tests.report.job import MODELS, Story, written

LONG = " ".join(["the input is cut in the middle and 写真 cannot be decoded;"] * 2) + " copy it anew"


@pytest.fixture
def job(tmp_path):
    story = Story()
    story.run(skipped={"no image or video": 1203})
    for number in range(3):
        story.done(story.task(f"{number}.jpg", MODELS[0], f"{number}.png"), f"{number}.png")
    story.failed(story.task("cut.jpg", MODELS[0], "cut.png"), "image_truncated", LONG)
    return written(tmp_path, story.events)


@pytest.mark.parametrize(("columns", "lines_of_message"), [(80, 3), (200, 1)])
def test_words_are_set_below_one_another_in_a_terminal_of(job, columns, lines_of_message):
    with Typist("status", job.manifest, cwd=job.folder, columns=columns) as person:
        assert person.end() == 0
    lines = person.shown.rpartition("\x1b[K")[2].splitlines()

    # Paths and commands are never broken.
    body = [line for line in lines[1:] if "library" not in line and str(job.folder) not in line]
    assert [line for line in body if display_width(line) >= columns] == []
    first = next(number for number, line in enumerate(body) if "cut.jpg:" in line)
    message = body[first : first + lines_of_message + 1]
    assert " ".join(line.strip() for line in message[:-1]) == f"photos/cut.jpg: {LONG}"
    assert {line[:15] for line in message[:-1]} == {" " * 15}
    assert message[-1].startswith("  cost      0.060 USD charged, 0.080 USD estimated")


def test_a_number_stays_apart_from_its_words_where_these_go_on_below(job):
    with Typist("status", job.manifest, cwd=job.folder, columns=32) as person:
        assert person.end() == 0

    assert "  skipped   1,203  no image or\r\n            video\r\n" in person.shown


def test_of_a_hundred_thousand_tasks_it_is_shown_at_once_with_numbers_that_can_be_read(call, tmp_path):
    file, many = manifest(tmp_path), 100_000
    groups: list[list[Event]] = [[run()]]
    for first in range(0, many, 2000):
        some = range(first, first + 2000)
        groups.append([seen(number) for number in some])
        groups.append([failed(number) if number % 100 == 0 else done(number) for number in some])
    (tmp_path / "out/.batchup").mkdir(parents=True)
    (tmp_path / "out/.batchup/holiday.jsonl").write_bytes(ledger([*groups, [stopped()]]))
    began_s = time.process_time()

    answer = call("status", file)

    assert time.process_time() - began_s < 3
    assert "holiday: 99,000 of 100,000 tasks done, 1,000 failed" in answer.out
    assert "  failed    1,000  k" in answer.out
    assert "and 990 more" in answer.out
    assert len(answer.out.splitlines()) < 24
