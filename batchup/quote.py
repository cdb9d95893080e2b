"""What a run would do and cost, at today's prices: known before anything is sent for money."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

from anyio import to_thread

from batchup.catalogue import Catalogue
from batchup.clock import Clock
from batchup.errors import Fault, Interrupted
from batchup.history import History
from batchup.manifest import Manifest
from batchup.plan import Choice, Plan
from batchup.provision import check_accounts, live_prices
from batchup.shutdown import Shutdown
from batchup.survey import survey


def total_usd(plan: Plan, history: History) -> Decimal:
    """Return what the whole job will have cost after this plan, as far as prices are known."""
    return history.money.charged + history.money.reserved + plan.to_pay_usd


@dataclass(frozen=True, slots=True)
class Quote:
    """Makes plans of one manifest.

    Attributes:
        choice: What is asked of the run.
        preparing: Is told how far it is, now and then.
        shutdown: Ends a survey that takes long.
        environment: Holds accounts' keys, and where their platforms are.
    """

    manifest: Manifest
    choice: Choice
    preparing: Callable[[str], None]
    clock: Clock
    shutdown: Shutdown
    environment: Mapping[str, str]

    def heed(self, text: str) -> None:
        """Tell how far it is.

        Raises:
            Interrupted: A signal came.
        """
        if self.shutdown.signum is not None:
            raise Interrupted(self.shutdown.signum)
        self.preparing(text)

    async def plan(self, history: History, catalogue: Catalogue | None = None) -> Plan:
        """Return what a run would do, at the prices of *catalogue*.

        Raises:
            Interrupted: A signal came.
            ManifestError: As :func:`batchup.survey.survey`; or an address of an account cannot be trusted.
            FatalError: An account that is needed has no key.
        """
        now = self.clock.utc()
        ask = partial(survey, self.manifest, history, self.choice, now, self.heed, catalogue=catalogue)
        plan = await to_thread.run_sync(ask)
        # Before a ledger is begun: without a key nothing would be done.
        check_accounts(plan.providers, self.environment)
        return plan

    async def today(self, plan: Plan, history: History) -> tuple[Plan, Catalogue]:
        """Return the plan at today's prices where they are higher than the table's, and the models at them."""
        catalogue = Catalogue(self.manifest, experience=history.experience)
        paid = [name for name, (_, usd) in plan.models.items() if usd]
        live = await live_prices(self.manifest, catalogue, paid, self.clock, self.environment) if paid else {}
        if not live:
            return plan, catalogue
        catalogue = Catalogue(self.manifest, live, history.experience)
        again = await self.plan(history, catalogue)
        again.warnings += [
            Fault("", 0, 0, f"fal asks {usd} USD a unit for {name} today, more than was known; that is used")
            for name, usd in live.items()
        ]
        return again, catalogue
