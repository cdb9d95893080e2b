"""A job from manifest to outputs, by the real command line on real files."""

import os
import shutil
import signal
import subprocess
import sys

import msgspec
import pytest

from tests.library import BATCHUP, batchup, events, manifest, outputs, photo, size, wait_until


@pytest.fixture
def job(tmp_path):
    """A job of three photos."""
    for number, name in enumerate(["a.jpg", "sub/b.png", "sub/c d.webp"]):
        photo(tmp_path / "photos" / name, seed=number)
    return manifest(tmp_path)


def ledger(job):
    return job.parent / "out/.batchup/holiday.jsonl"


def plan(job, *args):
    return msgspec.json.decode(batchup("plan", job, "--json", *args, cwd=job.parent).stdout)


def run(job, *args, status=0):
    return msgspec.json.decode(batchup("run", job, "--json", *args, cwd=job.parent, status=status).stdout)


def reasons(job):
    return {item["input"].removeprefix("photos/"): item["reason"] for item in plan(job)["items"]}


def test_a_folder_comes_out_twice_as_large_with_its_tree_its_names_and_its_times(job):
    summary = run(job)

    out = job.parent / "out"
    assert summary["tasks"] == {
        "total": 3,
        "done": 3,
        "failed": 0,
        "held": 0,
        "in_flight": 0,
        "pending": 0,
        "skipped": 0,
        "orphaned": 0,
    }
    assert list(outputs(out)) == ["a.jpg", "sub/b.png", "sub/c d.webp"]
    for name, file in outputs(out).items():
        assert size(file) == (96, 72)
        assert file.stat().st_mtime_ns == (job.parent / "photos" / name).stat().st_mtime_ns


def test_a_second_run_does_nothing(job):
    run(job)
    before = {file: file.stat().st_ino for file in outputs(job.parent / "out").values()}

    summary = run(job)

    assert summary["tasks"]["done"] == 3
    assert {file: file.stat().st_ino for file in outputs(job.parent / "out").values()} == before
    assert len(events(ledger(job), "done")) == 3


def test_a_plan_changes_nothing_and_tells_each_task_with_its_reason(job):
    document = plan(job)

    assert not (job.parent / "out").exists()
    assert document["tasks"]["to_run"] == document["tasks"]["total"] == 3
    assert {item["reason"] for item in document["items"]} == {"new"}


def test_what_the_plan_says_will_run_is_what_runs(job):
    run(job)
    (job.parent / "out/a.jpg").unlink()
    photo(job.parent / "photos/new.png", seed=9)
    photo(job.parent / "photos/sub/b.png", seed=5)

    assert reasons(job) == {
        "a.jpg": "output missing",
        "new.png": "new",
        "sub/b.png": "input changed",
        "sub/c d.webp": "done",
    }
    before = len(events(ledger(job), "done"))
    summary = run(job)
    assert len(events(ledger(job), "done")) - before == 3
    assert summary["tasks"]["orphaned"] == 1
    assert set(reasons(job).values()) == {"done"}


def test_one_that_failed_waits_for_retry_failed_and_the_others_go_on(job):
    whole = (job.parent / "photos/a.jpg").read_bytes()
    (job.parent / "photos/a.jpg").write_bytes(whole[:-100])

    summary = run(job, status=1)
    assert summary["failures"] == {"image_truncated": 1}
    assert summary["tasks"]["done"] == 2

    run(job, status=1)
    assert len(events(ledger(job), "failed")) == 1

    run(job, "--retry-failed", "--class", "other", status=1)
    assert len(events(ledger(job), "failed")) == 1

    run(job, "--retry-failed", status=1)
    assert len(events(ledger(job), "failed")) == 2


def test_a_damaged_output_is_made_again_and_one_that_somebody_retouched_is_left(job):
    run(job)
    out = job.parent / "out"
    (out / "a.jpg").write_bytes(b"no picture")
    photo(out / "sub/b.png", size=(10, 10))
    retouched = (out / "sub/b.png").read_bytes()

    run(job)

    assert size(out / "a.jpg") == (96, 72)
    assert (out / "sub/b.png").read_bytes() == retouched

    run(job, "--restore")

    assert size(out / "sub/b.png") == (96, 72)


def test_a_deleted_output_stays_deleted_if_the_manifest_says_so(job):
    file = manifest(job.parent, output="{dir: out, missing: leave}")
    run(file)
    (job.parent / "out/a.jpg").unlink()

    run(file)

    assert not (job.parent / "out/a.jpg").exists()


def test_identical_contents_are_run_once_and_written_to_every_name(job):
    shutil.copy(job.parent / "photos/a.jpg", job.parent / "photos/sub/copy.jpg")

    run(job)

    done = {event["output"]: event for event in events(ledger(job), "done")}
    assert done["sub/copy.jpg"]["copied_from"] == done["a.jpg"]["id"]
    assert (job.parent / "out/sub/copy.jpg").read_bytes() == (job.parent / "out/a.jpg").read_bytes()


def test_a_copy_that_turns_up_later_is_copied_not_run(job):
    run(job)
    shutil.copy(job.parent / "photos/a.jpg", job.parent / "photos/later.jpg")
    os.utime(job.parent / "photos/a.jpg")

    assert reasons(job)["later.jpg"] == reasons(job)["a.jpg"] == "same contents as another"
    run(job)

    assert all("copied_from" in event for event in events(ledger(job), "done")[3:])


def test_the_twins_of_one_that_fails_fail_with_it_and_name_it(job):
    whole = (job.parent / "photos/a.jpg").read_bytes()
    for name in ("a.jpg", "z.jpg"):
        (job.parent / "photos" / name).write_bytes(whole[:-100])

    run(job, status=1)

    failed = events(ledger(job), "failed")
    assert [event["kind"] for event in failed] == ["image_truncated"] * 2
    assert "photos/a.jpg, which failed" in failed[1]["message"]


def test_a_changed_template_copies_what_is_done_to_its_new_name(job):
    run(job)
    file = manifest(job.parent, output='{dir: out, name: "{stem}-big{ext}"}')

    assert set(reasons(file).values()) == {"renamed"}
    run(file)

    assert {"a-big.jpg", "b-big.png", "c d-big.webp"} <= set(outputs(job.parent / "out"))
    assert all("copied_from" in event for event in events(ledger(job), "done")[3:])
    assert set(reasons(file).values()) == {"done"}


def test_names_that_change_places_are_not_mixed_up(tmp_path):
    for number in range(1, 4):
        photo(tmp_path / f"photos/{number}.png", seed=number)
    run(manifest(tmp_path, output='{dir: out, name: "{stem}{ext}"}'))
    before = {stem: (tmp_path / f"out/{stem}.png").read_bytes() for stem in "123"}
    (tmp_path / "photos/1.png").rename(tmp_path / "photos/x.png")
    (tmp_path / "photos/2.png").rename(tmp_path / "photos/1.png")
    (tmp_path / "photos/x.png").rename(tmp_path / "photos/2.png")

    run(tmp_path / "holiday.yaml")

    after = {stem: (tmp_path / f"out/{stem}.png").read_bytes() for stem in "123"}
    assert after == {"1": before["2"], "2": before["1"], "3": before["3"]}


def test_a_changed_parameter_that_was_only_begun_with_is_gone_on_with(job):
    run(job)
    file = manifest(job.parent, "params: {scale: 3}")
    batchup("run", file, "--limit", "1", cwd=job.parent, status=3)

    summary = run(file)

    assert (summary["tasks"]["done"], summary["tasks"]["skipped"]) == (3, 0)
    assert size(job.parent / "out/sub/b.png") == (144, 108)


def test_a_changed_parameter_makes_new_tasks_and_the_old_ones_are_orphans(job):
    run(job)
    file = manifest(job.parent, "params: {scale: 3}")

    assert set(reasons(file).values()) == {"parameters changed"}
    summary = run(file)

    assert summary["tasks"]["orphaned"] == 3
    assert size(job.parent / "out/a.jpg") == (144, 108)


def test_a_default_written_out_is_the_same_task(job):
    run(job)

    assert set(reasons(manifest(job.parent, "params: {scale: 2.0}")).values()) == {"done"}


def test_a_foreign_output_is_left_alone_and_the_task_is_skipped(job):
    foreign = photo(job.parent / "out/a.jpg", size=(10, 10))
    before = foreign.read_bytes()

    summary = run(job)

    assert foreign.read_bytes() == before
    assert summary["tasks"]["total"] == 2
    assert summary["skipped"] == {"an output is there already": 1}


def test_a_foreign_output_that_is_broken_stops_the_run_before_anything_is_written(job):
    (job.parent / "out").mkdir()
    (job.parent / "out/a.jpg").write_bytes(b"no picture at all")

    done = batchup("run", job, cwd=job.parent, status=2)

    assert "a.jpg exists, is not from this job, and is broken" in done.stderr
    assert [path.name for path in (job.parent / "out").iterdir()] == ["a.jpg"]


@pytest.mark.parametrize(("exists", "status"), [("error", 2), ("overwrite", 0)])
def test_a_foreign_output_is_an_error_or_overwritten_if_the_manifest_says_so(job, exists, status):
    photo(job.parent / "out/a.jpg", size=(10, 10))

    batchup(
        "run", manifest(job.parent, output=f"{{dir: out, exists: {exists}}}"), cwd=job.parent, status=status
    )

    assert size(job.parent / "out/a.jpg") == ((96, 72) if status == 0 else (10, 10))


def test_a_moved_ledger_stops_the_run_naming_both_places(job):
    run(job)
    file = manifest(job.parent, output="{dir: elsewhere}")

    done = batchup("run", file, cwd=job.parent, status=2)

    assert str(ledger(job)) in done.stderr
    assert "elsewhere/.batchup/holiday.jsonl" in done.stderr
    assert "ledger:" in done.stderr
    assert not (job.parent / "elsewhere").exists()


def test_an_output_folder_that_moved_with_its_ledger_goes_on_as_it_was(job):
    run(job)
    (job.parent / "out").rename(job.parent / "elsewhere")

    assert set(reasons(manifest(job.parent, output="{dir: elsewhere}")).values()) == {"done"}


def test_a_foreign_file_as_ledger_is_refused_untouched(job):
    precious = job.parent / "diary.txt"
    precious.write_text("dear diary")

    done = batchup("run", manifest(job.parent, "ledger: diary.txt"), cwd=job.parent, status=4)

    assert "no batchup ledger" in done.stderr
    assert precious.read_text() == "dear diary"


def test_a_missing_input_path_is_an_error_and_leaves_no_trace(tmp_path):
    done = batchup("run", manifest(tmp_path), cwd=tmp_path, status=2)

    assert "holiday.yaml:4:17: inputs.0.path" in done.stderr
    assert "photos" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.yaml"]


def test_an_empty_input_folder_is_no_error(tmp_path):
    (tmp_path / "photos").mkdir()

    summary = run(manifest(tmp_path))

    assert summary["tasks"]["total"] == 0


def test_only_and_limit_leave_the_rest_pending(job):
    summary = run(job, "--limit", "1", status=3)
    assert (summary["tasks"]["done"], summary["tasks"]["pending"], summary["stopped"]) == (1, 2, "limit")

    summary = run(job, "--only", "sub/b*")
    assert (summary["tasks"]["done"], summary["tasks"]["pending"], summary["stopped"]) == (2, 1, None)


def test_redo_runs_again_what_is_done(job):
    run(job)

    run(job, "--redo", "a.jpg")

    assert [event["output"] for event in events(ledger(job), "done")].count("a.jpg") == 2


def test_two_tasks_with_one_name_stop_the_run_and_the_message_names_the_template_that_would_do(tmp_path):
    photo(tmp_path / "photos/a.jpg")
    photo(tmp_path / "photos/A.PNG")

    file = manifest(tmp_path, "params: {output_format: webp}")
    done = batchup("run", file, cwd=tmp_path, status=2)

    assert "photos/A.PNG" in done.stderr
    assert "photos/a.jpg" in done.stderr
    assert "{source_ext}" in done.stderr
    assert not (tmp_path / "out").exists()


def test_an_output_that_is_an_input_stops_the_run(tmp_path):
    photo(tmp_path / "photos/a.jpg")

    done = batchup("run", manifest(tmp_path, output="{dir: photos}"), cwd=tmp_path, status=2)

    assert "written over an input" in done.stderr


def test_a_name_through_a_symlink_in_the_output_folder_stops_the_run(tmp_path):
    photo(tmp_path / "photos/sub/a.jpg")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/sub").symlink_to(tmp_path / "elsewhere")

    done = batchup("run", manifest(tmp_path), cwd=tmp_path, status=2)

    assert "symlink" in done.stderr
    assert not list((tmp_path / "elsewhere").iterdir())


def test_outputs_beside_their_inputs_are_not_taken_for_inputs_the_next_time(tmp_path):
    photo(tmp_path / "photos/a.jpg")
    file = manifest(tmp_path, output='{dir: photos, name: "{dir}/{stem}-2x{ext}"}')
    run(file)

    summary = run(file)

    assert summary["tasks"]["total"] == 1
    assert summary["skipped"] == {"own output": 1, "hidden": 1}


def test_matrix_and_rules_make_the_tasks_that_they_say(tmp_path):
    photo(tmp_path / "photos/a.jpg")
    photo(tmp_path / "photos/small/b.jpg")
    photo(tmp_path / "photos/none/c.jpg")
    file = manifest(
        tmp_path,
        """
matrix:
  scale: [2, 3]
  output_format: [png, webp]
  exclude: [{scale: 3, output_format: webp}]
rules:
  - match: {path: "none/**"}
    skip: true
  - match: {path: "small/**"}
    params: {scale: 4}
""",
    )

    summary = run(file)

    assert sorted(outputs(tmp_path / "out")) == [
        "a-2-png.png",
        "a-2-webp.webp",
        "a-3-png.png",
        "small/b-png.png",
        "small/b-webp.webp",
    ]
    assert summary["skipped"] == {"skipped by a rule": 1}


def test_a_second_run_on_the_same_ledger_is_refused_with_the_holders_process(job):
    from batchup.ledger.lock import locked

    run(job)
    with locked(ledger(job)):
        done = batchup("run", job, cwd=job.parent, status=4)

    assert str(os.getpid()) in done.stderr
    batchup("status", job, cwd=job.parent)
    batchup("plan", job, cwd=job.parent)


def test_a_parameter_that_comes_back_gets_its_output_back(job):
    run(job)
    run(manifest(job.parent, "params: {scale: 3}"))
    file = manifest(job.parent, "params: {scale: 2}")

    assert set(reasons(file).values()) == {"output replaced by another task's"}
    run(file)

    assert size(job.parent / "out/a.jpg") == (96, 72)
    assert set(reasons(file).values()) == {"done"}


def test_an_input_that_comes_back_gets_its_output_back(job):
    source = job.parent / "photos/a.jpg"
    before, mtime_ns = source.read_bytes(), source.stat().st_mtime_ns
    run(job)
    first = (job.parent / "out/a.jpg").read_bytes()
    photo(source, seed=77)
    run(job)
    source.write_bytes(before)
    os.utime(source, ns=(mtime_ns, mtime_ns))

    run(job)

    assert (job.parent / "out/a.jpg").read_bytes() == first


def test_stripping_metadata_later_makes_the_outputs_again_without_it(job):
    run(job)

    stripped = manifest(job.parent, output="{dir: out, metadata: strip}")
    assert set(reasons(stripped).values()) == {"output.metadata changed"}
    run(stripped)

    assert set(reasons(stripped).values()) == {"done"}


def test_a_renamed_output_never_replaces_a_file_of_somebody_else(job):
    run(job)
    foreign = photo(job.parent / "out/a-2x.jpg", size=(10, 10))
    before = foreign.read_bytes()

    run(manifest(job.parent, output='{dir: out, name: "{dir}/{stem}-2x{ext}"}'))

    assert foreign.read_bytes() == before


def test_a_file_made_by_hand_where_a_task_failed_is_left_alone(job):
    source = job.parent / "photos/a.jpg"
    whole = source.read_bytes()
    source.write_bytes(whole[:-100])
    run(job, status=1)
    by_hand = photo(job.parent / "out/a.jpg", size=(10, 10)).read_bytes()
    source.write_bytes(whole)

    summary = run(job, "--retry-failed")

    assert (job.parent / "out/a.jpg").read_bytes() == by_hand
    assert summary["skipped"] == {"an output is there already": 1}
    assert summary["tasks"]["pending"] == 0


def test_names_that_rotate_are_all_copied_and_none_is_run_again(tmp_path):
    for number in range(6):
        photo(tmp_path / f"photos/{number}.png", seed=number)
    file = manifest(tmp_path, output='{dir: out, name: "{index}{ext}"}')
    run(file)
    before = {path.name: path.read_bytes() for path in outputs(tmp_path / "out").values()}
    photo(tmp_path / "photos/-first.png", seed=9)

    run(file)

    for number in range(1, 7):
        assert (tmp_path / f"out/{number + 1}.png").read_bytes() == before[f"{number}.png"]
    later = events(tmp_path / "out/.batchup/holiday.jsonl", "done")[6:]
    assert sum("copied_from" in event for event in later) == 6
    assert set(reasons(file).values()) == {"done"}


@pytest.mark.parametrize("kind", ["folder", "broken link"])
def test_what_is_no_file_at_an_outputs_name_is_told_in_words(job, kind):
    (job.parent / "out").mkdir()
    if kind == "folder":
        (job.parent / "out/a.jpg").mkdir()
    else:
        (job.parent / "out/a.jpg").symlink_to("nowhere")

    done = batchup("run", job, cwd=job.parent, status=2)

    assert "a.jpg is to be written, but is a folder, a broken link" in done.stderr


def test_inputs_that_no_model_is_for_are_an_error_and_those_the_matrix_excludes_are_counted(tmp_path):
    photo(tmp_path / "photos/a.png")
    file = manifest(tmp_path, "matrix:\n  scale: [2]\n  exclude: [{scale: 2}]")

    assert run(file)["skipped"] == {"excluded by the matrix": 1}


def test_patterns_are_matched_as_the_plan_shows_paths_and_one_that_fits_nothing_is_told(job):
    summary = run(job, "--only", "photos/sub/*")
    assert summary["tasks"]["done"] == 2

    done = batchup("run", job, "--only", "nothing", "--redo", "nor this", cwd=job.parent)
    assert "--only nothing: matches no input" in done.stderr
    assert "--redo nor this: matches no input" in done.stderr

    done = batchup("run", job, "--only", "!", cwd=job.parent, status=2)
    assert "--only" in done.stderr


def test_a_rule_that_fits_nothing_is_told(job):
    file = manifest(job.parent, "rules: [{match: {path: 'phot/**'}, skip: true}]")

    assert "rules.0: fits no input" in batchup("plan", file, cwd=job.parent).stderr


def test_a_ledger_that_is_gone_is_told(job):
    run(job)
    shutil.rmtree(job.parent / "out")

    assert "is gone" in batchup("run", job, cwd=job.parent).stderr


def test_a_name_without_the_right_ending_is_refused(job):
    file = manifest(job.parent, output='{dir: out, name: "{stem}"}')

    assert "does not end in .jpg" in batchup("plan", file, cwd=job.parent, status=2).stderr


def test_errors_are_json_where_json_was_asked_for(tmp_path):
    done = batchup("run", "nowhere.yaml", "--json", cwd=tmp_path, status=2)

    assert msgspec.json.decode(done.stdout)["error"]["status"] == 2


def test_a_run_goes_on_when_nobody_listens_any_more(job):
    with subprocess.Popen(
        [*BATCHUP, "run", str(job)], cwd=job.parent, stderr=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stderr
        assert process.stdout
        process.stderr.close()
        process.stdout.close()
        process.wait(timeout=30)

    assert len(events(ledger(job), "done")) == 3
    assert events(ledger(job), "stopped")


def test_a_run_under_nohup_is_not_ended_by_a_hangup(job):
    code = (
        "import signal, sys, os; signal.signal(signal.SIGHUP, signal.SIG_IGN); "
        f"os.execv(sys.executable, {[*BATCHUP, 'run', str(job)]!r})"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=job.parent, stderr=subprocess.DEVNULL) as process:
        wait_until(ledger(job).exists)
        process.send_signal(signal.SIGHUP)
        process.wait(timeout=30)

    assert process.returncode == 0
