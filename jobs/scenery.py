"""Landscapes, computed rather than photographed, so that the demo needs no download and no licence.

Everything is a function of its arguments: no randomness, no clock.
"""  # noqa: INP001 - scripts beside the manifests, no package

from collections.abc import Sequence
from math import pi, sin, sqrt, tau

from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

Rgb = tuple[int, int, int]
Px = tuple[int, int]

WHITE: Rgb = (255, 255, 255)
GOLDEN = (sqrt(5) - 1) / 2
"""Multiples of it, modulo 1, spread evenly and look scattered."""


def mixed(one: Rgb, other: Rgb, part: float) -> Rgb:
    """Return the colour that lies *part* of the way (0 to 1) from *one* to *other*."""
    red, green, blue = (round(a + (b - a) * part) for a, b in zip(one, other, strict=True))
    return red, green, blue


def gradient(size: Px, stops: Sequence[Rgb]) -> Image.Image:
    """Return an RGB image that runs through *stops* from top to bottom."""
    column = Image.new("RGB", (1, len(stops)))
    for row, colour in enumerate(stops):
        column.putpixel((0, row), colour)
    # Half of the first and of the last pixel would be flat.
    return column.resize(size, Image.Resampling.BILINEAR, (0, 0.5, 1, len(stops) - 0.5))


def glow(picture: Image.Image, centre: Px, radius: int, colour: Rgb) -> None:
    """Light up *picture* in place, strongest at *centre*."""
    light = ImageOps.invert(Image.radial_gradient("L")).resize((2 * radius, 2 * radius))
    soft = light.point([round(255 * (max(0, v - 75) / 180) ** 2) for v in range(256)])
    picture.paste(colour, (centre[0] - radius, centre[1] - radius), soft)


def disc(picture: Image.Image, centre: Px, radius: int, colour: Rgb) -> None:
    """Draw a full circle in place, with a soft edge."""
    fine = Image.new("L", (8 * radius, 8 * radius))
    ImageDraw.Draw(fine).ellipse((0, 0, 8 * radius - 1, 8 * radius - 1), 255)
    picture.paste(colour, (centre[0] - radius, centre[1] - radius), fine.reduce(4))


def stars(picture: Image.Image, count: int, depth_px: int) -> None:
    """Scatter stars in place over the upper *depth_px* rows."""
    for n in range(1, count + 1):
        x = round(n * GOLDEN % 1 * (picture.width - 1))
        y = round(n * n * GOLDEN % 1 * depth_px)
        light = 90 + n * 67 % 150
        size = 1 if n % 9 else 2
        ImageDraw.Draw(picture).rectangle((x, y, x + size - 1, y + size - 1), (light, light, light + 10))


def ridge(
    width: int, base: float, height: float, seed: float, rough: float = 0.55
) -> list[tuple[float, float]]:
    """Return the outline of mountains as points from left to right.

    Args:
        width: Of the picture in pixels.
        base: Mean row of the outline.
        height: Of the highest peaks above it, in pixels, about.
        seed: Any number; another one gives other mountains.
        rough: How much of each wave the next finer one has, 0 to 1.
    """
    points = []
    for x in range(0, width + 4, 2):
        at, sharp = x / width, 0.0
        for wave in range(7):
            # A folded sine has an edge at its top, as a mountain has.
            sharp += rough**wave * (0.5 - abs(sin(pi * (at * 1.3 * 2.03**wave + seed * (wave + 1) * GOLDEN))))
        points.append((float(x), base - height * sharp))
    return points


def layers(picture: Image.Image, far: Rgb, near: Rgb, count: int, seed: float, top: float = 0.45) -> None:
    """Draw *count* mountain ranges in place, from the *far* colour to the *near* one; *top* is where they begin."""
    width, height = picture.size
    fine = picture.resize((2 * width, 2 * height))
    for n in range(count):
        part = n / max(1, count - 1)
        base = 2 * height * (top + (0.9 - top) * part)
        line = ridge(2 * width, base, height * (0.42 - 0.2 * part), seed + n * 1.7)
        ImageDraw.Draw(fine).polygon(
            [*line, (2 * width, 2 * height), (0, 2 * height)], mixed(far, near, part)
        )
    picture.paste(fine.reduce(2))


def label(picture: Image.Image, text: str) -> Image.Image:
    """Write *text* into the lower left corner in place, and return *picture*."""
    size = max(10, picture.height // 28)
    at = (size, picture.height - 2 * size)
    font = ImageFont.load_default(size)
    dark, light = ((0, 0, 0), WHITE) if picture.mode in {"RGB", "RGBA"} else (0, 255)
    ImageDraw.Draw(picture).text(at, text, light, font, stroke_width=1 + size // 14, stroke_fill=dark)
    return picture


def mountains(size: Px, seed: float = 0.4) -> Image.Image:
    """Return ranges in the haze of an evening."""
    picture = gradient(
        size, [(38, 40, 92), (116, 72, 128), (226, 120, 106), (252, 196, 130), (255, 226, 170)]
    )
    sun = (round(size[0] * 0.68), round(size[1] * 0.42))
    glow(picture, sun, size[1] // 2, (255, 240, 200))
    disc(picture, sun, size[1] // 22, (255, 250, 232))
    layers(picture, (214, 134, 130), (22, 20, 46), 5, seed)
    return picture


def lighthouse(size: Px) -> Image.Image:
    """Return a tower by the sea at night; *size* is upright."""
    width, height = size
    picture = gradient(size, [(6, 10, 34), (16, 32, 74), (46, 78, 124), (96, 128, 152)])
    stars(picture, 420, height // 2)
    lamp = (width // 2, round(height * 0.30))
    beam = Image.new("L", size)
    for side in (-1, 1):
        far = [(lamp[0] + side * width, lamp[1] + round(height * by)) for by in (-0.16, 0.02)]
        ImageDraw.Draw(beam).polygon([lamp, *far], 120)
    picture.paste((255, 236, 170), mask=beam.filter(ImageFilter.GaussianBlur(width / 50)))
    glow(picture, lamp, width // 3, (255, 240, 190))
    sea = gradient((width, height // 4), [(30, 62, 92), (6, 14, 34)])
    picture.paste(sea, (0, height - height // 4))
    _tower(picture, lamp)
    line = ridge(width, height * 0.86, height * 0.05, 3.1)
    ImageDraw.Draw(picture).polygon([*line, (width, height), (0, height)], (8, 10, 20))
    return picture


def _tower(picture: Image.Image, lamp: Px) -> None:
    draw, unit = ImageDraw.Draw(picture), picture.width // 40
    foot, (x, top) = round(picture.height * 0.86), lamp
    for n in range(7):
        upper, lower = top + (foot - top) * n / 7, top + (foot - top) * (n + 1) / 7
        wide, wider = unit * (1.6 + n * 0.2), unit * (1.8 + n * 0.2)
        colour = (196, 52, 48) if n % 2 else (232, 230, 224)
        draw.polygon([(x - wide, upper), (x + wide, upper), (x + wider, lower), (x - wider, lower)], colour)
    draw.rectangle((x - unit, top - unit, x + unit, top + unit), (255, 250, 214))
    draw.polygon(
        [(x - 1.6 * unit, top - unit), (x + 1.6 * unit, top - unit), (x, top - 3 * unit)], (120, 30, 30)
    )
    draw.rectangle((x - 2 * unit, top + unit, x + 2 * unit, top + 1.5 * unit), (60, 60, 70))


def sunset(size: Px) -> Image.Image:
    """Return the sun going down over the sea."""
    width, height = size
    horizon = round(height * 0.6)
    picture = gradient(size, [(70, 40, 110), (208, 74, 96), (255, 152, 84), (255, 214, 130)])
    sun = (width // 2, round(height * 0.5))
    glow(picture, sun, height // 2, (255, 232, 170))
    disc(picture, sun, height // 9, (255, 246, 214))
    sea = ImageOps.flip(picture.crop((0, horizon - (height - horizon), width, horizon)))
    sea = Image.blend(sea, gradient(sea.size, [(150, 60, 90), (24, 14, 58)]), 0.55)
    draw = ImageDraw.Draw(sea)
    for n in range(260):
        deep = n / 260
        y, reach = round(deep * sea.height), 0.03 + 0.2 * deep
        x = width / 2 + width * reach * sin(n * n * 0.7) * (n * GOLDEN % 1)
        long = width * (0.01 + 0.05 * deep) * (0.3 + n * GOLDEN % 1)
        draw.line(
            (x - long, y, x + long, y), mixed((255, 226, 170), (250, 130, 90), deep), 1 + round(2 * deep)
        )
    picture.paste(sea, (0, horizon))
    return picture


def lake(size: Px) -> Image.Image:
    """Return mountains that stand in still water."""
    width, height = size
    shore = round(height * 0.58)
    picture = gradient((width, shore), [(64, 132, 204), (150, 196, 232), (238, 240, 236)])
    layers(picture, (150, 176, 204), (34, 66, 62), 4, 7.3, top=0.5)
    water = ImageOps.flip(picture).resize((width, height - shore))
    water = water.filter(ImageFilter.BoxBlur((height / 90, 1)))
    whole = Image.new("RGB", size)
    whole.paste(picture)
    whole.paste(Image.blend(water, gradient(water.size, [(120, 160, 190), (16, 50, 84)]), 0.45), (0, shore))
    return whole


def northern_lights(size: Px) -> Image.Image:
    """Return curtains of green light over dark hills."""
    width, height = size
    picture = gradient(size, [(4, 8, 26), (8, 26, 50), (18, 60, 72)])
    stars(picture, 500, round(height * 0.7))
    for n, colour in enumerate([(150, 70, 190), (40, 214, 150), (120, 255, 180)]):
        curtain = Image.new("L", size)
        draw = ImageDraw.Draw(curtain)
        for x in range(width):
            at = x / width + n * 0.31
            foot = height * (0.55 + 0.12 * sin(tau * at * 1.1) + 0.05 * sin(tau * at * 2.7 + n))
            fold = 0.55 + 0.45 * sin(tau * at * 6 + 2.5 * sin(tau * at * 2.3))
            tall = height * (0.24 + 0.12 * n % 0.2 + 0.14 * fold)
            for step in range(12):
                draw.line(
                    (x, foot - tall * step / 12, x, foot - tall * (step + 1) / 12),
                    round(150 * fold * (1 - step / 12)),
                )
        picture.paste(colour, mask=curtain.filter(ImageFilter.GaussianBlur(height / 110)))
    layers(picture, (10, 34, 44), (2, 6, 12), 3, 5.2, top=0.74)
    return picture


def forest(size: Px) -> Image.Image:
    """Return firs in the mist, in grey."""
    width, height = size
    picture = gradient(size, [(236, 236, 236), (206, 206, 206), (170, 170, 170)]).convert("L")
    for row in range(6):
        grey, foot = 196 - row * 34, height * (0.52 + 0.1 * row)
        draw = ImageDraw.Draw(picture)
        count = 34 - 4 * row
        for n in range(count):
            x = width * (n + (n * 7 + row * 3) * GOLDEN % 1) / count
            tall = height * (0.12 + 0.045 * row) * (0.7 + 0.6 * ((n + row) * GOLDEN % 1))
            base = foot + height * 0.03 * sin(n + row)
            _fir(draw, (x, base), tall, grey)
        draw.polygon([*ridge(width, foot, height * 0.04, row * 1.3), (width, height), (0, height)], grey)
        haze = Image.new("L", size, 214)
        picture = Image.composite(
            haze, picture, gradient(size, [(0, 0, 0), (0, 0, 0), (70 - 11 * row,) * 3]).convert("L")
        )
    return picture


def _fir(draw: ImageDraw.ImageDraw, foot: tuple[float, float], tall: float, grey: int) -> None:
    x, y = foot
    for tier in range(5):
        low, wide = y - tall * tier / 6, tall * (0.2 - 0.032 * tier)
        draw.polygon([(x - wide, low), (x + wide, low), (x, low - tall * 0.34)], grey)
    draw.rectangle((x - tall * 0.02, y - tall * 0.1, x + tall * 0.02, y + tall * 0.2), grey)


def day(size: Px, part: float, hill: Image.Image) -> Image.Image:
    """Return a frame of a sun that crosses the sky; *part* runs from 0 to 1, *hill* is a mask of *size*."""
    high = sin(pi * part)
    sky = gradient(
        size, [mixed((50, 30, 90), (60, 130, 210), high), mixed((250, 140, 90), (200, 226, 240), high)]
    )
    sun = round(size[0] * (0.05 + 0.9 * part)), round(size[1] * (0.8 - 0.6 * high))
    glow(sky, sun, size[1] // 2, (255, 240, 190))
    disc(sky, sun, size[1] // 16, (255, 252, 236))
    sky.paste(mixed((16, 16, 34), (52, 96, 62), high), mask=hill)
    return sky
