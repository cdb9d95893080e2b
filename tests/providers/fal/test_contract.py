"""The provider of fal keeps what every provider promises, against a fal of our own."""

from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest

from batchup.catalogue import Catalogue
from batchup.clock import SystemClock
from batchup.history import History
from batchup.manifest import load
from batchup.providers.local.pool import open_pool
from batchup.provision import Tools, open_provider
from batchup.rehearsal import Cut, Delay, Script, Settings, answers, open_fal
from batchup.testing import Bench, ProviderContract, job
from batchup.transport import open_transport
from tests.library import manifest

CAUSES = {
    ("submit", "busy"): Script("submit", answers.too_many(retry_after_s=0.01)),
    ("submit", "account"): Script("submit", answers.wrong_key()),
    ("submit", "rejected"): Script("submit", answers.model_error("image_too_large")),
    ("submit", "lost"): Script("submit", Cut("after")),
    ("prepare", "broken"): Script("token", answers.broken(500), times=2),
    ("complete", "broken"): Script("result", answers.broken(503)),
    ("complete", "slow"): Script("task", Delay(60)),
    ("complete", "busy"): Script("result", answers.too_many(retry_after_s=0.01)),
    ("complete", "failed"): Script("task", answers.model_error("internal_server_error")),
    ("complete", "rejected"): Script("task", answers.model_error("image_load_error")),
    ("fetch", "broken"): Script("download", answers.broken(500)),
    ("fetch", "expired"): Script("download", answers.gone()),
    ("find", "broken"): Script("history", answers.broken(503)),
}


@asynccontextmanager
async def fal_provider(file, environment):
    asked = load(file)
    clock = SystemClock()
    async with open_pool(1, 1 << 30) as pool, open_transport() as transport:
        tools = Tools(asked, Catalogue(asked), clock, pool, transport, History(), environment)
        async with open_provider("fal", tools) as provider:
            yield provider


def causes(fal):
    scripted: dict[Any, tuple[Script, ...]] = {at: (script,) for at, script in CAUSES.items()}
    scripted["complete", "forgotten"] = (Script("status", answers.gone()), Script("history", answers.gone()))
    unplugged = {(step, "unreachable"): lambda _job: fal.unplugged() for step in ("reach", "submit")}
    return {at: partial(scripts, fal, several) for at, several in scripted.items()} | unplugged


def scripts(fal, several, _job):
    fal.script(*several)


class TestFal(ProviderContract):
    @asynccontextmanager
    async def bench(self, folder):
        file = manifest(folder, "retry: {initial: 10ms, max: 10ms, attempts: 2}", model="fal/seedvr-image")
        async with open_fal(Settings(outputs="blank", task_s=0.02)) as fal:
            environment = dict(fal.environment())
            yield Bench(
                partial(fal_provider, file, environment),
                partial(job, folder, "fal/seedvr-image", params={"output_format": "png"}),
                accepted=lambda: len(fal.accepted),
                causes=causes(fal),
                secret=environment["FAL_KEY"],
            )


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch):
    monkeypatch.delenv("FAL_KEY", raising=False)
