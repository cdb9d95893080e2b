"""The tests that every provider must pass, for packages that add one.

A package's own tests derive from :class:`ProviderContract` and say how a provider is opened, and how the other side is
made to fail::

    class TestAcme(ProviderContract):
        @asynccontextmanager
        async def bench(self, folder):
            async with server() as acme:
                yield Bench(
                    open=partial(opened, PLUGIN, acme.environment),
                    job=partial(job, folder, "acme/enlarge"),
                    accepted=lambda: len(acme.jobs),
                    causes={("submit", "lost"): acme.cut_after_accepting},
                )

Any runner that knows pytest's names for tests will do; no plug-in of pytest is needed.
"""

from batchup.testing.bench import Bench, Cause, Fault, Step, job, opened
from batchup.testing.contract import ProviderContract

__all__ = ["Bench", "Cause", "Fault", "ProviderContract", "Step", "job", "opened"]
