"""Local work that a cluster does: the same outputs, wherever they are made."""

import os
import shutil
import sys
from functools import partial
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

import batchup as package
from batchup.cluster.address import trouble
from batchup.cluster.call import ABOUT, CLAIM, DONE, REVOKE
from batchup.cluster.commands import Layout
from batchup.cluster.connection import open_engine
from batchup.cluster.pool import ClusterPool
from batchup.models import find
from batchup.providers.local.pool import open_pool
from batchup.providers.local.work import Work
from tests.cluster.machines import cluster, job, layout, wanted
from tests.fal.job import fal_of
from tests.library import batchup, events, manifest, outputs, photo, size
from tests.videos import make_video

PHOTOS = 6
LANCZOS = find("local/lanczos").params.model_validate({"scale": 2}).model_dump()
LANCZOS_VIDEO = find("local/lanczos-video").params().model_dump()


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with cluster(tmp_path_factory.mktemp("workers"), FAL_KEY="someone:else-0123456789") as (planned, _):
        yield planned


@pytest.fixture
def photos(tmp_path):
    for number in range(PHOTOS):
        photo(tmp_path / f"photos/{number}.png", seed=number)
    return tmp_path


def contents(folder):
    return {name: file.read_bytes() for name, file in outputs(folder).items()}


def test_workers_make_the_same_outputs_as_this_machine(photos, running):
    file = job(photos, running.address)
    here = manifest(photos, "params: {scale: 2}", name="here", output="{dir: here}")

    done = batchup("run", file, cwd=photos)
    batchup("run", here, cwd=photos)

    assert "6 of 6 tasks done" in done.stdout
    assert contents(photos / "out") == contents(photos / "here")
    left = {path.name for path in (photos / "out/.batchup").iterdir()}
    assert left == {"holiday.jsonl", "holiday.jsonl.lock"}


def test_the_command_line_names_a_cluster_too(photos, running):
    file = manifest(photos, "params: {scale: 2}")

    batchup("run", file, "--cluster", running.address, cwd=photos)

    assert len(outputs(photos / "out")) == PHOTOS


def test_what_a_worker_cannot_read_fails_as_it_does_here(photos, running):
    broken = photo(photos / "photos/1.png", size=(300, 200))
    broken.write_bytes(broken.read_bytes()[:-500])

    done = batchup("run", job(photos, running.address), cwd=photos, status=1)

    assert "5 of 6 tasks done" in done.stdout
    assert [event["kind"] for event in events(photos / "out/.batchup/holiday.jsonl", "failed")] == [
        "image_truncated"
    ]


async def test_an_attempt_is_granted_once_and_never_after_it_was_revoked(running):
    from distributed import Client

    async with Client(running.address, asynchronous=True, set_as_default=False) as client:
        fence = client.scheduler
        task = client.submit(anyio.sleep, 60, key="batchup-test-1", pure=False)
        with anyio.fail_after(10):
            while not any((await fence.processing()).values()):  # noqa: ASYNC110 - another process gets there
                await anyio.sleep(0.01)

        granted = [await getattr(fence, CLAIM)(attempt="batchup-test-1", worker="w") for _ in range(2)]
        name = (await getattr(fence, ABOUT)())["fence"]
        another = await getattr(fence, REVOKE)(attempt="batchup-test-1", fence="one that was here before")
        revoked = await getattr(fence, REVOKE)(attempt="batchup-test-1", fence=name)
        handed_in = await getattr(fence, DONE)(attempt="batchup-test-1", result=b"late")
        unknown = await getattr(fence, CLAIM)(attempt="batchup-test-2", worker="w")

        assert granted == [True, False]
        assert tuple(another) == ("unknown", b"")
        assert tuple(revoked) == ("claimed", b"")
        assert not handed_in
        assert not unknown
        task.release()


async def test_a_worker_tells_how_far_it_is_and_stops_when_nobody_waits_any_more(tmp_path, running):
    film = make_video(tmp_path / "film.mp4", seconds=8, size=(320, 240), audio=False)
    work = Work({**LANCZOS_VIDEO, "scale": 4}, str(film), str(tmp_path / "out.part"), ".mp4", 1280, 960)
    parts: list[float] = []
    async with open_pool(1, 1_000_000_000) as here, open_engine(wanted(tmp_path, running)) as engine:
        pool = ClusterPool(here, engine)

        with anyio.CancelScope() as scope:

            def tell(part):
                parts.append(part)
                scope.cancel()

            await pool.call("batchup.providers.local.video:upscale", work, tell=tell)
        with anyio.fail_after(10):
            await pool.call("batchup.providers.local.probe:probe", {"path": str(film)})
            while list((tmp_path / "out/.batchup/holiday.cluster").glob("batchup-*")):  # noqa: ASYNC110 - there
                await anyio.sleep(0.01)

    assert parts
    assert 0 <= parts[0] < 1


async def test_an_input_that_a_worker_does_not_see_is_brought_to_it(tmp_path, running, monkeypatch):
    monkeypatch.chdir(tmp_path)
    photo(tmp_path / "a.png")
    here = Path("/proc/self/cwd/a.png")  # another file for every process
    work = Work({**LANCZOS, "scale": 2}, str(here), str(tmp_path / "a.part"), ".png", 96, 72)
    async with open_pool(1, 1_000_000_000) as own, open_engine(wanted(tmp_path, running)) as engine:
        for _ in range(4):
            await ClusterPool(own, engine).call("batchup.providers.local.image:upscale", work)

        assert not all(member.shares for member in engine.members)
    assert size(tmp_path / "a.part") == (96, 72)


def test_files_are_carried_to_workers_that_do_not_share_them(photos, tmp_path_factory):
    apart = tmp_path_factory.mktemp("apart")
    with cluster(apart, 1, BATCHUP_CLUSTER_FILES="carry") as (planned, _):
        batchup("run", job(photos, planned.address), cwd=photos)

        assert {size(file) for file in outputs(photos / "out").values()} == {(96, 72)}
        assert len(outputs(photos / "out")) == PHOTOS
        assert not [path for path in apart.rglob("*") if path.is_file() and path.suffix == ""], "left over"


async def test_a_worker_with_another_key_gets_no_paid_work(tmp_path, running, monkeypatch):
    async with fal_of(monkeypatch) as fal:
        file = job(tmp_path, running.address, "params: {}", model="fal/seedvr-image")
        photo(tmp_path / "photos/a.png")

        done = await to_thread.run_sync(partial(batchup, "run", file, cwd=tmp_path, status=2))

        assert "its environment has no FAL_KEY, another one" in done.stderr
        assert "0123456789" not in done.stderr
        assert not fal.accepted


def test_a_worker_of_another_version_is_given_nothing(photos, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    shutil.copytree(
        Path(package.__file__).parent, other / "batchup", ignore=shutil.ignore_patterns("__pycache__")
    )
    (other / "batchup/version.py").write_text('"""The version."""\n\n__version__ = "0.0.9"\n')
    with cluster(other / "scratch", 1, PYTHONPATH=str(other)) as (planned, _):
        done = batchup("run", job(photos, planned.address), cwd=photos, status=2)

    assert "runs batchup 0.0.9 (" in done.stderr
    assert not outputs(photos / "out")


def test_a_cluster_that_is_not_there_is_told_before_anything_is_done(photos):
    done = batchup("run", job(photos, layout().address), cwd=photos, status=2)

    assert "no scheduler listens there" in done.stderr
    assert not outputs(photos / "out")


def test_an_address_that_is_none_is_told_with_its_place(photos):
    done = batchup("run", job(photos, "scheduler:8786"), cwd=photos, status=2)

    assert "holiday.yaml:" in done.stderr
    assert "write tcp://host:8786" in done.stderr


@pytest.mark.parametrize(
    "address", ["http://host:8786", "tcp://host", "tcp://host:port", "tcp://:1", "tcp://a:1/b"]
)
def test_an_address_is_a_scheme_a_host_and_a_port(address):
    assert trouble(address)


@pytest.mark.parametrize("address", ["tcp://host:8786", "tls://10.0.0.1:1", "tcp://[::1]:8786"])
def test_an_address_of_any_host_can_be_tried(address):
    assert not trouble(address)


def test_without_dask_the_extra_is_named(photos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("without")
    (folder / "sitecustomize.py").write_text("import sys\nsys.modules['distributed'] = None\n")
    file = job(photos, "tcp://127.0.0.1:8786")

    done = batchup("run", file, cwd=photos, status=2, env={**os.environ, "PYTHONPATH": str(folder)})

    assert "pip install 'batchup[cluster]'" in done.stderr


def test_the_printed_commands_are_those_that_tests_start(tmp_path):
    planned = Layout("10.0.0.1", gpus=2, certificates=tmp_path)

    done = batchup(
        "cluster", "--host", "10.0.0.1", "--gpus", 2, "--slots", 1, "--tls", tmp_path, cwd=tmp_path
    )

    for command in (planned.scheduler(), planned.worker()):
        assert " ".join(command) in done.stdout
    assert "batchup run --cluster tls://10.0.0.1:8786 MANIFEST" in done.stdout
    assert sys.executable not in done.stdout
