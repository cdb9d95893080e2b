"""Inputs for the tests of fal's models, and the models themselves, found by their files."""

import importlib
import pkgutil
from decimal import Decimal

from batchup.models import fal
from batchup.models.base import FalModel
from batchup.source import Media

MODELS: dict[str, FalModel] = {
    model.name: model
    for model in (
        importlib.import_module(f"{fal.__name__}.{module.name}").MODEL
        for module in pkgutil.iter_modules(fal.__path__)
    )
}
NAMES = sorted(MODELS)
IMAGES = [name for name in NAMES if MODELS[name].kind == "image"]
VIDEOS = [name for name in NAMES if MODELS[name].kind == "video"]


def photo(width=1200, height=800, form="JPEG", **more):
    return Media("image", form, width, height, **{"mode": "RGB", **more})


def video(width=1280, height=720, frames=250, duration_s=10.0, form="MP4", **more):
    return Media("video", form, width, height, frames, duration_s, "yuv420p", **more)


def params(name, **given):
    return MODELS[name].params.model_validate(given)


def usd(text):
    return Decimal(text)
