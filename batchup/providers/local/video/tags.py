"""What a video says about itself beside its frames: tags, rotation, and how a muxer has to write them."""

import struct
from collections.abc import Mapping
from typing import Any

from av.video.frame import VideoFrame
from av.video.stream import VideoStream

_OF_THE_FILE = frozenset({"major_brand", "minor_version", "compatible_brands", "encoder"})
"""Tags that the muxer sets to what is true of its own file."""

_NEEDED = frozenset({"language", "filename", "mimetype"})
"""Tags that a player needs: which track to play, which font an attachment is."""

_STATISTICS = (
    "_statistics",
    "bps",
    "duration",
    "number_of_frames",
    "number_of_bytes",
    "rotate",
    "encoder",
    "alpha_mode",
)
"""Beginnings of tags that describe the picture as it was."""

_ITUNES = frozenset(
    {
        *(
            "album",
            "album_artist",
            "artist",
            "comment",
            "compilation",
            "composer",
            "copyright",
            "creation_time",
        ),
        *(
            "date",
            "description",
            "disc",
            "episode_id",
            "episode_sort",
            "gapless_playback",
            "genre",
            "grouping",
        ),
        *("hd_video", "keywords", "location", "lyrics", "media_type", "network", "season_number", "show"),
        *("synopsis", "title", "track"),
    }
)
"""Tags that an MP4 has a place for. Source: FFmpeg 8.1, libavformat/movenc.c, mov_write_ilst_tag."""


def of_file(tags: Mapping[str, str], *, keep: bool) -> dict[str, str]:
    """Return the file's tags that are written."""
    if not keep:
        return {}
    return {
        name: value
        for name, value in tags.items()
        # The demuxer gives a translated tag (location-eng) beside the plain one.
        if name.lower() not in _OF_THE_FILE and tags.get(name.rpartition("-")[0]) != value
    }


def of_track(tags: Mapping[str, str], *, keep: bool) -> dict[str, str]:
    """Return the tags of a copied track that are written."""
    return {
        name: value
        for name, value in tags.items()
        if (keep and name.lower() not in {"encoder", "duration"}) or name.lower() in _NEEDED
    }


def of_picture(tags: Mapping[str, str], *, keep: bool) -> dict[str, str]:
    """Return the picture's tags that are written: those that still hold for the scaled one."""
    plain = of_track(tags, keep=keep)
    return {name: value for name, value in plain.items() if not name.lower().startswith(_STATISTICS)}


def muxer_options(muxer: str, tags: Mapping[str, str], picture: Mapping[str, str]) -> dict[str, str]:
    """Return the options with which *muxer* keeps *tags* and the *picture*'s own.

    An MP4's index goes to the front, so that it plays while it is downloaded.
    """
    if muxer == "matroska":
        return {"default_mode": "passthrough"}
    if muxer == "webm":
        return {}
    flags = "+faststart"
    if any(name.lower() not in _ITUNES for name in tags):
        flags += "+use_metadata_tags"  # as iPhones write place and camera
    options = {"movflags": flags}
    if tags and "timecode" in picture:
        options["write_tmcd"] = "1"
    return options


def turn(video: VideoStream, first: VideoFrame, size: tuple[int, int]) -> None:
    """Have players turn and mirror *video* as they do the input.

    Must come before anything is written.

    Args:
        video: The track that is written.
        first: The input's first frame.
        size: Width and height that are stored.
    """
    found: Any = first.side_data.get("DISPLAYMATRIX")
    if found is None:
        return
    matrix = list(struct.unpack("9i", bytes(found)))
    # The last row moves the turned picture back into view, in pixels of the input.
    sideways = abs(first.rotation) % 180 == 90  # noqa: PLR2004 - degrees
    across, down = (
        (size[1] / first.height, size[0] / first.width)
        if sideways
        else (
            size[0] / first.width,
            size[1] / first.height,
        )
    )
    matrix[6], matrix[7] = round(matrix[6] * across), round(matrix[7] * down)
    video.set_display_matrix(matrix)
