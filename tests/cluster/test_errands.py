"""What becomes of an errand, whatever happens to its worker, to the scheduler, and to the run beside it."""

import os
from contextlib import asynccontextmanager

import anyio
import pytest

from batchup.cluster.connection import open_engine
from batchup.cluster.engine import Errand
from batchup.cluster.pool import ClusterPool
from batchup.cluster.provider import ClusterProvider, silent
from batchup.errors import FatalError, ManifestError, NotSentError, RejectedError, SubmissionUnknown, only
from batchup.providers.base import Job, Request
from batchup.providers.local.pool import open_pool
from batchup.providers.local.provider import LocalProvider
from batchup.source import Source
from batchup.task import Task
from tests.cluster.machines import another_worker, cluster, wanted
from tests.library import photo
from tests.plugins.conftest import acme_site, here  # noqa: F401 - pytest finds them here

PROBE = "batchup.providers.local.probe:probe"


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with cluster(tmp_path_factory.mktemp("workers"), 1) as (planned, _):
        yield planned


@asynccontextmanager
async def opened(asked):
    """Give an engine, for some seconds, and raise what ended its block as it is."""
    try:
        with anyio.fail_after(10):
            async with open_engine(asked) as engine:
                yield engine
    except* (FatalError, ManifestError) as group:
        raise only(group) from None


def command(text, **more):
    return Errand("pool", "os:system", lambda _places: (text, ""), kind="transfer", **more)


def preparing(tmp_path, step="prepare", **more):
    """Ask for a step of a provider that needs no account."""
    task = Task("a", "local/lanczos", {}, {}, Source(str(tmp_path), "a.png"), "a.png")
    job = Job(task, tmp_path / "a.png", tmp_path / "a.part", tell=silent)
    return Errand(step, "local", lambda _places: (job,), kind="transfer", **more)


@pytest.mark.parametrize("fence", ["", "another"], ids=["its scheduler knows it", "its scheduler is new"])
async def test_what_was_begun_and_may_be_paid_is_never_given_to_another_worker(tmp_path, running, fence):
    async with opened(wanted(tmp_path, running)) as engine, anyio.create_task_group() as group:
        engine._fence = fence or engine._fence

        async def ask():
            with pytest.raises(SubmissionUnknown, match="was lost while it submitted"):
                await engine.do(command(f"touch {tmp_path}/begun; sleep 1", may_cost=True))

        group.start_soon(ask)
        while not (tmp_path / "begun").exists():  # noqa: ASYNC110 - another process gets there
            await anyio.sleep(0.01)
        engine.gone(next(iter(engine.members)).address)


async def test_a_connection_that_was_cut_ends_the_run_though_a_scheduler_answers_there(tmp_path, running):
    async def cut():
        async with opened(wanted(tmp_path, running)) as engine:
            engine._client.scheduler_comm.comm.abort()
            await anyio.sleep_forever()

    with pytest.raises(FatalError, match="is gone; start it and run again"):
        await cut()


async def test_two_runs_at_once_work_on_the_same_worker(tmp_path, running):
    (tmp_path / "other").mkdir()
    async with opened(wanted(tmp_path, running)) as first:
        await first.do(preparing(tmp_path))
        async with opened(wanted(tmp_path / "other", running)) as second:
            found = [await run.do(preparing(tmp_path)) for run in (second, first, second)]

    assert found == [Request()] * 3


@pytest.mark.parametrize(
    ("may_cost", "error"),
    [(True, SubmissionUnknown), (False, RejectedError)],
    ids=["may have been accepted where it costs", "is told where it is free"],
)
async def test_what_nobody_foresaw(tmp_path, running, may_cost, error):
    async with opened(wanted(tmp_path, running)) as engine:
        with pytest.raises(error, match="AttributeError"):
            await engine.do(preparing(tmp_path, "no_such_step", may_cost=may_cost))


async def test_what_may_be_paid_waits_for_no_worker(tmp_path, running):
    async with opened(wanted(tmp_path, running)) as engine:
        engine.gone(next(iter(engine.members)).address)

        with pytest.raises(NotSentError, match="no worker is there"):
            await engine.do(command("true", may_cost=True))


async def test_without_a_worker_of_the_account_the_platform_counts_as_out_of_reach(tmp_path, running):
    async with opened(wanted(tmp_path, running)) as engine, open_pool(1, 1_000_000_000) as pool:
        provider = ClusterProvider("fal", LocalProvider(pool), engine, lambda _sha256: False)

        with pytest.raises(NotSentError, match="no worker of this account"):
            await provider.reach()


@pytest.mark.parametrize("gone_first", [True, False], ids=["none is there", "the last goes meanwhile"])
async def test_an_output_that_is_there_is_examined_also_without_workers(tmp_path, running, gone_first):
    asked = wanted(tmp_path, running)
    found: list[dict[str, int]] = []
    file = photo(tmp_path / "a.png")
    async with (
        opened(asked) as engine,
        open_pool(1, 1_000_000_000) as own,
        anyio.create_task_group() as group,
    ):
        worker = next(iter(engine.members))
        worker.room = {"work": 0, "transfer": 0}
        if gone_first:
            engine.gone(worker.address)

        async def examine():
            found.append(await ClusterPool(own, engine).call(PROBE, {"path": str(file)}))

        group.start_soon(examine)
        await anyio.wait_all_tasks_blocked()
        asked.shutdown.drain()
        engine.gone(worker.address)

    assert found[0]["width"] == 48


async def test_a_run_that_ends_waits_for_no_worker(tmp_path, running):
    asked = wanted(tmp_path, running)
    async with opened(asked) as engine, anyio.create_task_group() as group:
        engine.gone(next(iter(engine.members)).address)

        async def ask():
            with pytest.raises(NotSentError):
                await engine.do(command("true"))

        group.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        asked.shutdown.drain()


async def test_a_worker_without_the_package_of_a_model_is_refused(tmp_path, running, here, acme_site):  # noqa: F811
    here(acme_site)

    with pytest.raises(
        ManifestError, match=r"it has no local/nearest: install acme-batchup 1\.2 \([0-9a-f]{8}\) there"
    ):
        async with opened(wanted(tmp_path, running, "local/nearest")):
            pass


async def test_what_a_plugins_provider_does_needs_nothing_of_a_worker(tmp_path, running, here, acme_site):  # noqa: F811
    here(acme_site)

    async with opened(wanted(tmp_path, running, "acme/enlarge")) as engine:
        assert engine.members.slots


async def test_what_one_worker_has_no_means_for_is_done_by_another_and_that_is_said(tmp_path, running):
    (tmp_path / "lent.py").write_text("def seven(_):\n    return 7\n")
    errand = Errand("pool", "lent:seven", lambda _places: ({}, ""), needs=("lent:seven",))
    told: list[str] = []
    async with opened(wanted(tmp_path, running, tell=told.append)) as engine:
        for _ in range(2):
            with pytest.raises(RejectedError, match="it needs lent, which is not installed here"):
                await engine.do(errand)
        with another_worker(
            tmp_path / "worker", running, PYTHONPATH=f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"
        ):
            while len(engine.members) < 2:  # noqa: ASYNC110 - another process gets there
                await anyio.sleep(0.01)
            next(iter(engine.members)).lacks.clear()

            found = [await engine.do(errand) for _ in range(3)]

    assert found == [7, 7, 7]
    assert sum("gets no more of this work: it needs lent" in line for line in told) == 1
