"""What a caller wants: judged by the claim before anything is asked for, and by the bytes when they are there."""

from pathlib import Path

import pytest

from staging._claims.accepted import Accepted
from staging._models import Attachment, StagedFile

URL = "https://example.com/"


def staged(media_type, claimed=None, name="x"):
    attachment = Attachment(f"{URL}{name}", name=name, media_type=claimed)
    return StagedFile(attachment=attachment, name=name, path=Path("/x"), size=1, media_type=media_type)


@pytest.mark.parametrize(
    ("accept", "claims", "excluded"),
    [
        (["image/*"], {"media_type": "image/png"}, False),
        (["image/*"], {"media_type": "IMAGE/PNG; x=y"}, False),
        (["image/*"], {"media_type": "application/pdf"}, True),
        (["image/*"], {"media_type": "application/pdf", "name": "a.png"}, True),  # the type goes before the extension
        (["image/*"], {"media_type": "application/octet-stream", "name": "a.png"}, False),  # it says nothing
        (["image/*"], {"media_type": "application/octet-stream", "name": "a.pdf"}, True),
        (["image/*"], {"name": "a.pdf"}, True),
        (["image/*"], {"name": "a.PNG"}, False),
        (["image/*"], {"name": "README"}, False),  # nothing is known: the bytes will tell
        (["image/*"], {"name": "a.unheard-of"}, False),
        (["image/*"], {"url": f"{URL}a.pdf?x=.png"}, True),
        (["image/*"], {"url": f"{URL}a"}, False),
        (["image/jpeg"], {"media_type": "image/jpg"}, False),  # two names of one thing
        (["image/jpg"], {"media_type": "image/jpeg"}, False),
        (["audio/*"], {"media_type": "audio/mp4"}, False),
        (["application/pdf", "image/*"], {"name": "a.pdf"}, False),
        (["APPLICATION/PDF"], {"name": "a.pdf"}, False),
        (["image/*"], {"media_type": "imagery/png"}, True),
        (["*/*"], {"media_type": "application/pdf"}, False),
        ([], {"media_type": "application/pdf"}, True),
    ],
)
def test_a_claim_is_judged_before_anything_is_asked_for(accept, claims, excluded):
    assert Accepted(accept).excludes(Attachment(**{"url": URL, **claims})) is excluded


@pytest.mark.parametrize(
    ("accept", "file", "admitted"),
    [
        (["image/*"], staged("image/png"), True),
        (["image/*"], staged("image/png", "application/pdf"), True),
        (["image/*"], staged("text/html", "image/png"), False),
        (["image/*"], staged("application/octet-stream", "image/png"), False),
        (["image/*"], staged("text/plain"), False),
        (["text/csv"], staged("text/plain", "text/csv"), True),  # the bytes cannot show it
        (["text/csv"], staged("text/plain", name="a.csv"), True),
        (["text/csv"], staged("text/plain"), False),
        (["audio/*"], staged("video/mp4", "audio/mp4"), True),
        (["audio/*"], staged("video/mp4"), False),
        (["*/*"], staged("application/octet-stream"), True),
        ([], staged("text/plain"), False),
    ],
)
def test_the_bytes_are_judged_when_they_are_there(accept, file, admitted):
    assert Accepted(accept).admits(file) is admitted


@pytest.mark.parametrize("wrong", ["image/*", b"image/*", [5], [None], 5])
def test_what_is_no_list_of_texts_is_a_type_error(wrong):
    with pytest.raises(TypeError):
        Accepted(wrong)


@pytest.mark.parametrize(
    "wrong", ["image", "png", "", "*", "*/png", "image/", "/png", "image/png/x", "im age/png", ".png"]
)
def test_what_is_no_media_type_is_a_value_error_that_names_it(wrong):
    with pytest.raises(ValueError, match="accept: "):
        Accepted(["image/png", wrong])
