"""local/torch and local/torch-video: run where the extra is installed."""

import pickle
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from batchup.models.superres.weights import WeightsError
from tests.networks import torch_network
from tests.providers.local.pictures import photo, pixels
from tests.providers.local.superres.nets import work_on
from tests.providers.local.test_video import read
from tests.videos import make_video

REASON = "needs the extra torch, too heavy for everyday tests: make torch"
torch = pytest.importorskip("torch", reason=REASON)
if find_spec("spandrel") is None:
    pytest.skip(REASON, allow_module_level=True)

from batchup.models.local import torch as pictures  # noqa: E402 - after what may skip them all
from batchup.models.local import torch_video as videos  # noqa: E402
from batchup.providers.local.superres import torch as engine  # noqa: E402


@pytest.fixture(scope="module", params=["tiny.safetensors", "tiny.pth"])
def folder(request, tmp_path_factory):
    return torch_network(tmp_path_factory.mktemp("nets"), request.param, seed=4).parent


@pytest.fixture(scope="module", autouse=True)
def kept(tmp_path_factory):
    """What was found out about a file stays known for all tests here: looking takes seconds."""
    patch = pytest.MonkeyPatch()
    patch.setenv("BATCHUP_STATE_HOME", str(tmp_path_factory.mktemp("state")))
    yield
    patch.undo()


def params(folder, **more) -> dict[str, Any]:
    return {"weights": "tiny", "models_dir": str(folder), "device": "cpu", **more}


def enlarge(source, given):
    work = work_on(pictures.MODEL, source, given)
    said: list[str] = []
    engine.upscale(work, lambda _: None, said.append)
    assert said[0].startswith("tiny (RealESRGAN Compact) on the processor")
    output = source.with_name("out.png")
    source.with_name(f"{source.name}.part").rename(output)
    return pixels(output)


def test_tiled_equals_whole(tmp_path, folder):
    photo(150, 101).save(tmp_path / "a.png")

    whole = enlarge(tmp_path / "a.png", params(folder, tile=1024))
    tiled = enlarge(tmp_path / "a.png", params(folder, tile=32))

    assert whole.shape[:2] == (202, 300)
    assert np.abs(tiled - whole).max() <= 1


def test_the_file_says_how_much_larger_pictures_become(folder):
    settled = pictures.TorchParams(**params(folder)).settled(folder)

    assert settled.scale == 2.0
    assert settled.settled(folder) == settled


def test_a_video_keeps_its_frames_their_times_and_its_sound(tmp_path, folder):
    source = make_video(tmp_path / "a.mp4", seconds=0.2)
    before = read(source)
    work = work_on(videos.MODEL, source, params(folder))

    engine.upscale_video(work, lambda _: None, lambda _: None)

    after = read(work.output)
    assert (after.first.width, after.first.height) == (128, 96)
    assert after.times == before.times
    assert after.bytes_of("audio") == before.bytes_of("audio")


class Program:
    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return open, (str(self.file), "w")


def test_a_pickle_that_holds_a_program_is_refused_and_not_run(tmp_path):
    torch.save({"params": Program(tmp_path / "was run")}, tmp_path / "evil.pth")
    (tmp_path / "old.pth").write_bytes(pickle.dumps(Program(tmp_path / "was run")))

    for name, why in {
        "evil": "holds more than numbers: .*open, which is not run",
        "old": "more than numbers",
    }.items():
        with pytest.raises(WeightsError, match=why):
            pictures.TorchParams(weights=name, models_dir=str(tmp_path)).settled(tmp_path)

    assert not (tmp_path / "was run").exists()


@pytest.mark.parametrize(
    ("name", "make", "why"),
    [
        ("cut.safetensors", lambda data: data[: len(data) // 2], "it is broken"),
        ("empty.pth", lambda _: b"", "it is broken"),
        ("text.safetensors", lambda _: b"version https://git-lfs", "it is broken"),
    ],
    ids=["cut", "empty", "a pointer"],
)
def test_a_broken_file_is_told_before_anything_runs(tmp_path, name, make, why):
    whole = torch_network(tmp_path, "whole.safetensors").read_bytes()
    (tmp_path / name).write_bytes(make(whole))

    with pytest.raises(WeightsError, match=why):
        pictures.TorchParams(weights=name, models_dir=str(tmp_path)).settled(tmp_path)


def test_numbers_of_no_known_architecture_are_told(tmp_path):
    torch.save({"layer.weight": torch.zeros(3)}, tmp_path / "mine.pth")

    with pytest.raises(WeightsError, match="of no architecture that spandrel knows"):
        pictures.TorchParams(weights="mine", models_dir=str(tmp_path)).settled(tmp_path)


def test_a_network_beyond_half_precision_is_run_in_whole(folder):
    settled = pictures.TorchParams(**params(folder)).settled(folder)
    network = engine._LOADED._load(engine._LOADED._files(settled), "cpu")
    planes = np.full((3, 32, 32), 0.5, np.float32)
    expected = network.run(planes)
    network._kind = torch.float16
    network._model = network._model.half()
    network._model.model.body[0].bias.data.fill_(60_000)
    network._model.model.body[1].weight.data.fill_(3)
    network._model.model.body[0].weight.data.fill_(9_000)

    made = network.run(planes)

    assert network._kind is torch.float32
    assert np.isfinite(made).all()
    assert made.shape == expected.shape
