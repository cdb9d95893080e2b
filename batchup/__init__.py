"""Upscale a folder of photos and videos from one manifest, and go on where it stopped."""

__version__ = "0.1.0"
