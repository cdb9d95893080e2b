"""Scales a video: decodes, scales and encodes frame by frame, copies the rest. Needs no ffmpeg program."""

from collections.abc import Callable, Iterator
from itertools import chain

from av.video.frame import VideoFrame

from batchup.errors import RejectedError
from batchup.models import codecs
from batchup.models.local.lanczos_video import LanczosVideo
from batchup.providers.local.video.reader import AnyPacket, Part, VideoInput, open_input
from batchup.providers.local.video.writer import Encoding, VideoOutput, open_output
from batchup.providers.local.work import Tell, Work

_TELL_EVERY = 0.002


def upscale(work: Work, tell: Tell) -> None:
    """Write the video *work.source* in the new size by Lanczos. Raises as :func:`carry`."""
    carry(work, tell, LanczosVideo.model_validate(dict(work.params)), VideoOutput.show)


def carry(
    work: Work, tell: Tell, params: LanczosVideo, show: Callable[[VideoOutput, VideoFrame], None]
) -> None:
    """Write the video *work.source* in the new size, with all its frames at their times.

    Kept are variable frame rates, rotation, colour tags, bits a channel, the shape of pixels, and, copied as they are,
    sound, subtitles, chapters, covers and attachments; the tags where wanted. Memory is bounded whatever the length.

    Args:
        work: What is done.
        tell: Told how far it is.
        params: How it is written.
        show: Scales a frame and gives it to the output.

    Raises:
        RejectedError: ``media_unreadable``, ``codec_unsupported``, ``video_tracks``, ``video_interlaced``,
            ``video_format`` (bits or transparency that no codec here keeps), ``track_unsupported``,
            ``video_truncated``, ``video_damaged``, ``video_unwritable``.
        OSError: Of the output's disk.
    """
    with open_input(work.source) as source:
        parts = source.parts()
        early, first = _first_frame(parts)
        with open_output(work, source, early, first, _encoding(params, work, first)) as output:
            progress = _Progress(source, tell)
            for part in chain([first], parts):
                if isinstance(part, VideoFrame):
                    show(output, part)
                    progress.reached(part)
                else:
                    output.copy(part)
            output.finish()
    tell(1.0)


def _first_frame(parts: Iterator[Part]) -> tuple[list[AnyPacket], VideoFrame]:
    """Return the packets before the first frame, few as tracks are interleaved, and that frame."""
    early: list[AnyPacket] = []
    for part in parts:
        if isinstance(part, VideoFrame):
            return early, part
        early.append(part)
    raise AssertionError("parts() raises where there is no frame")


def _encoding(params: LanczosVideo, work: Work, first: VideoFrame) -> Encoding:
    wanted = codecs.pixels_of(first.format.name, max(part.bits for part in first.format.components))
    try:
        codec, kept = codecs.encoding(params.codec, work.ext, wanted)
    except codecs.Unencodable as error:
        raise RejectedError(str(error), kind="video_format") from error
    size_pixels = work.width * work.height
    options = codecs.options(codec, params.quality, params.crf, size_pixels)
    return Encoding(codec, kept, options, params.drop_tracks)


class _Progress:
    """Tells how far the times of the frames have come, a few hundred times in all."""

    def __init__(self, source: VideoInput, tell: Tell) -> None:
        self._source = source
        self._tell = tell
        self._told = 0.0

    def reached(self, frame: VideoFrame) -> None:
        duration_s = self._source.duration_s
        start = self._source.stream.start_time or 0
        if not duration_s or frame.pts is None or not frame.time_base:
            return
        done = min(1.0, float((frame.pts - start) * frame.time_base) / duration_s)
        if done >= self._told + _TELL_EVERY:
            self._told = done
            self._tell(done)
