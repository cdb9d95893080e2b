"""The model that a network makes: what comes out is as with the plain model beside it, only the pixels are the network's."""

from collections.abc import Callable
from typing import Any

from batchup.models.base import LocalModel
from batchup.source import Media, Size

USUAL_SCALE = 4.0
"""Of most networks: what memory is reckoned with."""

Refuse = Callable[[Any, Media], str | None]
"""Returns why a task's input is not taken, by its parameters; None if it is."""


def beside(
    plain: LocalModel, params: Any, *, refusal: Refuse, pixel_bytes: int, work: str, summary: str
) -> LocalModel:
    """Return the model that enlarges by the networks of *params*.

    Args:
        plain: Has the same rules for size and format; ``params.plain`` are its parameters.
        params: Class of the parameters, of one engine.
        refusal: See :data:`Refuse`.
        pixel_bytes: Memory that a pixel of the output takes beside what *plain* needs.
        work: See :class:`LocalModel`.
        summary: Likewise.
    """

    def size_of(params: Any, media: Media) -> Size | None:
        return plain.size(params.plain, media) if params.scale is not None else None

    def memory_bytes(params: Any, media: Media) -> int:
        largest = max(params.scale or 1.0, USUAL_SCALE) ** 2 * media.size.pixels
        own: int = params.engine.memory_bytes(params)
        return own + plain.memory_bytes(params.plain, media) + int(pixel_bytes * largest)

    return LocalModel(
        name=f"local/{params.engine.name}" + ("-video" if plain.kind == "video" else ""),
        kind=plain.kind,
        params=params,
        summary=summary,
        work=work,
        size_of=size_of,
        ext_of=lambda params, media, ending: plain.ext(params.plain, media, ending),
        refusal=refusal,
        memory_bytes=memory_bytes,
        home=lambda params: str(params.home),
    )
