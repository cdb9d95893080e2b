import json
import shutil

import pytest

from batchup import digest, events
from batchup.ledger.format import encode
from batchup.plan import EXPIRED
from tests.cli.conftest import photo, spawn
from tests.cli.told import FAL, NOW, Job, failed, held, submitted, submitting

MANIFEST = """\
version: 1
name: holiday
inputs:
  - path: photos
    exclude: ["drafts/**", "/old.jpg"]
  - path: more
model: local/lanczos
params: {scale: 2}
output: {dir: out, name: "{root}/{dir}/{stem}{ext}"}
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A job that was run: one output, one failure."""
    folder = tmp_path_factory.mktemp("job")
    photo(folder / "photos/sub/a.jpg", (16, 12))
    photo(folder / "photos/b.jpg", (20, 12))
    photo(folder / "more/b.jpg", (24, 12))
    photo(folder / "photos/drafts/d.jpg")
    photo(folder / "photos/old.jpg")
    (folder / "photos/notes.txt").write_text("hi")
    whole = photo(folder / "photos/cut.png", (64, 64), "red").read_bytes()
    (folder / "photos/cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "holiday.yaml").write_text(MANIFEST)
    state = tmp_path_factory.mktemp("state")
    answer = spawn("run", "holiday.yaml", "-q", cwd=folder, env={"BATCHUP_STATE_HOME": str(state)})
    assert answer.status == 1, answer.err
    return folder


@pytest.fixture
def job(finished, monkeypatch):
    monkeypatch.chdir(finished)
    return finished


@pytest.mark.parametrize(
    "file",
    ["photos/sub/a.jpg", "sub/a.jpg", "a.jpg", "./photos/../photos/sub/a.jpg", "{absolute}"],
    ids=["from here", "below the root", "its end", "by a detour", "absolute"],
)
def test_an_input_is_found_by(call, job, file):
    status, out, err = call("explain", "holiday.yaml", file.format(absolute=job / "photos/sub/a.jpg"))

    assert (status, err) == (0, "")
    assert out.startswith("photos/sub/a.jpg\n")


def test_an_input_is_found_from_another_folder(call, job, monkeypatch):
    monkeypatch.chdir(job / "photos/sub")

    assert call("explain", "../../holiday.yaml", "a.jpg").out.startswith("photos/sub/a.jpg\n")


def test_a_file_here_goes_before_one_of_the_same_name_elsewhere(call, job, monkeypatch):
    monkeypatch.chdir(job / "more")

    assert call("explain", "../holiday.yaml", "b.jpg").out.startswith("more/b.jpg\n")


@pytest.mark.usefixtures("job")
def test_a_name_that_several_inputs_have_is_told_with_all_of_them(call):
    status, out, err = call("explain", "holiday.yaml", "b.jpg")

    assert (status, out) == (2, "")
    assert "photos/b.jpg, more/b.jpg" in err


@pytest.mark.usefixtures("job")
def test_an_unknown_name_is_told_with_the_nearest(call):
    status, out, err = call("explain", "holiday.yaml", "cutt.png")

    assert (status, out) == (2, "")
    assert "did you mean photos/cut.png" in err


def test_a_done_task_is_shown_with_its_output_and_moments(call, job):
    out = call("explain", "holiday.yaml", "a.jpg").out

    assert "JPEG image, 16x12" in out
    assert "stays as it is: done" in out
    assert f"{job}/out/photos/sub/a.jpg, 32x24" in out
    assert [line.split("Z  ")[1].split()[0] for line in out.splitlines() if "Z  " in line] == ["task", "done"]


@pytest.mark.usefixtures("job")
def test_a_failed_task_is_shown_with_its_error_and_the_way_out(call):
    out = call("explain", "holiday.yaml", "cut.png").out

    assert "will not run: failed before: image_truncated; --retry-failed runs it again" in out
    assert "state     failed after 1 attempt" in out
    assert "error     image_truncated: " in out


@pytest.mark.parametrize(
    ("file", "reason"),
    [("notes.txt", "no image or video"), ("photos/drafts/d.jpg", "excluded"), ("photos/old.jpg", "excluded")],
    ids=["no media", "in an excluded folder", "excluded itself"],
)
@pytest.mark.usefixtures("job")
def test_what_is_left_out_is_told_with_its_reason(call, file, reason):
    status, out, _ = call("explain", "holiday.yaml", file)

    assert status == 0
    assert f"left out  {reason}" in out


def test_json_holds_hashes_state_error_and_moments(call, job):
    document = json.loads(call("explain", "holiday.yaml", "cut.png", "--json").out)

    (task,) = document["tasks"]
    assert (task["state"], task["action"], task["error"]) == ("failed", "leave", "image_truncated")
    assert [moment["event"] for moment in task["moments"]] == ["task", "failed"]
    assert document["file"] == str(job / "photos/cut.png")


@pytest.mark.usefixtures("job")
def test_the_hashes_of_input_and_output_are_told(call):
    document = json.loads(call("explain", "holiday.yaml", "a.jpg", "--json").out)

    assert len(document["sha256"]) == len(document["tasks"][0]["result"]["sha256"]) == 64


def test_a_task_that_the_manifest_no_longer_makes_is_told_with_what_it_made(call, finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "copy")
    text = MANIFEST.replace("scale: 2", "scale: 3")
    (folder / "holiday.yaml").write_text(text)

    document = json.loads(call("explain", folder / "holiday.yaml", "a.jpg", "--json").out)

    new, old = document["tasks"]
    assert (new["state"], new["action"], new["reason"]) == ("new", "run", "parameters changed")
    assert (old["state"], old["action"], old["result"]["width"]) == ("done", "gone", 32)


def test_an_input_is_explained_before_the_first_run(call, tmp_path):
    photo(tmp_path / "photos/a.jpg")
    (tmp_path / "more").mkdir()
    (tmp_path / "holiday.yaml").write_text(MANIFEST)

    out = call("explain", tmp_path / "holiday.yaml", "a.jpg").out

    assert "will run: new" in out
    assert not (tmp_path / "out").exists()


def test_a_url_is_found_by_itself(call, tmp_path):
    url = "https://example.org/a.jpg"
    (tmp_path / "urls.yaml").write_text(
        f"version: 1\nname: urls\ninputs: [{{url: {url}}}]\nmodel: local/lanczos\noutput: {{dir: out}}\n"
    )

    document = json.loads(call("explain", tmp_path / "urls.yaml", url, "--json").out)

    assert (document["url"], document["file"], document["tasks"][0]["action"]) == (url, None, "run")


def test_names_with_control_characters_are_shown_escaped(call, tmp_path):
    photo(tmp_path / "photos/a\x1b[2J.jpg")
    (tmp_path / "more").mkdir()
    (tmp_path / "holiday.yaml").write_text(MANIFEST)

    answer = call("explain", tmp_path / "holiday.yaml", "a\x1b[2J.jpg")
    unknown = call("explain", tmp_path / "holiday.yaml", "b\x1b[2J.jpg")

    assert "a\\x1b[2J.jpg" in answer.out
    assert "\x1b" not in answer.out + unknown.err


def test_what_a_later_version_wrote_is_passed_over(call, finished, tmp_path, monkeypatch):
    folder = shutil.copytree(finished, tmp_path / "job")
    monkeypatch.chdir(folder)
    ledger = folder / "out/.batchup/holiday.jsonl"
    before = json.loads(call("explain", "holiday.yaml", "photos/b.jpg", "--json").out)
    task_id = before["tasks"][0]["id"]
    ledger.write_bytes(ledger.read_bytes() + encode([f'{{"event":"later","id":"{task_id}"}}'.encode()]))

    after = json.loads(call("explain", "holiday.yaml", "photos/b.jpg", "--json").out)

    assert after["tasks"][0]["moments"] == before["tasks"][0]["moments"]


@pytest.fixture
def paid(tmp_path, call):
    """A paid job of three photos, its ledger still to be written."""
    job = Job(tmp_path, call)
    for number in range(3):
        job.photo(f"{number}.png", 16 + number)
    return job


def test_a_task_that_will_run_says_when_its_turn_is(call, paid):
    assert "next      will run: new; it is number 2 of 3\n" in call("explain", paid.file, "1.png").out


def test_a_task_that_the_budget_does_not_cover_says_that_it_waits(call, paid):
    paid.write(f"{FAL}\nrun: {{budget: 0.1 USD}}")

    assert "will run: new; it is number 1 of 3" in call("explain", paid.file, "0.png").out
    assert "will run: new; waits for the budget" in call("explain", paid.file, "1.png").out


def test_a_held_task_is_told_with_what_it_may_have_cost_and_where_its_input_lies(call, paid):
    sha256 = digest.sha256(paid.folder / "photos/0.png")
    upload = events.Uploaded(sha256=sha256, url="https://cdn/0.png", expires_at=NOW, at=NOW)
    paid.remember(**{"0": (submitting, held, lambda _: upload)})

    out = call("explain", paid.file, "0.png").out

    assert "will not run: held (looked for once more; --resubmit-held submits it again)" in out
    assert "cost      0.080 USD estimated, 0.00 USD charged, 0.080 USD reserved" in out
    assert "upload    https://cdn/0.png, since 2026-08-01T00:00:00Z, till 2026-08-01T00:00:00Z" in out
    assert "submitting  attempt 1, 0.080 USD reserved" in out


def test_a_task_in_flight_is_told_with_its_request(call, paid):
    paid.remember(**{"0": (submitting, submitted)})

    out = call("explain", paid.file, "0.png").out

    assert "next      will be collected, not submitted again: in flight" in out
    assert "state     in flight: accepted after 1 attempt" in out
    assert "submitted   attempt 1, request r1" in out


def test_what_is_lost_is_not_said_to_be_retried_for_nothing(call, paid):
    paid.remember(**{"0": (submitting, submitted, failed(EXPIRED))})

    out = call("explain", paid.file, "0.png").out

    assert "its result has expired; --redo runs it again, for its price" in out
    assert "--retry-failed" not in out


def test_json_holds_what_is_reserved_and_when_its_turn_is(call, paid):
    paid.remember(**{"0": (submitting, held)})

    first = json.loads(call("explain", paid.file, "0.png", "--json").out)["tasks"][0]
    second = json.loads(call("explain", paid.file, "1.png", "--json").out)["tasks"][0]

    assert (first["reserved_usd"], first["prospect"]) == (0.08, None)
    assert second["prospect"] == {"place": 1, "of": 2, "waits": "", "expected_s": None}
