"""Colours as a screen shows them: sRGB, and a background on which what is drawn can be seen."""

import contextlib
import importlib
import io
from typing import Any

_GROUNDS = {"white": 255, "black": 0, "grey": 128}
_NEAR = 64  # levels of 256: so near to the background, a pixel is hardly seen


def to_srgb(image: Any, profile: bytes | None) -> Any:
    """Return the picture in sRGB, as L, RGB, LA or RGBA; itself if it is."""
    made = _by_profile(image, profile) if profile else image
    if made.mode in {"1", "P"} and made is image:
        return image
    if made.mode in {"L", "RGB", "LA", "RGBA"}:
        return made
    if made.mode in {"La", "RGBa", "PA"}:
        return made.convert("RGBA")
    return made.convert("RGB")


def _by_profile(image: Any, profile: bytes) -> Any:
    """Convert from the file's own profile (ICC.1); a profile that cannot be used is as good as none."""
    with contextlib.suppress(Exception):
        cms: Any = importlib.import_module("PIL.ImageCms")
        own = cms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in cms.getProfileDescription(own).lower():
            return image
        alpha = image.getchannel("A") if image.mode in {"RGBA", "LA"} else None
        flat = image.convert({"LA": "L", "RGBA": "RGB", "P": "RGB"}.get(image.mode, image.mode))
        made = cms.profileToProfile(flat, own, cms.createProfile("sRGB"), outputMode="RGB")
        if alpha is not None:
            made.putalpha(alpha)
        return made
    return image


def opaque(image: Any) -> tuple[Any, str]:
    """Return the picture without transparency, and the background that it was laid on; none if it was opaque.

    A viewer's background is not known: white words on nothing would be lost on white, black ones on black. It is laid
    on the one from which most of its pixels stand out.
    """
    if image.mode not in {"LA", "RGBA"}:
        return image, ""
    alpha = image.getchannel("A")
    plain = "L" if image.mode == "LA" else "RGB"
    if alpha.getextrema()[0] == 255:
        return image.convert(plain), ""
    levels = image.convert("RGBA").convert("RGB").convert("L").histogram(alpha.point(lambda level: 255 * (level > 32)))
    hidden = {name: sum(levels[max(0, at - _NEAR) : at + _NEAR + 1]) for name, at in _GROUNDS.items()}
    ground = min(_GROUNDS, key=lambda name: hidden[name])  # the first of equals: white
    made = importlib.import_module("PIL.Image").new("RGB", image.size, (_GROUNDS[ground],) * 3)
    made.paste(image.convert("RGB"), mask=alpha)
    return made, ground
