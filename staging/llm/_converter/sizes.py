"""Compute the size of a picture and the number of its parts."""

import math
from typing import NamedTuple

_LONG = 3  # times as long as wide: a screenshot of a page or a chat
_LEGIBLE = 0.7  # of its size: smaller, text of a screen cannot be read
_NARROW = 200  # pixels: what is narrower holds no text
_PART = 1.5  # times as long as wide is a part
MAX_PARTS = 8
"""Parts of one long picture, at the most."""


class Bounds(NamedTuple):
    """What a picture may measure.

    Attributes:
        side: pixels of the longer side.
        pixels: width times height. 0 means no limit.
        patch: pixels a side of a patch.
        patches: of them. 0 means no limit.
    """

    side: int
    pixels: int = 0
    patch: int = 32
    patches: int = 0

    def fit(self, width: int, height: int) -> tuple[int, int]:
        """Return the largest size of the same shape within the bounds.

        It is never larger than the picture.
        """
        if self._hold(width, height):
            return width, height
        scale = min(1.0, self.side / max(width, height))
        if self.pixels:
            scale = min(scale, math.sqrt(self.pixels / (width * height)))
        if self.patches:
            scale = min(scale, self.patch * math.sqrt(self.patches / (width * height)))
        size = _scaled(width, height, scale)
        while not self._hold(*size):
            scale *= 0.995
            size = _scaled(width, height, scale)
        return size

    def _hold(self, width: int, height: int) -> bool:
        patches = -(-width // self.patch) * -(-height // self.patch)
        return (
            max(width, height) <= self.side
            and width * height <= (self.pixels or width * height)
            and patches <= (self.patches or patches)
        ) or max(width, height) == 1


def _scaled(width: int, height: int, scale: float) -> tuple[int, int]:
    if scale >= 1:
        return width, height
    return max(1, round(width * scale)), max(1, round(height * scale))


def parts(size: tuple[int, int], bounds: Bounds) -> list[tuple[int, int, int, int]]:
    """Return the boxes of a long picture's parts.

    Each shares a tenth with the next. Any other picture has one box, the whole.

    A box is left, upper, right, lower.
    """
    width, height = size
    short, long = sorted(size)
    fitted = bounds.fit(width, height)
    if long < _LONG * short or short < _NARROW or max(fitted) >= _LEGIBLE * long:
        return [(0, 0, width, height)]
    length = max(math.ceil(_PART * short), math.ceil(long / (0.9 * MAX_PARTS + 0.1)))
    count = min(MAX_PARTS, max(2, math.ceil((long - 0.1 * length) / (0.9 * length))))
    starts = [round(number * (long - length) / (count - 1)) for number in range(count)]
    if height >= width:
        return [(0, start, width, start + length) for start in starts]
    return [(start, 0, start + length, height) for start in starts]
