"""A video that is read: its frames with their times, its other packets, and whether all of it was there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
from av.container import InputContainer
from av.container.core import Flags
from av.packet import Packet
from av.stream import Discard, Disposition, Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from batchup.errors import RejectedError
from batchup.media import HEAD_BYTES, containers, sniff
from batchup.providers.local.video.times import Times

# Generic for type checkers only.
if TYPE_CHECKING:
    AnyPacket = Packet[Any]
else:
    AnyPacket = Packet
Part = VideoFrame | AnyPacket
"""A frame of the picture, or a packet of another track."""

TIMELESS = frozenset({"mpegts", "mpeg"})
"""Containers whose clock starts anywhere; their times are counted from the first one."""

_SLACK_S = 0.1
_SLACK_GAPS = 3
"""How much earlier than declared a picture may end, at least, and in largest distances of its frames. Containers round,
and Matroska does not tell how long the last frame stays, which is long in recordings of a screen."""

_PACKETS_WITHOUT_FRAMES = frozenset(
    {"vp8", "mpeg4", "msmpeg4v3", "theora", "h264", "mpeg2video", "mpeg1video", "vc1"}
)
"""Codecs in which not every packet is a frame: hidden references, repetitions, single fields."""

_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""FFmpeg's own decoders of these leave transparency out."""


@contextmanager
def reading(after: int) -> Iterator[None]:
    """Translate what FFmpeg raises about the input, *after* so many frames.

    Raises:
        RejectedError: ``video_damaged``.
    """
    try:
        yield
    except (av.error.FFmpegError, EOFError) as error:
        if isinstance(error, MemoryError):
            raise
        said = (getattr(error, "strerror", None) or str(error)).strip()
        raise RejectedError(
            f"the video is damaged after {after} frames: {said}", kind="video_damaged"
        ) from error


@contextmanager
def open_input(name: str) -> Iterator["VideoInput"]:
    """Open the video *name*.

    Raises:
        RejectedError: ``media_unreadable``, ``codec_unsupported``, ``video_tracks`` or ``video_truncated``.
    """
    # An absolute path cannot be taken for a protocol, as "concat:x" would be.
    path = os.path.abspath(name)  # noqa: PTH100 - names may hold what pathlib normalises
    _check_bytes(path)
    try:
        # Text that is not UTF-8 is written as it was read.
        container = av.open(path, metadata_errors="surrogateescape")
    except av.error.FFmpegError as error:
        raise RejectedError(f"the video cannot be read: {error.strerror}", kind="media_unreadable") from error
    with container:
        yield VideoInput(container)


def _check_bytes(path: str) -> None:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - as above
            found = sniff(file.read(HEAD_BYTES))
            if found is not None and containers.is_cut(file, found):
                message = "the video is cut: the file is shorter than its header says"
                raise RejectedError(message, kind="video_truncated")
    except OSError as error:
        raise RejectedError(f"the file cannot be read: {error.strerror}", kind="media_unreadable") from error


class VideoInput:
    """An open video.

    Attributes:
        container: The file.
        stream: The picture.
        copied: The other tracks that are wanted in the output, in their order.
        first_s: The time from which the file's times are counted, in seconds.
    """

    def __init__(self, container: InputContainer) -> None:
        self.container = container
        # PyAV has FFmpeg invent missing times; in an AVI with B-frames they are wrong. See Times.
        invent: Any = Flags.gen_pts
        container.flags &= ~invent.value
        self.stream = _picture(container)
        self.copied = [stream for stream in container.streams if _is_wanted(stream, self.stream)]
        timeless = container.format.name in TIMELESS and container.start_time is not None
        self.first_s = Fraction(container.start_time, av.time_base) if timeless else Fraction(0)
        self._decoder = _decoder(self.stream)
        self._indexed = "mp4" in container.format.name

    @property
    def rate(self) -> Fraction:
        """Frames a second, on the average."""
        rate = self.stream.average_rate or self.stream.guessed_rate or Fraction(25)
        return rate.limit_denominator(100_000)

    @property
    def duration_s(self) -> float:
        """Declared seconds of the picture or the file, 0 where unknown."""
        if self.stream.duration and self.stream.time_base:
            return float(self.stream.duration * self.stream.time_base)
        return (self.container.duration or 0) / av.time_base

    def parts(self) -> Iterator[Part]:
        """Yield the picture's frames, each with its time, and the other tracks' packets; then see that none is missing.

        Raises:
            RejectedError: ``video_damaged`` or ``video_truncated``; *after* the frames that could be read.
        """
        seen = _Seen()
        times = Times(self.rate, self.stream.time_base or Fraction(1, 1000))
        wanted = {stream.index for stream in self.copied}
        packets = self.container.demux()
        while True:
            with reading(seen.frames):
                packet = next(packets, None)
            if packet is None:
                break
            # The packets that flush have no index of their own, only a stream.
            if packet.stream.index == self.stream.index:
                with reading(seen.frames):
                    frames = self._decoder.decode(packet)
                seen.packet(packet)
                for frame in frames:
                    times.settle(frame)
                    seen.frame(frame)
                    yield frame
            elif packet.size and packet.stream.index in wanted:
                yield packet
        self._judge(seen)

    def _judge(self, seen: "_Seen") -> None:
        """Compare what was read with what the file declares."""
        listed = len(self.stream.index_entries) if self._indexed else 0
        if not seen.frames:
            raise RejectedError("the video is damaged: no frame can be decoded", kind="video_damaged")
        if seen.packets < listed:
            raise _cut(f"{seen.packets} of {listed} frames are there")
        base = self.stream.time_base or Fraction(0)
        end_s, declared_s = float(seen.end * base), self._declared_end_s()
        slack_s = max(_SLACK_S, _SLACK_GAPS * float(seen.gap * base))
        if not self._indexed and end_s < declared_s - slack_s:
            raise _cut(f"{end_s:.1f} of {declared_s:.1f} seconds are there")
        decodable = seen.packets - seen.skipped
        if seen.frames < decodable and self.stream.codec.canonical_name not in _PACKETS_WITHOUT_FRAMES:
            message = f"the video is damaged: only {seen.frames} of {decodable} frames can be decoded"
            raise RejectedError(message, kind="video_damaged")

    def _declared_end_s(self) -> float:
        """Return when the picture ends by what the file says of it, in seconds; 0 where it says nothing."""
        if "matroska" in self.container.format.name:
            return _clock_s(self.stream.metadata.get("DURATION", "")) or _alone_s(self.container)
        if self.container.format.name == "avi":
            return float(self.stream.frames * (self.stream.time_base or 0))
        return _alone_s(self.container) if self.container.format.name in {"flv", "asf"} else 0.0


def _alone_s(container: InputContainer) -> float:
    """Return the file's declared seconds where only the picture can have them."""
    others = [stream for stream in container.streams if stream.type in {"audio", "subtitle", "data"}]
    return 0.0 if others else (container.duration or 0) / av.time_base


def _clock_s(text: str) -> float:
    """Return the seconds of ``01:02:03.450000000``, as Matroska's DURATION tag writes them; 0 for anything else."""
    try:
        hours, minutes, seconds = text.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        return 0.0


def _cut(found: str) -> RejectedError:
    return RejectedError(f"the video is cut: {found}", kind="video_truncated")


def _picture(container: InputContainer) -> VideoStream:
    moving = [
        stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic
    ]
    if not moving:
        raise RejectedError("there is no moving picture in it", kind="media_unreadable")
    if len(moving) > 1:
        message = f"it has {len(moving)} video tracks, and only one can be scaled"
        raise RejectedError(message, kind="video_tracks")
    if moving[0].codec_context is None:
        raise RejectedError("no decoder is known for its codec", kind="codec_unsupported")
    return moving[0]


def _is_wanted(stream: Stream, picture: VideoStream) -> bool:
    # An MP4's chapter titles are a track that the demuxer has read already, and marks as such.
    return stream.index != picture.index and not (stream.type == "data" and stream.discard == Discard.all)


def _decoder(stream: VideoStream) -> Any:
    """Return the codec context that decodes *stream*.

    One thread: decoding is a small part of the work, and with frame threads FFmpeg's H.264 decoder no longer tells
    which frames were damaged (measured with PyAV 18.1: 0 of 40 damaged files noticed, with one thread 37).
    """
    own = _ALPHA_DECODERS.get(stream.codec.canonical_name)
    context: Any = stream.codec_context
    if own is not None and stream.metadata.get("alpha_mode", stream.metadata.get("ALPHA_MODE")) == "1":
        context = av.CodecContext.create(own, "r")
    context.thread_count = 1
    return context


class _Seen:
    """What was found of the picture so far: packets, frames, and packets that need not give a frame."""

    def __init__(self) -> None:
        self.packets = 0
        self.frames = 0
        self.skipped = 0
        self.end = 0
        self.gap = 0
        self._last: int | None = None
        self._early: list[int] = []

    def packet(self, packet: AnyPacket) -> None:
        if not packet.size:
            return
        self.packets += 1
        if packet.is_corrupt:
            raise RejectedError("the video is damaged: a frame in it is incomplete", kind="video_damaged")
        moment = packet.pts if packet.pts is not None else packet.dts
        if moment is None:
            return
        self.end = max(self.end, moment + (packet.duration or 0))
        if packet.is_discard:
            self.skipped += 1  # before the start that an edit list sets
        elif not self.frames:
            self._early.append(moment)

    def frame(self, frame: VideoFrame) -> None:
        if frame.is_corrupt:
            at = f" at {frame.time:.2f} s" if frame.pts is not None else ""
            message = f"the video is damaged: frame {self.frames + 1}{at} cannot be decoded"
            raise RejectedError(message, kind="video_damaged")
        if not self.frames and frame.pts is not None:
            # A recording may begin between key frames, with frames that need earlier ones.
            self.skipped += sum(moment < frame.pts for moment in self._early)
        self.frames += 1
        if self._last is not None and frame.pts is not None:
            self.gap = max(self.gap, frame.pts - self._last)
        self._last = frame.pts
