"""What another package adds is used like everything else, by the real command line."""

import subprocess
import sys
import tempfile
from functools import partial
from typing import NamedTuple

import msgspec
import pytest

from batchup.cli import main
from tests.library import batchup, events, kill, manifest, outputs, photo, size, start, wait_until


class Said(NamedTuple):
    stdout: str
    stderr: str


SETTLED = "fal: {settle: 300ms}\nretry: {initial: 10ms, max: 20ms}"


@pytest.fixture
def job(tmp_path):
    """Write a manifest for some photos."""

    def write(text="", *, photos=3, model="acme/enlarge"):
        for number in range(photos):
            photo(tmp_path / f"photos/{number}.png", seed=number)
        return manifest(tmp_path, f"{text}\n{SETTLED}", model=model)

    return write


@pytest.fixture
def run(here, acme_site, environment, monkeypatch, capsys):
    """Call the command line in this process, with acme's package installed."""
    here(acme_site)
    for name in ("ACME_KEY", "ACME_URL", "PYTHONPATH"):
        monkeypatch.setenv(name, environment[name])

    def call(*args, status=0, **more):
        for name, value in more.items():
            monkeypatch.setenv(name, value)
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main([str(arg) for arg in args])
        out, err = capsys.readouterr()
        assert status in {None, end.value.code}, f"{end.value.code}\n{out}\n{err}"
        return Said(out, err)

    return call


def ledger(tmp_path, kind=""):
    return events(tmp_path / "out/.batchup/holiday.jsonl", kind)


def test_doctor_tells_of_a_providers_key(job, run, monkeypatch):
    file = job(photos=1)

    assert "acme finds what it needs" in run("doctor", file, status=None).stdout
    monkeypatch.delenv("ACME_KEY")
    said = run("doctor", file, status=1)

    assert "there is no key for acme" in said.stdout
    assert "set ACME_KEY" in said.stdout


def test_a_paid_job_is_planned_run_and_done_once(tmp_path, job, environment, acme):
    file, run = job("params: {scale: 3}"), partial(batchup, cwd=tmp_path, env=environment)

    plan = msgspec.json.decode(run("plan", file, "--json").stdout)
    done = msgspec.json.decode(run("run", file, "--json").stdout)
    again = msgspec.json.decode(run("run", file, "--json").stdout)

    assert plan["cost_usd"]["estimated"] == 0.06
    assert (done["tasks"]["done"], done["cost_usd"]["charged"]) == (3, 0.06)
    assert (again["tasks"]["done"], len(acme.jobs)) == (3, 3)
    assert {size(output) for output in outputs(tmp_path / "out").values()} == {(144, 108)}


def test_a_local_model_of_another_package_runs_in_worker_processes(tmp_path, job, run, acme):
    run("run", job("params: {scale: 2}", model="local/nearest"))

    assert {size(output) for output in outputs(tmp_path / "out").values()} == {(96, 72)}
    assert acme.calls == []


def test_models_of_several_packages_go_into_one_matrix(tmp_path, job, run, acme):
    run("run", job("matrix: {model: [acme/enlarge, acme/double, local/nearest, local/lanczos]}", photos=1))

    assert len(outputs(tmp_path / "out")) == 4
    assert len(acme.jobs) == 2


def test_killed_and_resumed_nothing_is_submitted_twice(tmp_path, job, environment, run, acme):
    acme.task_s = 0.6
    file = job(photos=6)
    process = start("run", file, cwd=tmp_path, env=environment)
    wait_until(lambda: len(acme.jobs) >= 2)
    kill(process)

    run("run", file)

    assert len(acme.jobs) == len(outputs(tmp_path / "out")) == 6
    assert len({task["id"] for task in ledger(tmp_path, "done")}) == 6


@pytest.mark.parametrize("fault", ["lost", "garbled"])
def test_an_answer_that_was_lost_or_that_its_package_trips_over_is_looked_for_and_found(
    job, run, acme, fault
):
    acme.fault("submit", fault)

    run("run", job())

    assert len(acme.jobs) == 3


def test_a_budget_holds(job, run, acme):
    run("run", job("run: {budget: 0.05 USD}"), status=3)

    assert len(acme.jobs) == 2


def test_the_limit_of_a_model_holds_and_the_providers_own_number_where_there_is_none(job, run, acme):
    acme.task_s = 0.05
    run("run", job("run: {limits: {acme/enlarge: {concurrency: 1}}}"))
    assert acme.peak == 1

    acme.task_s = 0.3
    run("run", job("", photos=8))
    assert acme.peak == 3


def test_the_manifest_may_state_another_price(job, run):
    file = job("prices: {acme/enlarge: 0.5 USD/output}")

    assert msgspec.json.decode(run("plan", file, "--json").stdout)["cost_usd"]["estimated"] == 1.5


def test_without_an_account_nothing_is_begun(tmp_path, job, run):
    done = run("run", job(), status=5, ACME_KEY="")

    assert done.stderr == "there is no key for acme: set ACME_KEY\n"
    assert not (tmp_path / "out").exists()


def test_a_refused_key_ends_the_run(job, run, acme):
    done = run("run", job(), status=5, ACME_KEY="another")

    assert "acme refuses the key; set ACME_KEY" in done.stderr
    assert acme.jobs == []


@pytest.mark.parametrize(
    ("text", "model", "fault"),
    [
        ("", "acme/enlagre", "did you mean acme/enlarge?"),
        ("", "enlarge", "did you mean acme/enlarge?"),
        ("", "acme/dubble", "did you mean acme/double?"),
        ("", "local/neerest", "did you mean local/nearest?"),
        ("params: {scale: 9}", "acme/enlarge", "params.scale: 9 is above 4, the most allowed"),
        ("params: {scal: 3}", "acme/enlarge", "no such parameter of acme/enlarge; did you mean scale?"),
        ("run: {limits: {acme/enlarg: {concurrency: 1}}}", "acme/enlarge", "did you mean acme/enlarge?"),
    ],
)
def test_what_is_misspelt_is_told_with_the_nearest_name(job, run, text, model, fault):
    done = run("validate", job(text, model=model), status=2)

    assert fault in done.stderr


def test_the_models_are_listed_with_where_they_come_from(run):
    rows = {line.split()[0]: line for line in run("models").stdout.splitlines() if "/" in line}
    document = msgspec.json.decode(run("models", "acme/double", "--json").stdout)

    for name in ("acme/enlarge", "acme/double", "local/nearest"):
        assert rows[name].endswith("  acme-batchup 1.2")
    assert rows["local/lanczos"].endswith("  built in")
    assert document["from"] == {"package": "acme-batchup", "version": "1.2", "built_in": False}
    assert "from acme-batchup 1.2" in run("models", "acme/enlarge").stdout


def test_a_rehearsal_asks_only_a_fal_of_our_own(tmp_path, monkeypatch, job, run, acme):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    told = run(
        "rehearse", job("matrix: {model: [acme/enlarge, local/lanczos]}", photos=1), "--json", status=None
    )

    assert msgspec.json.decode(told.stdout)["rehearsal"]["not_rehearsed"] == 1
    assert acme.calls == []


def test_what_only_fal_can_be_asked_is_not_asked_of_others(tmp_path, job, environment, run, acme):
    acme.task_s = 60
    file = job(photos=1)
    process = start("run", file, cwd=tmp_path, env=environment)
    wait_until(lambda: (tmp_path / "out/.batchup/holiday.jsonl").exists() and ledger(tmp_path, "submitted"))
    kill(process)

    cancelled = msgspec.json.decode(run("cancel", file, "--json").stdout)
    audited = run("audit", file, "--json")

    assert [item["outcome"] for item in cancelled["items"]] == ["left"]
    assert msgspec.json.decode(audited.stdout)["requests"] == 0
    assert "not compared: what acme did" in audited.stderr


def test_a_held_job_of_another_platform_is_not_attached_to_a_request_of_fal(job, run, acme):
    file = job("prices: {acme/enlarge: 0.5 USD/output}", photos=1)
    acme.fault("submit", "cut")
    assert msgspec.json.decode(run("run", file, "--json", status=1).stdout)["tasks"]["held"] == 1

    done = run("ledger", "attach", file, "0.png", "j1", status=2)

    assert "is a task of acme/enlarge, and only requests to fal can be attached" in done.stderr


def test_a_built_in_model_needs_no_look_at_other_packages(tmp_path, job, environment):
    program = (
        "import sys; from pathlib import Path; from batchup import plugins; from batchup.manifest import load\n"
        "load(Path(sys.argv[1]))\n"
        "assert plugins.installed.cache_info().misses == 0, 'looked'\n"
        "assert 'acme_batchup' not in sys.modules\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, str(job(model="local/lanczos"))],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_without_the_package_its_models_are_none(tmp_path, job):
    done = batchup("run", job(), cwd=tmp_path, status=2)

    assert '"acme/enlarge" is no model' in done.stderr
