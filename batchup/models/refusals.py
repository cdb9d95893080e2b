"""Refusals: what fal's endpoints do not take, known before anything is uploaded and said as a person would."""

from batchup.models.formats import by_ending
from batchup.source import Media, Size

# What every model's page on https://fal.ai/models takes as a file, read 2026-11: "Accepted file types: jpg, jpeg, png,
# webp, gif, avif" and "mp4, mov, webm, m4v, gif"; M4V is a kind of MP4.
IMAGES = ("JPEG", "PNG", "WEBP", "GIF", "AVIF")
VIDEOS = ("MP4", "MOV", "WEBM")

_BYTE = 8


def no_image(media: Media) -> str | None:
    """Return why *media* is no picture for fal; None if it is."""
    if media.kind != "image":
        return "it is a video, and this model takes images"
    if media.format not in IMAGES:
        return _format(media, IMAGES)
    if media.frames > 1:
        return f"it has {media.frames} frames, and only one would come back; use local/lanczos"
    if media.bits > _BYTE:
        return (
            f"it has {media.bits} bits a channel, and 8 would come back; convert it first if they are enough"
        )
    return None


def no_video(media: Media) -> str | None:
    """Return why *media* is no video for fal; None if it is."""
    if media.kind != "video":
        return "it is an image, and this model takes videos"
    return _format(media, VIDEOS) if media.format not in VIDEOS else None


def beyond_format(ending: str, size: Size) -> str | None:
    """Return why no picture of *size* comes back in the format that has *ending*; None if one does."""
    form = by_ending(ending)
    if form is None or max(size) <= form.max_side_px:
        return None
    return (
        f"{_out(size)}, and {form.label} holds {form.max_side_px:,} pixels a side at most; lower the factor"
    )


def beyond_side(size: Size, most_px: int) -> str | None:
    """Return why nothing with so long a side comes back; None if it does."""
    if max(size) <= most_px:
        return None
    return f"{_out(size)}, and {most_px:,} pixels a side are the most that this model makes; lower the factor"


def beyond_megapixels(size: Size, most: int) -> str | None:
    """Return why nothing with so many pixels comes back; None if it does."""
    if size.pixels <= most * 1_000_000:
        return None
    return f"{_out(size)}, and {most} megapixels are the most that this model makes; lower the factor"


def above_target(media: Media, side_px: int) -> str | None:
    """Return that *media* would be made smaller, for money; None if it would not."""
    short = min(media.size)
    return (
        f"it is already larger than the target: {short} lines, {side_px} wanted" if short > side_px else None
    )


def _format(media: Media, taken: tuple[str, ...]) -> str:
    return f"it is {media.format}, and fal takes {', '.join(taken[:-1])} and {taken[-1]}; convert it first"


def _out(size: Size) -> str:
    return f"{size.width}x{size.height} would come out"
