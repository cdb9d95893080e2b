"""The models that one manifest may use: those that are there, its own endpoints, at its own prices."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from functools import partial

from batchup import plugins
from batchup.experience import Experience
from batchup.manifest import Manifest
from batchup.models import FAL
from batchup.models.base import FalModel, Model, PricedModel
from batchup.models.custom import custom
from batchup.task import Task


class Catalogue:
    """Finds models by name, each made once."""

    def __init__(
        self,
        manifest: Manifest,
        live_usd: Mapping[str, Decimal] | None = None,
        experience: Experience | None = None,
    ) -> None:
        """Take the manifest's endpoints and prices.

        Args:
            manifest: Checked.
            live_usd: Model -> its unit price in USD as the platform says today. It is used where it is higher than
                the table's, and the manifest says nothing.
            experience: Of this job's earlier tasks. Estimates of prices that only the work tells come from it.
        """
        self._manifest = manifest
        self._live_usd = live_usd or {}
        self._experience = experience
        self._found: dict[str, Model] = {}

    def find(self, name: str) -> Model:
        """Return the model called *name*.

        Raises:
            KeyError: There is none that can be used.
        """
        if name not in self._found:
            self._found[name] = self._learned(self._priced(name, self._model(name)))
        return self._found[name]

    def fal(self, name: str) -> FalModel:
        """Return a model that is known to run on fal."""
        model = self.find(name)
        assert isinstance(model, FalModel)
        return model

    def price_now(self, task: Task) -> Decimal | None:
        """Return what a task is expected to be charged by all that is known now; None where nobody can tell.

        It differs from what was planned only where the work tells the price, and more of it is known by now. Asked
        for every reservation, so it is cheap.
        """
        if not task.cost_usd or not task.pixels:
            return task.cost_usd
        model = self.find(task.model)
        if not isinstance(model, PricedModel) or model.learned is None:
            return task.cost_usd
        stated = model.charged_usd(None, None, task.size)
        return task.cost_usd if stated is None else model.learned(task.pixels, stated)

    def _model(self, name: str) -> Model:
        provider, _, stem = name.partition("/")
        own = self._manifest.models.get(stem) if provider == FAL else None
        return custom(name, own) if own is not None else plugins.find(name)

    def _priced(self, name: str, model: Model) -> Model:
        if not isinstance(model, PricedModel):
            return model
        given, live = self._manifest.prices.get(name), self._live_usd.get(name)
        if given is not None:
            return model.repriced(given.usd, given.per)
        if live is not None and (model.price is None or live > model.price.usd):
            return model.repriced(live)
        return model

    def _learned(self, model: Model) -> Model:
        """Return the model with what is known of its charges, where they cannot be worked out."""
        if self._experience is None or not isinstance(model, PricedModel) or not model.is_priced_by_work:
            return model
        return replace(model, learned=partial(self._experience.charged_usd, model.name))
