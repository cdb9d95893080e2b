"""Endings: how the files end that fal's endpoints answer with."""

from batchup.models.formats import by_ending

PNG = ".png"
JPEG = ".jpg"
MP4 = ".mp4"


def of_image(output_format: str) -> str:
    """Return the ending for an ``output_format`` of an image endpoint: ``jpeg`` gives ``.jpg``.

    Raises:
        ValueError: It is no format of pictures.
    """
    form = by_ending(f".{output_format}")
    if form is None:
        raise ValueError(f"{output_format} is no format of pictures")
    return form.ending


def of_video(output_format: str) -> str:
    """Return the ending that an ``output_format`` of a video endpoint names: ``VP9 (.webm)`` gives ``.webm``."""
    return output_format[output_format.rindex(".") :].rstrip(")")
