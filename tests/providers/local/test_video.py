import errno
import struct
from collections import defaultdict
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import pytest
from av.stream import Disposition

from batchup import media
from batchup.errors import RejectedError
from batchup.models.local.lanczos_video import MODEL
from batchup.providers.local.video import upscale
from batchup.providers.local.work import Work
from tests.videos import BLUE, GREEN, RED, WHITE, make_video

# Everything that a video may say about its colours: primaries, curve, matrix, range of HDR10.
HDR10: dict[str, Any] = {"color_primaries": 9, "color_trc": 16, "colorspace": 9, "color_range": 1}
SCREEN = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"


class Track(NamedTuple):
    """What a stream says. A stream itself must not be asked once its file is closed."""

    type: str
    codec: str
    tag: str
    tags: dict[str, str]
    disposition: int
    duration: int | None
    shape: Fraction | None
    attached: tuple[str, bytes] | None

    @classmethod
    def of(cls, stream):
        known = getattr(stream, "codec_context", None) is not None
        return cls(
            stream.type,
            stream.codec.canonical_name if known else "",
            stream.codec_context.codec_tag if known else "",
            dict(stream.metadata),
            stream.disposition,
            stream.duration,
            stream.sample_aspect_ratio if stream.type == "video" else None,
            (stream.mimetype, stream.data) if stream.type == "attachment" else None,
        )


class Read(NamedTuple):
    frames: list[Any]
    packets: dict[str, list[Any]]
    tracks: list[Track]
    tags: dict[str, str]
    chapters: list[Any]

    @property
    def times(self):
        return [frame.pts * frame.time_base for frame in self.frames]

    @property
    def first(self):
        return self.frames[0]

    def bytes_of(self, kind):
        return [bytes(packet) for packet in self.packets[kind]]

    def times_of(self, kind):
        return [packet.pts * packet.time_base for packet in self.packets[kind]]


def read(path) -> Read:
    packets: dict[str, list[Any]] = defaultdict(list)
    frames: list[Any] = []
    with av.open(str(path)) as container:
        for packet in container.demux():
            if packet.size and not packet.stream.disposition & Disposition.attached_pic:
                packets[packet.stream.type].append(packet)
            if packet.stream is container.streams.video[0]:
                frames += packet.decode()
        return Read(
            frames,
            packets,
            [Track.of(s) for s in container.streams],
            dict(container.metadata),
            container.chapters(),
        )


def work_on(source: Path, *, keep_metadata: bool = True, **params: Any) -> Work:
    found = media.probe(source)
    assert found is not None
    chosen = MODEL.params(**params)
    size = MODEL.size(chosen, found)
    assert size is not None
    output = source.with_name(f"{source.name}.part")
    ext = MODEL.ext(chosen, found, source.suffix)
    return Work(chosen.model_dump(), str(source), str(output), ext, size.width, size.height, keep_metadata)


def upscaled(source: Path, *, keep_metadata: bool = True, **params: Any) -> Read:
    work = work_on(source, keep_metadata=keep_metadata, **params)
    upscale(work, lambda _: None)
    return read(work.output)


def remuxed(source: Path, target: Path, add) -> Path:
    """Copy *source* to *target*; *add* may add tracks and chapters, and returns packets that come first."""
    with av.open(str(source)) as before, av.open(str(target), "w") as after:
        targets = {stream.index: after.add_stream_from_template(stream) for stream in before.streams}
        for packet in add(after):
            after.mux(packet)
        for packet in before.demux():
            if packet.size:
                packet.stream = targets[packet.stream.index]
                after.mux(packet)
    return target


def rgb_at(frame, across, down):
    """Return the colour at fractions of width and height of a frame as it is stored."""
    return frame.to_ndarray(format="rgb24")[int(frame.height * down), int(frame.width * across)].astype(int)


def quarters(frame):
    return [rgb_at(frame, x, y) for x, y in ((0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8))]


def nearest(colour):
    names = {"red": RED, "green": GREEN, "blue": BLUE, "white": WHITE}
    return min(names, key=lambda name: sum(abs(colour - names[name])))


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi"])
def test_a_video_comes_out_twice_as_large_with_all_its_frames_at_their_times(tmp_path, ending):
    source = make_video(tmp_path / f"a{ending}", codec="mpeg4" if ending == ".avi" else "")
    before = read(source)

    after = upscaled(source)

    assert (after.first.width, after.first.height) == (128, 96)
    assert after.times == before.times
    assert [nearest(colour) for colour in quarters(after.first)] == ["red", "green", "blue", "white"]
    assert media.verify(f"{source}.part").format == {".m4v": "MP4", ".avi": "MKV"}.get(
        ending, ending[1:].upper()
    )


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".webm"])
def test_a_variable_frame_rate_stays_as_it_is(tmp_path, ending):
    source = make_video(tmp_path / f"a{ending}", vfr=True)
    before = read(source)

    after = upscaled(source)

    assert after.times == before.times
    assert len({b - a for a, b in zip(before.times, before.times[1:], strict=False)}) == 3
    assert after.tracks[0].duration == before.tracks[0].duration


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_frames_of_an_avi_come_in_their_order_although_it_tells_no_times(tmp_path, codec):
    source = make_video(tmp_path / "a.avi", codec=codec, max_b_frames=2)

    after = upscaled(source)

    assert {b - a for a, b in zip(after.times, after.times[1:], strict=False)} == {Fraction(1, 25)}
    assert len(after.times) == 25


def test_the_encoder_chooses_its_own_key_frames(tmp_path):
    source = make_video(tmp_path / "a.mp4", options={"g": "1"}, audio=False)
    assert all(packet.is_keyframe for packet in read(source).packets["video"])

    after = upscaled(source)

    assert sum(packet.is_keyframe for packet in after.packets["video"]) == 1


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".webm"])
@pytest.mark.parametrize("starts_s", [0, 0.4])
def test_sound_is_copied_byte_for_byte_and_stays_in_step(tmp_path, ending, starts_s):
    source = make_video(tmp_path / f"a{ending}", starts_s=starts_s)
    before = read(source)

    after = upscaled(source)

    assert after.bytes_of("audio") == before.bytes_of("audio")
    assert after.times_of("audio") == before.times_of("audio")
    assert after.times == before.times
    assert after.tracks[1].tags["language"] == "deu"


def test_what_an_edit_list_hides_stays_hidden(tmp_path):
    source = make_video(tmp_path / "a.mp4", starts_s=-0.2)
    before = read(source)

    after = upscaled(source)

    assert len(before.frames) == 20
    assert after.times == before.times
    assert after.times_of("audio") == before.times_of("audio")


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv", ".webm"])
def test_subtitles_are_kept_with_their_language(tmp_path, ending):
    source = make_video(tmp_path / f"a{ending}", subtitles=True)
    before = read(source)

    after = upscaled(source)

    assert b"Hello" in after.bytes_of("subtitle")[-1]
    assert after.bytes_of("subtitle") == before.bytes_of("subtitle")
    assert after.times_of("subtitle") == before.times_of("subtitle")
    assert after.tracks[2].tags["language"] == "eng"


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".webm"])
@pytest.mark.parametrize(
    ("rotation", "size", "turned"),
    [(90, (96, 128), 90), (-90, (96, 128), -90), (180, (128, 96), -180)],
    ids=["left", "right", "upside-down"],
)
def test_a_turned_video_is_shown_the_right_way_up(tmp_path, ending, rotation, size, turned):
    source = make_video(tmp_path / f"a{ending}", rotation=rotation)

    after = upscaled(source)

    shown = media.probe(f"{source}.part")
    assert shown is not None
    assert shown.size == size
    assert after.first.rotation in {turned, -turned if rotation == 180 else turned}
    assert [nearest(colour) for colour in quarters(after.first)] == ["red", "green", "blue", "white"]


def test_the_matrix_that_turns_a_video_moves_it_by_pixels_of_the_new_size(tmp_path):
    source = tmp_path / "a.mov"
    with av.open(str(source), "w") as container:
        video: Any = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        # As iPhones write it: a quarter turn to the right, then 48 pixels back into view.
        video.set_display_matrix([0, 65536, 0, -65536, 0, 0, 48 * 65536, 0, 1 << 30])
        container.mux(video.encode(av.VideoFrame(64, 48, "yuv420p")))
        container.mux(video.encode(None))

    after = upscaled(source)

    matrix = struct.unpack("9i", bytes(after.first.side_data["DISPLAYMATRIX"]))
    assert matrix[6:8] == (96 * 65536, 0)


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "params", "kept"),
    [
        ("a.mp4", "libx264", "yuv420p", {}, ("h264", "yuv420p")),
        ("a.mp4", "libx264", "yuv422p", {}, ("h264", "yuv422p")),
        ("a.mp4", "libx265", "yuv420p10le", {}, ("hevc", "yuv420p10le")),
        ("a.mkv", "libx264", "yuv420p10le", {"codec": "h264"}, ("h264", "yuv420p10le")),
        ("a.mov", "prores_aw", "yuv422p10le", {"codec": "prores"}, ("prores", "yuv422p10le")),
        ("a.webm", "libsvtav1", "yuv420p10le", {}, ("av1", "yuv420p10le")),
        ("a.avi", "mjpeg", "yuvj422p", {}, ("h264", "yuvj422p")),
        ("a.mov", "qtrle", "rgb24", {}, ("h264", "yuv444p")),
        ("a.mov", "qtrle", "argb", {}, ("prores", "yuva444p12le")),
    ],
)
def test_bits_a_channel_and_resolution_of_colours_are_kept(tmp_path, name, codec, pix_fmt, params, kept):
    quiet = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    source = make_video(
        tmp_path / name, seconds=0.2, audio=False, codec=codec, pix_fmt=pix_fmt, options=quiet
    )

    after = upscaled(source, **params)

    assert (after.tracks[0].codec, after.first.format.name) == kept
    assert [nearest(colour) for colour in quarters(after.first)] == ["red", "green", "blue", "white"]


def test_hdr10_keeps_its_ten_bits_its_tags_and_its_light_levels(tmp_path):
    options = {"x265-params": f"log-level=none:master-display={SCREEN}:max-cll=1000,400"}
    source = make_video(
        tmp_path / "a.mp4", seconds=0.2, codec="libx265", pix_fmt="yuv420p10le", options=options, **HDR10
    )
    before = read(source)

    after = upscaled(source)

    frame = after.first
    assert frame.format.name == "yuv420p10le"
    assert (frame.color_primaries, frame.color_trc, frame.colorspace, frame.color_range) == (9, 16, 9, 1)
    for kind in ("MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL"):
        assert bytes(frame.side_data[kind]) == bytes(before.first.side_data[kind])
    assert after.tracks[0].tag == "hvc1"


def test_colours_keep_their_look_when_a_video_without_tags_becomes_hd(tmp_path):
    source = make_video(tmp_path / "a.mp4", seconds=0.1, size=(640, 360), audio=False)

    after = upscaled(source)

    # Without a tag, players take the matrix of BT.601 at 360 lines and that of BT.709 at 720.
    assert read(source).first.colorspace == 2
    assert after.first.colorspace == 6


def test_full_range_stays_full_range(tmp_path):
    source = make_video(tmp_path / "a.mp4", seconds=0.1, audio=False, color_range=2, colorspace=1)

    after = upscaled(source)

    assert (after.first.color_range, after.first.colorspace) == (2, 1)


def test_transparency_in_webm_is_kept(tmp_path):
    source = tmp_path / "a.webm"
    with av.open(str(source), "w") as container:
        video: Any = container.add_stream("libvpx-vp9", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuva420p"
        video.metadata["alpha_mode"] = "1"
        frame = av.VideoFrame(64, 48, "yuva420p")
        for plane, value in zip(frame.planes, (120, 128, 128, 60), strict=True):
            plane.update(bytes([value]) * plane.buffer_size)
        container.mux(video.encode(frame))
        container.mux(video.encode(None))

    upscale(work := work_on(source), lambda _: None)

    decoder: Any = av.CodecContext.create("libvpx-vp9", "r")
    with av.open(work.output) as container:
        shown = next(frame for packet in container.demux() for frame in decoder.decode(packet))
    assert shown.format.name == "yuva420p"
    assert abs(bytes(shown.planes[3])[0] - 60) <= 2


@pytest.mark.parametrize(
    ("shape", "size", "expected"),
    [
        (Fraction(16, 15), (64, 48), Fraction(16, 15)),
        (Fraction(1), (66, 50), Fraction(1)),
    ],
    ids=["anamorphic", "square"],
)
def test_the_shape_of_pixels_is_kept(tmp_path, shape, size, expected):
    source = make_video(tmp_path / "a.mp4", seconds=0.1, size=size, audio=False, sample_aspect_ratio=shape)

    after = upscaled(source, scale=1.7)

    assert after.tracks[0].shape == expected


def test_covers_and_chapters_come_along(tmp_path):
    def add(container):
        cover: Any = container.add_stream("mjpeg")
        cover.width, cover.height, cover.pix_fmt = 32, 32, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        spans = [(0, 400, "One"), (400, 1000, "Two")]
        container.set_chapters(
            [
                {"id": i, "start": a, "end": b, "time_base": Fraction(1, 1000), "metadata": {"title": title}}
                for i, (a, b, title) in enumerate(spans, 1)
            ]
        )
        return cover.encode(av.VideoFrame(32, 32, "yuvj420p")) + cover.encode(None)

    source = remuxed(make_video(tmp_path / "plain.mp4", seconds=0.4), tmp_path / "a.mp4", add)
    before = read(source)

    after = upscaled(source)

    assert [stream.type for stream in after.tracks] == [stream.type for stream in before.tracks]
    assert after.tracks[-1].disposition == Disposition.attached_pic
    assert [(c["start"], c["end"], c["metadata"]) for c in after.chapters] == [
        (0, 400, {"title": "One"}),
        (400, 1000, {"title": "Two"}),
    ]


def test_fonts_and_covers_attached_to_matroska_come_along(tmp_path):
    picture = av.CodecContext.create("mjpeg", "w")
    picture.width, picture.height, picture.pix_fmt, picture.time_base = 32, 32, "yuvj420p", Fraction(1, 25)
    (jpeg,) = picture.encode(av.VideoFrame(32, 32, "yuvj420p")) or picture.encode(None)

    def add(container):
        container.add_attachment("a font.ttf", "application/x-truetype-font", b"\0\1\0\0font")
        container.add_attachment("cover.jpg", "image/jpeg", bytes(jpeg))
        return []

    source = remuxed(make_video(tmp_path / "plain.mkv", seconds=0.4), tmp_path / "a.mkv", add)

    after = upscaled(source)

    video, sound, font, cover = after.tracks
    assert (video.type, sound.type) == ("video", "audio")
    assert font.tags["filename"] == "a font.ttf"
    assert font.attached == ("application/x-truetype-font", b"\0\1\0\0font")
    assert cover.disposition == Disposition.attached_pic


TAGS = {
    "title": "A title",
    "creation_time": "2020-01-02T03:04:05.000000Z",
    "location": "+48.1000+011.5000/",
    "com.apple.quicktime.make": "Apple",
}


@pytest.mark.parametrize("ending", [".mov", ".mp4", ".mkv"])
def test_title_place_camera_and_time_of_a_recording_are_kept(tmp_path, ending):
    flags = {} if ending == ".mkv" else {"movflags": "use_metadata_tags"}
    source = make_video(tmp_path / f"a{ending}", seconds=0.2, metadata=TAGS, container_options=flags)

    after = upscaled(source)

    kept = {name.lower(): value for name, value in after.tags.items()}
    assert {name: kept.get(name) for name in TAGS} == TAGS


@pytest.mark.parametrize("ending", [".mov", ".mp4", ".mkv"])
def test_without_metadata_nothing_tells_place_time_or_camera_but_languages_stay(tmp_path, ending):
    flags = {} if ending == ".mkv" else {"movflags": "use_metadata_tags"}
    source = make_video(tmp_path / f"a{ending}", seconds=0.2, metadata=TAGS, container_options=flags)

    before = read(source)

    after = upscaled(source, keep_metadata=False)

    told = " ".join([*after.tags.values(), *(v for s in after.tracks for v in s.tags.values())])
    assert not [value for value in TAGS.values() if value in told]
    assert after.tracks[1].tags.get("language") == before.tracks[1].tags.get("language")


def test_an_mp4_begins_with_its_index_so_that_it_plays_while_it_loads(tmp_path):
    source = make_video(tmp_path / "a.mp4")

    upscale(work := work_on(source), lambda _: None)

    data = Path(work.output).read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_progress_rises_to_one(tmp_path):
    told: list[float] = []

    upscale(work_on(make_video(tmp_path / "a.mkv")), told.append)

    assert told == sorted(told)
    assert told[-1] == 1.0
    assert len(told) > 10


CUTTABLE: dict[str, dict[str, Any]] = {
    "mp4": {"container_options": {"movflags": "faststart"}},
    "mkv": {},
    "webm": {},
    "avi": {"codec": "mpeg4"},
}


@pytest.mark.parametrize("share", [0.4, 0.7, 0.97])
@pytest.mark.parametrize("ending", CUTTABLE)
def test_a_cut_video_is_rejected(tmp_path, ending, share):
    source = make_video(tmp_path / f"a.{ending}", seconds=2, audio=False, **CUTTABLE[ending])
    work = work_on(source)
    data = source.read_bytes()
    source.write_bytes(data[: int(len(data) * share)])

    with pytest.raises(RejectedError, match="cut") as caught:
        upscale(work, lambda _: None)

    assert caught.value.kind == "video_truncated"


@pytest.mark.parametrize("ending", ["mkv", "webm"])
def test_a_video_whose_end_was_never_downloaded_is_rejected_with_the_seconds_that_are_there(tmp_path, ending):
    source = make_video(tmp_path / f"a.{ending}", seconds=2, audio=False)
    work = work_on(source)
    data = source.read_bytes()
    # As downloads that reserve their place leave it: the full length, the rest zeros.
    keep = data.rindex(b"\xa3", 0, int(len(data) * 0.5))
    source.write_bytes(data[:keep] + bytes(len(data) - keep))

    with pytest.raises(RejectedError) as caught:
        upscale(work, lambda _: None)

    assert caught.value.kind in {"video_truncated", "video_damaged"}


def test_frames_that_are_missing_are_counted(tmp_path):
    flags = {"movflags": "faststart"}
    source = make_video(tmp_path / "a.mp4", seconds=2, audio=False, container_options=flags)
    work = work_on(source)
    # From the 21st on the frames are gone, and the box that held them says so, but the index does not.
    stop = read(source).packets["video"][20].pos
    data = bytearray(source.read_bytes())
    start = data.index(b"mdat") - 4
    data[start : start + 4] = (stop - start).to_bytes(4, "big")
    source.write_bytes(data[:stop])

    with pytest.raises(RejectedError, match="the video is cut: 20 of 50 frames are there") as caught:
        upscale(work, lambda _: None)

    assert caught.value.kind == "video_truncated"


@pytest.mark.parametrize(
    ("ending", "codec"), [("mp4", "libx264"), ("mkv", "libx264"), ("avi", "mpeg4"), ("mkv", "libsvtav1")]
)
def test_a_video_damaged_in_the_middle_is_rejected(tmp_path, ending, codec):
    source = make_video(tmp_path / f"a.{ending}", size=(320, 240), audio=False, codec=codec)
    work = work_on(source)
    packets = read(source).packets["video"]
    middle = max(packets[len(packets) // 3 : 2 * len(packets) // 3], key=lambda packet: packet.size)
    data = bytearray(source.read_bytes())
    at = data.index(bytes(middle)) + middle.size // 4
    data[at : at + middle.size // 2] = b"\xff" * (middle.size // 2)
    source.write_bytes(data)

    with pytest.raises(RejectedError, match="damaged") as caught:
        upscale(work, lambda _: None)

    assert caught.value.kind == "video_damaged"


def test_a_single_wrong_byte_in_h264_is_noticed(tmp_path):
    source = make_video(tmp_path / "a.mp4", size=(320, 240), audio=False)
    work = work_on(source)
    key = max(read(source).packets["video"], key=lambda packet: packet.size)
    data = bytearray(source.read_bytes())
    data[data.index(bytes(key)) + key.size * 9 // 10] ^= 0xFF
    source.write_bytes(data)

    with pytest.raises(RejectedError, match=r"frame \d+ at \d\.\d\d s cannot be decoded") as caught:
        upscale(work, lambda _: None)

    assert caught.value.kind == "video_damaged"


def test_interlaced_video_is_rejected_rather_than_smeared(tmp_path):
    options = {"flags": "+ildct+ilme", "x264-params": "tff=1"}
    source = make_video(tmp_path / "a.mp4", seconds=0.2, options=options)

    with pytest.raises(RejectedError, match="deinterlace") as caught:
        upscale(work_on(source), lambda _: None)

    assert caught.value.kind == "video_interlaced"


def test_a_second_picture_is_rejected_rather_than_dropped(tmp_path):
    def add(container):
        second: Any = container.add_stream("mpeg4", rate=25)
        second.width, second.height, second.pix_fmt = 64, 48, "yuv420p"
        return second.encode(av.VideoFrame(64, 48, "yuv420p")) + second.encode(None)

    source = remuxed(make_video(tmp_path / "plain.mp4", seconds=0.2), tmp_path / "a.mp4", add)

    with pytest.raises(RejectedError, match="2 video tracks"):
        upscale(work_on(source), lambda _: None)


def subtitled(tmp_path, **params):
    """Have an MP4 with its subtitles written as Matroska, which cannot hold them."""
    source = make_video(tmp_path / "a.mp4", seconds=0.4, subtitles=True)
    return Work(params, str(source), str(tmp_path / "out"), ".mkv", 128, 96)


def test_a_track_that_the_output_cannot_hold_is_rejected_with_a_way_out(tmp_path):
    work = subtitled(tmp_path)

    with pytest.raises(
        RejectedError, match=r"\.mkv cannot hold track 2 \(subtitles, mov_text\); drop_tr"
    ) as caught:
        upscale(work, lambda _: None)

    assert caught.value.kind == "track_unsupported"


def test_drop_tracks_leaves_out_what_the_output_cannot_hold(tmp_path):
    work = subtitled(tmp_path, drop_tracks=True)

    upscale(work, lambda _: None)

    assert [track.type for track in read(work.output).tracks] == ["video", "audio"]


@pytest.mark.parametrize("ext", [".mkv", ".mp4"])
def test_a_full_disk_is_an_error_of_the_system(tmp_path, ext):
    source = make_video(tmp_path / "a.mp4", seconds=0.2)

    with pytest.raises(OSError, match="No space left") as caught:
        upscale(Work({}, str(source), "/dev/full", ext, 128, 96), lambda _: None)

    assert caught.value.errno == errno.ENOSPC


@pytest.mark.parametrize("name", ["concat:a.mp4", "caf\udce9 'x'\n-.mp4", "%d.mp4"])
def test_any_name_is_a_file(tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_video(tmp_path / "a.mp4", seconds=0.2).rename(name)

    upscale(Work({}, name, f"{name}.part", ".mp4", 128, 96), lambda _: None)

    assert len(read(Path(f"{name}.part").absolute()).frames) == 5


@pytest.mark.parametrize("data", [b"", b"\0\0\0\x18ftypmp42" + bytes(12)], ids=["empty", "a head only"])
def test_what_is_no_video_is_rejected(tmp_path, data):
    source = tmp_path / "a.mp4"
    source.write_bytes(data)

    with pytest.raises(RejectedError) as caught:
        upscale(Work({}, str(source), str(tmp_path / "out"), ".mp4", 128, 96), lambda _: None)

    assert caught.value.kind == "media_unreadable"
