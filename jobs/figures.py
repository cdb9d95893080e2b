"""Figures and patterns for the demo's pictures: functions of their arguments, as the landscapes are."""  # noqa: INP001 - scripts beside the manifests, no package

from array import array
from math import cos, hypot, isqrt, pi, sin, sqrt, tau

from PIL import Image, ImageChops, ImageDraw, ImageMath, ImageOps
from scenery import GOLDEN, Px, Rgb, disc, gradient, mixed


def fractal(size: Px) -> Image.Image:
    """Return the Mandelbrot set in a palette of 256 colours (mode P)."""
    picture = Image.effect_mandelbrot(size, (-2.1, -1.05, 0.7, 1.05), 200)
    ramp = gradient(
        (1, 256), [(8, 10, 40), (16, 60, 130), (60, 160, 200), (240, 240, 210), (255, 170, 60), (160, 40, 40)]
    )
    colours = [ramp.crop((0, row, 1, row + 1)).tobytes() for row in range(256)]
    # By the square root: most of the picture lies where the values are small.
    picture.putpalette(b"".join(colours[isqrt(row * 255)] for row in range(256)))
    return picture


def contours(size: Px) -> Image.Image:
    """Return a map of hills, as a scanner sees it on paper."""
    height = _hills((size[0] // 8, size[1] // 8)).resize(size, Image.Resampling.BICUBIC)
    # In floating point: the steps of 8 bits would make the lines ragged.
    lines = ImageMath.lambda_eval(lambda given: (abs(given["height"] % 14 - 7) - 0.4) * 200, height=height)
    ground = ImageOps.colorize(height.convert("L"), (126, 170, 120), (250, 240, 216), (218, 214, 160))
    return ImageChops.multiply(ground, ImageOps.colorize(lines.convert("L"), (150, 104, 62), (255, 255, 255)))


def _hills(size: Px) -> Image.Image:
    """Return smooth heights, 20 to 235 (mode F)."""
    width, height = size
    heights = array("f")
    for y in range(height):
        for x in range(width):
            a, b = x / width * tau, y / width * tau
            wave = sin(1.6 * a + sin(1.3 * b)) + sin(2.1 * b + 0.8 * sin(1.9 * a)) + 0.5 * sin(3.3 * (a - b))
            heights.append(127.5 + 43 * wave)
    return Image.frombytes("F", size, heights.tobytes())


def moon(side: int) -> Image.Image:
    """Return a lit sphere in 16 bits of grey (mode I;16): shades that 8 bits would show as rings."""
    row_values = array("H")
    radius = side * 0.42
    for y in range(side):
        for x in range(side):
            a, b = (x - side / 2) / radius, (y - side / 2) / radius
            inside = 1 - a * a - b * b
            light = max(0.0, -0.62 * a - 0.38 * b + 0.69 * sqrt(inside)) if inside > 0 else 0.0
            halo = 0.05 / (1 + 9 * max(0.0, hypot(a, b) - 1)) if inside <= 0 else 0.03
            row_values.append(round(65535 * min(1.0, halo + 0.9 * light)))
    return Image.frombytes("I;16", (side, side), row_values.tobytes())


def balloon(side: int) -> Image.Image:
    """Return a hot-air balloon on nothing: the background is transparent (mode RGBA)."""
    fine = Image.new("RGBA", (2 * side, 2 * side))
    draw, centre, radius = ImageDraw.Draw(fine), side, side * 0.72
    top = side * 0.08
    colours = [(232, 76, 61), (250, 190, 60), (46, 134, 193), (250, 240, 220)]
    for n in range(8, -1, -1):
        wide = radius * sin(pi / 2 * (n + 1) / 9)
        colour = mixed(colours[n % 4], (30, 10, 30), 0.25 * n / 8)
        outline = [
            (centre + wide * cos(t / 40 * pi), top + radius * (1 - sin(t / 40 * pi))) for t in range(41)
        ]
        draw.polygon(
            [*outline, (centre - wide * 0.16, side * 1.52), (centre + wide * 0.16, side * 1.52)],
            (*colour, 255),
        )
    for way in (-1, 1):
        draw.line(
            (centre + way * side * 0.1, side * 1.5, centre + way * side * 0.09, side * 1.74),
            (90, 60, 40, 255),
            side // 80,
        )
    draw.rounded_rectangle(
        (centre - side * 0.12, side * 1.72, centre + side * 0.12, side * 1.92), side // 40, (140, 90, 50, 255)
    )
    return fine.reduce(2)


def spiral(side: int, turn: float) -> Image.Image:
    """Return one frame of a spiral of dots; *turn* runs from 0 to 1."""
    picture = Image.new("RGB", (side, side), (18, 20, 40))
    for n in range(1, 140):
        angle, away = tau * (n * GOLDEN + turn * GOLDEN), side * 0.47 * sqrt((n - 1 + turn) / 140)
        at = round(side / 2 + away * cos(angle)), round(side / 2 + away * sin(angle))
        disc(
            picture,
            at,
            max(1, round(side * (0.008 + 0.016 * n / 140))),
            mixed((255, 214, 90), (226, 60, 120), n / 140),
        )
    return picture


def orbits(side: int, turn: float) -> Image.Image:
    """Return one frame of planets round a sun, on nothing; *turn* runs from 0 to 1 (mode RGBA)."""
    fine = Image.new("RGBA", (2 * side, 2 * side))
    draw, middle = ImageDraw.Draw(fine), side
    planets = [
        (0.34, 0.045, 3, (120, 190, 230)),
        (0.58, 0.07, 2, (230, 130, 90)),
        (0.84, 0.06, 1, (150, 210, 130)),
    ]
    draw.ellipse(
        (middle - side * 0.16, middle - side * 0.16, middle + side * 0.16, middle + side * 0.16),
        (255, 200, 60, 255),
    )
    for away, size, speed, colour in planets:
        reach = side * away
        draw.ellipse(
            (middle - reach, middle - reach, middle + reach, middle + reach), None, (128, 128, 150, 255), 3
        )
        x, y = middle + reach * cos(tau * turn * speed), middle + reach * sin(tau * turn * speed)
        draw.ellipse((x - side * size, y - side * size, x + side * size, y + side * size), (*colour, 255))
    return fine.reduce(2)


def icon(side: int, corners: int, colour: Rgb) -> Image.Image:
    """Return a star with so many corners on nothing (mode RGBA)."""
    fine = Image.new("RGBA", (4 * side, 4 * side), (*colour, 0))
    points = []
    for n in range(2 * corners):
        away, angle = 2 * side * (0.95 if n % 2 == 0 else 0.45), pi * n / corners - pi / 2
        points.append((2 * side + away * cos(angle), 2 * side + away * sin(angle)))
    ImageDraw.Draw(fine).polygon(points, (*colour, 255))
    return fine.reduce(4)
