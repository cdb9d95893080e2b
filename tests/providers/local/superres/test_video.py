"""local/ncnn-video: frames as a network makes them, with the care for all the rest that local/lanczos-video takes."""

from dataclasses import dataclass, field
from typing import Any

import av
import numpy as np
import pytest

from batchup import media
from batchup.errors import RejectedError
from batchup.models.local.lanczos_video import LanczosVideo
from batchup.models.local.ncnn_video import MODEL
from tests.networks import ncnn_network
from tests.providers.local.superres.nets import work_on
from tests.providers.local.test_video import HDR10, nearest, quarters, read
from tests.videos import make_video

engine = pytest.importorskip("batchup.providers.local.superres.ncnn", reason="needs the extra ncnn")
video = pytest.importorskip("batchup.providers.local.superres.video", reason="needs numpy")


PLAIN: dict[str, Any] = {"weights": "plain", "models_dir": ".", "device": "cpu"}


@dataclass
class Seeing:
    """A network that repeats pixels and remembers what it was given."""

    scale: int = 2
    overlap_px: int = 8
    tile_px: int = 512
    seen: list[Any] = field(default_factory=list)

    def run(self, planes):
        self.seen.append(planes)
        return planes.repeat(2, 1).repeat(2, 2)


@pytest.fixture(autouse=True)
def networks(tmp_path):
    ncnn_network(tmp_path, "plain", strength=0)


def upscaled(source, **params: Any):
    work = work_on(MODEL, source, {**PLAIN, **params})
    said: list[str] = []
    engine.upscale_video(work, lambda _: None, said.append)
    assert said[0].startswith("plain on the processor")
    return read(work.output)


@pytest.mark.parametrize("ending", [".mp4", ".webm"])
def test_a_video_keeps_its_frames_their_times_and_its_sound_byte_for_byte(tmp_path, ending):
    source = make_video(tmp_path / f"a{ending}", seconds=0.4, vfr=True, subtitles=True)
    before = read(source)

    after = upscaled(source)

    assert (after.first.width, after.first.height) == (128, 96)
    assert after.times == before.times
    assert after.bytes_of("audio") == before.bytes_of("audio")
    assert after.times_of("audio") == before.times_of("audio")
    assert after.bytes_of("subtitle") == before.bytes_of("subtitle")
    assert [nearest(colour) for colour in quarters(after.first)] == ["red", "green", "blue", "white"]
    media.verify(f"{source}.part")


@pytest.mark.parametrize(
    "tags",
    [{}, {"colorspace": 1, "color_range": 1}, {"colorspace": 5, "color_range": 2}, HDR10],
    ids=["untold", "BT.709", "BT.601 whole range", "HDR10"],
)
def test_colours_and_their_tags_stay_what_they_are(tmp_path, tags):
    deep = {"pix_fmt": "yuv420p10le", "codec": "libx265", "options": {"x265-params": "log-level=none"}}
    source = make_video(
        tmp_path / "a.mkv",
        seconds=0.2,
        audio=False,
        **(deep if tags is HDR10 else {"options": {"crf": "4"}}),
        **tags,
    )
    before = read(source).first

    after = upscaled(source, crf=4).first

    assert np.abs(np.array(quarters(after)) - quarters(before)).max() <= 3
    assert (after.color_range, after.color_trc, after.color_primaries) == (
        before.color_range,
        before.color_trc,
        before.color_primaries,
    )
    assert after.colorspace == before.colorspace
    assert after.format.components[0].bits == before.format.components[0].bits


def test_rotation_stays_a_tag_and_the_size_is_the_upright_one(tmp_path):
    source = make_video(tmp_path / "a.mp4", seconds=0.2, rotation=90)

    after = upscaled(source)

    assert (after.first.width, after.first.height) == (128, 96)
    assert after.first.rotation == 90
    found = media.probe(f"{source}.part")
    assert found is not None
    assert found.size == (96, 128)


def test_transparency_goes_through_the_network_too(tmp_path):
    source = tmp_path / "a.webm"
    with av.open(str(source), "w") as container:
        video: Any = container.add_stream("libvpx-vp9", rate=5)
        video.width, video.height, video.pix_fmt = 64, 48, "yuva420p"
        video.metadata["alpha_mode"] = "1"
        rgba = np.full((48, 64, 4), 200, np.uint8)
        rgba[:, :32, 3], rgba[:, 32:, 3] = 0, 255
        for pts in range(2):
            frame = av.VideoFrame.from_ndarray(rgba, format="rgba").reformat(format="yuva420p")
            frame.pts = pts
            container.mux(video.encode(frame))
        container.mux(video.encode(None))

    upscaled(source)

    with av.open(f"{source}.part") as made:
        decoder: Any = av.CodecContext.create("libvpx-vp9", "r")
        frame = next(one for packet in made.demux(video=0) for one in decoder.decode(packet))
    alpha = frame.to_ndarray(format="rgba")[..., 3]
    assert alpha.shape == (96, 128)
    assert alpha[:, :56].max() < 20
    assert alpha[:, 72:].min() > 235


def test_a_factor_that_is_not_the_networks_own_is_resampled(tmp_path):
    source = make_video(tmp_path / "a.mp4", seconds=0.2)

    after = upscaled(source, scale=1.5)

    assert (after.first.width, after.first.height) == (96, 72)


@pytest.mark.parametrize("matrix", [1, 5], ids=["BT.709", "BT.601"])
def test_the_network_sees_the_colours_that_a_player_shows(tmp_path, matrix):
    source = make_video(
        tmp_path / "a.mkv", seconds=0.04, audio=False, options={"crf": "4"}, colorspace=matrix, color_range=1
    )
    network = Seeing()

    video.upscale(work_on(MODEL, source, PLAIN), lambda _: None, LanczosVideo(), network, None)

    (seen,) = network.seen
    shown = (seen[:, 8:-8, 8:-8].transpose(1, 2, 0) * 255).round()
    corners = [shown[y, x] for x, y in ((12, 9), (51, 9), (51, 38), (12, 38))]
    assert np.abs(np.array(corners) - quarters(read(source).first)).max() <= 3


def test_the_network_sees_a_frame_that_repeats_only_once(tmp_path):
    source = tmp_path / "a.mkv"
    with av.open(str(source), "w") as container:
        picture: Any = container.add_stream("ffv1", rate=10)
        picture.width, picture.height, picture.pix_fmt = 32, 32, "yuv420p"
        for step in range(6):
            rgb = np.full((32, 32, 3), 60 if step < 4 else 200, np.uint8)
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")
            frame.pts = step
            container.mux(picture.encode(frame))
        container.mux(picture.encode(None))
    network = Seeing()
    work = work_on(MODEL, source, PLAIN)

    video.upscale(work, lambda _: None, LanczosVideo(), network, None)

    assert len(read(work.output).frames) == 6
    assert len(network.seen) == 2


def test_an_interlaced_video_is_refused(tmp_path):
    source = make_video(
        tmp_path / "a.mp4", seconds=0.2, options={"x264-params": "interlaced=1:tff=1", "flags": "+ildct"}
    )

    with pytest.raises(RejectedError, match="it is interlaced"):
        upscaled(source)


def test_a_cut_video_is_found_out(tmp_path):
    source = make_video(tmp_path / "a.mkv", seconds=1, audio=False)
    source.write_bytes(source.read_bytes()[: source.stat().st_size * 2 // 3])

    with pytest.raises(RejectedError, match=r"is (cut|damaged)"):
        upscaled(source)
