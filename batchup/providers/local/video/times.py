"""The times of frames, where a container tells them badly."""

from fractions import Fraction

from av.video.frame import VideoFrame


class Times:
    """Gives every frame a time that is later than the one before.

    Some containers (AVI) have times of decoding only, and some files wrong ones. Which of the two clocks to believe is
    decided as in FFmpeg 8.1, libavcodec/decode.c, ``guess_correct_pts``.
    """

    def __init__(self, rate: Fraction, base: Fraction) -> None:
        self._step = max(1, round(1 / (rate * base)))
        self._last: int | None = None
        self._clocks: dict[str, tuple[int, int | None]] = {"pts": (0, None), "dts": (0, None)}

    def settle(self, frame: VideoFrame) -> None:
        """Set the time of *frame*."""
        faulty_pts = self._note("pts", frame.pts)
        faulty_dts = self._note("dts", frame.dts)
        moment = frame.pts if frame.pts is not None and faulty_pts <= faulty_dts else frame.dts
        if moment is None:
            moment = frame.pts
        if moment is None:
            moment = 0 if self._last is None else self._last + self._step
        if self._last is not None and moment <= self._last:
            moment = self._last + 1
        frame.pts = self._last = moment

    def _note(self, clock: str, moment: int | None) -> int:
        faults, last = self._clocks[clock]
        if moment is not None:
            faults += last is not None and moment <= last
            self._clocks[clock] = faults, moment
        return faults
