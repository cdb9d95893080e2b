"""What batchup knows of fal's models, and what the fal of our own does, are the same: each was written by itself."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from batchup.rehearsal.endpoints import EIGHT
from batchup.source import Media
from tests.models.fal.media import MODELS, NAMES
from tests.rehearsal.platform import BLANK, Client, opened

SIZE = (8, 6)
SECONDS = 10.0
MEDIA = {
    "image": Media("image", "JPEG", *SIZE),
    "video": Media("video", "MP4", *SIZE, frames=250, duration_s=SECONDS),
}
TYPES = {
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".mp4": "video/mp4",
    ".webm": "video/webm",
    ".mov": "video/quicktime",
    ".gif": "image/gif",
}
OWN_DEFAULTS = {("fal/aura-sr", "checkpoint"): "v2"}
"""Where batchup prefers another default than the endpoint; it sends all of them."""

FAR = 10**12
"""Beyond every range, for what has none."""


def kinds(about: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the kinds of value that a parameter takes, other than nothing."""
    return [one for one in about.get("anyOf", [about]) if one.get("type") != "null"]


def extremes(about: dict[str, Any]) -> list[Any]:
    """Return every choice of a parameter, or both ends of its range."""
    (one,) = kinds(about)
    if one.get("type") == "boolean":
        return [False, True]
    if "enum" in one or "const" in one:
        return list(one.get("enum") or [one["const"]])
    return [one.get("minimum", -FAR), one.get("maximum", FAR)]


def beyond(about: dict[str, Any]) -> list[Any]:
    """Return values that a parameter does not take."""
    (one,) = kinds(about)
    step = 1 if one.get("type") == "integer" else 0.5
    ends = [one[end] + by for end, by in (("minimum", -step), ("maximum", step)) if end in one]
    return [*ends, [], "no such thing"]


def properties(name: str) -> dict[str, dict[str, Any]]:
    return dict(MODELS[name].params.model_json_schema()["properties"])


def cases(name: str) -> list[dict[str, Any]]:
    """Return the defaults, and each parameter at each of its extremes with the others as they are."""
    targets = [{"upscale_mode": "target"}] if "upscale_mode" in properties(name) else []
    return [
        {},
        *({key: value} for key, about in properties(name).items() for value in extremes(about)),
        *({**mode, "target_resolution": side} for mode in targets for side in ("720p", "2160p")),
    ]


async def made(client: Client, name: str, given: dict[str, Any]) -> tuple[Any, ...]:
    """Run one request to its end; return what the model said beforehand, and the same as the server did it."""
    model, media = MODELS[name], MEDIA[MODELS[name].kind]
    params = model.params.model_validate(given)
    body = model.body(params, "https://example.org/input")
    status, answer, _ = await client.outcome(model.app, body)
    file = model.file(answer) or {}
    size = model.size(params, media)
    assert size is not None
    cost_usd = model.charged_usd(params, media, size)
    billed_usd = client.fal.accepted[-1].cost_usd
    if "compute" in EIGHT[model.app].price.unit:  # only the work tells
        cost_usd = billed_usd = Decimal(0)
    told = (200, size, TYPES[model.ext(params, media, "")], cost_usd)
    return told, (status, (file.get("width"), file.get("height")), file.get("content_type"), billed_usd)


@pytest.mark.parametrize("name", NAMES)
async def test_a_models_defaults_and_extremes_are_taken_and_give_the_size_ending_and_price_it_said(name):
    async with opened(**BLANK, foreign=SIZE, foreign_s=SECONDS) as client:
        found = [(given, *await made(client, name, given)) for given in cases(name)]

    assert [(given, told) for given, told, _ in found] == [(given, did) for given, _, did in found]


@pytest.mark.parametrize("name", NAMES)
async def test_what_is_beyond_a_models_range_the_endpoint_refuses_too(name):
    model = MODELS[name]
    wrong = [{key: value} for key, about in properties(name).items() for value in beyond(about)]
    wrong += [{"unheard_of": 1}]
    async with opened(**BLANK, foreign=SIZE, foreign_s=SECONDS) as client:
        for given in wrong:
            with pytest.raises(ValidationError):
                model.params.model_validate(given)

            body = {**model.body(model.params(), "https://example.org/input"), **given}
            assert ((await client.outcome(model.app, body))[0], given) == (422, given)

        assert not client.fal.billed_usd


@pytest.mark.parametrize("name", NAMES)
def test_a_model_and_its_endpoint_have_the_same_parameters_and_defaults(name):
    model, rules = MODELS[name], EIGHT[MODELS[name].app].rules
    ours = {key: about.get("default") for key, about in properties(name).items()}

    theirs = {key: OWN_DEFAULTS.get((name, key), rule.default) for key, rule in rules.items()}

    assert ours.keys() == theirs.keys()
    assert {key: value for key, value in ours.items() if value is not None} == {
        key: theirs[key] for key, value in ours.items() if value is not None
    }
    assert model.input == EIGHT[model.app].input
    assert f"{model.output}.url" == EIGHT[model.app].output
