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
    mode = "RGBA" if image.mode == "PA" or "transparency" in image.info else "RGB" if image.mode == "P" else "L"
    scale, offset = 255 / 65_535, 0.0  # of levels of 16 bits
    if image.mode in {"I", "F"}:  # wider levels, and fractions, have no white of their own: their extremes are taken
        low, high = image.getextrema()
        if image.mode == "I" and low >= 0 and high <= 65_535:
            scale = scale if high > 255 else 1.0
        else:
            scale = 255 / (high - low) if high > low else 0.0
            offset = -low * scale
    pil: Any = importlib.import_module("PIL.Image")
    made = pil.new(mode, (-(-image.width // factor), -(-image.height // factor)))
    rows = max(1, _BAND // factor) * factor
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(image.height, top + rows)))
        if image.mode in _DEEP:
            band = band.convert("F").point(lambda level: level * scale + offset)
        band.info = image.info  # a palette's or a colour's transparency
        band = band.convert(mode)
        made.paste(band.reduce(factor) if factor > 1 else band, (0, top // factor))
    exif = image.getexif()
    if exif:
        made.info["exif"] = exif.tobytes()
    return made
