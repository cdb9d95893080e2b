"""A provider of another package keeps what every provider promises."""

from contextlib import asynccontextmanager
from functools import partial

import pytest

from batchup import plugins
from batchup.testing import Bench, Fault, ProviderContract, Step, job, opened
from tests.plugins.server import KEY, open_acme

FAULTS: list[tuple[Step, Fault]] = [
    ("submit", "busy"),
    ("submit", "account"),
    ("submit", "rejected"),
    ("submit", "lost"),
    ("prepare", "broken"),
    ("complete", "broken"),
    ("complete", "busy"),
    ("complete", "forgotten"),
    ("fetch", "broken"),
    ("fetch", "expired"),
    ("find", "broken"),
]


class TestAcme(ProviderContract):
    @pytest.fixture(autouse=True)
    def _installed(self, here, acme_site):
        here(acme_site)

    @asynccontextmanager
    async def bench(self, folder):
        with open_acme(task_s=0.05) as acme:
            plugin = plugins.installed().provider("acme")
            yield Bench(
                partial(opened, plugin, acme.environment),
                partial(job, folder, "acme/enlarge"),
                accepted=lambda: len(acme.jobs),
                causes={
                    **{at: partial(self.meet, acme, at) for at in FAULTS},
                    **{
                        ("complete", fault): partial(self.work, acme, fault)
                        for fault in ("failed", "rejected", "slow")
                    },
                    **{(step, "unreachable"): lambda _job: acme.unplugged() for step in ("reach", "submit")},
                },
                secret=KEY,
            )

    @staticmethod
    def meet(acme, at, _job):
        acme.fault(*at)

    @staticmethod
    def work(acme, outcome, _job):
        acme.work = outcome
