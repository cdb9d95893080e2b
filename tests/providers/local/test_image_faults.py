"""Files that are not what they should be, and disks that are full: each ends in its own clear error."""

import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from batchup.errors import RejectedError
from batchup.media import probe
from batchup.providers.local.image import upscale
from batchup.providers.local.work import Work
from tests.providers.local.pictures import enlarge, photo


def sixteen_bit_rgb_png():
    rows = b"".join(b"\0" + bytes(6 * 4) for _ in range(4))
    header = struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


def test_sixteen_bits_of_colour_are_refused_and_not_silently_halved(tmp_path):
    source = tmp_path / "a.png"
    source.write_bytes(sixteen_bit_rgb_png())

    with pytest.raises(RejectedError, match="16 bits a channel") as caught:
        enlarge(source)

    assert caught.value.kind == "refused"


@pytest.mark.parametrize("part", [0.2, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("ending", [".jpg", ".png", ".webp", ".tif", ".avif", ".bmp", ".gif", ".heic"])
def test_a_file_that_is_cut_is_rejected(tmp_path, ending, part):
    source = tmp_path / f"a{ending}"
    photo(200, 150).save(source)
    source.write_bytes(source.read_bytes()[: int(source.stat().st_size * part)])

    with pytest.raises(RejectedError) as caught:
        enlarge(source)

    assert caught.value.kind in {"image_truncated", "image_damaged", "media_unreadable"}
    assert str(caught.value)


def test_a_file_that_is_cut_is_said_to_be_cut(tmp_path):
    source = tmp_path / "a.jpg"
    photo(200, 150).save(source)
    source.write_bytes(source.read_bytes()[: source.stat().st_size // 2])

    with pytest.raises(RejectedError, match="the image is cut") as caught:
        enlarge(source)

    assert caught.value.kind == "image_truncated"


@pytest.mark.parametrize("ending", [".jpg", ".png", ".webp", ".tif", ".gif"])
def test_flipped_bytes_end_in_a_picture_or_in_a_rejection(tmp_path, ending):
    source = tmp_path / f"a{ending}"
    photo(64, 48).save(source)
    whole = source.read_bytes()
    rng = np.random.default_rng(7)

    for _ in range(40):
        data = bytearray(whole)
        for at in rng.integers(12, len(data), 5):
            data[at] = rng.integers(0, 256)
        source.write_bytes(data)
        try:
            media = probe(source)
            if media and media.size == (64, 48) and media.format == probe_format(ending):
                enlarge(source)
        except RejectedError as error:
            assert str(error)  # noqa: PT017 - either outcome is right, any other exception is not


def probe_format(ending):
    return {".jpg": "JPEG", ".tif": "TIFF"}.get(ending, ending[1:].upper())


def test_a_file_that_changed_since_it_was_planned_is_not_decoded(tmp_path):
    source = tmp_path / "a.png"
    photo().save(source)

    with pytest.raises(RejectedError, match="80x60 would come out, not 20x20") as caught:
        upscale(Work({}, str(source), str(tmp_path / "x.part"), ".png", 20, 20), lambda _: None)

    assert caught.value.kind == "source_changed"


def test_a_picture_beyond_pillows_own_limit_is_enlarged(tmp_path, monkeypatch):
    source, part = tmp_path / "a.png", tmp_path / "x.part"
    photo().save(source)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)

    upscale(Work({}, str(source), str(part), ".png", 80, 60), lambda _: None)

    found = probe(part)
    assert found is not None
    assert found.size == (80, 60)
    assert Image.MAX_IMAGE_PIXELS == 100


def test_progress_goes_from_nothing_to_all(tmp_path):
    source = tmp_path / "a.jpg"
    photo().save(source)
    told: list[float] = []

    enlarge(source, told=told)

    assert told == sorted(told)
    assert told[-1] == 1.0
    assert len(told) > 2


@pytest.mark.parametrize("ending", [".jpg", ".jpeg", ".png", ".tif", ".webp"])
def test_a_full_disk_is_a_fault_of_the_disk_and_not_of_the_picture(tmp_path, ending):
    source = tmp_path / f"a{ending}"
    options: dict[str, dict[str, Any]] = {".tif": {"compression": "tiff_lzw"}, ".jpeg": {"progressive": True}}
    photo(400, 300).save(source, **options.get(ending, {}))
    work = f"Work({{}}, {str(source)!r}, {str(tmp_path / 'x.part')!r}, {ending!r}, 800, 600)"
    # A limit on the size of files stands in for the disk's end: the same call fails in the same way.
    program = (
        "import resource; from batchup.providers.local.image import upscale;"
        "from batchup.providers.local.work import Work; resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
        f"try: upscale({work}, lambda _: None)\nexcept OSError as error: print(error.errno)"
    )

    run = developed(program)

    assert run.stdout.strip() == "27", run.stderr  # EFBIG
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("ending", [".tif", ".jpg", ".png", ".webp", ".gif"])
def test_a_written_file_is_closed_without_complaint(tmp_path, ending):
    source = tmp_path / f"a{ending}"
    photo().save(source)
    work = f"Work({{}}, {str(source)!r}, {str(tmp_path / 'x.part')!r}, {ending!r}, 80, 60)"

    run = developed(
        "from batchup.providers.local.image import upscale; from batchup.providers.local.work import Work\n"
        f"upscale({work}, lambda _: None)"
    )

    assert (run.returncode, run.stderr) == (0, "")


def developed(program):
    """Run *program* as developers do, where every Python tells of files that cannot be closed or were left open."""
    # What libraries call deprecated is no concern here.
    command = [sys.executable, "-X", "dev", "-W", "ignore::DeprecationWarning", "-c", program]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_names_with_anything_in_them_are_read(tmp_path):
    for name in ("with space.png", "new\nline.png", "-dash.png", "ünïcode.png", "wrong.jpg"):
        source = Path(tmp_path / name)
        photo().save(source, "PNG")
        assert enlarge(source).suffix == ".png"
