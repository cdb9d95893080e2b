"""What somebody who watches a run takes of the machine, and of the run."""

import os
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import anyio
import msgspec
import pytest
from anyio import to_thread
from yarl import URL

from batchup import control
from batchup.dashboard.room import ROUND_TICKS, TICK_S
from batchup.dashboard.server import Address
from batchup.manifest import load
from tests.benchmarks.test_fal import photos, serving
from tests.dashboard.visitor import Visitor
from tests.library import children, manifest, outputs

pytestmark = [
    pytest.mark.bench,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="CPU time is read from /proc"),
]

TASKS = int(os.environ.get("BATCHUP_BENCH_TASKS", "10000"))
ROUNDS = int(os.environ.get("BATCHUP_BENCH_ROUNDS", "3"))
ROOT = Path(__file__).parents[2]
JIFFY_S = 1 / os.sysconf("SC_CLK_TCK")
OFTEN = 20


@dataclass(frozen=True)
class Run:
    """What one run took: its own CPU, its time, and the CPU of who watched it."""

    cpu_s: float
    wall_s: float
    watched_cpu_s: float = 0.0
    messages: int = 0
    sent_bytes: int = 0


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process and its children, those that have ended among them."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) * JIFFY_S + sum(map(cpu_s, children(pid)))


class Watching:
    """Follows the page's messages, and fetches each thumbnail once, as a browser does."""

    def __init__(self, visitor: Visitor) -> None:
        self.visitor, self.messages, self.sent_bytes = visitor, 0, 0
        self._got: set[str] = set()

    async def watch(self) -> None:
        async with self.visitor.http.get(f"{self.visitor.base}events") as answer:
            async for line in answer.content:
                if line.startswith(b"data:"):
                    self.messages += 1
                    self.sent_bytes += len(line)
                    for item in msgspec.json.decode(line[5:]).get("fresh", ()):
                        await self._fetch(item)

    async def _fetch(self, item) -> None:
        for side, which in (("input", "before"), ("output", "after")):
            path = f"thumbnail/{self.visitor.key}/{item['id']}/{side}"
            if item.get(which) == "ready" and path not in self._got:
                self._got.add(path)
                assert (await self.visitor.get(path))[0] == 200


def started(*args: object, **environment: str) -> subprocess.Popen[str]:
    """Start the command line."""
    return subprocess.Popen(
        [sys.executable, "-m", "batchup", *map(str, args)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment, "PYTHONPATH": str(ROOT)},
    )


@asynccontextmanager
async def dashboard(file: Path):
    """Start the dashboard as a process of its own, and yield it and who watches."""
    process = started("dashboard", file)
    try:
        assert process.stdout
        url = URL(process.stdout.readline().strip())
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(cookie_jar=jar, read_bufsize=1 << 22) as http:
            address = Address(str(url), url.host or "", url.port or 0)
            visitor = Visitor(address, http, load(file).ledger_path)
            await visitor.come_in()
            yield process, Watching(visitor)
    finally:
        process.terminate()
        process.communicate()


async def ran(folder: Path, number: int, *, watched: bool) -> Run:
    """Run the job once, with or without somebody who watches."""
    name = f"{'watched' if watched else 'alone'}-{number}"
    text = "model: fal/aura-sr\nrun: {concurrency: 64}"
    file = manifest(folder, text, name=name, output=f"{{dir: {name}}}")
    with serving(task_s=0.4, outputs="blank", concurrency=64) as server:
        if watched:
            found = await _watched(file, server.environment)
        else:
            found = Run(*await ended(started("run", file, "-q", **server.environment)))
    assert len(outputs(folder / name)) == TASKS
    return found


async def ask_often() -> None:
    """Ask the run :data:`OFTEN` times as often as the dashboard does."""
    while True:
        for run in await to_thread.run_sync(control.runs):
            for _ in range(ROUND_TICKS):
                await control.ask(run, control.Command("state"))
        await anyio.sleep(TICK_S * ROUND_TICKS / OFTEN)


async def _watched(file: Path, environment: dict[str, str]) -> Run:
    async with dashboard(file) as (page, watching), anyio.create_task_group() as group:
        group.start_soon(watching.watch)
        group.start_soon(ask_often)
        before_s = cpu_s(page.pid)
        run_cpu_s, wall_s = await ended(started("run", file, "-q", **environment))
        used_s = cpu_s(page.pid) - before_s
        group.cancel_scope.cancel()
    return Run(run_cpu_s, wall_s, used_s, watching.messages, watching.sent_bytes)


async def ended(process: subprocess.Popen[str]) -> tuple[float, float]:
    """Wait for a run to end well, and return its CPU seconds and those on the clock."""
    began_s = time.monotonic()
    _, status, used = await to_thread.run_sync(lambda: os.wait4(process.pid, 0))
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    process.communicate()
    return used.ru_utime + used.ru_stime, time.monotonic() - began_s


async def test_a_run_of_ten_thousand_tasks_is_watched_for_a_twentieth_of_a_core_and_hardly_feels_it(tmp_path):
    photos(tmp_path / "photos", TASKS)
    alone, watched = [], []
    for number in range(ROUNDS):
        alone.append(await ran(tmp_path, number, watched=False))
        watched.append(await ran(tmp_path, number, watched=True))

    share = min(one.watched_cpu_s / one.wall_s for one in watched)
    # The run was asked that much more often, so that what it costs stands out from what varies by itself.
    cost = (min(one.cpu_s for one in watched) / min(one.cpu_s for one in alone) - 1) / (OFTEN + 1)
    one = watched[0]
    print(f"\n{TASKS:,} tasks, the best of {ROUNDS}: {TASKS / one.wall_s:.0f} a second; one viewer:")
    print(
        f"  the dashboard takes {share:.1%} of a core (under 5 %), {one.messages / one.wall_s:.1f} messages a second"
    )
    print(f"  of {one.sent_bytes / one.messages:,.0f} bytes; the run takes {cost:+.2%} CPU (under 2 %)")
    assert share < 0.05
    assert cost < 0.02
