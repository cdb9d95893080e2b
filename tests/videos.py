"""Small real videos, made when a test runs: moving colours, a tone, subtitles."""

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

RED, GREEN, BLUE, WHITE = (200, 30, 30), (30, 160, 30), (30, 30, 200), (220, 220, 220)
AUDIO_CODECS = {".webm": "libopus", ".avi": "libmp3lame"}
SUBTITLE_CODECS = {
    ".mp4": "mov_text",
    ".mov": "mov_text",
    ".m4v": "mov_text",
    ".mkv": "subrip",
    ".webm": "webvtt",
}
RATE = 48_000


def make_video(
    path: Path,
    *,
    seconds: float = 1,
    fps: int = 25,
    size: tuple[int, int] = (64, 48),
    audio: bool = True,
    codec: str = "",
    rotation: int = 0,
    vfr: bool = False,
    subtitles: bool = False,
    pix_fmt: str = "yuv420p",
    metadata: Mapping[str, str] | None = None,
    options: Mapping[str, str] | None = None,
    container_options: Mapping[str, str] | None = None,
    starts_s: float = 0,
    **attributes: object,
) -> Path:
    """Write a video to *path*, whose ending decides the container, and return *path*.

    Its quarters are red, green, blue and white, clockwise from the top left, and a grey bar wanders across.

    Args:
        path: File to write; ``.mp4``, ``.mov``, ``.m4v``, ``.mkv``, ``.webm``, ``.avi``.
        seconds: Duration of picture and sound.
        fps: Frames a second; with *vfr* the shortest distance is this.
        size: Width and height as stored, before *rotation*.
        audio: With a tone of 440 Hz in AAC, Opus or MP3.
        codec: Encoder; by default libx264, for WebM libvpx-vp9.
        rotation: Degrees, counter-clockwise, by which a player turns the picture.
        vfr: Frames at uneven distances.
        subtitles: With one line of subtitles in English.
        pix_fmt: Pixel format.
        metadata: Tags of the file.
        options: Options of the video encoder.
        container_options: Options of the container.
        starts_s: When the first frame is shown; the sound starts at 0.
        attributes: Attributes of the video's codec context, such as ``color_trc``.
    """
    encoder = codec or ("libvpx-vp9" if path.suffix == ".webm" else "libx264")
    with av.open(str(path), "w", container_options=dict(container_options or {})) as container:
        container.metadata.update(metadata or {})
        video: Any = container.add_stream(encoder, rate=fps, options=dict(options or {}))
        video.width, video.height = size
        video.pix_fmt = pix_fmt
        ticks = 1 if path.suffix in {".avi", ".ts"} else 512
        video.codec_context.time_base = Fraction(1, fps * ticks)
        for name, value in attributes.items():
            setattr(video.codec_context, name, value)
        if rotation:
            video.set_display_rotation(rotation)
        sound = _add_sound(container, path) if audio else None
        titles = container.add_mux_stream(SUBTITLE_CODECS[path.suffix]) if subtitles else None
        if titles is not None:
            titles.time_base = Fraction(1, 1000)
            titles.metadata["language"] = "eng"
        if sound is not None:
            _write_sound(container, sound, seconds)
        if titles is not None:
            _write_subtitle(container, titles, path.suffix, seconds)
        _write_frames(container, video, round(seconds * fps), vfr, ticks, round(starts_s * fps))
    return path


def picture(width: int, height: int, step: int) -> np.ndarray:
    """Return (height, width, 3) uint8 RGB: four coloured quarters and a bar that stands at *step*."""
    rgb = np.empty((height, width, 3), np.uint8)
    rgb[: height // 2, : width // 2], rgb[: height // 2, width // 2 :] = RED, GREEN
    rgb[height // 2 :, width // 2 :], rgb[height // 2 :, : width // 2] = BLUE, WHITE
    left = step * 2 % max(1, width - 4)
    rgb[height // 2 - 2 : height // 2 + 2, left : left + 4] = 128
    return rgb


def _write_frames(container, video, count, vfr, ticks, first):
    for step in range(count):
        rgb = av.VideoFrame.from_ndarray(picture(video.width, video.height, step), format="rgb24")
        frame = rgb.reformat(format=video.pix_fmt)
        # Distances of 1, 2 and 4 frames, over and over.
        frame.pts = ticks * (first + (7 * (step // 3) + (0, 1, 3)[step % 3] if vfr else step))
        frame.time_base = video.codec_context.time_base
        container.mux(video.encode(frame))
    container.mux(video.encode(None))


def _add_sound(container, path):
    sound = container.add_stream(AUDIO_CODECS.get(path.suffix, "aac"), rate=RATE)
    sound.codec_context.layout = "mono"
    sound.metadata["language"] = "deu"
    return sound


def _write_sound(container, sound, seconds):
    sound.codec_context.open()
    length = sound.codec_context.frame_size or 960
    wanted = sound.codec_context.format.name
    for start in range(0, round(seconds * RATE), length):
        tone = np.sin(2 * np.pi * 440 * np.arange(start, start + length) / RATE) * 0.2
        plain = av.AudioFrame.from_ndarray(tone.astype(np.float32)[None], format="fltp", layout="mono")
        plain.sample_rate = RATE
        plain.pts = start
        for frame in av.AudioResampler(format=wanted, layout="mono", rate=RATE).resample(plain):
            frame.pts = start
            frame.time_base = Fraction(1, RATE)
            container.mux(sound.encode(frame))
    container.mux(sound.encode(None))


def _write_subtitle(container, titles, suffix, seconds):
    text = b"Hello"
    line = av.Packet(len(text).to_bytes(2, "big") + text if SUBTITLE_CODECS[suffix] == "mov_text" else text)
    line.stream = titles
    line.time_base = Fraction(1, 1000)
    line.pts = line.dts = 100
    line.duration = round(seconds * 1000) - 200
    container.mux(line)
