"""Networks are found by name or path, and known by their contents."""

import hashlib
import shutil

import pytest

from batchup.models.local.ncnn import NcnnParams
from batchup.models.superres import params as network_params
from batchup.models.superres.places import NCNN, TORCH
from batchup.models.superres.weights import Library, WeightsError, check_installed, find, names, reopen
from tests.networks import ncnn_network


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.delenv("BATCHUP_NCNN_MODELS", raising=False)
    for name in ("realesrgan-x4plus", "realesr-animevideov3-x2", "remacri-4x"):
        ncnn_network(tmp_path / "nets", name)
    return tmp_path / "nets"


@pytest.mark.parametrize(
    ("weights", "models_dir"),
    [
        ("remacri-4x", "nets"),
        ("remacri-4x.param", "nets"),
        ("nets/remacri-4x", None),
        ("./nets/remacri-4x.bin", None),
        ("{absolute}/remacri-4x.param", None),
        ("../{own}/nets/remacri-4x", "elsewhere"),
    ],
)
def test_a_name_and_every_path_to_it_are_one_network(tmp_path, folder, weights, models_dir):
    weights = weights.format(absolute=folder, own=tmp_path.name)

    found = find(NCNN, weights, models_dir, tmp_path)

    assert (found.name, found.folder) == ("remacri-4x", folder)
    assert [path.name for path in found.paths] == ["remacri-4x.param", "remacri-4x.bin"]


def test_the_environment_says_where_names_are_looked_for(tmp_path, folder, monkeypatch):
    ncnn_network(tmp_path / "more", "mine")
    monkeypatch.setenv("BATCHUP_NCNN_MODELS", f"{folder}:{tmp_path / 'more'}")

    assert find(NCNN, "mine", None, tmp_path / "anywhere").folder == tmp_path / "more"
    assert find(NCNN, "remacri-4x", None, tmp_path / "anywhere").folder == folder


def test_a_home_is_expanded(tmp_path, folder, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))

    assert find(NCNN, "~/nets/remacri-4x", None, tmp_path / "anywhere").folder == folder
    assert find(NCNN, "remacri-4x", "~/nets", tmp_path / "anywhere").folder == folder


def test_a_missing_network_is_told_with_the_nearest_names_and_all_that_there_are(tmp_path, folder):
    with pytest.raises(WeightsError) as missing:
        find(NCNN, "realesrgan-x4plu", "nets", tmp_path)

    assert str(missing.value) == (
        f'there is no network "realesrgan-x4plu" in {folder}; did you mean realesrgan-x4plus?'
        " (there: realesr-animevideov3-x2, realesrgan-x4plus, remacri-4x)"
    )


def test_a_folder_is_no_network_whatever_its_name(folder):
    (folder / "mine.param").mkdir()

    assert "mine" not in names(NCNN, [folder])


def test_without_any_folder_it_is_said_what_to_set(tmp_path, monkeypatch):
    monkeypatch.delenv("BATCHUP_TORCH_MODELS", raising=False)

    with pytest.raises(
        WeightsError, match="no folder of networks is known; set models_dir, or BATCHUP_TORCH_MODELS"
    ):
        find(TORCH, "x4", None, tmp_path)
    with pytest.raises(WeightsError, match="nor any other"):
        find(TORCH, "x4", "empty", tmp_path)


def test_half_of_a_network_is_told(tmp_path, folder):
    (folder / "remacri-4x.bin").unlink()

    with pytest.raises(WeightsError, match=r"has no remacri-4x\.bin, and a network is both"):
        find(NCNN, "remacri-4x", "nets", tmp_path)


def test_of_two_files_with_one_name_the_ending_chooses(tmp_path):
    for name in ("x4.pth", "x4.safetensors"):
        (tmp_path / name).write_bytes(name.encode())

    with pytest.raises(WeightsError, match="write the one that is meant, with its ending"):
        find(TORCH, "x4", ".", tmp_path)
    found = find(TORCH, "x4.pth", ".", tmp_path)

    assert (found.name, found.paths) == ("x4", (tmp_path / "x4.pth",))
    assert reopen(TORCH, "x4", str(tmp_path), found.sha256).paths == found.paths
    assert names(TORCH, [tmp_path]) == ["x4"]


def test_the_contents_are_hashed_as_the_files_one_after_the_other(tmp_path):
    ncnn_network(tmp_path / "nets", "remacri-4x")
    found = find(NCNN, "remacri-4x", "nets", tmp_path)

    joined = b"".join(path.read_bytes() for path in found.paths)
    assert found.sha256 == hashlib.sha256(joined).hexdigest()


def test_a_network_that_changed_after_the_plan_is_not_taken_for_it(tmp_path, folder):
    found = find(NCNN, "remacri-4x", "nets", tmp_path)
    planned = found.sha256
    ncnn_network(folder, "remacri-4x", seed=2)

    with pytest.raises(WeightsError, match="has changed since the job was planned"):
        reopen(NCNN, "remacri-4x", str(folder), planned)
    shutil.rmtree(folder)
    with pytest.raises(WeightsError, match="is gone"):
        reopen(NCNN, "remacri-4x", str(folder), planned)


def test_another_machine_finds_the_same_network_in_its_own_folder(tmp_path, folder, monkeypatch):
    planned = find(NCNN, "remacri-4x", "nets", tmp_path).sha256
    (tmp_path / "nets").rename(tmp_path / "theirs")
    monkeypatch.setenv("BATCHUP_NCNN_MODELS", str(tmp_path / "theirs"))

    assert reopen(NCNN, "remacri-4x", str(folder), planned).folder == tmp_path / "theirs"


def test_what_is_not_installed_is_told_with_the_command_that_installs_it():
    library = Library("ncnn", ("no_such_module",), (".x",), is_pair=False, variable="X", places=lambda: ())

    with pytest.raises(
        WeightsError, match=r"local/ncnn needs .* not installed; pip install 'batchup\[ncnn\]'"
    ):
        check_installed(library, "local/ncnn")


def test_settled_parameters_hold_name_folder_contents_and_factor(tmp_path, folder):
    settled = NcnnParams(weights="nets/remacri-4x.param").settled(tmp_path)

    assert (settled.weights, settled.models_dir, settled.scale) == ("remacri-4x", str(folder), 2.0)
    assert settled.sha256 == find(NCNN, "remacri-4x", "nets", tmp_path).sha256
    assert settled.settled(tmp_path) == settled
    assert network_params.NetworkParams.apart == {"models_dir", "tile", "device"}


def test_a_manifest_may_say_which_contents_it_means(tmp_path):
    ncnn_network(tmp_path / "nets", "remacri-4x")
    sha256 = find(NCNN, "remacri-4x", "nets", tmp_path).sha256

    assert NcnnParams(weights="nets/remacri-4x", sha256=sha256).settled(tmp_path).sha256 == sha256
    with pytest.raises(WeightsError, match=f"another one than sha256 says: it is {sha256}"):
        NcnnParams(weights="nets/remacri-4x", sha256="0" * 64).settled(tmp_path)
