"""Videos, upscaled on this machine with PyAV."""

from batchup.providers.local.video.scale import upscale

__all__ = ["upscale"]
