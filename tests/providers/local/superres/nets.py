"""Local models with networks of the tests' own, run as the pool does."""

from pathlib import Path
from typing import Any

from batchup.media import probe
from batchup.models.base import LocalModel
from batchup.providers.local.work import Work


def work_on(model: LocalModel, source: Path, params: dict[str, Any], *, keep_metadata=True) -> Work:
    """Return the work on *source*, whose parameters are settled from its folder."""
    chosen = model.params(**params).settled(source.parent)
    media = probe(source)
    assert media is not None
    assert model.refuse(chosen, media) is None
    size, ext = model.size(chosen, media), model.ext(chosen, media, source.suffix)
    assert size is not None
    part = source.with_name(f"{source.name}.part")
    return Work(chosen.model_dump(), str(source), str(part), ext, size.width, size.height, keep_metadata)
