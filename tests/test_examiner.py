"""Tiny pictures are examined here, everything else by a process, and each is judged by itself."""

import os

import anyio
import pytest
from msgspec.structs import replace
from PIL import Image

from batchup import digest, outputs
from batchup.errors import RejectedError
from batchup.examiner import TINY_BYTES, TINY_PIXELS, Examiner
from batchup.outputs import Examination
from batchup.providers.local.pool import open_pool
from tests.library import children, photo


async def examined(files, *, pixels=1200, source=""):
    """Return what each examination returned or raised, and how many processes that took."""
    found = {}

    async def one(examiner, file):
        try:
            found[file] = await examiner.examine(
                Examination(str(file), str(source or file), pixels=pixels, inherits="image")
            )
        except (RejectedError, OSError) as error:
            found[file] = error

    before = set(children(os.getpid()))
    async with open_pool(1, 10**9) as pool:
        examiner = Examiner(pool, 10**9)
        async with anyio.create_task_group() as group:
            for file in files:
                group.start_soon(one, examiner, file)
        return found, len(set(children(os.getpid())) - before)


@pytest.mark.parametrize("ending", ["png", "jpg", "webp"])
async def test_tiny_pictures_take_no_process(tmp_path, ending):
    pictures = [photo(tmp_path / f"{number}.{ending}", (40, 30), number) for number in range(5)]

    found, processes = await examined(pictures)

    assert processes == 0
    assert {file: one.sha256 for file, one in found.items()} == {
        file: digest.sha256(file) for file in pictures
    }
    assert {(one.width, one.height) for one in found.values()} == {(40, 30)}


def large(folder):
    return photo(folder / "large.png", (TINY_PIXELS // 100 + 1, 100))


def long(folder):
    file = photo(folder / "long.png", (40, 30))
    with file.open("ab") as more:
        more.write(bytes(TINY_BYTES))
    return file


def rare(folder):
    return photo(folder / "rare.tiff", (40, 30))


def moving(folder):
    file = folder / "moving.webp"
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "blue")]
    frames[0].save(file, save_all=True, append_images=frames[1:])
    return file


@pytest.mark.parametrize("is_input", [False, True], ids=["output", "input"])
@pytest.mark.parametrize("made", [large, long, rare, moving])
async def test_what_only_claims_to_be_tiny_is_for_a_process(tmp_path, made, is_input):
    other, tiny = made(tmp_path), photo(tmp_path / "tiny.png", (40, 30))
    part, source = (tiny, other) if is_input else (other, tiny)

    found, processes = await examined([part], source=source)

    assert (found[part].width > 0, processes) == (True, 1)


async def test_what_is_expected_to_be_larger_is_for_a_process(tmp_path):
    file = photo(tmp_path / "tiny.png", (40, 30))

    _, processes = await examined([file], pixels=TINY_PIXELS + 1)

    assert processes == 1


async def test_one_that_is_damaged_or_gone_is_judged_by_a_process_and_nothing_to_the_others(tmp_path):
    pictures = [photo(tmp_path / f"{number}.png", (40, 30), number) for number in range(5)]
    damaged, gone, *whole = pictures
    damaged.write_bytes(damaged.read_bytes()[:60])
    gone.unlink()

    found, processes = await examined(pictures)

    assert found[damaged].kind == "output_damaged"
    assert isinstance(found[gone], FileNotFoundError)
    assert {found[file].width for file in whole} == {40}
    assert processes == 1


@pytest.mark.parametrize("keep", [True, False], ids=["keep", "strip"])
@pytest.mark.parametrize("endings", [("jpg", "png"), ("png", "jpg"), ("jpg", "webp"), ("webp", "jpg")])
async def test_a_tiny_picture_inherits_what_any_other_does(tmp_path, endings, keep):
    source, output, other = (
        photo(tmp_path / f"{name}.{ending}", (40, 30))
        for name, ending in zip(("source", "output", "other"), (*endings, endings[1]), strict=True)
    )
    exif = Image.Exif()
    exif[0x010F] = "Some maker"
    with Image.open(source) as image:
        image.save(source, exif=exif, dpi=(300, 300))
    mine = Examination(str(output), str(source), pixels=1200, inherits="image", keep_metadata=keep)
    before = output.read_bytes()

    async with open_pool(1, 10**9) as pool:
        here = await Examiner(pool, 10**9).examine(mine)
    there = outputs.examine(replace(mine, part=str(other)))

    assert here == there
    assert output.read_bytes() == other.read_bytes()
    assert output.read_bytes() != before or not keep
    assert here.sha256 == digest.sha256(output)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        path.name for path in (source, output, other)
    )
