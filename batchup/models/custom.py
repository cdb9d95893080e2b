"""Custom models: endpoints of fal that a manifest declares itself."""

from decimal import Decimal
from typing import Any, Protocol

from pydantic import ConfigDict

from batchup.models import endings, refusals
from batchup.models.base import FalModel, Params
from batchup.models.billing import FLAT
from batchup.models.formats import by_ending
from batchup.models.prices import Per, UnitPrice
from batchup.models.scaling import EVEN, by_factor
from batchup.source import Kind, Media, Size

_VIDEOS = frozenset({".mp4", ".mov", ".webm", ".mkv", ".gif"})


class AnyParams(Params):
    """Parameters of an endpoint that only its user knows: any name, any value."""

    model_config = ConfigDict(extra="allow")


class Stated(Protocol):
    """A price as a manifest states it."""

    @property
    def usd(self) -> Decimal:
        """Of one unit."""

    @property
    def per(self) -> Per:
        """What a unit is."""


class Declared(Protocol):
    """An endpoint as a manifest declares it: see :class:`batchup.manifest.Endpoint`."""

    @property
    def endpoint(self) -> str:
        """Its id on fal."""

    @property
    def kind(self) -> Kind:
        """What it takes and gives."""

    @property
    def input(self) -> str:
        """The parameter that takes the input's URL."""

    @property
    def output(self) -> str:
        """Path to the output's URL in the answer."""

    @property
    def price(self) -> Stated | None:
        """Of one unit."""

    @property
    def factor(self) -> str | float | None:
        """The parameter that scales, or a number."""


def custom(name: str, declared: Declared) -> FalModel:
    """Return the model that a manifest declares.

    Args:
        name: ``fal/<name>``, as the manifest uses it.
        declared: What it says about it.
    """
    kind, factor, stated = declared.kind, declared.factor, declared.price
    price = UnitPrice(usd=stated.usd, per=stated.per, unit=_unit(kind, stated.per)) if stated else None
    return FalModel(
        name=name,
        kind=kind,
        params=AnyParams,
        summary=f"The manifest's own: {declared.endpoint} on fal.",
        app=declared.endpoint,
        input=declared.input,
        # The file holds more than its URL; images[0].url is written as well as images.0.url.
        output=declared.output.replace("[", ".").replace("]", "").removesuffix(".url"),
        size_of=lambda params, media: _size(kind, _factor(factor, params), media),
        ext_of=lambda params, _media, _ending: _ending_of(kind, params),
        refusal=lambda _params, media: (refusals.no_image if kind == "image" else refusals.no_video)(media),
        price=price,
        quantity=FLAT[kind][stated.per if stated else "output"],
        endpoint=declared.endpoint,
    )


def _unit(kind: Kind, per: Per) -> str:
    return {
        "MP": "output megapixel" if kind == "image" else "megapixel of video",
        "s": "compute second" if kind == "image" else "second of video",
        "output": "output",
    }[per]


def _factor(factor: str | float | None, params: AnyParams) -> float | None:
    value = _given(params, factor) if isinstance(factor, str) else factor
    number = isinstance(value, int | float) and not isinstance(value, bool) and value > 0
    return value if number else None


def _size(kind: Kind, factor: float | None, media: Media) -> Size | None:
    return by_factor(media.size, factor, 1 if kind == "image" else EVEN) if factor else None


def _ending_of(kind: Kind, params: AnyParams) -> str:
    """Return the ending that an ``output_format`` names, as other endpoints write it; else the usual one."""
    wanted = str(_given(params, "output_format") or "")
    if kind == "video":
        ending = endings.of_video(wanted) if "." in wanted else f".{wanted.lower()}"
        return ending if ending in _VIDEOS else endings.MP4
    form = by_ending(f".{wanted}")
    return form.ending if form else endings.PNG


def _given(params: AnyParams, name: str) -> Any:
    return (params.model_extra or {}).get(name)
