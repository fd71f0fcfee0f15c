"""Describe what providers take, with one preset for each API.

A request over a limit is answered 400. The attachment stays in the conversation, so every later request fails too.
Where two sources differ, the smaller number stands here, because it is right on every platform. All numbers were looked
up in 2026-11. Bytes are raw, which is three quarters of what an API says of base64.
"""

from dataclasses import dataclass, fields, replace
from typing import Literal, get_args

from staging._models import MB
from staging._text import one_line

PdfForm = Literal["file", "text", "images"]

PDF = "application/pdf"

_RAW = 3 / 4  # of base64
_COUNTS = ("max_images", "many_images", "max_pdf_pages")
_TYPES = ("image_types", "audio_types", "video_types", "document_types")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderLimits:
    """Says what one API takes in one request.

    `dataclasses.replace` makes your own limits from a preset.

    A conversation that already holds 12 pictures is ``replace(llm.ANTHROPIC, max_images=88)``. A model that takes no
    sound is ``replace(llm.OPENAI_CHAT, audio_types=frozenset())``. Every ``max_`` is inclusive.

    Args:
        image_types: media types of pictures that are taken as they are; others are converted.
        moving_gif: whether a GIF may have more than one frame.
        max_images: pictures in one request, pages of a PDF shown as pictures included.
        max_image_bytes: raw bytes of one picture.
        max_image_side: pixels of a picture's longer side.
        max_image_patches: squares of 32 x 32 pixels that cover a picture. None means that the API does not count them.
        many_images: above this number of pictures, `max_side_of_many` holds for each.
        max_side_of_many: pixels of the longer side, see `many_images`.
        image_side: pixels of the longer side to which larger pictures are scaled. What a model sees is no larger.
        pdf: how a PDF is given: as a ``file``, as its ``text``, or as ``images`` of its pages.
        max_pdf_pages: pages of all PDFs of one request.
        max_pdf_bytes: raw bytes of one PDF.
        audio_types: media types of sound that is taken.
        video_types: media types of video that is taken.
        document_types: media types besides PDF that are given as files. Without them, their text is shown.
        max_file_bytes: raw bytes of one sound, video or document.
        max_request_bytes: raw bytes of everything that is no text in one request.

    Raises:
        ValueError: if a value is nonsense, naming the field.
    """

    image_types: frozenset[str]
    moving_gif: bool
    max_images: int
    max_image_bytes: int
    max_image_side: int
    max_image_patches: int | None = None
    many_images: int
    max_side_of_many: int
    image_side: int
    pdf: PdfForm
    max_pdf_pages: int
    max_pdf_bytes: int
    audio_types: frozenset[str] = frozenset()
    video_types: frozenset[str] = frozenset()
    document_types: frozenset[str] = frozenset()
    max_file_bytes: int
    max_request_bytes: int

    def __post_init__(self) -> None:
        moving: object = self.moving_gif  # a caller without a type checker may pass anything
        if self.pdf not in get_args(PdfForm):
            raise ValueError(f"pdf must be 'file', 'text' or 'images', not {one_line(repr(self.pdf), limit=60)}")
        if not isinstance(moving, bool):
            shown = one_line(repr(moving), limit=60)
            raise ValueError(f"moving_gif must be True or False, not {shown}")  # noqa: TRY004  # as for every field
        for name in _TYPES:
            object.__setattr__(self, name, _media_types(name, getattr(self, name)))
        if not self.image_types & _WRITTEN:
            raise ValueError("image_types must hold image/png or image/jpeg: pictures are converted to these")
        for field in fields(self):
            if field.name.startswith(("max_", "many_")) or field.name == "image_side":
                self._require_count(field.name, getattr(self, field.name))

    def _require_count(self, name: str, value: object) -> None:
        if name == "max_image_patches" and value is None:
            return
        least = 0 if name in _COUNTS or name.endswith("_bytes") else 1
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ValueError(f"{name} must be a whole number from {least}, not {one_line(repr(value), limit=60)}")

    def side_of(self, images: int) -> int:
        """Return how many pixels a picture's longer side may have.

        Above `many_images` pictures in a request, it may be fewer.

        Args:
            images: how many there are.
        """
        return self.max_image_side if images <= self.many_images else min(self.max_image_side, self.max_side_of_many)


_WRITTEN = frozenset({"image/png", "image/jpeg"})  # what pictures are converted to


def _media_types(name: str, value: object) -> frozenset[str]:
    """Return the types as a frozen set.

    A single text is refused, since its letters would be taken for types.
    """
    kind = "image" if name == "image_types" else name.removesuffix("_types")
    if isinstance(value, str) or not isinstance(value, set | frozenset | list | tuple):
        shown = one_line(repr(value), limit=60)
        raise ValueError(f"{name} must be a set of media types, not {shown}")  # noqa: TRY004  # as for every field
    for each in value:
        right = isinstance(each, str) and each.count("/") == 1 and (kind == "document" or each.startswith(f"{kind}/"))
        if not right:
            raise ValueError(f"{name} must hold media types such as {kind}/..., not {one_line(repr(each), limit=60)}")
    return frozenset(value)


WEB_IMAGES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})

ANTHROPIC = ProviderLimits(
    # https://platform.claude.com/docs/en/build-with-claude/vision ("General limits"): the types; the first frame of a
    # GIF is used; 8000 x 8000 px, or 2000 x 2000 px with more than 20 images; 100 images with a context of 200k.
    image_types=WEB_IMAGES,
    moving_gif=True,
    max_image_side=8000,
    max_images=100,
    many_images=20,
    max_side_of_many=2000,
    # 10 MB of base64 an image on the API itself, 5 MB on other platforms and by its error messages: "image exceeds 5 MB
    # maximum: 5272940 bytes > 5242880 bytes" (github.com/daya0576/pi-imessage/issues/5 and many more).
    max_image_bytes=int(5 * MB * _RAW),
    # The same page: models see 1,568 to 2,576 px. 2,000 is taken whatever the number of images.
    image_side=2000,
    # https://platform.claude.com/docs/en/build-with-claude/pdf-support: 100 pages, unencrypted, and 32 MB for the whole
    # request. One MB of the raw bytes is left for the rest of the conversation.
    pdf="file",
    max_pdf_pages=100,
    max_pdf_bytes=int(32 * MB * _RAW) - MB,
    max_file_bytes=int(32 * MB * _RAW) - MB,
    max_request_bytes=int(32 * MB * _RAW) - MB,
)
"""Anthropic's Messages API, for every model: 100 pictures and 100 pages."""

ANTHROPIC_LONG = replace(
    # The same pages: 600 images and 600 pages where the context is larger than 200k tokens.
    ANTHROPIC,
    max_images=600,
    max_pdf_pages=600,
)
"""Anthropic's models with a context of a million tokens: 600 pictures and 600 pages."""

BEDROCK = replace(
    # https://platform.claude.com/docs/en/api/overview ("Request size limits"): 20 MB a request on Amazon Bedrock.
    # https://docs.aws.amazon.com/bedrock/latest/userguide/inference-api-restrictions.html: 4.5 MB a document; its API
    # reference (ImageBlock, ContentBlock): 20 images of 3.75 MB and 8,000 px in a message.
    ANTHROPIC,
    max_images=20,
    max_pdf_bytes=int(4.5 * MB),
    max_file_bytes=int(4.5 * MB),
    max_request_bytes=int(20 * MB * _RAW) - MB,
)
"""Anthropic's models on Amazon Bedrock, which takes smaller requests."""

OPENAI = ProviderLimits(
    # https://developers.openai.com/api/docs/guides/images-vision ("Image input requirements"): PNG, JPEG, WEBP, GIF
    # without animation; 500 images and 50 MB a request; 20 MB an image (Azure, and the earlier page). 30,000 patches of
    # 32 px, else 400 "requires 35721 patches after processing, exceeding the limit of 30000"
    # (github.com/NousResearch/hermes-agent/pull/106186, 2026-09). No side is stated; 8000 is a choice.
    image_types=WEB_IMAGES,
    moving_gif=False,
    max_image_bytes=int(20 * MB * _RAW),
    max_image_side=8000,
    max_image_patches=30_000,
    max_images=500,
    many_images=500,
    max_side_of_many=8000,
    # The same page ("Model sizing behavior"): high detail is scaled to fit 2,048 px.
    image_side=2048,
    # https://developers.openai.com/api/docs/guides/pdf-files: 50 MB a file and for all files of a request. No page
    # limit is stated since 2026; it was 100, and more than 1,000 pages exceed every context.
    pdf="file",
    max_pdf_pages=1000,
    max_pdf_bytes=int(50 * MB * _RAW),
    max_file_bytes=int(50 * MB * _RAW),
    max_request_bytes=int(50 * MB * _RAW),
)
"""OpenAI's Responses API.

https://developers.openai.com/api/docs/guides/file-inputs: it also takes office documents as files and reads their words
without pictures; `OPENAI_DOCUMENTS` names them, for ``replace(llm.OPENAI, document_types=llm.OPENAI_DOCUMENTS)``.
"""

_OFFICE = "application/vnd.openxmlformats-officedocument."
OPENAI_DOCUMENTS = frozenset(
    {
        "application/msword",
        "application/rtf",
        "application/vnd.ms-excel",
        "application/vnd.ms-powerpoint",
        "application/vnd.oasis.opendocument.text",
        _OFFICE + "presentationml.presentation",
        _OFFICE + "spreadsheetml.sheet",
        _OFFICE + "wordprocessingml.document",
        "text/rtf",
    }
)
"""The media types of documents that OpenAI's Responses API takes as files (the page above, "Accepted file types")."""

OPENAI_CHAT = replace(
    # https://developers.openai.com/api/docs/guides/audio: `input_audio` of the formats wav and mp3, for models that
    # hear; the SDK's type (ChatCompletionContentPartInputAudioParam) knows the same two.
    OPENAI,
    audio_types=frozenset({"audio/mpeg", "audio/wav"}),
)
"""OpenAI's Chat Completions. Only its audio models hear; for others take `audio_types` out."""

COMPATIBLE = replace(
    # vLLM and Ollama refuse parts of type ``file`` (github.com/vllm-project/vllm/issues/46562, and by their sources),
    # llama.cpp decodes no WebP. Numbers are choices: what a local model's context holds.
    OPENAI,
    image_types=frozenset({"image/jpeg", "image/png"}),
    max_images=20,
    many_images=20,
    image_side=1536,
    max_image_bytes=5 * MB,
    pdf="text",
    max_request_bytes=int(20 * MB * _RAW),
)
"""Servers that speak Chat Completions (vLLM, Ollama, LM Studio, llama.cpp): text and pictures, a PDF as its text."""

GEMINI = ProviderLimits(
    # https://ai.google.dev/gemini-api/docs/image-understanding: the types, and 3,600 files a request; 3,000 pictures,
    # scaled to fit 3,072 px, by https://firebase.google.com/docs/ai-logic/input-file-requirements. 7 MB an inline
    # picture by https://docs.cloud.google.com/vertex-ai/generative-ai/docs/multimodal/image-understanding. No side is
    # stated; 8000 is a choice.
    image_types=frozenset({"image/heic", "image/heif", "image/jpeg", "image/png", "image/webp"}),
    moving_gif=False,
    max_images=3000,
    max_image_bytes=7 * MB,
    max_image_side=8000,
    many_images=3000,
    max_side_of_many=8000,
    image_side=3072,
    # https://ai.google.dev/gemini-api/docs/document-processing: 1,000 pages, and 50 MB a PDF.
    pdf="file",
    max_pdf_pages=1000,
    max_pdf_bytes=int(50 * MB * _RAW),
    # https://ai.google.dev/gemini-api/docs/audio ("Supported audio formats"), .../docs/video-understanding.
    audio_types=frozenset({"audio/aac", "audio/aiff", "audio/flac", "audio/mpeg", "audio/ogg", "audio/wav"}),
    video_types=frozenset(
        {
            "video/3gpp",
            "video/mp4",
            "video/mpeg",
            "video/quicktime",
            "video/webm",
            "video/x-flv",
            "video/x-ms-wmv",
            "video/x-msvideo",
        }
    ),
    # https://ai.google.dev/gemini-api/docs/file-input-methods: 100 MB of inline data a request. The page on audio still
    # says 20 MB, the earlier number; it holds everywhere.
    max_file_bytes=int(20 * MB * _RAW) - MB,
    max_request_bytes=int(20 * MB * _RAW) - MB,
)
"""Google's Gemini API: pictures, PDF, sound and video inline. `uploaded` takes what is larger."""
