"""A lost ledger is made again from the sidecars, and nothing is paid again."""

import json
import os
import shutil
from collections import Counter

import anyio
import pytest
from anyio import to_thread

from batchup import sidecar
from batchup.cli import main
from batchup.errors import LedgerError
from batchup.ledger import disk, read_ledger
from batchup.ledger.format import encode, pack
from batchup.rehearsal import Script, answers
from batchup.sidecar import SidecarError
from tests.fal.job import DEAR, LOSSY, MODEL, TINY, Job, fal_of
from tests.library import batchup, kill, photo, size, start

SIDECAR = "output: {dir: out, sidecar: true}"


class Lost(Job):
    """A job that writes sidecars."""

    def write(self, text):
        super().write(text)
        self.file.write_text(self.file.read_text().replace("output: {dir: out}", SIDECAR))

    def sidecars(self):
        return {
            str(file.relative_to(self.out)): json.loads(file.read_text())
            for file in sorted(self.out.rglob("*" + sidecar.ENDING))
        }

    def rebuild(self, capsys, *options, status=0):
        with pytest.raises(SystemExit) as end:
            main(["ledger", "rebuild", str(self.file), *options])
        said = capsys.readouterr()
        assert end.value.code == status, said.err
        return said


def lose_ledger(job):
    job.ledger.unlink()


def lose_folder(job):
    shutil.rmtree(job.ledger.parent)


@pytest.mark.parametrize("lose", [lose_ledger, lose_folder], ids=["the ledger", "its whole folder"])
async def test_after_a_rebuild_the_next_run_finds_everything_done_and_pays_nothing(
    tmp_path, monkeypatch, capsys, lose
):
    job = Lost(tmp_path)
    async with fal_of(monkeypatch) as fal:
        before = (await job.run()).summary
        calls = fal.calls.copy()
        lose(job)

        job.rebuild(capsys)
        after = (await job.run()).summary

        assert fal.calls == calls
        assert after.tasks == before.tasks
        assert after.cost_usd == before.cost_usd


async def test_no_output_of_a_run_that_was_killed_lacks_its_sidecar(tmp_path, monkeypatch, capsys):
    job = Lost(tmp_path, photos=40)
    async with fal_of(monkeypatch, task_s=0.05) as fal:
        process = start("run", job.file, cwd=tmp_path)
        with anyio.fail_after(20):
            while len(job.outputs()) < 4:  # noqa: ASYNC110 - another process is waited for
                await anyio.sleep(0.005)
        await to_thread.run_sync(kill, process)
        lose_folder(job)
        written = {name for name in job.outputs() if name.endswith(".png")}

        job.rebuild(capsys)
        submitted = Counter(fal.inputs_billed)
        await job.run()

        assert len(written) < 40
        assert {name + sidecar.ENDING for name in written} <= set(job.sidecars())
        again = [name for name, number in (Counter(fal.inputs_billed) - submitted).items() if number]
        assert len(again) <= 40 - len(written)
        assert len([name for name in job.outputs() if name.endswith(".png")]) == 40


async def test_a_sidecar_tells_how_its_output_was_made(tmp_path, monkeypatch):
    job = Lost(tmp_path, photos=1)
    async with fal_of(monkeypatch):
        await job.run()

        (one,) = job.sidecars().values()
        (done,) = job.events("done")
        (result,) = job.events("result")
        (submitted,) = job.events("submitted")
        assert (one["job"], one["own"]["task"]["model"], one["params"]["output_format"]) == (
            "holiday", "fal/seedvr-image", "png",
        )  # fmt: skip
        assert (one["own"]["task"]["root"], one["own"]["task"]["path"]) == ("photos", "0.png")
        assert one["own"]["done"] == done
        assert one["own"]["result"] == result
        assert one["own"]["submitted"] == submitted
        assert one["own"]["submitting"]["endpoint"]
        assert one["own"]["submitting"]["body"] == {}


async def test_an_output_that_is_missing_after_a_rebuild_is_fetched_again_for_nothing(
    tmp_path, monkeypatch, capsys
):
    job = Lost(tmp_path)
    async with fal_of(monkeypatch) as fal:
        await job.run()
        lose_ledger(job)
        (job.out / "1.png").unlink()
        submitted = len(fal.accepted)

        said = job.rebuild(capsys)
        assert await job.tasks() == {"done": 3}

        assert "1 missing" in said.out
        assert len(fal.accepted) == submitted
        assert size(job.out / "1.png") == (96, 72)


async def test_a_copy_a_healed_output_and_a_renamed_one_have_their_sidecars(tmp_path, monkeypatch, capsys):
    job = Lost(tmp_path, photos=1)
    shutil.copy(tmp_path / "photos/0.png", tmp_path / "photos/twin.png")
    async with fal_of(monkeypatch) as fal:
        await job.run()
        assert set(job.sidecars()) == {"0.png.batchup.json", "twin.png.batchup.json"}
        for file in job.out.glob("0.png*"):
            file.unlink()
        await job.run()
        assert job.sidecars()["0.png.batchup.json"]["own"]["submitted"]["request_id"]
        job.file.write_text(
            job.file.read_text().replace("sidecar: true", 'sidecar: true, name: "new/{stem}{ext}"')
        )
        await job.run()
        assert "new/0.png.batchup.json" in job.sidecars()
        paid = (await job.run()).summary.cost_usd
        lose_ledger(job)
        calls = fal.calls.copy()

        job.rebuild(capsys)
        after = (await job.run()).summary

        assert (after.tasks.done, after.cost_usd.charged) == (2, paid.charged)
        assert fal.calls == calls


async def test_an_input_that_was_only_touched_keeps_what_was_paid_for_it(tmp_path, monkeypatch, capsys):
    job = Lost(tmp_path, photos=1)
    async with fal_of(monkeypatch) as fal:
        paid = (await job.run()).summary.cost_usd
        os.utime(tmp_path / "photos/0.png", ns=(5, 5))
        await job.run()
        lose_ledger(job)
        job.rebuild(capsys)
        (job.out / "0.png").unlink()

        after = (await job.run()).summary

        assert (after.tasks.done, after.cost_usd.charged) == (1, paid.charged)
        assert len(fal.accepted) == 1


async def test_outputs_that_were_made_before_sidecars_were_asked_for_get_theirs(
    tmp_path, monkeypatch, capsys
):
    job = Job(tmp_path)
    async with fal_of(monkeypatch) as fal:
        await job.run()
        job = Lost(tmp_path, photos=0)
        await job.run()
        assert len(job.sidecars()) == 3
        assert all(one["own"]["result"]["urls"] for one in job.sidecars().values())
        lose_ledger(job)

        job.rebuild(capsys)

        assert await job.tasks() == {"done": 3}
        assert len(fal.accepted) == 3


async def test_a_manifest_that_was_renamed_finds_what_it_paid_for(tmp_path, monkeypatch, capsys):
    job = Lost(tmp_path)
    async with fal_of(monkeypatch) as fal:
        await job.run()
        lose_ledger(job)
        text = job.file.read_text().replace("name: holiday", "name: summer")
        job.file = job.file.rename(tmp_path / "summer.yaml")
        job.file.write_text(text)

        job.rebuild(capsys)

        assert await job.tasks() == {"done": 3}
        assert len(fal.accepted) == 3


async def test_outputs_that_were_moved_with_their_sidecars_are_copied_to_their_names(
    tmp_path, monkeypatch, capsys
):
    job = Lost(tmp_path, photos=1)
    async with fal_of(monkeypatch) as fal:
        await job.run()
        lose_ledger(job)
        (job.out / "kept").mkdir()
        (job.out / "0.png").rename(job.out / "kept/mine.png")
        (job.out / "0.png.batchup.json").rename(job.out / "kept/mine.png.batchup.json")

        job.rebuild(capsys)

        assert await job.tasks() == {"done": 1}
        assert set(job.outputs()) >= {"0.png", "kept/mine.png"}
        assert len(fal.accepted) == 1


async def test_a_damaged_sidecar_is_told_and_the_others_are_used(tmp_path, monkeypatch, capsys):
    job = Lost(tmp_path)
    async with fal_of(monkeypatch):
        await job.run()
    lose_ledger(job)
    harmed = job.out / "1.png.batchup.json"
    harmed.write_text(harmed.read_text().replace('"0.png"', '"9.png"').replace('"1.png"', '"8.png"'))

    said = job.rebuild(capsys)

    assert "1.png.batchup.json: it is damaged" in said.err
    assert ": 2 tasks," in said.out


async def test_a_ledger_that_knows_all_that_the_sidecars_tell_is_left_as_it_is(tmp_path, monkeypatch, capsys):
    job = Lost(tmp_path, photos=1)
    async with fal_of(monkeypatch):
        await job.run()
    before = job.ledger.read_bytes()

    said = job.rebuild(capsys)

    assert "1 sidecar of tasks that the ledger knows" in said.out
    assert job.ledger.read_bytes() == before


async def test_a_ledger_from_an_old_backup_gets_what_was_paid_since(tmp_path, monkeypatch, capsys):
    job = Lost(tmp_path, photos=1)
    async with fal_of(monkeypatch) as fal:
        await job.run()
        backup = job.ledger.read_bytes()
        photo(tmp_path / "photos/new.png", size=TINY, seed=9)
        before = (await job.run()).summary
        calls = fal.calls.copy()
        job.ledger.write_bytes(backup)

        job.rebuild(capsys)
        after = (await job.run()).summary

        assert (after.tasks, after.cost_usd) == (before.tasks, before.cost_usd)
        assert fal.calls == calls


def cut_behind(ledger, last):
    """Make *ledger* that of a backup: up to the last line of one kind."""
    lines = [line for _, line in read_ledger(ledger)]
    end = max(number for number, line in enumerate(lines, 1) if f'"event":"{last}"'.encode() in line)
    disk.replace(ledger, map(encode, pack(lines[:end])))


@pytest.mark.parametrize("last", ["failed", "retried", "submitting", "submitted", "result"])
async def test_what_a_backup_has_left_open_is_done_where_a_sidecar_says_so(
    tmp_path, monkeypatch, capsys, last
):
    job = Lost(tmp_path, f"{MODEL}\nretry: {{attempts: 2, initial: 1ms}}", photos=1)
    failure = Script("task", answers.model_error("internal_server_error"), times=3)
    async with fal_of(monkeypatch, failure) as fal:
        await job.run()
        before = (await job.run(retry_failed=True)).summary
        assert (before.tasks.done, len(fal.accepted)) == (1, 4)
        cut_behind(job.ledger, last)

        job.rebuild(capsys)
        after = (await job.run(retry_failed=True)).summary

        assert (after.tasks, after.cost_usd) == (before.tasks, before.cost_usd)
        assert len(fal.accepted) == 4


async def test_what_a_backup_holds_in_reserve_is_not_counted_beside_what_it_turned_out_to_cost(
    tmp_path, monkeypatch, capsys
):
    job = Lost(tmp_path, f"{DEAR}\n{LOSSY}", photos=1)
    scripts = [Script("submit", answers.broken(500, acted=True)), Script("history", answers.gone())]
    async with fal_of(monkeypatch, *scripts) as fal:
        assert await job.tasks() == {"held": 1}
        before = (await job.run()).summary
        assert before.tasks.done == 1
        (job.out / "0.png.batchup.json").unlink()
        await job.run()  # writes one that tells all from the beginning
        cut_behind(job.ledger, "held")

        job.rebuild(capsys)
        after = (await job.run()).summary

        assert (after.tasks, after.cost_usd) == (before.tasks, before.cost_usd)
        assert len(fal.accepted) == 1


async def test_what_a_ledger_has_sent_since_a_sidecar_was_written_is_left_to_it(
    tmp_path, monkeypatch, capsys
):
    job = Lost(tmp_path, photos=1)
    async with fal_of(monkeypatch, Script("task", answers.model_error("content_policy_violation"), nth=2)):
        await job.run()
        await job.run(redo=("*",))
        assert len(job.events("failed")) == 1

        said = job.rebuild(capsys)

        assert "1 sidecar of tasks that the ledger knows" in said.out


async def test_what_was_pruned_is_not_charged_again_by_a_rebuild(tmp_path, monkeypatch, capsys):
    job = Lost(tmp_path, photos=2)
    async with fal_of(monkeypatch):
        await job.run()
        (tmp_path / "photos/1.png").unlink()
        paid = (await job.run()).summary.cost_usd.charged
        with pytest.raises(SystemExit):
            main(["ledger", "prune", str(job.file)])

        job.rebuild(capsys)

        assert (await job.run()).summary.cost_usd.charged == paid


@pytest.mark.parametrize("exists", ["skip", "overwrite"])
async def test_a_run_whose_ledger_is_lost_ends_before_anything_is_paid_and_says_what_helps(
    tmp_path, monkeypatch, exists
):
    job = Lost(tmp_path, photos=2)
    job.file.write_text(job.file.read_text().replace("sidecar: true", f"sidecar: true, exists: {exists}"))
    async with fal_of(monkeypatch) as fal:
        await job.run()
        calls = fal.calls.copy()
        lose_folder(job)
        (job.out / "0.png").unlink()

        with pytest.raises(LedgerError, match=r"batchup ledger rebuild .*holiday.yaml"):
            await job.run()

        assert fal.calls == calls
        assert not job.ledger.exists()


async def test_another_job_begins_anew_among_the_sidecars_of_this_one(tmp_path, monkeypatch):
    job = Lost(tmp_path, photos=1)
    async with fal_of(monkeypatch):
        await job.run()
        text = job.file.read_text().replace("name: holiday", "name: other")
        job.file.write_text(text.replace("{dir: out,", '{dir: out, name: "o/{stem}{ext}",'))

        assert await job.tasks() == {"done": 1}


async def test_outputs_of_another_job_of_the_same_name_below_these_are_left_to_its_own_ledger(
    tmp_path, monkeypatch, capsys
):
    job, other = Lost(tmp_path, photos=1), Lost(tmp_path / "other", photos=1)
    other.file.write_text(other.file.read_text().replace("{dir: out,", f"{{dir: {job.out / 'other'},"))
    async with fal_of(monkeypatch) as fal:
        assert await other.tasks() == {"done": 1}

        assert await job.tasks() == {"done": 1}
        lose_ledger(job)
        said = job.rebuild(capsys)

        assert ": 1 task," in said.out
        assert await job.tasks() == {"done": 1}
        assert len(fal.accepted) == 2


async def test_a_run_that_began_anew_is_given_back_what_was_done_before(tmp_path, monkeypatch, capsys):
    job = Lost(tmp_path, photos=2)
    async with fal_of(monkeypatch) as fal:
        before = (await job.run()).summary
        lose_folder(job)
        kept = job.out.rename(tmp_path / "kept")
        photo(tmp_path / "photos/2.png", size=TINY, seed=9)
        job.file.write_text(job.file.read_text() + 'rules: [{match: {path: "[01].png"}, skip: true}]\n')
        paid = (await job.run()).summary
        shutil.copytree(kept, job.out, dirs_exist_ok=True)
        job.write(MODEL)

        job.rebuild(capsys)
        after = (await job.run()).summary

        assert (after.tasks.done, len(fal.accepted)) == (3, 3)
        assert after.cost_usd.charged == before.cost_usd.charged + paid.cost_usd.charged


def test_without_a_sidecar_there_is_nothing_to_rebuild_and_nothing_is_written(tmp_path, capsys):
    job = Lost(tmp_path, photos=1)

    said = job.rebuild(capsys, status=4)

    assert "no sidecar below" in said.err
    assert not job.out.exists()


async def test_sidecars_of_a_job_that_has_its_ledger_are_left_to_it(tmp_path, monkeypatch, capsys):
    job = Lost(tmp_path, photos=2)
    async with fal_of(monkeypatch):
        await job.run()
        text = (
            job.file.read_text()
            .replace("name: holiday", "name: other")
            .replace("{dir: out,", '{dir: out, name: "o/{stem}{ext}",')
        )
        job.file = tmp_path / "other.yaml"
        job.file.write_text(text)
        await job.run()
        (job.out / ".batchup/other.jsonl").unlink()

        said = json.loads(job.rebuild(capsys, "--json").out)

    assert (said["jobs"], said["left"]) == ({"other": 2}, {"holiday": 2})


NAMES = [
    "zwölf é",
    "emoji \N{CAMERA}",
    "line\nbreak",
    'quo"te\\',
    "x" * 251,
    "\N{CAMERA}" * 62 + "xyz",
    "latin\udce9",
]


def test_names_with_any_characters_come_back(tmp_path):
    for number, name in enumerate(NAMES):
        photo(tmp_path / "photos" / f"{name}.png", size=TINY, seed=number)
    job = Lost(tmp_path, "model: local/lanczos\nparams: {scale: 2}", photos=0)
    batchup("run", job.file, cwd=tmp_path)
    lose_ledger(job)

    batchup("ledger", "rebuild", job.file, cwd=tmp_path)
    done = batchup("run", job.file, "--json", cwd=tmp_path)

    assert json.loads(done.stdout)["tasks"]["done"] == len(NAMES)
    assert len(job.events("run")) == 2
    assert len(job.events("done")) == len(NAMES)


async def test_no_byte_of_a_sidecar_changes_unnoticed(tmp_path, monkeypatch):
    job = Lost(tmp_path, photos=1)
    async with fal_of(monkeypatch):
        await job.run()
    whole = next(job.out.glob("*" + sidecar.ENDING)).read_bytes()

    for place in range(len(whole)):
        harmed = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
        if not whole[place : place + 1].isspace():
            with pytest.raises(SidecarError):
                sidecar.decode(harmed)


async def test_sidecars_are_no_inputs(tmp_path, monkeypatch):
    job = Lost(tmp_path, photos=1)
    async with fal_of(monkeypatch):
        await job.run()
    (tmp_path / "photos/0.png.batchup.json").write_bytes(next(job.out.glob("*.json")).read_bytes())

    summary = (await job.run()).summary

    assert summary.skipped == {"sidecar": 1}


async def test_without_being_asked_for_there_are_no_sidecars(tmp_path, monkeypatch):
    job = Job(tmp_path, MODEL, photos=1)
    async with fal_of(monkeypatch):
        await job.run()

    assert set(job.outputs()) == {"0.png"}
