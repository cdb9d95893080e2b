"""What a package gives to add a provider, and what that provider is given to work with.

A package adds models and providers by entry points of its distribution::

    [project.entry-points."batchup.providers"]
    acme = "acme_batchup:PLUGIN"               # a Plugin; its models are called acme/...

    [project.entry-points."batchup.models"]
    "acme/enlarge" = "acme_batchup.models:ENLARGE"     # a PricedModel, for the provider of that name
    "local/edges" = "acme_batchup.edges:MODEL"         # a LocalModel, which worker processes of this machine run

The name of an entry point is the name in manifests, and what it leads to calls itself the same. Whoever has many models
lists them in :attr:`Plugin.models` instead, at the price that the package is imported to know their names.

What is broken (an import that fails, a wrong type, a name that is not its own or is taken) is told in one line by
``batchup models``, and where a manifest asks for it, and left out. What a provider raises beside the errors of
:class:`batchup.providers.base.Provider` is taken for the one that costs nothing: a submission for one that may have been
accepted, everything else for something that may be asked again.

:mod:`batchup.testing` has the tests that a provider must pass.
"""

from collections.abc import Callable, Container, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchup.clock import Clock
from batchup.models.base import LocalModel, Model, PricedModel
from batchup.providers.base import Provider, Upload
from batchup.providers.local.pool import Pool

if TYPE_CHECKING:
    from batchup.transport import Transport

SLOTS = 8
"""Tasks at a time of a provider that does not say otherwise."""

__all__ = ["SLOTS", "LocalModel", "Plugin", "PricedModel", "Supplies"]


@dataclass(frozen=True, slots=True)
class Supplies:
    """What a provider is given, for as long as a run lasts.

    Attributes:
        environment: Holds the account's key. Not ``os.environ``: a run may be told to use another.
        clock: For every wait, and for what the time is.
        transport: Downloads, resuming what was cut, with errors in their branches.
        pool: Runs what would block the event loop, in worker processes.
        model: Finds a model by name, at the prices that the manifest states.
        uploaded: Finds what was uploaded before, in this run or an earlier one, by its content hash.
        known: Ids of all requests that are accounted for: what is looked for is none of them.
        connect_s: Most seconds until a connection stands; likewise *stall_s* without a byte.
    """

    environment: Mapping[str, str]
    clock: Clock
    transport: "Transport"
    pool: Pool
    model: Callable[[str], Model]
    uploaded: Callable[[str], Upload | None]
    known: Container[str]
    connect_s: float
    stall_s: float


def _nothing(_environment: Mapping[str, str]) -> None:
    """Accept any environment: the provider needs none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """A provider that a package adds.

    Attributes:
        open: Gives the provider while its block lasts, which is a run. Called as ``open(supplies)``.
        models: Of this provider, beside those that have entry points of their own; all are called ``provider/...``.
        check: Looks into the environment, before anything is written, whether there is an account to work with. Asks
            nobody. Raises FatalError (``stopped="account"``) with what a person has to do, where there is none.
        slots: Tasks at a time where the manifest says nothing.
    """

    open: Callable[[Supplies], AbstractAsyncContextManager[Provider]]
    models: tuple[PricedModel, ...] = ()
    check: Callable[[Mapping[str, str]], None] = _nothing
    slots: int = SLOTS
