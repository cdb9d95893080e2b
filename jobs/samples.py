"""Fills a folder with a small photo library to try batchup on: ``python jobs/samples.py demo/photos``.

Twelve formats and habits of files that real libraries have, and a video with sound. A file that is there already is
left alone, and every file has the same old date each time: batchup knows an input by its size and its date.
"""  # noqa: INP001 - scripts beside the manifests, no package

import os
import sys
from array import array
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from fractions import Fraction
from math import exp, pi, sin, tau
from pathlib import Path
from typing import NamedTuple

import av
import figures
import scenery
from PIL import ExifTags, Image, ImageCms, ImageDraw
from PIL.TiffImagePlugin import IFDRational

PHOTO = (1800, 1200)
VIDEO = (320, 180)
FPS = 25
SECONDS = 3
RATE = 44_100
MELODY_HZ = (262, 330, 392, 523, 392, 330, 294, 349, 440, 587, 494, 523)

Maker = Callable[[Path, datetime], None]


class Sample(NamedTuple):
    """One file of the library.

    Attributes:
        name: Below the library's folder, with ``/``.
        taken: Its date, aware; also the date that the camera wrote into it.
        make: Writes it to a path. Called with *taken*.
    """

    name: str
    taken: datetime
    make: Maker


def main(folder: Path) -> None:
    """Make what is missing below *folder*, and say so."""
    made = sum(_made(folder / sample.name, sample) for sample in SAMPLES)
    there = len(SAMPLES) - made
    said = [f"{made} sample files made"] if made else []
    said += [f"{there} there already"] if there else []
    sys.stdout.write(f"{folder}: {', '.join(said)}\n")


def _made(path: Path, sample: Sample) -> bool:
    """Make one file, unless it is there. It appears whole and with its date, or not at all."""
    if path.exists():
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    sample.make(part, sample.taken)
    os.utime(part, (sample.taken.timestamp(),) * 2)
    part.replace(path)
    return True


def _date(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _exif(taken: datetime, orientation: int, north: float = 0, east: float = 0) -> Image.Exif:
    """Return what a camera writes: itself, the moment, and where north and east (degrees) are given, the place."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Batchup"
    exif[ExifTags.Base.Model] = "Imaginary 35"
    exif[ExifTags.Base.Orientation] = orientation
    exif[ExifTags.Base.DateTime] = f"{taken:%Y:%m:%d %H:%M:%S}"
    details = exif.get_ifd(ExifTags.IFD.Exif)
    details[ExifTags.Base.DateTimeOriginal] = f"{taken:%Y:%m:%d %H:%M:%S}"
    details[ExifTags.Base.ExposureTime] = IFDRational(1, 125)
    details[ExifTags.Base.FNumber] = IFDRational(56, 10)
    details[ExifTags.Base.ISOSpeedRatings] = 200
    if north or east:
        place = exif.get_ifd(ExifTags.IFD.GPSInfo)
        place[ExifTags.GPS.GPSLatitudeRef], place[ExifTags.GPS.GPSLatitude] = "N", _degrees(north)
        place[ExifTags.GPS.GPSLongitudeRef], place[ExifTags.GPS.GPSLongitude] = "E", _degrees(east)
    return exif


def _degrees(angle: float) -> tuple[float, float, float]:
    minutes = angle % 1 * 60
    return float(int(angle)), float(int(minutes)), round(minutes % 1 * 60, 2)


def _profile() -> bytes:
    """Return an ICC profile of sRGB whose date, at byte 24, is not the moment of its making.

    Source: ICC.1:2022, 7.2.1, https://www.color.org/specification/ICC.1-2022-05.pdf, read 2026-11.
    """
    made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    moment = b"".join(number.to_bytes(2, "big") for number in (2020, 1, 1, 0, 0, 0))
    return made[:24] + moment + made[36:]


def _mountains(path: Path, taken: datetime) -> None:
    picture = scenery.label(scenery.mountains(PHOTO), "JPEG with the camera's EXIF")
    picture.save(path, "JPEG", quality=92, exif=_exif(taken, 1, 46.5597, 8.5611))


def _lighthouse(path: Path, taken: datetime) -> None:
    picture = scenery.label(scenery.lighthouse((1000, 1500)), "upright only by its EXIF orientation")
    # Orientation 6: a viewer turns it by 90 degrees clockwise.
    lying = picture.transpose(Image.Transpose.ROTATE_90)
    lying.save(path, "JPEG", quality=92, exif=_exif(taken, 6, 53.8650, 8.0950))


def _sunset(path: Path, _taken: datetime) -> None:
    picture = scenery.label(scenery.sunset(PHOTO), "JPEG with an ICC profile")
    picture.save(path, "JPEG", quality=92, icc_profile=_profile())


def _lake(path: Path, taken: datetime) -> None:
    picture = scenery.label(scenery.lake(PHOTO), "a name with spaces and umlauts")
    picture.save(path, "JPEG", quality=90, exif=_exif(taken, 1, 47.3500, 8.5500))


def _forest(path: Path, _taken: datetime) -> None:
    scenery.label(scenery.forest(PHOTO), "JPEG in shades of grey").save(path, "JPEG", quality=92)


def _northern_lights(path: Path, _taken: datetime) -> None:
    scenery.label(scenery.northern_lights((1500, 1000)), "WebP").save(path, "WEBP", quality=88)


def _balloon(path: Path, _taken: datetime) -> None:
    scenery.label(figures.balloon(1000), "PNG with transparency").save(path, "PNG")


def _moon(path: Path, _taken: datetime) -> None:
    figures.moon(800).save(path, "PNG")


def _fractal(path: Path, _taken: datetime) -> None:
    figures.fractal((1200, 900)).save(path, "PNG")


def _map(path: Path, _taken: datetime) -> None:
    picture = scenery.label(figures.contours((1200, 960)), "TIFF, 300 DPI")
    picture.save(path, "TIFF", compression="tiff_lzw", dpi=(300, 300))


def _spiral(path: Path, _taken: datetime) -> None:
    first, *more = (figures.spiral(240, turn / 12) for turn in range(12))
    first.save(path, "GIF", save_all=True, append_images=more, duration=80, loop=0)


def _orbits(path: Path, _taken: datetime) -> None:
    first, *more = (figures.orbits(240, turn / 24) for turn in range(24))
    first.save(path, "WEBP", save_all=True, append_images=more, duration=60, loop=0, quality=85)


def _icon(corners: int, colour: scenery.Rgb) -> Maker:
    return lambda path, _taken: figures.icon(48, corners, colour).save(path, "PNG")


def _notes(path: Path, _taken: datetime) -> None:
    path.write_text("No picture and no video: batchup leaves this file out, and says so.\n", encoding="utf-8")


def _thumbnail(path: Path, _taken: datetime) -> None:
    scenery.mountains((150, 100)).save(path, "JPEG")


def _film(path: Path, _taken: datetime) -> None:
    with av.open(str(path), "w", format="mp4") as container:
        # The slower presets look ahead, and give other bytes each time on a busy machine.
        video = container.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "crf": "20"})
        video.width, video.height = VIDEO
        video.pix_fmt = "yuv420p"
        sound = container.add_stream("aac", rate=RATE, layout="mono")
        for frame in _melody():
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
        for picture in _days():
            container.mux(video.encode(av.VideoFrame.from_image(picture)))
        container.mux(video.encode(None))


def _days() -> Iterator[Image.Image]:
    hill = Image.new("L", (4 * VIDEO[0], 4 * VIDEO[1]))
    line = scenery.ridge(hill.width, hill.height * 0.8, hill.height * 0.3, 2.2)
    ImageDraw.Draw(hill).polygon([*line, hill.size, (0, hill.height)], 255)
    hill = hill.reduce(4)
    for number in range(FPS * SECONDS):
        yield scenery.label(scenery.day(VIDEO, number / (FPS * SECONDS - 1), hill), "H.264 with sound")


def _melody() -> Iterator[av.AudioFrame]:
    """Yield plucked notes, in frames of 1024 samples of 16 bits."""
    note = RATE * SECONDS // len(MELODY_HZ)
    samples = array("h")
    for hertz in MELODY_HZ:
        for n in range(note):
            swell = min(1.0, n / 300) * exp(-4 * n / note) * sin(pi * (1 - n / note) / 2)
            tone = sin(tau * hertz * n / RATE) + 0.3 * sin(tau * 2 * hertz * n / RATE)
            samples.append(round(11_000 * swell * tone))
    for start in range(0, len(samples), 1024):
        some = samples[start : start + 1024]
        frame = av.AudioFrame(format="s16", layout="mono", samples=len(some))
        frame.planes[0].update(some.tobytes())
        frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
        yield frame


SAMPLES = (
    Sample("mountains.jpg", _date("2019-08-03 19:42"), _mountains),
    Sample("lighthouse.jpg", _date("2018-06-21 21:58"), _lighthouse),
    Sample("sunset.jpg", _date("2020-07-11 20:31"), _sunset),
    Sample("forest.jpg", _date("2017-11-05 08:12"), _forest),
    Sample("northern lights.webp", _date("2022-02-14 23:05"), _northern_lights),
    Sample("balloon.png", _date("2021-05-30 06:45"), _balloon),
    Sample("moon.png", _date("2021-01-28 22:20"), _moon),
    Sample("fractal.png", _date("2016-03-14 15:09"), _fractal),
    Sample("map.tif", _date("2015-09-01 10:00"), _map),
    Sample("spiral.gif", _date("2014-04-01 12:00"), _spiral),
    Sample("orbits.webp", _date("2023-10-12 17:30"), _orbits),
    Sample("2019 Sommer/Zürich – See.jpg", _date("2019-08-05 11:15"), _lake),  # noqa: RUF001 - meant: a name that is not ASCII
    Sample("phone backup/IMG_2041.jpg", _date("2019-08-03 19:42"), _mountains),
    Sample("icons/star.png", _date("2013-02-02 09:30"), _icon(5, (240, 180, 40))),
    Sample("icons/sun.png", _date("2013-02-02 09:31"), _icon(12, (230, 100, 40))),
    Sample("one day.mp4", _date("2020-07-12 21:00"), _film),
    Sample("notes.txt", _date("2020-01-01 12:00"), _notes),
    Sample(".thumbnail.jpg", _date("2019-08-03 19:43"), _thumbnail),
)


if __name__ == "__main__":
    if len(sys.argv) != 2:  # noqa: PLR2004 - the script itself and its one argument
        sys.exit("usage: python jobs/samples.py FOLDER")
    main(Path(sys.argv[1]))
