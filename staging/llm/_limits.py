"""What the providers take, in one table. Every number has its source; all were looked up in 2026-11.

A request over a limit is answered 400, and since the attachment stays in the conversation, so is every later one.
Where two sources differ, the smaller number stands here: it is right on every platform.
"""

from dataclasses import dataclass

from staging._models import MB


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """The limits of one API.

    Attributes:
        image_types: media types that are taken as they are.
        moving_gif: whether a GIF may have more than one frame.
        max_image_bytes: raw bytes of one image.
        max_side: pixels of an image's longer side.
        max_images: images in one request.
        many_images: above this number of images, `max_side_of_many` counts instead of `max_side`.
        max_side_of_many: pixels, see `many_images`.
        max_pdf_bytes: raw bytes of one PDF.
        max_pdf_pages: pages of all PDFs of one request.
        max_inline_bytes: raw bytes of all images and PDFs of one request.
    """

    image_types: frozenset[str]
    moving_gif: bool
    max_image_bytes: int
    max_side: int
    max_images: int
    many_images: int
    max_side_of_many: int
    max_pdf_bytes: int
    max_pdf_pages: int
    max_inline_bytes: int


SCALED_SIDE = 2000
"""Pixels of the longer side once an image is converted at all: Anthropic takes that at any number of images and shows
the model no more than 1,568 to 2,576 pixels, OpenAI 2,048, so little that a model could see is lost."""

SCALED_BYTES = 5 * MB * 3 // 4
"""Raw bytes of an image that was converted: what every provider takes, and enough for `SCALED_SIDE`."""

WEB_IMAGES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})

ANTHROPIC = Provider(
    # https://platform.claude.com/docs/en/build-with-claude/vision ("General limits"): the types; 8000 x 8000 px, or
    # 2000 x 2000 px with more than 20 images; 100 images with a 200k context (600 with larger ones).
    image_types=WEB_IMAGES,
    moving_gif=True,  # the first frame is used
    max_side=8000,
    max_images=100,
    many_images=20,
    max_side_of_many=2000,
    # 5 MB an image, counted on the base64 text: "image exceeds 5 MB maximum: 5272940 bytes > 5242880 bytes"
    # (github.com/daya0576/pi-imessage/issues/5 and many more), so three quarters of it raw.
    max_image_bytes=5 * MB * 3 // 4,
    # https://platform.claude.com/docs/en/build-with-claude/pdf-support: 100 pages, unencrypted, and 32 MB for the whole
    # request; one MB of the raw bytes is left for the rest of the conversation.
    max_pdf_pages=100,
    max_pdf_bytes=32 * MB * 3 // 4 - MB,
    max_inline_bytes=32 * MB * 3 // 4 - MB,
)

OPENAI = Provider(
    # https://developers.openai.com/api/docs/guides/images-vision ("Image input requirements"): PNG, JPEG, WEBP, GIF
    # without animation; 500 images and 50 MB a request; 20 MB an image (Azure, and the earlier page). No pixel limit is
    # stated; 8000 is a choice, since one picture goes to several providers through a gateway.
    image_types=WEB_IMAGES,
    moving_gif=False,
    max_image_bytes=20 * MB * 3 // 4,
    max_side=8000,
    max_images=500,
    many_images=500,
    max_side_of_many=8000,
    # https://developers.openai.com/api/docs/guides/pdf-files: 50 MB a file and for all files of a request. No page
    # limit is stated since 2026; it was 100, and more than 1,000 pages exceed every context.
    max_pdf_bytes=50 * MB * 3 // 4,
    max_pdf_pages=1000,
    max_inline_bytes=50 * MB * 3 // 4,
)
