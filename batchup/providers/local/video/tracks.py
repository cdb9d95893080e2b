"""The tracks beside the picture: sound, subtitles, covers, fonts, telemetry; copied, never re-encoded."""

import io
import logging
from collections.abc import Iterable, Mapping
from typing import Any

import av
from av.container import OutputContainer
from av.stream import Disposition, Stream

from batchup.errors import RejectedError
from batchup.models.codecs import MUXERS
from batchup.providers.local.video import tags as video_tags
from batchup.providers.local.video.reader import AnyPacket
from batchup.providers.local.work import Work

_NAMES = {"audio": "sound", "subtitle": "subtitles", "video": "cover picture", "attachment": "attachment"}

_EMPTY_BYTES = 2  # the length of the text

_log = logging.getLogger(__name__)


def covers(packets: Iterable[AnyPacket]) -> dict[int, bytes]:
    """Return the cover pictures among *packets*, by the index of their track."""
    pictures = (packet for packet in packets if packet.stream.disposition & Disposition.attached_pic)
    return {packet.stream.index: bytes(packet) for packet in pictures}


def add(
    container: OutputContainer, stream: Stream, work: Work, pictures: Mapping[int, bytes], *, drop: bool
) -> Stream | None:
    """Add a track like *stream* to *container*; return None if none of its packets are to be written.

    Data tracks are only measurements of the camera (position, motion, time codes): what cannot be kept of them is
    logged and left out. Without metadata they are left out too, for they tell places and times.

    Args:
        container: The output.
        stream: A track of the input.
        work: What is done.
        pictures: The input's covers, see :func:`covers`.
        drop: Leave out, too, what people see and hear, if the output cannot hold it.

    Raises:
        RejectedError: ``track_unsupported``: the output cannot hold it.
    """
    measured = stream.type not in _NAMES
    if measured and not work.keep_metadata:
        return None
    muxer = MUXERS[work.ext]
    if muxer == "matroska" and stream.index in pictures:
        # Matroska has covers as attachments; FFmpeg's muxer would make a second video track of it.
        tags = {name.lower(): value for name, value in stream.metadata.items()}
        container.add_attachment(
            tags.get("filename", "cover"), tags.get("mimetype", "image/jpeg"), pictures[stream.index]
        )
        return None
    # Other muxers accept what nobody can read back.
    if (measured and muxer != "mp4") or not _holds(muxer, stream):
        said = f"{work.ext} cannot hold track {stream.index} ({_NAMES.get(stream.type, stream.type)}, {_format(stream)})"
        if not measured and not drop:
            raise RejectedError(f"{said}; drop_tracks leaves it out", kind="track_unsupported")
        _log.warning("%s; it is left out", said)
        return None
    return _like(container, stream, keep=work.keep_metadata)


def is_filler(packet: AnyPacket) -> bool:
    """Return whether *packet* is the empty subtitle that fills a gap in an MP4. The muxer makes its own."""
    return packet.size == _EMPTY_BYTES and packet.stream.name == "mov_text" and not any(bytes(packet))


def _format(stream: Stream) -> str:
    context: Any = stream.codec_context  # None where no decoder is known
    codec = stream.name if context is None else stream.codec.canonical_name
    return codec or "unknown format"


def _like(container: OutputContainer, stream: Stream, *, keep: bool) -> Stream:
    target: Any = container.add_stream_from_template(stream, opaque=True)
    target.disposition = stream.disposition
    # A template's own tags come with it.
    for name in list(target.metadata):
        del target.metadata[name]
    target.metadata.update(video_tags.of_track(stream.metadata, keep=keep))
    added: Stream = target
    return added


def _holds(muxer: str, stream: Stream) -> bool:
    """Return whether *muxer* accepts *stream*: it writes a header with it alone into memory."""
    try:
        with av.open(io.BytesIO(), "w", format=muxer) as scratch:
            _like(scratch, stream, keep=False)
            scratch.start_encoding()
    except (av.error.FFmpegError, ValueError):
        return False
    return True
