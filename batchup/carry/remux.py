"""One video written anew from its own packets, with tracks and tags of another one."""

import heapq
import os
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import OutputContainer
from av.stream import Disposition, Stream

from batchup.carry import extent
from batchup.errors import RejectedError
from batchup.models.codecs import MUXERS
from batchup.providers.local.video import tags as video_tags
from batchup.providers.local.video import tracks
from batchup.providers.local.video.reader import AnyPacket, VideoInput, open_input
from batchup.providers.local.video.writer import writing
from batchup.providers.local.work import Work

_TOLERANCE = Fraction(2, 100)
"""How much longer or shorter than the input an output may be that gets its sound, as a part of it."""
_SLACK_S = Fraction(1, 10)
"""The same in seconds, for short ones: a model may leave out a frame or two, and nobody hears that."""
_ROUNDING_S = Fraction(2, 1000)
"""What times may change by: Matroska counts milliseconds."""

_NAMES = {"audio": "sound", "subtitle": "subtitles"}
_KEPT = frozenset({"creation_time", "language"})
"""Tags of the input's picture that hold for the output's, too."""
_ALPHA = "alpha_mode"
"""The tag without which a player does not look for transparency."""
_TECHNICAL = frozenset({"handler_name", "vendor_id", "language", "encoder", "duration", _ALPHA})
"""Tags of a track that tell nothing of the recording."""


class Remux:
    """An output, with what its input gives."""

    def __init__(
        self, given: VideoInput | None, output: VideoInput, ending: str, notes: list[str], *, keep: bool
    ) -> None:
        self._given, self._output, self._notes, self._keep = given, output, notes, keep
        self._work = Work({}, "", "", ending, 0, 0, keep_metadata=keep)
        self._tags = self._merged_tags()
        self._own = extent.measured(output.container.name)
        self._shift_s = Fraction(0)
        self._added = self._lasting(self._missing())

    def write(self, beside: Path) -> bool:
        """Write *beside*; return False, with or without a file, if the output is as well as it is.

        Raises:
            OSError: The output's disk failed.
            RejectedError: A file is damaged, or its packets cannot be written as they are.
        """
        if not self._added and not self._retagged():
            return False
        path = os.path.abspath(beside)  # noqa: PTH100 - no protocol, see open_input
        container = self._container(path)
        try:
            own, theirs = self._targets(container)
            if theirs or self._retagged():
                self._mux(container, path, own, theirs)
        except BaseException:
            # The file is worthless, and what is wrong with it says less than the first error.
            with suppress(av.error.FFmpegError):
                container.close()
            raise
        with writing(path):
            container.close()
        if not theirs and not self._retagged():
            return False
        self._check(path)
        return bool(theirs) or self._differs(path)

    def _merged_tags(self) -> dict[str, str]:
        own = video_tags.of_file(self._output.container.metadata, keep=self._keep)
        if self._given is None:
            return own
        theirs = video_tags.of_file(self._given.container.metadata, keep=self._keep)
        names = {name.lower() for name in theirs}
        return {name: value for name, value in own.items() if name.lower() not in names} | theirs

    def _missing(self) -> list[Stream]:
        """Return the input's tracks of which the output has none of the kind."""
        if self._given is None:
            return []
        there = {stream.type for stream in self._output.copied}
        kinds = _NAMES.keys() - there
        return [stream for stream in self._given.copied if stream.type in kinds]

    def _lasting(self, missing: list[Stream]) -> list[Stream]:
        """Return *missing* if it belongs to a picture of this length, and see how far it is to be moved."""
        if not missing or self._given is None:
            return []
        theirs, own = extent.measured(self._given.container.name), self._own
        if abs(own.seconds - theirs.seconds) > max(_SLACK_S, _TOLERANCE * theirs.seconds):
            self._notes.append(
                f"the output has no {self._named(missing)}: it lasts {float(own.seconds):.2f} s, the input"
                f" {float(theirs.seconds):.2f} s"
            )
            return []
        self._shift_s = own.first_s - theirs.first_s
        return missing

    def _named(self, streams: list[Stream]) -> str:
        return " and ".join(sorted({_NAMES[stream.type] for stream in streams}))

    def _retagged(self) -> bool:
        """Return whether the tags that are wanted are others than there are."""
        if not self._keep:
            return bool(_told(self._output))
        own = video_tags.of_file(self._output.container.metadata, keep=True)
        return _lowered(own) != _lowered(self._tags)

    def _container(self, path: str) -> OutputContainer:
        muxer = MUXERS[self._work.ext]
        options = video_tags.muxer_options(muxer, self._tags, self._output.stream.metadata)
        with writing(path):
            container = av.open(
                path, "w", format=muxer, container_options=options, metadata_errors="surrogateescape"
            )
        container.metadata.update(self._tags)
        chapters = self._output.container.chapters()
        if not chapters and self._added and self._keep and self._given is not None:
            chapters = self._given.container.chapters()
        container.set_chapters(chapters)
        return container

    def _targets(self, container: OutputContainer) -> tuple[dict[int, Stream], dict[int, Stream]]:
        """Add all tracks; return them by the index that they have in the output so far, and in the input."""
        own: dict[int, Stream] = {self._output.stream.index: self._picture(container)}
        for stream in self._output.copied:
            self._add(container, stream, own)
        theirs: dict[int, Stream] = {}
        for stream in self._added:
            if not self._add(container, stream, theirs):
                what = f"{_NAMES[stream.type]} ({_codec(stream)})"
                self._notes.append(
                    f"{self._work.ext} cannot hold the input's {what}; the output has none of it"
                )
        return own, theirs

    def _mux(
        self, container: OutputContainer, path: str, own: dict[int, Stream], theirs: dict[int, Stream]
    ) -> None:
        files = [_timed(self._output, own, Fraction(0))]
        if theirs and self._given is not None:
            files.append(_timed(self._given, theirs, self._shift_s))
        for _, packet in heapq.merge(*files, key=lambda timed: timed[0]):
            with writing(path):
                container.mux(packet)

    def _add(self, container: OutputContainer, stream: Stream, targets: dict[int, Stream]) -> bool:
        if stream.type == "video" and self._work.ext == ".mkv":
            # FFmpeg's muxer would make a second picture of it.
            raise RejectedError("it has a cover picture of its own", kind="track_unsupported")
        target = tracks.add(container, stream, self._work, {}, drop=True)
        if target is not None:
            targets[stream.index] = target
        return target is not None

    def _picture(self, container: OutputContainer) -> Stream:
        """Add the picture's track as it is; its rotation and colours come with the template."""
        source = self._output.stream
        target: Any = container.add_stream_from_template(source, opaque=True)
        # A template's is left out, and FFmpeg would take the first that fits: 422 for ProRes 4444, hev1, which Apple's
        # players do not know, for hvc1.
        target.codec_context.codec_tag = source.codec_context.codec_tag
        if source.average_rate:  # Matroska writes it, and has only the encoder's clock otherwise
            target.codec_context.framerate = source.average_rate
        target.disposition = source.disposition
        for name in list(target.metadata):
            del target.metadata[name]
        target.metadata.update(video_tags.of_picture(source.metadata, keep=self._keep))
        if self._given is not None and self._keep:
            theirs = self._given.stream.metadata
            target.metadata.update({name: theirs[name] for name in _KEPT if name in theirs})
        for name, value in source.metadata.items():
            if name.lower() == _ALPHA:
                target.metadata[name] = value
        added: Stream = target
        return added

    def _check(self, path: str) -> None:
        """Make sure that the picture is the same to the byte, and as long.

        Raises:
            RejectedError: It is not.
        """
        new, own = extent.measured(path), self._own
        longer_s = (new.last_s - new.first_s) - (own.last_s - own.first_s)
        same = (new.codec, new.packets, new.checksum) == (own.codec, own.packets, own.checksum)
        if not same or abs(longer_s) > _ROUNDING_S:
            raise RejectedError("its picture would not stay the same", kind="video_unwritable")

    def _differs(self, path: str) -> bool:
        """Return whether the new file tells anything else: a container may have no place for a tag."""
        with open_input(path) as new:
            return _told(new) != _told(self._output)


def _timed(
    video: VideoInput, targets: dict[int, Stream], shift_s: Fraction
) -> Iterator[tuple[Fraction, AnyPacket]]:
    """Yield the packets of the tracks in *targets*, moved by *shift_s* and bound for their targets, each with its time."""
    wanted = [stream for stream in video.container.streams if stream.index in targets]
    at = Fraction(0)
    for packet in extent.packets(video.container, wanted):
        if tracks.is_filler(packet):
            continue
        ticks = round(shift_s / packet.time_base)
        if packet.pts is not None:
            packet.pts += ticks
        if packet.dts is not None:
            packet.dts += ticks
        moment = packet.dts if packet.dts is not None else packet.pts
        if moment is not None:
            at = moment * packet.time_base
        packet.stream = targets[packet.stream.index]
        yield at, packet


def _told(video: VideoInput) -> dict[str, str]:
    """Return what the file and its tracks say of the recording."""
    told = _lowered(video_tags.of_file(video.container.metadata, keep=True))
    for stream in (video.stream, *video.copied):
        if stream.disposition & Disposition.attached_pic:
            continue
        kept = _lowered(video_tags.of_picture(stream.metadata, keep=True))
        told |= {f"{stream.index} {name}": value for name, value in kept.items() if name not in _TECHNICAL}
    return told


def _lowered(tags: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in tags.items()}


def _codec(stream: Stream) -> str:
    context: Any = stream.codec_context  # None where no decoder is known
    return context.name if context is not None else "unknown format"
