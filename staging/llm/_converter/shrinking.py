"""Make large pictures small in little memory.

A colour copy of all pixels is never held.
"""

import importlib
from typing import Any

_BAND = 512  # rows that are converted at once
_DEEP = {"I", "I;16", "I;16B", "I;16L", "I;16N", "F"}


def shrunk(image: Any, size: tuple[int, int]) -> Any:
    """Return the picture in `size`, in a mode whose pixels can be averaged.

    Alpha is kept, and colours do not change.
    """
    image.load()
    if image.mode in {"1", "P", "PA"} or image.mode in _DEEP or "transparency" in image.info:
        info, image = image.info, _converted(image, max(1, min(image.width // size[0], image.height // size[1])))
        image.info = {key: value for key, value in info.items() if key != "transparency"}
    if image.size == size:
        return image
    made = image.resize(size, importlib.import_module("PIL.Image").Resampling.BICUBIC, reducing_gap=2.0)
    made.info = image.info
    return made


def _converted(image: Any, factor: int) -> Any:
    """Convert it band by band, each reduced by a whole factor at once.

    A band ends where a reduced row ends.
    """
    mode, scale = _mode_of(image), _scale_of(image)
    pil: Any = importlib.import_module("PIL.Image")
    made = pil.new(mode, (-(-image.width // factor), -(-image.height // factor)))
    rows = max(1, _BAND // factor) * factor
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(image.height, top + rows)))
        if image.mode in _DEEP:
            band = band.convert("F").point(lambda level: level * scale[0] + scale[1])
        band.info = image.info  # a palette's or a colour's transparency
        band = band.convert(mode)
        made.paste(band.reduce(factor) if factor > 1 else band, (0, top // factor))
    exif = image.getexif()
    if exif:
        made.info["exif"] = exif.tobytes()
    return made


def _mode_of(image: Any) -> str:
    if image.mode == "PA" or "transparency" in image.info:
        return "RGBA"
    return "RGB" if image.mode == "P" else "L"


def _scale_of(image: Any) -> tuple[float, float]:
    """Return factor and offset by which deep levels become 0 to 255.

    16 bits count as such. Wider levels, and fractions, have no white of their own: their extremes are taken.
    """
    if image.mode not in _DEEP:
        return 1.0, 0.0
    if image.mode.startswith("I;16"):
        return 255 / 65_535, 0.0
    low, high = image.getextrema()
    if image.mode == "I" and low >= 0 and high <= 65_535:
        return (255 / 65_535 if high > 255 else 1.0), 0.0
    factor = 255 / (high - low) if high > low else 0.0
    return factor, -low * factor
