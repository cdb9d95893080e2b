"""A network that is lost while inputs are read from URLs pauses the run; what needs no network goes on."""

import contextlib
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

import anyio
import pytest
from anyio import to_thread

from batchup.manifest import load
from batchup.progress import Progress
from batchup.rehearsal.tempo import Tempo
from batchup.run import Options, run
from tests.library import events, manifest, outputs, photo
from tests.ports import own_port

SPEED = 60.0
GONE_S = 30.0
"""Much longer than all tries of a task take together."""

MOST_S = 60.0


class Host:
    """Serves a folder on one port, which it can leave and come back to."""

    def __init__(self, folder):
        self.folder, self.port, self.served, self.twice = folder, own_port(), 0, Event()

    @contextlib.contextmanager
    def up(self):
        host = self

        class Handler(SimpleHTTPRequestHandler):
            def log_message(self, *args):
                """Say nothing."""

            def do_GET(self):
                super().do_GET()
                host.served += 1
                if host.served == 2:
                    host.twice.set()

        class Server(ThreadingHTTPServer):
            allow_reuse_address = True
            daemon_threads = True

        with Server(("127.0.0.1", self.port), partial(Handler, directory=self.folder)) as server:
            thread = Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            try:
                yield
            finally:
                server.shutdown()
                thread.join()


class Witness(Progress):
    """Remembers what a person is told."""

    def __init__(self):
        super().__init__(show=False)
        self.told = []

    def waiting(self, why):
        self.told.append(why)


@pytest.fixture
def job(tmp_path):
    """A job of eight pictures, which a host serves, and the host."""
    for number in range(8):
        photo(tmp_path / f"web/{number}.png", seed=number)
    host = Host(tmp_path / "web")
    urls = ", ".join(f"'http://127.0.0.1:{host.port}/{number}.png'" for number in range(8))
    text = (
        f"inputs: [{{url: [{urls}], allow_private: true}}]\n"
        "run: {concurrency: 1}\nretry: {attempts: 2, initial: 1s, max: 2s}\ntimeouts: {connect: 5s}"
    )
    return manifest(tmp_path, text), host


async def test_a_network_that_is_lost_while_inputs_are_read_fails_nothing_and_is_told_once(job):
    file, host = job
    witness, outcomes, clock = Witness(), [], Tempo(SPEED)

    async def execute():
        outcomes.append(await run(load(file), Options(), witness, clock))

    def serve_two():
        with host.up():
            assert host.twice.wait(60)

    with anyio.fail_after(MOST_S):
        async with anyio.create_task_group() as group:
            group.start_soon(to_thread.run_sync, serve_two)
            group.start_soon(execute)
            while not any("network" in why for why in witness.told):  # noqa: ASYNC110 - nobody tells
                await anyio.sleep(0.01)
            await anyio.sleep(GONE_S / SPEED)
            with host.up():
                while not outcomes:  # noqa: ASYNC110 - likewise
                    await anyio.sleep(0.01)

    tasks = outcomes[0].summary.tasks
    assert (tasks.done, tasks.failed) == (8, 0)
    assert witness.told[0].startswith("waiting for the network: ")
    assert witness.told.count("") == 1


async def test_a_host_that_was_never_there_fails_its_tasks_and_nothing_waits_for_it(tmp_path, job):
    file, _ = job

    outcome = await run(load(file), Options(), Witness(), Tempo(1000))

    assert outcome.summary.tasks.failed == 8
    assert {event["kind"] for event in events(tmp_path / "out/.batchup/holiday.jsonl", "failed")} == {
        "not_connected"
    }
    assert not outputs(tmp_path / "out")


async def test_a_host_that_is_gone_for_good_fails_its_tasks_and_the_others_are_done(tmp_path, job):
    file, host = job
    photo(tmp_path / "photos/own.png", seed=9)
    file.write_text(file.read_text().replace("allow_private: true}", "allow_private: true}, {path: photos}"))
    with contextlib.ExitStack() as up, anyio.fail_after(MOST_S):
        up.enter_context(host.up())

        def leave():
            assert host.twice.wait(60)
            up.close()

        async with anyio.create_task_group() as group:
            group.start_soon(to_thread.run_sync, leave)
            outcome = await run(load(file), Options(), Witness(), Tempo(1000))

    tasks = outcome.summary.tasks
    assert tasks.done == len(outputs(tmp_path / "out"))
    assert "own.png" in outputs(tmp_path / "out")
    assert (tasks.done + tasks.failed, tasks.pending) == (9, 0)
    assert tasks.failed > 0
