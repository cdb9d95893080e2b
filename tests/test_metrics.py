"""A run's numbers can be fetched while it goes on, and are the ledger's."""

import re
import shutil
import socket
import sys
from contextlib import asynccontextmanager

import aiohttp
import anyio
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from batchup.audience import Audience
from batchup.cli import main
from batchup.manifest import load
from batchup.metrics import open_metrics
from batchup.progress import Progress
from batchup.rehearsal import Script, answers
from batchup.run import Options, run
from tests.fal.job import MODEL, Job, fal_of
from tests.library import batchup, manifest, photo

IMAGE = {"model": "fal/seedvr-image"}


class Scrape:
    """What was fetched, parsed as Prometheus parses it."""

    def __init__(self, text: str) -> None:
        self.families = list(text_string_to_metric_families(text))
        self.samples = [sample for family in self.families for sample in family.samples]

    def __call__(self, name: str, /, **labels: str) -> float:
        """Return the value of the one sample that has these labels, 0 where there is none."""
        found = [
            one.value
            for one in self.samples
            if one.name == f"batchup_{name}" and labels.items() <= one.labels.items()
        ]
        assert len(found) <= 1, f"{name}: {len(found)} samples"
        return found[0] if found else 0.0

    def tasks(self, **labels: str) -> dict[str, float]:
        found = [one for one in self.samples if one.name == "batchup_tasks" and one.value]
        return {one.labels["state"]: one.value for one in found if labels.items() <= one.labels.items()}


@asynccontextmanager
async def scraping():
    """Serve the metrics of a run; give what hears of it, and what fetches them."""
    said: list[str] = []
    async with open_metrics(0, said.append) as metrics, aiohttp.ClientSession() as session:
        address = said[0].rpartition(" ")[2]

        async def fetch(**headers: str) -> Scrape:
            async with session.get(address, headers=headers) as answer:
                assert answer.status == 200
                assert answer.content_type == "application/openmetrics-text"
                return Scrape(await answer.text())

        yield Audience(Progress(show=False), metrics), fetch


async def ran(job, **asked):
    """Run a job to its end; return what was fetched then, and its summary."""
    async with scraping() as (audience, fetch):
        outcome = await run(load(job.file), Options(**asked), audience)
        return await fetch(), outcome.summary


async def test_numbers_at_the_end_are_those_of_the_ledger(tmp_path, monkeypatch):
    job = Job(tmp_path, photos=3)
    shutil.copy(tmp_path / "photos/0.png", tmp_path / "photos/copy.png")
    refused, broken = Script("submit", answers.too_many(0.01)), Script("download", answers.ingress(503))
    async with fal_of(monkeypatch, refused, broken):
        got, summary = await ran(job)

    assert got.tasks(**IMAGE) == {"done": summary.tasks.done} == {"done": 4}
    assert summary.cost_usd.charged > 0
    assert got("charged_usd_total", **IMAGE) == pytest.approx(summary.cost_usd.charged, abs=1e-6)
    assert got("job_charged_usd") == pytest.approx(summary.cost_usd.charged, abs=1e-6)
    assert 3 * got("saved_usd_total", by="dedupe", **IMAGE) == pytest.approx(
        summary.cost_usd.charged, abs=1e-6
    )
    assert got("reserved_usd", **IMAGE) == got("tasks_running", **IMAGE) == 0
    assert got("refusals_total", step="submit", **IMAGE) == 1
    assert got("retries_total", step="fetch", **IMAGE) == 1
    assert got("task_duration_seconds_count", **IMAGE) == 3
    assert got("task_duration_seconds_sum", **IMAGE) > 0
    uploaded = sum((tmp_path / f"photos/{number}.png").stat().st_size for number in range(3))
    assert got("uploaded_bytes_total", **IMAGE) == uploaded
    fetched = [event["size_bytes"] for event in job.events("done") if not event.get("copied_from")]
    assert got("downloaded_bytes_total", **IMAGE) == sum(fetched)
    assert got("run_info", name="holiday") == 1


async def test_numbers_move_while_the_run_goes_on(tmp_path, monkeypatch):
    job = Job(tmp_path, f"{MODEL}\nrun: {{budget: 5 USD}}", photos=2)
    async with fal_of(monkeypatch, task_s=0.3), scraping() as (audience, fetch):
        assert (await fetch()).tasks() == {}
        async with anyio.create_task_group() as group:
            group.start_soon(run, load(job.file), Options(), audience)
            with anyio.fail_after(5):
                got = await fetch()
                while got.tasks() != {"in_flight": 2}:
                    got = await fetch()

            assert got("tasks_running", **IMAGE) == 2
            assert got("reserved_usd", **IMAGE) > 0
            assert got("budget_usd") == 5
            assert got("charged_usd_total", **IMAGE) == 0
        assert (await fetch()).tasks() == {"done": 2}


async def test_what_is_fetched_again_is_told_as_saved(tmp_path, monkeypatch):
    job = Job(tmp_path, photos=1)
    async with fal_of(monkeypatch):
        _, summary = await ran(job)
        next(iter(job.outputs().values())).unlink()

        got, _ = await ran(job)

    assert got("saved_usd_total", by="healing", **IMAGE) == pytest.approx(summary.cost_usd.charged, abs=1e-6)
    assert got("charged_usd_total", **IMAGE) == 0
    assert got("job_charged_usd") == pytest.approx(summary.cost_usd.charged, abs=1e-6)
    assert got("downloaded_bytes_total", **IMAGE) > 0
    assert got("task_duration_seconds_count", **IMAGE) == 0


async def test_failures_are_counted_by_class(tmp_path, monkeypatch):
    job = Job(tmp_path, photos=1)
    async with fal_of(monkeypatch, Script("result", answers.model_error("content_policy_violation"))):
        got, summary = await ran(job)

    (kind,) = summary.failures
    assert got.tasks() == {"failed": 1}
    assert got("failures_total", **IMAGE, **{"class": kind}) == 1


async def test_local_work_costs_and_transfers_nothing(tmp_path):
    photo(tmp_path / "photos/a.png")
    file = manifest(tmp_path, "params: {scale: 2}")
    async with scraping() as (audience, fetch):
        await run(load(file), Options(), audience)
        got = await fetch()

    assert got.tasks(model="local/lanczos") == {"done": 1}
    assert got("task_duration_seconds_count", model="local/lanczos") == 1
    assert {one.value for one in got.samples if one.name.endswith(("_usd", "_usd_total"))} == {0}
    assert not [one for one in got.samples if one.name.endswith("_bytes_total")]


async def test_names_and_units_follow_the_conventions():
    async with scraping() as (_, fetch):
        families = (await fetch()).families

    for family in families:
        assert re.fullmatch(r"batchup_[a-z_]+", family.name)
        assert family.documentation.endswith(".")
        unit = next((one for one in ("seconds", "bytes", "usd") if family.name.endswith(f"_{one}")), "")
        assert family.unit == unit
    assert {family.type for family in families} == {"counter", "gauge", "histogram", "info"}


async def test_a_name_that_was_bound_anew_reads_nothing():
    said: list[str] = []
    async with open_metrics(0, said.append), aiohttp.ClientSession() as session:
        address = said[0].rpartition(" ")[2]
        assert address.startswith("http://127.0.0.1:")

        async with session.get(address, headers={"Host": "evil.example:9"}) as answer:
            assert answer.status == 403
        async with session.get(address, headers={"Host": "localhost:9"}) as answer:
            assert answer.status == 200


def test_a_port_in_use_is_told_before_anything_starts(tmp_path, capsys):
    photo(tmp_path / "photos/a.png")
    file = manifest(tmp_path, "params: {scale: 2}")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(SystemExit) as end:
            main(["run", str(file), "--metrics", str(port)])

    assert end.value.code == 2
    assert f"--metrics {port}: this port is in use" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_command_line_says_where_the_metrics_are(tmp_path):
    photo(tmp_path / "photos/a.png")
    file = manifest(tmp_path, "params: {scale: 2}")

    done = batchup("run", file, "--metrics", 0, cwd=tmp_path)

    assert re.search(r"metrics are at http://127\.0\.0\.1:\d+/metrics", done.stderr)


def test_metrics_without_their_part_are_an_error_that_says_what_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)

    with pytest.raises(SystemExit) as end:
        main(["run", str(manifest(tmp_path, "params: {scale: 2}")), "--metrics", "0"])

    assert end.value.code == 2
    assert "pip install 'batchup[metrics]'" in capsys.readouterr().err
