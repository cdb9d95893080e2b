"""The models that one manifest may use: those that are there, its own endpoints, at its own prices."""

from collections.abc import Mapping
from decimal import Decimal

from batchup import models
from batchup.manifest import Manifest
from batchup.models.base import FalModel, Model
from batchup.models.custom import custom


class Catalogue:
    """Finds models by name, each made once."""

    def __init__(self, manifest: Manifest, live_usd: Mapping[str, Decimal] | None = None) -> None:
        """Take the manifest's endpoints and prices.

        Args:
            manifest: Checked.
            live_usd: Model -> its unit price in USD as the platform says today. It is used where it is higher than
                the table's, and the manifest says nothing.
        """
        self._manifest = manifest
        self._live_usd = live_usd or {}
        self._found: dict[str, Model] = {}

    def find(self, name: str) -> Model:
        """Return the model called *name*.

        Raises:
            KeyError: There is none.
        """
        if name not in self._found:
            self._found[name] = self._priced(name, self._model(name))
        return self._found[name]

    def fal(self, name: str) -> FalModel:
        """Return a model that is known to run on fal."""
        model = self.find(name)
        assert isinstance(model, FalModel)
        return model

    def _model(self, name: str) -> Model:
        own = self._manifest.models.get(name.removeprefix("fal/")) if name.startswith("fal/") else None
        return custom(name, own) if own is not None else models.find(name)

    def _priced(self, name: str, model: Model) -> Model:
        if not isinstance(model, FalModel):
            return model
        given, live = self._manifest.prices.get(name), self._live_usd.get(name)
        if given is not None:
            return model.repriced(given.usd, given.per)
        if live is not None and (model.price is None or live > model.price.usd):
            return model.repriced(live)
        return model
