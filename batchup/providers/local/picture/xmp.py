"""XMP made to fit the enlarged picture: its orientation and its sizes in pixels, nothing else.

Source: Adobe, XMP Specification Part 2 (tiff: and exif: namespaces). The packet is text that people's programs edit, so it is
changed where it says something that is no longer so, not written anew.
"""

import re

_ORIENTATION = rb"tiff:Orientation"
_WIDTHS = rb"(?:tiff:ImageWidth|exif:PixelXDimension)"
_HEIGHTS = rb"(?:tiff:ImageLength|exif:PixelYDimension)"


def fitted(xmp: bytes, width: int, height: int) -> bytes:
    """Return *xmp* for an upright picture of *width* x *height* pixels."""
    for name, value in ((_ORIENTATION, 1), (_WIDTHS, width), (_HEIGHTS, height)):
        xmp = _replaced(xmp, name, value)
    return xmp


def _replaced(xmp: bytes, name: bytes, value: int) -> bytes:
    """Set a property, be it an attribute or an element."""
    digits = str(value).encode()
    pattern = rb"(\b" + name + rb"(?:\s*=\s*[\"']|\s*>\s*))\d+"
    return re.sub(pattern, lambda found: found[1] + digits, xmp)
