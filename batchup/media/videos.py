"""Videos: the header as Media, and every packet read to know that none is missing. By PyAV."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from batchup.errors import RejectedError
from batchup.media import containers
from batchup.media.images import unreadable
from batchup.source import Media

if TYPE_CHECKING:
    from av import Packet
    from av.container import InputContainer
    from av.video.stream import VideoStream

_DEMUXERS = {
    "MP4": "mov",
    "MOV": "mov",
    "3GP": "mov",
    "MKV": "matroska",
    "WEBM": "matroska",
    "AVI": "avi",
    "TS": "mpegts",
    "FLV": "flv",
    "WMV": "asf",
    "OGV": "ogg",
}
"""Container -> the one demuxer that may read it. MPEG is left to FFmpeg: programme or elementary stream."""

_TIMED = frozenset({"FLV", "WMV"})
"""Containers that declare their seconds, but not their bytes."""

_SLACK_S = 1.0
"""How much shorter than declared a picture may be: containers round, and sound may be longer."""


def probe(name: str, found: str) -> Media | None:
    """Return what the video *name* is by its header, or None if nothing in it moves (an audio file, a cover).

    Raises:
        RejectedError: ``media_unreadable`` or ``codec_unsupported``.
    """
    with _opened(name, found) as container:
        stream = _picture(container)
        if stream is None:
            return None
        context = stream.codec_context
        if context is None:
            raise RejectedError("no decoder is known for its codec", kind="codec_unsupported")
        width, height = context.width, context.height
        if width < 1 or height < 1:
            raise unreadable(found, ValueError("it does not say how large its picture is"))
        seconds = _duration_s(container, stream)
        form = context.format
        frames, pixels = stream.frames, form.name if form else ""
        bits = form.components[0].bits if form else 8
    with _bytes(name) as file:
        if containers.is_sideways(file, found):
            width, height = height, width
    return Media("video", found, width, height, frames, seconds, pixels, bits)


@contextmanager
def _opened(name: str, found: str) -> Iterator["InputContainer"]:
    import av

    # An absolute path cannot be taken for a protocol, as "concat:x" would be.
    path = os.path.abspath(name)  # noqa: PTH100 - names may hold what pathlib normalises
    try:
        with av.open(path, format=_DEMUXERS.get(found), metadata_errors="ignore") as container:
            yield container
    except av.error.FFmpegError as error:
        if isinstance(error, FileNotFoundError):
            raise
        said = _said(error)
        with _bytes(name) as file:
            indexed = found not in containers.QUICKTIME or containers.has_index(file)
        if not indexed:
            said = "its index (the moov box) is missing, so it is cut or was never finished"
        raise unreadable(found, ValueError(said)) from error


def _bytes(name: str) -> BinaryIO:
    return open(name, "rb")  # noqa: PTH123 - names may hold what pathlib normalises; closed by the callers


def _said(error: BaseException) -> str:
    """Return what FFmpeg says, without the path, which the reader knows."""
    return str(getattr(error, "strerror", None) or error).strip()


def _picture(container: "InputContainer") -> "VideoStream | None":
    """Return the first stream that is a moving picture: a cover image is none."""
    from av.stream import Disposition

    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            return stream
    return None


def _duration_s(container: "InputContainer", stream: "VideoStream") -> float:
    """Return the declared seconds of the picture, or of the whole file; 0 where neither is declared."""
    if stream.duration and stream.time_base:
        return round(float(stream.duration * stream.time_base), 3)
    return round((container.duration or 0) / 1_000_000, 3)


class _Read(NamedTuple):
    """What was found in all packets of the picture."""

    seconds: float
    last_key: int | None
    breaks_off: bool


def verify(name: str, media: Media) -> None:
    """Read every packet of the picture, and decode its first frame and those after the last key frame.

    Raises:
        RejectedError: ``video_truncated`` or ``video_damaged``.
    """
    import av

    with _bytes(name) as file:
        if containers.is_cut(file, media.format):
            raise _cut("the file is shorter than its header says")
    try:
        with _opened(name, media.format) as container:
            stream = _picture(container)
            assert stream is not None
            read = _read(container, stream)
            _compare(media, read)
            _decode_last(container, stream, read)
    except RejectedError as error:
        if error.kind != "media_unreadable":
            raise
        raise _damaged(error.__cause__ or error) from error
    except (av.error.FFmpegError, ValueError, EOFError) as error:
        raise _damaged(error) from error


def _damaged(error: BaseException) -> RejectedError:
    return RejectedError(f"the video is damaged: {_said(error)}", kind="video_damaged")


def _read(container: "InputContainer", stream: "VideoStream") -> _Read:
    """Demux all packets of *stream*, decoding up to its first frame."""
    breaks_off, shown = False, False
    first: int | None = None
    last_key: int | None = None
    end = 0
    for packet in container.demux(stream):
        if packet.size == 0:
            shown = shown or _shows(packet)
            continue
        breaks_off = packet.is_corrupt  # within a recording of a broadcast that is nothing special
        moment = packet.pts if packet.pts is not None else packet.dts
        if moment is not None:
            first = moment if first is None else min(first, moment)
            end = max(end, moment + (packet.duration or 0))
        if packet.is_keyframe and moment is not None:
            # Transport streams are searched by decoding time.
            last_key = moment if packet.dts is None else min(moment, packet.dts)
        shown = shown or _shows(packet)
    if not shown:
        raise RejectedError("the video is damaged: no frame in it can be decoded", kind="video_damaged")
    base: Fraction | Any = stream.time_base or Fraction(0)
    return _Read(float((end - (first or 0)) * base), last_key, breaks_off)


def _shows(packet: "Packet[VideoStream]") -> bool:
    """Return whether the decoder gives a frame. A recording may begin between key frames, with what gives none."""
    import av

    try:
        return bool(packet.decode())
    except av.error.InvalidDataError:
        return False


def _compare(media: Media, read: _Read) -> None:
    """Compare what was read with what the header declares.

    Declared frames do not count: an edit list (a trimmed MP4) leaves some of them out.
    """
    if read.breaks_off:
        raise _cut("its last packet is incomplete")
    if media.format in _TIMED and 0 < read.seconds < media.duration_s - _SLACK_S:
        raise _cut(f"{read.seconds:.1f} of {media.duration_s:.1f} seconds are there")


def _cut(found: str) -> RejectedError:
    return RejectedError(f"the video is cut: {found}", kind="video_truncated")


def _decode_last(container: "InputContainer", stream: "VideoStream", read: _Read) -> None:
    """Decode from the last key frame to the end."""
    import av

    if read.last_key is None:
        return
    try:
        container.seek(read.last_key, stream=stream)
    except av.error.FFmpegError:
        return  # an elementary stream cannot be searched
    if not any(True for _ in container.decode(stream)):
        raise _cut("its last frames cannot be decoded")
