"""A rehearsal: the real run, and nothing real is touched."""

import json
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest

from batchup.ledger.lock import locked
from batchup.manifest import load
from batchup.media import verify
from batchup.plan import Choice
from batchup.progress import Progress
from batchup.rehearsal import Cut, Faults, Script, answers
from batchup.rehearsal.folder import IN_USE, make, take_over
from batchup.rehearsal.stage import Wishes, rehearse
from batchup.run import Options
from tests.fal.job import MODEL, Job, fal_of
from tests.library import events, outputs, photo, size
from tests.videos import make_video

URLS = """\
inputs:
  - url: https://example.org/there.jpg
  - {url: "http://127.0.0.1:9/here.jpg", allow_private: true}
matrix: {model: [fal/crystal, local/lanczos]}
"""
OWN = """\
models:
  mine: {endpoint: me/mine, kind: image, input: picture, output: "pictures[0].url", price: 0.25 USD/output}
prices: {fal/seedvr-image: 1 USD/MP}
matrix: {model: [fal/mine, fal/seedvr-image]}
"""
QUICK = ("--blank", "--speed", "1000")


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path, monkeypatch):
    """Where rehearsals are looked for."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def job(tmp_path):
    return Job(tmp_path)


def rehearsed(call, job, *options):
    """Rehearse a job, and return the exit status and the document."""
    answer = call("rehearse", job.file, "--json", *(options or QUICK))
    return answer.status, json.loads(answer.out)


def files(folder: Path):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def again(job, **wishes):
    """Rehearse where a loop runs already."""
    return rehearse(load(job.file), Wishes(speed=1000, blank=True, **wishes), Progress(show=False))


def test_a_rehearsal_makes_real_outputs_of_the_right_size_in_a_folder_that_it_names(call, job):
    answer = call("rehearse", job.file, "--speed", "1000")

    (folder,) = (line.split()[1] for line in answer.out.splitlines() if line.startswith("  outputs"))
    assert answer.status == 0
    assert {name: size(file) for name, file in outputs(Path(folder)).items()} == {
        f"{number}.png": (96, 72) for number in range(3)
    }
    assert "nothing was paid" in answer.out
    assert "3 submits" in answer.out


ALL = {
    "fal/aura-sr": ("0.png", (192, 144), "PNG"),
    "fal/seedvr-image": ("0.jpg", (96, 72), "JPEG"),
    "fal/esrgan": ("0.png", (96, 72), "PNG"),
    "fal/topaz-image": ("0.jpg", (96, 72), "JPEG"),
    "fal/crystal": ("0.jpg", (96, 72), "JPEG"),
    "fal/seedvr-video": ("clip.mp4", (96, 72), "MP4"),
    "fal/bytedance-video": ("clip.mp4", (1440, 1080), "MP4"),
    "fal/topaz-video": ("clip.mp4", (96, 72), "MP4"),
}
"""Model -> output, its size, its format."""


def test_all_eight_can_be_rehearsed_at_once_and_give_what_each_of_them_gives(call, tmp_path):
    rules = "\n".join(
        f"  - {{match: {{path: {name.partition('/')[2]}/}}, model: {name}}}" for name in sorted(ALL)
    )
    job = Job(tmp_path, f"model: fal/seedvr-image\nrules:\n{rules}", photos=0)
    for number, name in enumerate(ALL):
        folder = tmp_path / "photos" / name.partition("/")[2]
        if name.endswith("-video"):
            folder.mkdir()
            make_video(folder / "clip.mp4", seconds=0.2 + number / 10, size=(48, 36), audio=False)
        else:
            photo(folder / "0.png", seed=number)

    status, told = rehearsed(call, job, "--speed", "100")

    made = outputs(Path(told["rehearsal"]["outputs"]))
    found = {name: verify(file) for name, file in made.items()}
    assert status == 0
    assert {name: (tuple(media.size), media.format) for name, media in found.items()} == {
        f"{model.partition('/')[2]}/{name}": (of, form) for model, (name, of, form) in ALL.items()
    }
    assert told["rehearsal"]["accepted"] == len(ALL)


def test_a_rehearsal_tells_what_would_be_billed_against_the_estimate(call, job):
    status, told = rehearsed(call, job)

    assert status == 0
    assert told["tasks"]["done"] == 3
    assert told["rehearsal"]["billed_usd"] == told["rehearsal"]["estimated_usd"] == 0.000021
    assert told["cost_usd"]["charged"] == 0.000021
    assert (told["rehearsal"]["accepted"], told["rehearsal"]["calls"]["upload"]) == (3, 3)


def test_nothing_of_the_job_and_of_its_owner_is_touched(call, job, tmp_path, monkeypatch):
    monkeypatch.setenv("FAL_KEY", "no key at all\nfor anybody")
    monkeypatch.setenv("FAL_QUEUE_URL", "http://neither.an.address")
    before = files(tmp_path / "photos"), dict(os.environ)

    status, told = rehearsed(call, job)

    assert (status, told["tasks"]["done"]) == (0, 3)
    assert (files(tmp_path / "photos"), dict(os.environ)) == before
    assert not (tmp_path / "out").exists()
    assert not Path(os.environ["XDG_STATE_HOME"]).exists()


async def test_what_is_done_stays_done_and_what_is_in_flight_is_rehearsed(job, monkeypatch):
    async with fal_of(monkeypatch):
        await job.run(limit=1)
    async with fal_of(monkeypatch, task_s=60.0), anyio.create_task_group() as group:
        group.start_soon(job.run)
        while len(job.events("submitted")) < 3:  # noqa: ASYNC110 - what is waited for is a file
            await anyio.sleep(0.01)
        group.cancel_scope.cancel()
    before = job.ledger.read_bytes(), files(job.out)

    outcome, night, _ = await again(job)

    assert outcome.summary is not None
    assert (outcome.summary.tasks.done, night.accepted) == (3, 2)
    assert (job.ledger.read_bytes(), files(job.out)) == before
    assert sorted(outputs(Path(night.outputs))) == ["1.png", "2.png"]


async def test_an_output_that_is_lost_is_not_fetched_from_the_real_platform(job, monkeypatch):
    async with fal_of(monkeypatch):
        await job.run()
    (job.out / "0.png").unlink()

    outcome, night, _ = await again(job)

    assert (night.not_rehearsed, night.accepted, night.calls.get("download")) == (1, 0, None)
    assert outcome.summary is not None
    assert outcome.summary.tasks.done == 3


async def test_a_copy_is_made_of_the_real_output(job, monkeypatch):
    async with fal_of(monkeypatch):
        await job.run()
    (job.folder / "photos/0.png").rename(job.folder / "photos/moved.png")

    _, night, _ = await again(job)

    copied = Path(night.outputs) / "moved.png"
    assert night.accepted == 0
    assert copied.read_bytes() == (job.out / "0.png").read_bytes()
    assert list(outputs(Path(night.outputs))) == ["moved.png"]


def test_a_url_is_never_read_whoever_would_read_it(call, tmp_path):
    job = Job(tmp_path, URLS, photos=0)

    status, told = rehearsed(call, job)

    assert status == 0
    assert (told["tasks"]["done"], told["rehearsal"]["not_rehearsed"]) == (2, 2)
    assert told["rehearsal"]["billed_usd"] == pytest.approx(2 * 0.016 * 3.840 * 2.160, abs=1e-6)


def test_outputs_that_lie_among_the_inputs_are_no_inputs_of_a_rehearsal(call, tmp_path):
    job = Job(tmp_path, photos=1)
    job.file.write_text(job.file.read_text().replace("dir: out", "dir: photos/big"))
    photo(tmp_path / "photos/big/other.png")

    _, told = rehearsed(call, job)

    assert told["tasks"]["total"] == 1


def test_endpoints_and_prices_of_the_manifest_are_those_of_the_rehearsal(call, tmp_path):
    job = Job(tmp_path, OWN, photos=2)

    status, told = rehearsed(call, job)

    expected = round(2 * 0.25 + 2 * 96 * 72 / 1e6, 6)
    assert (status, told["rehearsal"]["billed_usd"], told["cost_usd"]["charged"]) == (0, expected, expected)


def test_limits_are_the_real_ones_and_so_is_the_exit_status(call, tmp_path):
    job = Job(tmp_path, "model: fal/topaz-image\nrun: {budget: 0.20 USD}")

    status, told = rehearsed(call, job)

    assert (status, told["stopped"], told["rehearsal"]["accepted"]) == (3, "budget", 2)


def test_a_bad_night_is_survived_and_nothing_is_billed_twice(call, tmp_path):
    job = Job(tmp_path, f"{MODEL}\nfal: {{settle: 300ms}}", photos=8)

    status, told = rehearsed(call, job, "--blank", "--speed", "100", "--rough")

    assert (status, told["tasks"]["done"]) == (0, 8)
    assert told["rehearsal"]["faults"] > 0
    assert told["rehearsal"]["billed_usd"] == told["rehearsal"]["estimated_usd"]


def test_a_manifest_that_is_wrong_ends_with_2_and_leaves_no_folder(call, job, own_temporary_folder):
    job.file.write_text(job.file.read_text().replace("photos", "nowhere"))

    status = call("rehearse", job.file).status

    assert status == 2
    assert list(own_temporary_folder.iterdir()) == []


def test_a_rehearsal_takes_the_place_of_the_last_one_of_its_manifest(
    call, job, tmp_path, own_temporary_folder
):
    other = Job(tmp_path / "other")
    anybodys = own_temporary_folder / "batchup-rehearsal-mine"
    anybodys.mkdir()
    _, others = rehearsed(call, other)
    _, first = rehearsed(call, job)

    _, second = rehearsed(call, job)

    assert len(outputs(Path(second["rehearsal"]["outputs"]))) == 3
    assert not Path(first["rehearsal"]["folder"]).exists()
    kept = {str(anybodys), others["rehearsal"]["folder"], second["rehearsal"]["folder"]}
    assert set(map(str, own_temporary_folder.iterdir())) == kept


def test_a_rehearsal_that_lasts_still_keeps_its_folder(job, own_temporary_folder):
    lasting, new = make(), make()
    with locked(lasting / IN_USE), locked(new / IN_USE):
        take_over(lasting, job.file)

        take_over(new, job.file)

    assert set(own_temporary_folder.iterdir()) == {lasting, new}


def test_rehearsals_that_begin_together_remove_the_earlier_ones_together(job, own_temporary_folder):
    for _ in range(50):
        make().joinpath("of").write_bytes(bytes(job.file))

    def begin(folder):
        with locked(folder / IN_USE):
            take_over(folder, job.file)

    together = {make() for _ in range(5)}
    with ThreadPoolExecutor(len(together)) as pool:
        list(pool.map(begin, together))

    assert set(own_temporary_folder.iterdir()) <= together


def test_the_copy_of_the_ledger_is_a_ledger(call, job):
    _, told = rehearsed(call, job)

    ledger = Path(told["rehearsal"]["ledger"])
    assert len(events(ledger, "done")) == 3
    assert call("ledger", "verify", ledger).status == 0


BAD = {
    "429": Script("submit", answers.too_many(30.0), times=2),
    "429 with a date": Script("submit", answers.too_many(30.0, form="date")),
    "a lost answer": Script("submit", Cut("before")),
    "a broken status": Script("status", answers.broken(500), times=4),
}
"""What a run waits out, for half a minute and more."""


@pytest.mark.parametrize("faults", BAD)
async def test_all_that_is_waited_for_passes_as_fast_as_was_asked_for(tmp_path, faults):
    job = Job(tmp_path, f"{MODEL}\nfal: {{settle: 2m}}\nretry: {{initial: 1m, max: 1m}}", photos=2)
    wishes = Wishes(speed=200, blank=True, faults=Faults((BAD[faults],)))

    outcome, night, _ = await rehearse(load(job.file), wishes, Progress(show=False))

    summary = outcome.summary
    assert summary is not None
    assert (summary.tasks.done, night.faults) == (2, BAD[faults].times)
    assert night.took_s < 3
    assert summary.elapsed_s == pytest.approx(night.took_s * 200, abs=2)


async def test_a_rest_that_was_asked_for_counts_whole_in_the_nights_own_time(tmp_path):
    job = Job(tmp_path, photos=1)
    faults = Faults((Script("submit", answers.too_many(30.0)),))

    outcome, night, _ = await rehearse(
        load(job.file), Wishes(speed=200, blank=True, faults=faults), Progress(show=False)
    )

    assert outcome.summary is not None
    assert outcome.summary.elapsed_s >= 30
    (retried,) = events(Path(night.ledger), "retried")
    assert retried["wait_s"] >= 30


async def test_storage_tokens_and_history_last_as_long_as_the_nights_time_says(tmp_path):
    """An hour of the night passes between two runs of calls: what was told before must still be comparable."""
    job = Job(tmp_path, f"{MODEL}\nfal: {{settle: 2m}}\nrun: {{concurrency: 1}}", photos=3)
    scripts = (Script("submit", answers.too_many(4000.0), nth=2), Script("submit", Cut("after"), nth=4))

    outcome, night, _ = await rehearse(
        load(job.file), Wishes(speed=5000, blank=True, faults=Faults(scripts)), Progress(show=False)
    )

    assert outcome.summary is not None
    assert outcome.summary.tasks.done == 3
    assert (night.accepted, night.calls["submit"]) == (3, 4)


def test_the_time_of_the_night_and_the_real_one_are_both_told(call, job):
    answer = call("rehearse", job.file, *QUICK)

    (line,) = (line for line in answer.out.splitlines() if line.startswith("  time"))
    assert "of the night, in" in line


@pytest.mark.parametrize(
    ("options", "done", "stopped"),
    [
        (("--only", "1.png"), 1, None),
        (("--limit", "2"), 2, "limit"),
        (("--sample", "1"), 1, "limit"),
        (("--budget", "0.20 USD"), 2, "budget"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else None,
)
def test_what_is_asked_of_a_run_can_be_asked_of_its_rehearsal(call, tmp_path, options, done, stopped):
    job = Job(tmp_path, "model: fal/topaz-image")

    status, told = rehearsed(call, job, *QUICK, *options)

    assert (status, told["tasks"]["done"], told["stopped"]) == (3 if stopped else 0, done, stopped)
    assert told["rehearsal"]["accepted"] == done


def test_concurrency_is_that_of_the_command_line(call, tmp_path):
    job = Job(tmp_path, photos=4)

    _, told = rehearsed(call, job, "--blank", "--speed", "20", "--concurrency", "1")

    ledger = events(Path(told["rehearsal"]["ledger"]))
    order = [event["event"] for event in ledger if event["event"] in {"submitting", "result"}]
    assert order == ["submitting", "result"] * 4


async def test_what_failed_is_tried_again_where_that_is_asked_for(tmp_path, monkeypatch):
    job = Job(tmp_path, photos=1)
    async with fal_of(monkeypatch, Script("task", answers.model_error("image_too_small"))):
        await job.run()

    _, left, _ = await again(job)
    _, tried, _ = await again(job, asked=Options(choice=Choice(retry_failed=True)))

    assert (left.accepted, tried.accepted) == (0, 1)


def test_a_budget_that_is_none_is_told_in_words(call, job):
    answer = call("rehearse", job.file, "--budget", "much")

    assert answer.status == 2
    assert "--budget" in answer.err


def opens_later() -> str:
    """Return a window that opens in one to two hours, for half a day."""
    now = datetime.now(UTC)
    first, last = (f"{now + timedelta(hours=later):%H}:00" for later in (2, 14))
    return f'run: {{window: {{hours: "{first}-{last}", zone: UTC}}}}'


def test_a_night_that_begins_hours_later_is_waited_for_in_its_own_time(call, tmp_path):
    job = Job(tmp_path, f"{MODEL}\n{opens_later()}", photos=1)

    status, told = rehearsed(call, job, "--blank", "--speed", "7200")

    assert (status, told["tasks"]["done"]) == (0, 1)
    assert 3500 < told["elapsed_s"] < 5 * 3600


@pytest.mark.parametrize(
    ("option", "expected"), [("--ignore-window", (0, 1, None)), ("--no-wait", (3, 0, "window"))]
)
def test_the_window_is_ignored_or_not_waited_for_where_that_is_asked_for(call, tmp_path, option, expected):
    job = Job(tmp_path, f"{MODEL}\n{opens_later()}", photos=1)

    status, told = rehearsed(call, job, *QUICK, option)

    assert (status, told["tasks"]["done"], told["stopped"]) == expected
