"""Jobs that use networks of one's own: what makes a task another one, and what is told before anything runs."""

import json
import shutil
import subprocess
import sys

import pytest

from batchup import manifest
from batchup.errors import ManifestError
from batchup.variants import variants
from tests.library import batchup, photo, size
from tests.library import manifest as job
from tests.networks import ncnn_network

NETS = "params: {weights: remacri-4x, models_dir: nets}"


@pytest.fixture
def folder(tmp_path):
    photo(tmp_path / "photos" / "a.png")
    ncnn_network(tmp_path / "nets", "remacri-4x", scale=4)
    return tmp_path


def recipe(path) -> str:
    ((only,),) = variants(manifest.load(path)).values()
    return only.recipe.content_id("0")


def test_contents_and_name_make_a_task_and_paths_do_not(folder):
    file = job(folder, NETS, model="local/ncnn")
    first = recipe(file)

    (folder / "nets").rename(folder / "moved")
    moved = recipe(
        job(folder, "params: {weights: ./moved/remacri-4x.param, tile: 64, device: cpu}", model="local/ncnn")
    )
    for ending in (".param", ".bin"):
        shutil.copy(folder / f"moved/remacri-4x{ending}", folder / f"moved/other-4x{ending}")
    renamed = recipe(job(folder, "params: {weights: other-4x, models_dir: moved}", model="local/ncnn"))
    ncnn_network(folder / "moved", "remacri-4x", scale=4, seed=2)
    changed = recipe(job(folder, "params: {weights: remacri-4x, models_dir: moved}", model="local/ncnn"))

    assert first == moved
    assert len({first, renamed, changed}) == 3


def test_the_factor_that_the_network_has_anyway_is_the_same_task(folder):
    plain = recipe(job(folder, NETS, model="local/ncnn"))
    said = recipe(job(folder, NETS.replace("}", ", scale: 4}"), model="local/ncnn"))
    other = recipe(job(folder, NETS.replace("}", ", scale: 2}"), model="local/ncnn"))

    assert plain == said != other


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "params: {weights: remacri-x4, models_dir: nets}",
            'no network "remacri-x4" in {nets}; did you mean remacri-4x?',
        ),
        (
            "params: {weights: cut, models_dir: nets}",
            "cut.bin is cut: it ends within the weights of layer conv1",
        ),
        ("params: {weights: nets/text.param}", "text.param is no text of an ncnn network"),
        ("matrix: {weights: [nets/remacri-4x, nets/cut]}", "cut.bin is cut"),
        (
            "rules: [{match: {kind: image}, params: {weights: nets/cut}}]\nparams: {weights: nets/remacri-4x}",
            "cut.bin is cut",
        ),
    ],
    ids=["missing", "cut", "no network", "in a matrix", "in a rule"],
)
def test_a_network_that_cannot_be_used_is_told_with_its_place_before_anything_runs(folder, text, told):
    cut = ncnn_network(folder / "nets", "cut").with_suffix(".bin")
    cut.write_bytes(cut.read_bytes()[:99])
    ncnn_network(folder / "nets", "text").write_text("no network")
    file = job(folder, text, model="local/ncnn")

    with pytest.raises(ManifestError) as error:
        variants(manifest.load(file))

    (fault,) = error.value.faults
    assert fault.line > 1
    assert "local/ncnn: " in fault.message
    assert told.format(nets=folder / "nets") in fault.message


def test_a_job_over_several_networks_runs_says_what_on_and_is_done_when_it_runs_again(folder):
    ncnn_network(folder / "nets", "tiny-2x")
    photo(folder / "photos" / "b.png", seed=2)
    file = job(
        folder,
        "params: {models_dir: nets, device: cpu}\nmatrix: {weights: [remacri-4x, tiny-2x]}",
        model="local/ncnn",
    )

    first = batchup("run", "--verbose", file, cwd=folder)
    again = batchup("plan", "--json", file, cwd=folder)

    assert first.stderr.count("local/ncnn: remacri-4x on the processor") == 1
    assert {path.name: size(path) for path in (folder / "out").glob("*.png")} == {
        "a-remacri-4x.png": (192, 144),
        "a-tiny-2x.png": (96, 72),
        "b-remacri-4x.png": (192, 144),
        "b-tiny-2x.png": (96, 72),
    }
    assert json.loads(again.stdout)["tasks"]["done"] == 4


def test_a_new_version_of_the_network_is_new_work(folder):
    file = job(folder, NETS.replace("}", ", device: cpu}"), model="local/ncnn")
    batchup("run", file, cwd=folder)
    before = (folder / "out" / "a.png").read_bytes()
    ncnn_network(folder / "nets", "remacri-4x", scale=4, seed=5)

    batchup("run", file, cwd=folder)

    assert (folder / "out" / "a.png").read_bytes() != before


def test_describing_the_models_loads_none_of_what_runs_them():
    look = (
        "import sys; from batchup.models import find, names; [find(name) for name in names()];"
        "print({'ncnn', 'torch', 'spandrel', 'numpy', 'av', 'PIL'} & set(sys.modules))"
    )

    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)

    assert done.stdout == "set()\n"
