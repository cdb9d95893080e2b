"""Frames of a video through a network: colours by the video's own tags, times and rotation untouched."""

from collections.abc import Callable
from typing import Any

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter

from batchup.errors import RejectedError
from batchup.models.local.lanczos_video import LanczosVideo
from batchup.models.superres.video import VideoParams
from batchup.providers.local.superres import tiles
from batchup.providers.local.superres.loaded import Loaded
from batchup.providers.local.superres.tiles import Network, Pixels
from batchup.providers.local.video.colours import is_hd
from batchup.providers.local.video.scale import carry
from batchup.providers.local.video.writer import VideoOutput, check_progressive
from batchup.providers.local.work import Note, Tell, Work

_EXACT = (
    Interpolation.LANCZOS
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
)
_BYTE_BITS = 8
_UNSPECIFIED, _BT709, _BT601 = 2, 1, 5
"""Of AVColorSpace, and swscale's names for them. Source: FFmpeg, libavutil/pixfmt.h and libswscale/swscale.h."""
_MATRICES = {0: _BT709, 1: _BT709, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
_COLOURS = 3


def upscaler(loaded: Loaded[Any], params: type[VideoParams]) -> Callable[[Work, Tell, Note], None]:
    """Return the function of a worker process that enlarges a video, and notes what it runs on.

    It raises as :func:`upscale`.
    """

    def upscale_video(work: Work, tell: Tell, note: Note) -> None:
        asked = params.model_validate(dict(work.params))
        network = loaded.get(asked)
        note(network.device)
        upscale(work, tell, asked.plain, network, asked.tile)

    return upscale_video


def upscale(work: Work, tell: Tell, params: LanczosVideo, network: Network, tile_px: int | None) -> None:
    """Write a video's frames as the network makes them.

    Args:
        work: What is done.
        tell: Told how far it is.
        params: How the video is written.
        network: Loaded.
        tile_px: Side of its tiles.

    Raises:
        RejectedError: As :func:`batchup.providers.local.video.scale.carry`.
        OSError: Of the output's disk.
    """
    carry(work, tell, params, _Frames(network, tile_px).show)


class _Frames:
    """Puts one frame after the other through the network; a frame that is the one before is not worked out again."""

    def __init__(self, network: Network, tile_px: int | None) -> None:
        self._network, self._tile_px = network, tile_px
        self._scaler, self._opener = VideoReformatter(), VideoReformatter()
        self._before: Pixels | None = None
        self._large: Pixels = np.empty(0)

    def show(self, output: VideoOutput, frame: VideoFrame) -> None:
        """Scale *frame* and give it to *output*.

        Raises:
            RejectedError: ``video_interlaced``, ``video_unwritable``.
        """
        check_progressive(frame)
        name = _packed(frame)
        pixels = self._opened(frame, name)
        if self._before is None or not np.array_equal(self._before, pixels):
            self._large = self._enlarged(pixels)
            self._before = pixels
        made = VideoFrame.from_ndarray(self._large, format=name)
        made.pts, made.time_base, made.duration = frame.pts, frame.time_base, frame.duration
        output.write(self._closed(made, output))

    def _opened(self, frame: VideoFrame, name: str) -> Pixels:
        """Return the frame's red, green and blue, and its alpha if it has one."""
        matrix = {} if frame.format.is_rgb else {"src_colorspace": _matrix(frame.colorspace, frame)}
        opened = self._opener.reformat(
            frame,
            format=name,
            interpolation=_EXACT,
            src_color_range=ColorRange(frame.color_range) if frame.color_range in {1, 2} else None,
            dst_color_range=ColorRange.JPEG,
            **matrix,
        )
        return np.ascontiguousarray(opened.to_ndarray())

    def _enlarged(self, pixels: Pixels) -> Pixels:
        large = tiles.enlarged(self._network, pixels[..., :_COLOURS], self._tile_px)
        if pixels.shape[2] == _COLOURS:
            return large
        alpha = np.repeat(pixels[..., _COLOURS:], _COLOURS, axis=2)
        return np.concatenate((large, tiles.enlarged(self._network, alpha, self._tile_px)[..., :1]), axis=2)

    def _closed(self, made: VideoFrame, output: VideoOutput) -> VideoFrame:
        """Return a frame of red, green and blue as the output's encoder takes it."""
        width, height, pix_fmt = output.form
        is_full = output.colours.range == ColorRange.JPEG
        return self._scaler.reformat(
            made,
            width,
            height,
            pix_fmt,
            interpolation=_EXACT,
            dst_colorspace=_matrix(output.colours.matrix, made),
            dst_color_range=ColorRange.JPEG if is_full else ColorRange.MPEG,
        )


def _packed(frame: VideoFrame) -> str:
    """Return the format of numpy's pixels that holds all of the frame's."""
    has_alpha = any(part.is_alpha for part in frame.format.components)
    is_deep = max(part.bits for part in frame.format.components) > _BYTE_BITS
    return ("rgba" if has_alpha else "rgb") + (
        ("64le" if has_alpha else "48le") if is_deep else "" if has_alpha else "24"
    )


def _matrix(tag: int, frame: Any) -> int:
    """Return how YUV becomes RGB, by its tag; where that is silent, by the size, as players guess it.

    Raises:
        RejectedError: It is one that swscale does not know (``video_format``).
    """
    if tag == _UNSPECIFIED:
        return _BT709 if is_hd(frame.width, frame.height) else _BT601
    if tag not in _MATRICES:
        raise RejectedError(
            f"its colours are tagged with matrix {tag}, which is not known here", kind="video_format"
        )
    return _MATRICES[tag]
