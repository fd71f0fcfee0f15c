"""Law: a safe name is no Windows device name, with or without extension."""

import re

from hypothesis import given
from hypothesis import strategies as st
from strategies import DEVICES, claims, fallbacks

from staging._claims.filenames import safe_name

DEVICE = re.compile(r"(?:CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|CLOCK\$|(?:COM|LPT)[0-9¹²³])\Z")


def is_device(name):
    return DEVICE.match(name.split(".")[0].split(":")[0].rstrip(" ").upper())


@given(claims, fallbacks)
def test_no_device(claim, fallback):
    assert not is_device(safe_name(claim, fallback=fallback))


@given(
    st.text(" .-~/\u200b\n", max_size=4),
    st.sampled_from(DEVICES),
    st.text(" .:\u200b\xa0", max_size=4),
    st.sampled_from(("", ".png", ".tar.gz", "." * 200 + "png", " " * 200)),
)
def test_no_device_in_any_disguise(before, device, after, extension):
    assert not is_device(safe_name(before + device + after + extension))
