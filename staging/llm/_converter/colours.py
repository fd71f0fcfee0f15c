"""Give colours as a screen shows them.

A picture becomes sRGB, and gets a background on which it can be seen.
"""

import contextlib
import importlib
import io
from typing import Any

_GROUNDS = {"white": 255, "black": 0, "grey": 128}
_NEAR = 64  # levels of 256: so near to the background, a pixel is hardly seen


def to_srgb(image: Any, profile: bytes | None) -> Any:
    """Return the picture in sRGB.

    Its mode is L, RGB, LA or RGBA. A picture that is already so is returned itself.
    """
    made = image
    if profile:
        with contextlib.suppress(Exception):  # a profile that cannot be used is ignored (ICC.1)
            cms: Any = importlib.import_module("PIL.ImageCms")
            own = cms.ImageCmsProfile(io.BytesIO(profile))
            if "srgb" not in cms.getProfileDescription(own).lower():
                flat = image.convert({"LA": "L", "RGBA": "RGB", "P": "RGB"}.get(image.mode, image.mode))
                made = cms.profileToProfile(flat, own, cms.createProfile("sRGB"), outputMode="RGB")
            if made is not image and image.mode in {"RGBA", "LA"}:
                made.putalpha(image.getchannel("A"))
    if made.mode in {"1", "P"} and made is image:
        return image
    if made.mode in {"L", "RGB", "LA", "RGBA"}:
        return made
    if made.mode in {"La", "RGBa", "PA"}:
        return made.convert("RGBA")
    return made.convert("RGB")


def seen(image: Any) -> tuple[Any, str]:
    """Return the picture so that it can be seen, and its background.

    The background is empty if the picture was not laid on one.

    A transparent picture stays so if it can be read on white, which most viewers have. White words on nothing would be
    lost there. They are laid on the background from which most of the pixels stand out. An opaque picture has no alpha.
    """
    if image.mode not in {"LA", "RGBA"}:
        return image, ""
    alpha = image.getchannel("A")
    if alpha.getextrema()[0] == 255:
        return image.convert("L" if image.mode == "LA" else "RGB"), ""
    ground = ground_of(image)
    return (image, "") if ground == "white" else (laid_on(image, ground), ground)


def ground_of(image: Any) -> str:
    """Return the background that hides the fewest visible pixels.

    It is white when no other loses fewer.
    """
    image = image.convert("RGBA")
    visible = image.getchannel("A").point([255 * (level > 32) for level in range(256)])
    levels = image.convert("RGB").convert("L").histogram(visible)
    lost = {name: sum(levels[max(0, at - _NEAR) : at + _NEAR + 1]) for name, at in _GROUNDS.items()}
    return min(_GROUNDS, key=lambda name: lost[name])


def laid_on(image: Any, ground: str) -> Any:
    """Return the picture on a background."""
    image = image.convert("RGBA")
    made = importlib.import_module("PIL.Image").new("RGB", image.size, (_GROUNDS[ground],) * 3)
    made.paste(image.convert("RGB"), mask=image.getchannel("A"))
    return made
