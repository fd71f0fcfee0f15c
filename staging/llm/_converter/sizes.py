"""How large a picture is to be, and in how many parts: numbers only."""

import math
from dataclasses import dataclass

_LONG = 3  # times as long as wide: a screenshot of a page or a chat
_LEGIBLE = 0.7  # of its size: smaller, text of a screen cannot be read
_NARROW = 200  # pixels: what is narrower holds no text
_PART = 1.5  # times as long as wide is a part
_MAX_PARTS = 8


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a picture may measure.

    Attributes:
        side: pixels of the longer side.
        pixels: width times height; 0 for no limit.
        patch: pixels a side of a patch.
        patches: of them; 0 for no limit.
    """

    side: int
    pixels: int = 0
    patch: int = 32
    patches: int = 0

    def fit(self, width: int, height: int) -> tuple[int, int]:
        """Return the largest size of the same shape within the bounds, and never a larger one."""
        scale = min(1.0, self.side / max(width, height))
        if self.pixels:
            scale = min(scale, math.sqrt(self.pixels / (width * height)))
        size = _scaled(width, height, scale)
        while self.patches and self._patches(*size) > self.patches:
            scale *= min(0.995, math.sqrt(self.patches / self._patches(*size)))
            size = _scaled(width, height, scale)
        return size

    def _patches(self, width: int, height: int) -> int:
        return -(-width // self.patch) * -(-height // self.patch)


def _scaled(width: int, height: int, scale: float) -> tuple[int, int]:
    if scale >= 1:
        return width, height
    return max(1, math.floor(width * scale)), max(1, math.floor(height * scale))


def parts(size: tuple[int, int], bounds: Bounds) -> list[tuple[int, int, int, int]]:
    """Return the boxes of a long picture's parts, each sharing a tenth with the next; of any other, the whole.

    A box is left, upper, right, lower.
    """
    width, height = size
    short, long = sorted(size)
    fitted = bounds.fit(width, height)
    if long < _LONG * short or short < _NARROW or max(fitted) >= _LEGIBLE * long:
        return [(0, 0, width, height)]
    length = max(math.ceil(_PART * short), math.ceil(long / (0.9 * _MAX_PARTS + 0.1)))
    count = min(_MAX_PARTS, max(2, math.ceil((long - 0.1 * length) / (0.9 * length))))
    starts = [round(number * (long - length) / (count - 1)) for number in range(count)]
    if height >= width:
        return [(0, start, width, start + length) for start in starts]
    return [(start, 0, start + length, height) for start in starts]
