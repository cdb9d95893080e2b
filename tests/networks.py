"""Small networks with seeded random weights, made at test time."""

from pathlib import Path

import numpy as np

HALF = (0x01306B47).to_bytes(4, "little")
WHOLE = bytes(4)


def ncnn_network(folder: Path, name: str = "tiny", *, scale=2, seed=1, half=False, strength=1.0) -> Path:
    """Write a network of two convolutions and a pixel shuffle, which looks 2 pixels around; return its ``.param``.

    It is the nearest pixel plus something random, as strong as *strength* says.
    """
    rng = np.random.default_rng(seed)
    first = rng.normal(0, 0.3, (8, 3, 3, 3)).astype(np.float32)
    last = (strength * rng.normal(0, 0.1, (3 * scale**2, 8, 3, 3))).astype(np.float32)
    slopes = np.full(8, 0.2, np.float32)
    bias = (strength * rng.normal(0, 0.02, 3 * scale**2)).astype(np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        "7767517",
        "8 9",
        "Input data 0 1 data",
        "Split fork 1 2 data a b",
        f"Convolution conv1 1 1 a c 0=8 1=3 4=1 5=1 6={first.size}",
        "PReLU relu 1 1 c d 0=8",
        f"Convolution conv2 1 1 d e 0={3 * scale**2} 1=3 4=1 5=1 6={last.size}",
        f"PixelShuffle up 1 1 e f 0={scale}",
        f"Interp base 1 1 b g 0=1 1={scale}.0 2={scale}.0",
        "BinaryOp sum 2 1 f g output 0=0",
    ]
    param = folder / f"{name}.param"
    param.write_text("\n".join(lines) + "\n")

    def tagged(weight):
        return HALF + weight.astype(np.float16).tobytes() if half else WHOLE + weight.tobytes()

    zeros = np.zeros(8, np.float32)
    (folder / f"{name}.bin").write_bytes(
        tagged(first) + zeros.tobytes() + slopes.tobytes() + tagged(last) + bias.tobytes()
    )
    return param


def torch_network(folder: Path, name: str = "tiny.safetensors", *, scale: int = 2, seed: int = 1) -> Path:
    """Write a network of the Compact architecture (SRVGGNet), which looks 3 pixels around; return its file."""
    import torch
    from safetensors.torch import save_file

    rng = np.random.default_rng(seed)
    shapes = {"body.0": (8, 3, 3, 3), "body.2": (8, 8, 3, 3), "body.4": (3 * scale**2, 8, 3, 3)}
    state = {}
    for layer, shape in shapes.items():
        state[f"{layer}.weight"] = torch.tensor(rng.normal(0, 0.15, shape), dtype=torch.float32)
        state[f"{layer}.bias"] = torch.tensor(rng.normal(0, 0.02, shape[0]), dtype=torch.float32)
    for layer in ("body.1", "body.3"):
        state[f"{layer}.weight"] = torch.full((8,), 0.2)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    if path.suffix == ".pth":
        torch.save({"params": state}, path)
    else:
        save_file(state, path)
    return path
