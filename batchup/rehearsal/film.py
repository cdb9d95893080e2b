"""Films: a video with larger frames, or a blank one of the same size and duration."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer, OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image

from batchup.rehearsal.answers import WorkError, model_error
from batchup.source import Media, Size

_TICKS = 90_000


@dataclass(frozen=True, slots=True)
class Form:
    """How a video is written."""

    ending: str
    media_type: str
    muxer: str
    codec: str
    pixels: str
    options: tuple[tuple[str, str], ...] = ()
    sound: tuple[str, ...] = ()


FORMS = {
    "X264 (.mp4)": Form(
        ".mp4", "video/mp4", "mp4", "libx264", "yuv420p", (("preset", "ultrafast"),), ("aac", "mp3", "ac3")
    ),
    "VP9 (.webm)": Form(
        ".webm",
        "video/webm",
        "webm",
        "libvpx-vp9",
        "yuv420p",
        (("deadline", "realtime"), ("cpu-used", "8")),
        ("opus", "vorbis"),
    ),
    "PRORES4444 (.mov)": Form(
        ".mov",
        "video/quicktime",
        "mov",
        "prores_ks",
        "yuva444p10le",
        (("profile", "4444"),),
        ("aac", "mp3", "pcm_s16le"),
    ),
    "GIF (.gif)": Form(".gif", "image/gif", "gif", "gif", "rgb8"),
}
"""``output_format`` -> how it is written."""


def seconds(media: Media) -> Decimal:
    """Return a video's duration."""
    return Decimal(str(round(media.duration_s, 3)))


def frames(media: Media) -> int:
    """Return how many frames a video has, or about, where it does not say."""
    return media.frames or max(1, round(media.duration_s * 25))


def enlarge(source: Path, media: Media, target: Path, to: Size, form: str) -> None:
    """Write the video *source* with frames of size *to*, with its sound where *form* can hold that.

    Raises:
        WorkError: It cannot be decoded.
    """
    with _written(target, FORMS[form]) as out:
        try:
            with av.open(str(source)) as container:
                _copy(container, out, media, to, FORMS[form])
        except av.error.FFmpegError as error:
            raise WorkError(
                model_error("unsupported_video_format", loc=("body", "video_url")), used_gpu=True
            ) from error


def _copy(container: InputContainer, out: OutputContainer, media: Media, to: Size, form: Form) -> None:
    video = container.streams.video[0]
    stream = _stream(out, form, to, video.average_rate or Fraction(25))
    sound = next((one for one in container.streams.audio if one.codec_context.name in form.sound), None)
    heard = out.add_stream_from_template(sound) if sound else None
    last = -1
    for packet in container.demux([video, *([sound] if sound else [])]):
        if heard is not None and packet.stream is sound:
            if packet.dts is not None:
                packet.stream = heard
                out.mux(packet)
            continue
        for frame in packet.decode():
            assert isinstance(frame, VideoFrame)
            for shown in _reformatted(frame, media, to, form):
                # Two frames at one moment, which coarse clocks make, no encoder takes.
                last = shown.pts = max(last + 1, _ticks(frame))
                shown.time_base = Fraction(1, _TICKS)
                out.mux(stream.encode(shown))
    out.mux(stream.encode(None))


def _ticks(frame: VideoFrame) -> int:
    return round((frame.pts or 0) * (frame.time_base or Fraction(1, 25)) * _TICKS)


def _reformatted(frame: VideoFrame, media: Media, to: Size, form: Form) -> Iterator[VideoFrame]:
    """Yield *frame* upright and in size *to*."""
    sideways = (frame.width > frame.height) != (media.width > media.height)
    if frame.rotation and sideways:
        turned: Any = frame.to_image()  # type: ignore[no-untyped-call]  # av leaves Pillow untyped
        upright = turned.rotate(frame.rotation, expand=True)
        frame = VideoFrame.from_image(upright)  # type: ignore[no-untyped-call]  # likewise
    yield frame.reformat(to.width, to.height, form.pixels)


def blank(target: Path, to: Size, form: str, length_s: Decimal) -> None:
    """Write a black video of size *to* that lasts *length_s*, of two frames."""
    with _written(target, FORMS[form]) as out:
        stream = _stream(out, FORMS[form], to, Fraction(25))
        small: VideoFrame = VideoFrame.from_image(Image.new("RGB", (16, 16)))  # type: ignore[no-untyped-call]  # likewise
        black = small.reformat(to.width, to.height, FORMS[form].pixels)
        for at in (0, max(1, round(length_s * _TICKS) - _TICKS // 25)):
            black.pts, black.time_base = at, Fraction(1, _TICKS)
            out.mux(stream.encode(black))
        out.mux(stream.encode(None))


def _written(target: Path, form: Form) -> OutputContainer:
    # A path of one's own cannot be taken for a protocol; the name has no ending that could tell the format.
    return av.open(str(target), "w", format=form.muxer)


def _stream(out: OutputContainer, form: Form, to: Size, rate: Fraction) -> VideoStream:
    stream: Any = out.add_stream(form.codec, rate=rate, options=dict(form.options))
    stream.width, stream.height = to
    stream.pix_fmt = form.pixels
    stream.codec_context.time_base = Fraction(1, 100) if form.muxer == "gif" else Fraction(1, _TICKS)
    return stream  # type: ignore[no-any-return]  # by the codec's name av cannot tell a video's stream
