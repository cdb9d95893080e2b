"""Checks: what is wrong with what a package offers, as the end of a sentence; empty where nothing is."""

import re
from collections.abc import Container
from typing import TYPE_CHECKING, Any

from batchup import models
from batchup.models import FAL, LOCAL
from batchup.models.base import FalModel, LocalModel, Params, PricedModel

if TYPE_CHECKING:
    from batchup.providers.plugin import Plugin

_PROVIDER = re.compile(r"[a-z0-9][a-z0-9_-]*")
_MODEL = re.compile(rf"{_PROVIDER.pattern}/[a-z0-9][a-z0-9._-]*")


def model_name(name: str) -> str:
    """Return why no plug-in's model can have this name."""
    if not _MODEL.fullmatch(name):
        return "is no name; write provider/name in lower case"
    return "is the name of a built-in one" if name in models.names() else ""


def provider_name(name: str) -> str:
    """Return why no plug-in's provider can have this name."""
    if not _PROVIDER.fullmatch(name):
        return "is no name; write one word in lower case"
    return "is the name of a built-in one" if name in models.PROVIDERS else ""


def model(name: str, loaded: Any) -> str:
    """Return why *loaded* is no model that is called *name*."""
    provider = name.partition("/")[0]
    wanted: type[LocalModel | PricedModel] = PricedModel
    if provider in models.PROVIDERS:
        wanted = LocalModel if provider == LOCAL else FalModel
    if not isinstance(loaded, wanted):
        return (
            f"is {_kind(loaded)}, and a model of {provider} has to be a batchup.models.base.{wanted.__name__}"
        )
    if provider != FAL and isinstance(loaded, FalModel):
        return "is a FalModel, and those are called fal/..."
    if loaded.name != name:
        return f"calls itself {loaded.name!r}"
    return _unusable(loaded)


def plugin(name: str, loaded: Any, taken: Container[str]) -> str:
    """Return why *loaded* is no provider that is called *name*.

    Args:
        name: Of the provider.
        loaded: What its entry point leads to.
        taken: Names of models that are declared by themselves.
    """
    from batchup.providers.plugin import Plugin  # anyio: not needed where plug-ins add but local models

    if not isinstance(loaded, Plugin):
        return f"is {_kind(loaded)}, and has to be a batchup.providers.plugin.Plugin"
    return next(filter(None, (_wrong_own(name, one, loaded, taken) for one in loaded.models)), "")


def _wrong_own(provider: str, one: Any, of: "Plugin", taken: Container[str]) -> str:
    """Return what is wrong with one of a provider's own models."""
    if not isinstance(one, PricedModel) or isinstance(one, FalModel):
        return f"has {_kind(one)} among its models, which have to be PricedModels"
    if model_name(one.name) or not one.name.startswith(f"{provider}/"):
        return f"has a model called {one.name!r}, and they have to be called {provider}/..."
    if one.name in taken or sum(other.name == one.name for other in of.models) > 1:
        return f"declares {one.name} twice"
    why = _unusable(one)
    return f"has a model {one.name} that {why}" if why else ""


def _unusable(found: Any) -> str:
    """Return why a model cannot be asked what every model is asked. Raises whatever the model's own code does."""
    if found.kind not in {"image", "video"}:
        return f"takes {found.kind!r}, and has to take image or video"
    if not (isinstance(found.params, type) and issubclass(found.params, Params)):
        return "has parameters that are no class made from batchup.models.base.Params"
    found.params().model_dump()
    found.params.model_json_schema()
    return "" if found.summary and found.price_note else "has no summary"


def _kind(loaded: Any) -> str:
    """Return what something is, in words: ``a str``."""
    if isinstance(loaded, type):
        return f"the class {loaded.__name__}"
    name = type(loaded).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
