"""A video that is written: the scaled picture, everything else copied packet by packet from the input."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from fractions import Fraction
from typing import Any, NamedTuple

import av
from av.codec.context import Flags
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream

from batchup.errors import RejectedError
from batchup.models.codecs import MUXERS, Codec, Pixels
from batchup.processors import cores
from batchup.providers.local.video import tags as video_tags
from batchup.providers.local.video import tracks
from batchup.providers.local.video.colours import Colours, hdr_options
from batchup.providers.local.video.reader import AnyPacket, VideoInput
from batchup.providers.local.work import Work

MAX_THREADS = 8
"""Of one encoder. Every video uses all cores up to this: two at once with two threads each took the same time as with
one each, one alone two thirds of it (two cores, PyAV 18.1, x264 at 1080p)."""

_LANCZOS = (
    Interpolation.LANCZOS
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
)


class Encoding(NamedTuple):
    """How the picture is written.

    Attributes:
        codec: Its codec.
        kept: Its pixels.
        options: Options of the encoder, quality included.
        drop_tracks: Whether tracks that the file cannot hold are left out.
    """

    codec: Codec
    kept: Pixels
    options: dict[str, str]
    drop_tracks: bool = False


@contextmanager
def writing(path: str) -> Iterator[None]:
    """Translate what FFmpeg raises about the output.

    Raises:
        OSError: Of the output's disk.
        RejectedError: ``video_unwritable`` or ``video_damaged``.
    """
    try:
        yield
    except av.error.FFmpegError as error:
        if isinstance(error, MemoryError):
            raise
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, path) from error
        said = _said(error)
        if isinstance(error, av.error.InvalidDataError):  # a packet that is copied
            raise RejectedError(f"the video is damaged: {said}", kind="video_damaged") from error
        raise RejectedError(f"the result cannot be written: {said}", kind="video_unwritable") from error


def _said(error: av.error.FFmpegError) -> str:
    """Return FFmpeg's last log line, which tells more than the name of the error; it has none where logging is off."""
    log: Any = error.log
    return str(log[2] if log else error.strerror).strip()


@contextmanager
def open_output(
    work: Work, source: VideoInput, early: list[AnyPacket], first: VideoFrame, encoding: Encoding
) -> Iterator["VideoOutput"]:
    """Open the file that *work* names, ready for the first frame or packet.

    Args:
        work: What is done.
        source: The input, whose tracks and tags are taken over.
        early: Its packets before the first frame, which are written at once.
        first: Its first frame, which tells size, colours and rotation more surely than the header.
        encoding: How the picture is written.

    Raises:
        OSError: Of the output's disk.
        RejectedError: ``track_unsupported`` or ``video_unwritable``.
    """
    output = VideoOutput(work, source, first, encoding)
    output.add_tracks(work, tracks.covers(early), drop=encoding.drop_tracks)
    try:
        for packet in early:
            output.copy(packet)
        yield output
    except BaseException:
        # The file is worthless, and what is wrong with it says less than the first error.
        with suppress(av.error.FFmpegError):
            output.container.close()
        raise


class VideoOutput:
    """An open video. :meth:`finish` it; without that it is not whole.

    Attributes:
        container: The file.
        colours: What its picture is tagged with.
    """

    def __init__(self, work: Work, source: VideoInput, first: VideoFrame, encoding: Encoding) -> None:
        self._path = os.path.abspath(work.output)  # noqa: PTH100 - names may hold what pathlib normalises
        self._source = source
        self.colours = Colours.of(first, _stored(work, first))
        self._scaler = VideoReformatter()
        self._shown = self._written = 0
        self.container = _container(self._path, work, source)
        self._targets: dict[int, Any] = {}
        self._video = self._add_picture(work, first, encoding)

    def add_tracks(self, work: Work, covers: Mapping[int, bytes], *, drop: bool) -> None:
        """Add the other tracks, in their order.

        Raises:
            RejectedError: ``track_unsupported``.
        """
        for stream in self._source.copied:
            target = tracks.add(self.container, stream, work, covers, drop=drop)
            if target is not None:
                self._targets[stream.index] = target

    def _add_picture(self, work: Work, first: VideoFrame, encoding: Encoding) -> VideoStream:
        source = self._source.stream
        with writing(self._path):
            video = self.container.add_stream(encoding.codec.encoder, rate=self._source.rate)
        assert isinstance(video, VideoStream)
        context = video.codec_context
        context.width, context.height = _stored(work, first)
        context.pix_fmt = encoding.kept.pix_fmt
        context.flags |= Flags.frame_duration  # or the last frame's duration is a guess
        context.sample_aspect_ratio = _aspect(source, first, (context.width, context.height))
        context.options = _threaded(encoding, context, hdr_options(first, encoding.codec.name))
        if source.time_base:
            video.time_base = context.time_base = source.time_base
        self.colours.tag(context)
        if encoding.codec.name == "hevc" and work.ext != ".mkv":
            context.codec_tag = "hvc1"  # Apple's players know no other
        video_tags.turn(video, first, (context.width, context.height))
        video.disposition = source.disposition
        video.metadata.update(video_tags.of_picture(source.metadata, keep=work.keep_metadata))
        if encoding.kept.alpha:
            video.metadata["alpha_mode"] = "1"
        return video

    def show(self, frame: VideoFrame) -> None:
        """Scale and encode *frame*.

        Raises:
            OSError: Of the output's disk.
            RejectedError: ``video_interlaced``, ``video_unwritable``.
        """
        check_progressive(frame)
        self.write(self._scaled(frame))

    @property
    def form(self) -> tuple[int, int, str]:
        """Width and height as they are stored, and the pixels' format, of what :meth:`write` takes."""
        context = self._video.codec_context
        return context.width, context.height, str(context.pix_fmt)

    def write(self, scaled: VideoFrame) -> None:
        """Encode a frame that has the output's :attr:`form` already.

        Raises:
            OSError: Of the output's disk.
            RejectedError: ``video_unwritable``.
        """
        scaled.pict_type = 0  # the decoder's kinds of frames (I, P, B) would bind the encoder
        if scaled.pts is not None and scaled.time_base:
            scaled.pts -= round(self._source.first_s / scaled.time_base)
        self._shown += 1
        with writing(self._path):
            self._mux(self._video.encode(scaled))

    def _scaled(self, frame: VideoFrame) -> VideoFrame:
        context = self._video.codec_context
        try:
            return self._scaler.reformat(
                frame,
                context.width,
                context.height,
                context.pix_fmt,
                interpolation=_LANCZOS,
                threads=1,  # a tenth of the encoder's time, and that has threads of its own
                **self.colours.conversion,
            )
        except av.error.FFmpegError as error:
            message = f"pixels of the format {frame.format.name} cannot be scaled: {error.strerror}"
            raise RejectedError(message, kind="video_unwritable") from error

    def copy(self, packet: AnyPacket) -> None:
        """Write a packet of another track as it is.

        Raises:
            OSError: Of the output's disk.
            RejectedError: ``video_unwritable``.
        """
        target = self._targets.get(packet.stream.index)
        if target is None or tracks.is_filler(packet):
            return
        if packet.pts is not None:
            packet.pts -= round(self._source.first_s / packet.time_base)
        if packet.dts is None:
            packet.dts = packet.pts
        elif self._source.first_s:
            packet.dts -= round(self._source.first_s / packet.time_base)
        packet.stream = target
        with writing(self._path):
            self.container.mux(packet)

    def finish(self) -> None:
        """Write what the encoder still holds, and the end of the file.

        Raises:
            OSError: Of the output's disk.
            RejectedError: ``video_unwritable``.
        """
        with writing(self._path):
            self._mux(self._video.encode(None))
            self.container.close()
        if self._written != self._shown:
            message = f"the encoder gave {self._written} frames for {self._shown}"
            raise RejectedError(message, kind="video_unwritable")

    def _mux(self, packets: list[AnyPacket]) -> None:
        self._written += len(packets)
        self.container.mux(packets)


def check_progressive(frame: VideoFrame) -> None:
    """Raise RejectedError (``video_interlaced``) for a frame that is two fields."""
    if frame.interlaced_frame:
        message = (
            "it is interlaced, and scaling would mix the fields; deinterlace it first (ffmpeg -vf bwdif)"
        )
        raise RejectedError(message, kind="video_interlaced")


def _container(path: str, work: Work, source: VideoInput) -> OutputContainer:
    tags = video_tags.of_file(source.container.metadata, keep=work.keep_metadata)
    muxer = MUXERS[work.ext]
    options = video_tags.muxer_options(muxer, tags, source.stream.metadata)
    container = av.open(path, "w", format=muxer, container_options=options, metadata_errors="surrogateescape")
    container.metadata.update(tags)
    container.set_chapters(source.container.chapters())
    return container


def _stored(work: Work, first: VideoFrame) -> tuple[int, int]:
    """Return width and height as they are stored, where a player turns the picture."""
    return (work.height, work.width) if abs(first.rotation) % 180 == 90 else (work.width, work.height)  # noqa: PLR2004 - degrees


def _aspect(source: VideoStream, first: VideoFrame, size: tuple[int, int]) -> Any:
    """Return the shape of a pixel (width by height) that leaves the shape of the whole picture as it is."""
    before = source.sample_aspect_ratio
    if not before or before == 1:
        return before or 0
    after: Fraction = before * first.width * size[1] / (first.height * size[0])
    # Rounding to even numbers is no reason for another shape.
    near: Fraction = next((shape for shape in (before, Fraction(1)) if abs(after / shape - 1) < 0.02), after)  # noqa: PLR2004 - a fraction
    return near.limit_denominator(10_000)


def _threaded(encoding: Encoding, context: Any, own: list[str]) -> dict[str, str]:
    """Return the encoder's options, with its threads and its *own* parameters; sets the context's threads."""
    threads = min(MAX_THREADS, cores())
    name = encoding.codec.name
    context.thread_count = threads
    os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 prints what it does; 1 is errors only
    own = [*_PARALLEL.get(name, "").format(threads=threads, few=min(threads, 4)).split(), *own]
    options = dict(encoding.options)
    if own and encoding.codec.own:
        options[encoding.codec.own] = ":".join([*filter(None, [options.get(encoding.codec.own)]), *own])
    return options


_PARALLEL = {"hevc": "pools={threads} frame-threads=2 log-level=none", "av1": "lp={few}"}
"""Own parameters of the encoders that do not heed FFmpeg's number of threads. SVT-AV1 takes 100 bytes a pixel more for each."""
