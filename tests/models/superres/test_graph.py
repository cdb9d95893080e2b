"""What the text of an ncnn network tells before anything runs, and what is found out to be broken."""

import pytest

from batchup.models.superres import binary, graph
from batchup.models.superres.graph import GraphError
from tests.networks import ncnn_network


def read(folder, *layers: str, blobs=9):
    path = folder / "net.param"
    path.write_text("\n".join(["7767517", f"{len(layers)} {blobs}", *layers]) + "\n")
    return graph.read(path)


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 8])
def test_the_factor_and_the_reach_of_a_network_are_read_from_its_layers(tmp_path, scale):
    found = graph.read(ncnn_network(tmp_path, scale=scale))

    assert (found.scale, found.radius_px) == (scale, 2)
    assert (found.source, found.result) == ("data", "output")


def test_folding_pixels_into_channels_makes_smaller_before_it_makes_larger(tmp_path):
    found = read(
        tmp_path,
        "Input in0 0 1 in0",
        "Reorg fold 1 1 in0 a 0=2",
        "Convolution conv 1 1 a b 0=48 1=3 4=1 5=1 6=5184",
        "PixelShuffle up 1 1 b out0 0=4",
    )

    assert (found.scale, found.radius_px) == (2, 2)


@pytest.mark.parametrize(
    "layers",
    [
        ["Deconvolution up 1 1 data output 0=3 1=4 3=2 4=1 5=1 6=144"],
        ["Interp up 1 1 data a 0=2 1=2.0 2=2.0", "Convolution c 1 1 a output 0=3 1=3 4=1 5=1 6=81"],
        ["Convolution c 1 1 data a 0=48 1=3 3=2 4=-233 5=1 6=1296", "PixelShuffle up 1 1 a output 0=4"],
    ],
    ids=["deconvolution", "interpolation", "smaller and back"],
)
def test_every_way_to_enlarge_is_counted(tmp_path, layers):
    assert read(tmp_path, "Input data 0 1 data", *layers).scale == 2


@pytest.mark.parametrize(
    ("layers", "why"),
    [
        (["Convolution c 1 1 data output 0=3 1=3 5=1 6=81"], "without their borders"),
        (["Convolution c 1 1 data output 0=3 1=3 3=2 4=1 5=1 6=81"], "0.5 times as large"),
        (["Convolution c 1 1 data output 0=1 1=3 4=1 5=1 6=27"], "gives 1 channels"),
        (["BinaryOp sum 2 1 data nothing output 0=0"], "takes what no layer gives"),
        (["Convolution c 1 1 data output 0=3 1=3 3=0 4=1 5=1 6=81"], "a step or factor of 0"),
        (["Split s 1 2 data a b"], "1 inputs and 2 outputs"),
        (["Interp up 1 1 data output 0=2 3=512 4=512"], "all pictures the same size"),
        (["Convolution c 1"], "broken in line 4"),
        (["Convolution c 1 1 data output 0=three"], "broken in line 4"),
    ],
    ids=["crops", "shrinks", "grey", "unwired", "no step", "two outputs", "fixed", "short", "no number"],
)
def test_what_is_no_upscaler_is_told_apart(tmp_path, layers, why):
    with pytest.raises(GraphError, match=why):
        read(tmp_path, "Input data 0 1 data", *layers)


@pytest.mark.parametrize(
    "text", ["", "7767517", "7767517\nmany few\n", "PK\x03\x04", "7767517\n9 9\nInput a 0 1 a\n"]
)
def test_a_text_that_is_none_or_cut_is_refused(tmp_path, text):
    path = tmp_path / "net.param"
    path.write_text(text)

    with pytest.raises(GraphError, match=r"net\.param is (no text|broken|cut)"):
        graph.read(path)


@pytest.mark.parametrize("half", [False, True], ids=["32 bits", "16 bits"])
def test_all_weights_must_be_there_and_no_more(tmp_path, half):
    param = ncnn_network(tmp_path, half=half)
    found, weights = graph.read(param), param.with_suffix(".bin")
    whole = weights.read_bytes()

    binary.check(found, weights)
    for length in (0, 3, 100, len(whole) - 1):
        weights.write_bytes(whole[:length])
        with pytest.raises(GraphError, match="is cut: it ends within the weights of layer conv"):
            binary.check(found, weights)
    weights.write_bytes(whole + bytes(4))
    with pytest.raises(GraphError, match="they belong to two networks"):
        binary.check(found, weights)


def test_behind_a_layer_whose_weights_are_not_known_nothing_is_claimed(tmp_path):
    found = read(
        tmp_path,
        "Input data 0 1 data",
        "LayerNorm norm 1 1 data a 0=3",
        "Convolution c 1 1 a output 0=3 1=3 4=1 5=1 6=81",
    )
    (tmp_path / "net.bin").write_bytes(b"anything")

    binary.check(found, tmp_path / "net.bin")
