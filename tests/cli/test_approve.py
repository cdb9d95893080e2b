"""A sample first, a question with its price, and the rest only if that is approved."""

import re
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from tests.library import batchup, manifest, outputs, photo, start


@pytest.fixture
def job(tmp_path):
    for number in range(6):
        photo(tmp_path / f"photos/{number}.png", seed=number)
    return manifest(tmp_path, "params: {scale: 2}")


@pytest.mark.parametrize(("answer", "status", "done"), [("yes", 0, 6), ("no", 3, 2)])
def test_the_page_decides_about_the_rest(job, answer, status, done):
    process = start("run", job, "--sample", "2", "--approve", cwd=job.parent)
    assert process.stderr
    line = next(line for line in process.stderr if "token=" in line)
    page = re.search(r"http://\S+", line)
    assert page
    address, token = page.group().split("?token=")
    report = (job.parent / "out/.batchup/holiday.html").read_text()
    assert len(outputs(job.parent / "out")) == 2
    with urlopen(address, data=urlencode({"token": token, "answer": answer}).encode()) as reply:
        assert reply.status == 200
    process.communicate(timeout=60)

    assert process.returncode == status
    assert len(outputs(job.parent / "out")) == done
    assert "The rest: 4 tasks for nothing. Go on?" in report
    assert token in report
    assert token not in (job.parent / "out/.batchup/holiday.html").read_text()


def test_a_script_approves_beforehand_and_gets_one_document(job):
    done = batchup("run", job, "--sample", "2", "--approve", "--yes", "--json", cwd=job.parent)

    assert '"done": 6' in done.stdout.replace('"done":6', '"done": 6')
    assert done.stdout.count('"job"') == 1


def test_there_is_nothing_to_approve_without_a_sample(job):
    done = batchup("run", job, "--approve", cwd=job.parent, status=2)

    assert "--approve goes with --sample N" in done.stderr
