"""How long a video's picture is and of which bytes, by its packets: what containers declare is often of the whole file."""

import os
import zlib
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from av.container import InputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from batchup.providers.local.video.reader import AnyPacket, open_input, reading


class Extent(NamedTuple):
    """The picture of a video.

    Attributes:
        codec: What decoders need to know: codec, variant, shape and colours.
        first_s: When it is first shown, on the file's own clock; likewise *last_s*, its last frame.
        end_s: When that ends, as far as the file tells.
        packets: How many there are.
        checksum: Of their bytes, in the order of the file.
    """

    codec: tuple[object, ...]
    first_s: Fraction
    last_s: Fraction
    end_s: Fraction
    packets: int
    checksum: int

    @property
    def seconds(self) -> Fraction:
        """How long it lasts. Where the last frame's time is not told, that is as long as the others' on the average."""
        if self.end_s > self.last_s or self.packets < 2:  # noqa: PLR2004 - one frame has no distance
            return self.end_s - self.first_s
        shown = self.last_s - self.first_s
        return shown + shown / (self.packets - 1)


def packets(container: InputContainer, streams: list[Stream]) -> Iterator[AnyPacket]:
    """Yield the packets of *streams*, in the file's order.

    Raises:
        RejectedError: The file is damaged.
    """
    found = container.demux(streams)
    while True:
        with reading(0):
            packet = next(found, None)
        if packet is None:
            return
        if packet.size:
            yield packet


def measured(name: str | os.PathLike[str]) -> Extent:
    """Read the picture of the video *name* from its first packet to its last.

    Raises:
        RejectedError: It is damaged, or has no picture.
    """
    first: Fraction | None = None
    last = end = Fraction(0)
    count = checksum = 0
    with open_input(os.fspath(name)) as video:
        codec = _codec(video.stream)
        base = video.stream.time_base or Fraction(1, 1000)
        for packet in packets(video.container, [video.stream]):
            count, checksum = count + 1, zlib.crc32(bytes([packet.is_discard]), zlib.crc32(packet, checksum))
            moment = packet.pts if packet.pts is not None else packet.dts
            if moment is None or packet.is_discard:  # hidden by an edit list
                continue
            at = moment * base
            first = at if first is None else min(first, at)
            last, end = max(last, at), max(end, at + (packet.duration or 0) * base)
    return Extent(codec, first or Fraction(0), last, end, count, checksum)


def _codec(stream: VideoStream) -> tuple[object, ...]:
    context = stream.codec_context
    colours = (context.color_primaries, context.color_trc, context.colorspace, context.color_range)
    shape = (context.width, context.height, context.pix_fmt, stream.sample_aspect_ratio)
    return (context.name, context.codec_tag, *shape, *colours)
