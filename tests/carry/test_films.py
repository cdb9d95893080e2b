from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import msgspec
import numpy as np
import pytest

from batchup import media
from batchup.carry import FUNCTION, Carried, Carrying, carry
from batchup.providers.local.pool import open_pool
from tests.carry.disk import file_size_limit
from tests.videos import make_video

TAGS = {
    "title": "A title",
    "creation_time": "2020-01-02T03:04:05.000000Z",
    "location": "+48.1000+011.5000/",
    "com.apple.quicktime.make": "Apple",
}
REMOTE = {"comment": "made by a model", "title": "Untitled"}
LARGE = (128, 96)
HEVC = {"codec": "libx265", "codec_tag": "hvc1", "options": {"x265-params": "log-level=none"}}


def make_source(path: Path, **options: Any) -> Path:
    flags = {} if path.suffix in {".mkv", ".webm"} else {"movflags": "use_metadata_tags"}
    return make_video(path, metadata=TAGS, container_options=flags, **options)


def make_output(path: Path, **options: Any) -> Path:
    """What a model answers: larger, silent, under the name of a part."""
    part = path.with_name("a.part")
    plain: dict[str, Any] = {"audio": False, "size": LARGE, "metadata": REMOTE} | options
    return make_video(path, **plain).rename(part)


def carried(source, part, *, keep=True):
    """Carry, and see that no frame, its time, or how it is shown has changed."""
    before, found = frames(part), media.probe(part)
    assert found is not None

    result = carry(Carrying(str(source), str(part), keep_metadata=keep, kind="video"))

    assert frames(part) == before
    after = media.verify(part)
    assert (after.format, after.width, after.height) == (found.format, found.width, found.height)
    assert not part.with_suffix(".carried").exists()
    return result.notes


def frames(path):
    with av.open(str(path)) as container:
        found = list(container.decode(video=0))
        start = found[0].time
        return [
            (round(f.time - start, 3), f.rotation, f.color_trc, hash(f.to_ndarray(format="rgba").tobytes()))
            for f in found
        ]


def packets(path, kind):
    """Bytes of a track's packets, and when each is due after the first frame of the picture."""
    with av.open(str(path)) as container:
        found: list[Any] = [packet for packet in container.demux() if packet.size]
        shown = min(p.pts * p.time_base for p in found if p.stream.type == "video" and not p.is_discard)
        picked = [packet for packet in found if packet.stream.type == kind]
        times = [float(packet.pts * packet.time_base - shown) for packet in picked]
        return [bytes(packet) for packet in picked], times


def told(path):
    with av.open(str(path)) as container:
        return {name.lower(): value for name, value in container.metadata.items()}


@pytest.mark.parametrize("starts_s", [0, 0.4], ids=["together", "picture-later"])
@pytest.mark.parametrize(
    ("origin", "ending"),
    [
        (".mp4", ".mp4"),
        (".mov", ".mp4"),
        (".mkv", ".mp4"),
        (".mp4", ".mov"),
        (".mkv", ".mkv"),
        (".webm", ".webm"),
    ],
)
def test_a_silent_output_gets_the_sound_of_its_input_byte_for_byte_and_in_step(
    tmp_path, origin, ending, starts_s
):
    source = make_source(tmp_path / f"in{origin}", starts_s=starts_s)
    part = make_output(tmp_path / f"out{ending}")
    sound, times = packets(source, "audio")

    notes = carried(source, part)

    after, moved = packets(part, "audio")
    assert notes == ()
    assert after == sound
    assert moved == pytest.approx(times, abs=0.002)


def test_an_output_that_starts_later_than_its_input_has_its_sound_moved(tmp_path):
    source, part = make_source(tmp_path / "in.mp4"), make_output(tmp_path / "out.mp4", starts_s=0.4)
    _, times = packets(source, "audio")

    carried(source, part)

    assert packets(part, "audio")[1] == pytest.approx(times, abs=0.002)


def test_the_sound_of_a_trimmed_video_stays_in_step(tmp_path):
    source, part = (
        make_source(tmp_path / "in.mp4", starts_s=-0.2),
        make_output(tmp_path / "out.mp4", seconds=0.8),
    )
    sound, times = packets(source, "audio")

    carried(source, part)

    assert packets(part, "audio") == (sound, pytest.approx(times, abs=0.002))


@pytest.mark.parametrize("origin", [".avi", ".ts"])
def test_sound_of_containers_with_clocks_of_their_own_stays_in_step(tmp_path, origin):
    options: dict[str, Any] = {"codec": "mpeg4"} if origin == ".avi" else {}
    source, part = make_video(tmp_path / f"in{origin}", **options), make_output(tmp_path / "out.mp4")
    sound, _ = packets(source, "audio")

    notes = carried(source, part)

    after, times = packets(part, "audio")
    assert notes == ()
    assert len(after) == len(sound)
    assert times[0] == pytest.approx(0, abs=0.06)


def test_subtitles_come_along_with_their_language(tmp_path):
    source, part = make_source(tmp_path / "in.mp4", subtitles=True), make_output(tmp_path / "out.mp4")

    carried(source, part)

    assert b"\0\x05Hello" in packets(part, "subtitle")[0]
    with av.open(str(part)) as container:
        assert [s.metadata["language"] for s in container.streams if s.type != "video"] == ["deu", "eng"]


def test_subtitles_come_along_where_the_model_kept_the_sound(tmp_path):
    source = make_source(tmp_path / "in.mp4", subtitles=True)
    part = make_output(tmp_path / "out.mp4", audio=True)
    sound = packets(part, "audio")

    carried(source, part)

    assert packets(part, "audio") == sound
    assert b"\0\x05Hello" in packets(part, "subtitle")[0]


@pytest.mark.parametrize("seconds", [0.8, 1.2])
def test_an_output_of_another_length_gets_no_sound_and_says_so(tmp_path, seconds):
    source, part = make_source(tmp_path / "in.mp4"), make_output(tmp_path / "out.mp4", seconds=seconds)

    (note,) = carried(source, part)

    assert note == f"the output has no sound: it lasts {seconds:.2f} s, the input 1.00 s"
    assert packets(part, "audio") == ([], [])
    assert told(part)["title"] == "A title"


@pytest.mark.parametrize("fps", [30, 60])
def test_more_frames_a_second_are_no_other_length(tmp_path, fps):
    source, part = make_source(tmp_path / "in.mp4"), make_output(tmp_path / "out.mp4", fps=fps)

    assert carried(source, part) == ()

    assert packets(part, "audio")[0] == packets(source, "audio")[0]


def test_sound_that_the_container_cannot_hold_is_left_out_with_a_note(tmp_path):
    source, part = make_source(tmp_path / "in.mp4"), make_output(tmp_path / "out.webm")

    (note,) = carried(source, part)

    assert note == ".webm cannot hold the input's sound (aac); the output has none of it"
    assert packets(part, "audio") == ([], [])
    assert told(part)["title"] == "A title"


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv"])
def test_title_place_time_and_camera_come_along(tmp_path, ending):
    source, part = make_source(tmp_path / "in.mp4"), make_output(tmp_path / f"out{ending}")

    carried(source, part)

    assert {name: told(part).get(name) for name in TAGS} == TAGS
    assert told(part)["comment"] == REMOTE["comment"]


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv", ".webm"])
def test_without_metadata_sound_comes_along_and_nothing_is_told(tmp_path, ending):
    origin = ".webm" if ending == ".webm" else ".mp4"
    source, part = make_source(tmp_path / f"in{origin}"), make_output(tmp_path / f"out{ending}")

    carried(source, part, keep=False)

    said = part.read_bytes()
    assert packets(part, "audio")[0] == packets(source, "audio")[0]
    assert not [v for v in (*TAGS.values(), *REMOTE.values()) if v.encode() in said]
    assert "creation_time" not in told(part)


@pytest.mark.parametrize("keep", [True, False], ids=["kept", "stripped"])
@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv", ".webm"])
def test_carrying_twice_gives_the_same_file(tmp_path, ending, keep):
    source, part = make_source(tmp_path / "in.mp4", subtitles=True), make_output(tmp_path / f"out{ending}")
    carried(source, part, keep=keep)
    once = part.read_bytes()

    carried(source, part, keep=keep)

    assert part.read_bytes() == once


def test_an_output_that_has_no_place_for_a_tag_is_not_written_anew(tmp_path):
    source = make_video(tmp_path / "in.mkv", audio=False, metadata={"track": "the first"})
    part = make_output(tmp_path / "out.mp4")
    before = part.read_bytes()

    carried(source, part)

    assert part.read_bytes() == before


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv"])
def test_an_output_that_players_turn_is_turned_as_before(tmp_path, ending):
    source = make_source(tmp_path / "in.mp4", rotation=180)
    part = make_output(tmp_path / f"out{ending}", rotation=90)

    carried(source, part)

    assert {rotation for _, rotation, _, _ in frames(part)} == {90}
    assert packets(part, "audio")[0]


@pytest.mark.parametrize(
    ("ending", "options"),
    [
        (".mp4", {**HEVC, "pix_fmt": "yuv420p10le", "color_trc": 16, "color_primaries": 9, "colorspace": 9}),
        (".mkv", {"sample_aspect_ratio": Fraction(4, 3), "color_range": 2, "fps": 24}),
        (".mp4", {"sample_aspect_ratio": Fraction(4, 3), "color_range": 2}),
        (".mov", {"codec": "prores_ks", "pix_fmt": "yuva444p10le"}),
        (".webm", {"pix_fmt": "yuva420p"}),
        (".mp4", {"vfr": True}),
    ],
    ids=["hdr", "wide", "wide-mp4", "prores-alpha", "vp9-alpha", "uneven"],
)
def test_pictures_of_every_kind_stay_as_they_are(tmp_path, ending, options):
    origin = ".webm" if ending == ".webm" else ".mp4"
    part = make_output(tmp_path / f"out{ending}", **options)
    length = Fraction(25 if "vfr" not in options else 57, 25)
    source = make_source(tmp_path / f"in{origin}", seconds=length)

    before = opacity(part), stored(part)

    carried(source, part)

    assert packets(part, "audio")[0] == packets(source, "audio")[0]
    assert (opacity(part), stored(part)) == before


def opacity(path):
    """The alpha of a VP9, which FFmpeg's own decoder does not show, as the file has it."""
    alpha_mode = b"\x53\xc0\x81\x01"
    with av.open(str(path)) as container:
        sides = [[bytes(side) for side in packet.iter_sidedata()] for packet in container.demux(video=0)]
    return sides, path.suffix == ".webm" and alpha_mode in path.read_bytes()


def stored(path):
    """What the file says of how its picture is encoded, and meant to be shown."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        colours = (context.color_primaries, context.color_trc, context.colorspace, context.color_range)
        return context.name, context.codec_tag, stream.sample_aspect_ratio, stream.average_rate, colours


def test_chapters_come_along(tmp_path):
    plain, source = make_video(tmp_path / "plain.mkv"), tmp_path / "in.mkv"
    chapter: Any = {
        "id": 1,
        "start": 0,
        "end": 500,
        "time_base": Fraction(1, 1000),
        "metadata": {"title": "One"},
    }
    with av.open(str(plain)) as before, av.open(str(source), "w") as after:
        targets = {stream.index: after.add_stream_from_template(stream) for stream in before.streams}
        after.set_chapters([chapter])
        for packet in before.demux():
            if packet.size:
                packet.stream = targets[packet.stream.index]
                after.mux(packet)
    part = make_output(tmp_path / "out.mp4")

    carried(source, part)

    with av.open(str(part)) as container:
        assert [found["metadata"]["title"] for found in container.chapters()] == ["One"]


@pytest.mark.parametrize("keep", [True, False], ids=["kept", "stripped"])
@pytest.mark.parametrize("data", [None, b"no video", "half"], ids=["gone", "foreign", "cut"])
def test_an_input_that_cannot_be_read_costs_nothing_but_its_sound(tmp_path, data, keep):
    source, part = tmp_path / "in.mp4", make_output(tmp_path / "out.mp4")
    if data == "half":
        whole = make_source(source).read_bytes()
        source.write_bytes(whole[: len(whole) // 2])
    elif data is not None:
        source.write_bytes(data)

    (note,) = carried(source, part, keep=keep)

    assert note.startswith("the input's sound and metadata could not be read")
    assert (told(part).get("title") == "Untitled") == keep


def test_an_output_that_is_cut_stays_as_it_is(tmp_path):
    source, part = make_source(tmp_path / "in.mp4"), make_output(tmp_path / "out.mp4")
    cut = part.read_bytes()[:-500]
    part.write_bytes(cut)

    carry(Carrying(str(source), str(part), keep_metadata=True, kind="video"))

    assert part.read_bytes() == cut


def test_a_moving_gif_stays_as_it_is(tmp_path):
    source, part = make_source(tmp_path / "in.mp4"), tmp_path / "a.part"
    av.VideoFrame.from_ndarray(np.zeros((8, 8, 3), np.uint8)).to_image().save(part, "GIF")
    before = part.read_bytes()

    result = carry(Carrying(str(source), str(part), keep_metadata=True, kind="video"))

    assert part.read_bytes() == before
    assert "GIF files are left as the model made them" in result.notes[0]


async def test_a_pool_of_processes_can_carry(tmp_path):
    source, part = make_source(tmp_path / "in.mp4"), make_output(tmp_path / "out.webm")

    async with open_pool(1, 1 << 30) as pool:
        answer = await pool.call(FUNCTION, Carrying(str(source), str(part), keep_metadata=True, kind="video"))

    assert msgspec.convert(answer, Carried).notes[0].startswith(".webm cannot hold the input's sound")


def test_a_disk_that_refuses_is_an_error_and_the_output_stays(tmp_path):
    source, part = make_source(tmp_path / "in.mp4"), make_output(tmp_path / "out.mp4")
    before = part.read_bytes()

    with file_size_limit(len(before) // 2), pytest.raises(OSError, match="File too large"):
        carry(Carrying(str(source), str(part), keep_metadata=True, kind="video"))

    assert part.read_bytes() == before
    assert not (tmp_path / "a.carried").exists()
