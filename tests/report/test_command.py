"""What the command writes, and where."""

import csv
import io
import json
import os
from importlib import import_module
from pathlib import Path

import pytest

from batchup.cli.report import open_report
from batchup.ledger.lock import locked
from batchup.manifest import load
from batchup.report import write
from tests.cli.conftest import call
from tests.library import photo
from tests.report.job import EVIL, MODELS, PRICE, Story, written

__all__ = ["call"]


@pytest.fixture
def small(tmp_path):
    """Give a job with one finished task."""
    story = Story()
    story.run()
    photo(tmp_path / "photos/a.jpg")
    photo(tmp_path / "out/a.png")
    story.done(story.task("a.jpg", MODELS[0], "a.png"), "a.png")
    return written(tmp_path, story.events)


def test_a_page_is_written_beside_the_ledger_and_named(call, small):
    answer = call("report", small.manifest)

    assert answer.status == 0
    assert answer.out.splitlines()[0] == "The one task is done in 1m40s, for 0.020 USD."
    assert answer.out.splitlines()[1].startswith(str(small.page))
    assert small.page.stat().st_size > 10_000


def test_a_page_can_be_written_elsewhere_and_json_names_it(call, small, tmp_path):
    answer = call("report", small.manifest, "--output", tmp_path / "new/r.html", "--json")

    told = json.loads(answer.out)
    assert told["report"] == str(tmp_path / "new/r.html")
    assert told["summary"]["tasks"]["done"] == 1
    assert not small.page.exists()
    assert "../photos/a.jpg" in (tmp_path / "new/r.html").read_text()


def test_csv_has_a_row_a_task_and_no_formula(call, job):
    answer = call("report", job.manifest, "--format", "csv")

    rows = list(csv.DictReader(io.StringIO(answer.out)))
    cells = [cell for row in rows for cell in row.values()]
    assert len(rows) == 29
    assert any("=cmd()" in cell for cell in cells)
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert "\x1b" not in answer.out
    assert "\u202e" not in answer.out


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"], ids=repr)
def test_no_cell_begins_as_a_formula_does(call, tmp_path, start):
    story = Story()
    story.run()
    story.failed(story.task("a.jpg", MODELS[0], f"{start}1+1"), "refused", f"{start}HYPERLINK()")
    answer = call("report", written(tmp_path, story.events).manifest, "--format", "csv")

    (row,) = csv.DictReader(io.StringIO(answer.out))
    assert row["output"][0] == row["message"][0] == "'"


def test_json_holds_all_that_the_page_tells(call, job):
    told = json.loads(call("report", job.manifest, "--format", "json").out)

    assert told["headline"].startswith("19 of 29 tasks are done")
    assert len(told["entries"]) == 29
    assert sum(one["usd"] for one in told["spent"]) == pytest.approx(float(19 * PRICE))
    assert [one["kind"] for one in told["failures"]] == ["content_policy_violation", "image_truncated"]
    assert EVIL in [one["path"] for one in told["entries"]]


def test_json_of_a_job_without_a_task_is_a_document_too(call, tmp_path):
    story = Story()
    story.run()

    told = json.loads(call("report", written(tmp_path, story.events).manifest, "--format", "json").out)

    assert (told["spent"], told["entries"], told["models"]) == ([], [], [])


def test_a_gallery_that_is_too_large_has_what_failed_and_says_where_the_rest_is(call, tmp_path, monkeypatch):
    story = Story()
    story.run()
    for number in range(5):
        story.done(story.task(f"{number}.jpg", MODELS[0], f"{number}.png"), f"{number}.png")
    story.failed(story.task("bad.jpg", MODELS[0], "bad.png"), "refused", "no")
    job = written(tmp_path, story.events)
    monkeypatch.setattr(import_module("batchup.report.write"), "MOST_SHOWN", 3)

    answer = call("report", job.manifest)

    page = job.page.read_text()
    items = json.loads(page.partition('id="data">')[2].partition("</script>")[0])["items"]
    assert [item["n"] for item in items] == ["3.jpg", "4.jpg", "bad.jpg"]
    assert "3 of all 6 tasks are shown here" in page
    assert f"report {job.manifest} --format csv</code> lists all of them" in page
    assert "its gallery shows 3 of 6 tasks; --format csv lists all" in answer.out


def test_it_tells_what_it_does_while_a_page_is_made(small):
    manifest = load(small.manifest)
    said: list[str] = []

    with open_report(manifest, said.append) as told:
        write(told, manifest, small.page, said.append)

    assert said[0] == "reading the ledger: 0%"
    assert [text.partition(":")[0] for text in said[-3:]] == [
        "looking for the pictures",
        "thumbnails",
        "writing the page",
    ]
    assert said[-1] == "writing the page: 1 of 1"


def test_a_page_that_is_not_finished_leaves_the_one_before_as_it_was(small):
    manifest = load(small.manifest)
    small.page.write_text("the one before")

    def stop(text: str) -> None:
        if text.startswith("writing"):
            raise KeyboardInterrupt

    with open_report(manifest) as told, pytest.raises(KeyboardInterrupt):
        write(told, manifest, small.page, stop)

    assert small.page.read_text() == "the one before"
    assert not list(small.page.parent.glob("*.part"))


def test_no_name_or_message_gets_into_the_page_as_anything_but_text(job):
    page = job.page.read_text()

    assert "refused &lt;/script&gt;&lt;b&gt;1&lt;/b&gt;\\u202e by the filter" in page
    assert not [bad for bad in ("<b>1", "</script><b", "<script>alert", "\u202e", "\x1b") if bad in page]
    data = page.partition('id="data">')[2].partition("</script>\n")[0]
    assert not set("<>&") & set(data)


def test_it_can_be_asked_while_a_run_holds_the_ledger(call, small):
    with locked(Path(os.path.realpath(small.page.with_suffix(".jsonl")))):
        answer = call("report", small.manifest, "--format", "json")

    assert answer.status == 0
    assert "process" in json.loads(answer.out)["running"]


def test_a_job_without_a_ledger_says_how_to_begin_one(call, small):
    small.page.with_suffix(".jsonl").unlink()

    answer = call("report", small.manifest)

    assert answer.status == 4
    assert "no ledger yet" in answer.err


def test_it_never_replaces_what_it_is_made_from(call, small):
    answer = call("report", small.manifest, "--output", small.manifest)

    assert answer.status == 2
    assert "name another file" in answer.err


def test_a_place_that_cannot_be_written_is_told(call, small, tmp_path):
    (tmp_path / "file").write_text("")

    answer = call("report", small.manifest, "--output", tmp_path / "file/r.html")

    assert answer.status in {2, 6}
    assert "cannot write" in answer.err
