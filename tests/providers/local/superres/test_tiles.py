"""Tiles leave no trace: a picture in pieces is the picture as a whole."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from batchup.errors import TransientError
from batchup.models.local.ncnn import NcnnParams
from batchup.providers.local.superres import tiles
from batchup.providers.local.superres.tiles import OutOfMemory, enlarged
from tests.networks import ncnn_network

ncnn = pytest.importorskip("batchup.providers.local.superres.ncnn", reason="needs the extra ncnn")


@dataclass
class Nearest:
    """A network that repeats pixels, on a device that holds *most* of them at once."""

    most: int = 1 << 30
    scale: int = 2
    overlap_px: int = 8
    tile_px: int = 512
    sides: list[int] = field(default_factory=list)

    def run(self, planes):
        if planes[0].size > self.most:
            raise OutOfMemory("a toy")
        assert all(side % tiles.SIDE_PX == 0 for side in planes.shape[1:])
        self.sides.append(planes.shape[2])
        return planes.repeat(self.scale, 1).repeat(self.scale, 2)


def noise(height, width, dtype=np.uint8):
    return np.random.default_rng(5).integers(0, np.iinfo(dtype).max, (height, width, 3), dtype, endpoint=True)


@pytest.fixture(scope="module", params=[2, 4], ids=["x2", "x4"])
def network(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("nets")
    params = NcnnParams(weights=str(ncnn_network(folder, scale=request.param, seed=7))).settled(folder)
    return ncnn.NcnnNetwork(ncnn._LOADED._files(params), "cpu")


@pytest.mark.parametrize("tile_px", [32, 50, 128])
def test_tiled_equals_whole(network, tile_px):
    pixels = noise(130, 171)

    whole, tiled = enlarged(network, pixels, 1024), enlarged(network, pixels, tile_px)

    assert whole.shape == (130 * network.scale, 171 * network.scale, 3)
    assert np.abs(tiled.astype(int) - whole).max() <= 1


def test_without_an_overlap_the_seams_would_be_seen(network):
    pixels = noise(64, 64)
    whole = enlarged(network, pixels, 1024)
    network.overlap_px, before = 0, network.overlap_px

    tiled = enlarged(network, pixels, 32)

    network.overlap_px = before
    assert np.abs(tiled.astype(int) - whole).max() > 3


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (3, 200), (33, 32), (97, 101)], ids=str)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_pixel_lands_in_its_place(size, dtype):
    height, width = size
    pixels = noise(height, width, dtype)

    large = enlarged(Nearest(), pixels, 32)

    assert large.dtype == dtype
    assert (large == pixels.repeat(2, 0).repeat(2, 1)).all()


def test_tiles_have_much_the_same_size_and_meet_one_grid():
    found = list(tiles.tiles(300, 130, 128))

    assert (
        {tile.left % tiles.STEP_PX for tile in found} == {tile.top % tiles.STEP_PX for tile in found} == {0}
    )
    assert sorted({tile.right - tile.left for tile in found}) == [76, 112]
    assert sum((tile.right - tile.left) * (tile.bottom - tile.top) for tile in found) == 300 * 130


def test_where_memory_runs_out_tiles_become_smaller_and_stay_so():
    network = Nearest(most=160 * 160)
    pixels = noise(400, 300)

    large = enlarged(network, pixels)

    assert (large == pixels.repeat(2, 0).repeat(2, 1)).all()
    assert network.tile_px == 100
    assert max(network.sides) <= 160


def test_a_device_without_memory_for_a_small_tile_is_told():
    with pytest.raises(TransientError, match="no memory for a tile of 64 pixels") as error:
        enlarged(Nearest(most=10), noise(64, 64))

    assert error.value.kind == "out_of_memory"


def test_progress_is_told_after_each_tile():
    told: list[float] = []

    enlarged(Nearest(), noise(64, 64), 32, told.append)

    assert told == [0.25, 0.5, 0.75, 1.0]
