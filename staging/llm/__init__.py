"""Turn staged files into what a language model can read.

The results are plain text and plain dicts. No SDK is imported.

`parts` gives one neutral list of everything that was attached. The other functions give it another form. `prompt` gives
one text for any model. `anthropic_blocks`, `openai_blocks`, `openai_chat_blocks` and `gemini_parts` give the content of
a message. `uploaded` gives a scope in which the provider's Files API holds the files. Each names every attachment, with
its contents or the reason why they are missing. All take an open `AttachmentStage`::

    content = [*await llm.anthropic_blocks(stage), {"type": "text", "text": question}]

Contents of documents and pictures take extras: ``pip install 'attachment-staging[all]'``.
"""

from types import FunctionType

from staging.llm._values import AudioPart as AudioPart
from staging.llm._values import DocumentPart as DocumentPart
from staging.llm._values import ImagePart as ImagePart
from staging.llm._values import Parts as Parts
from staging.llm._values import TextPart as TextPart
from staging.llm._values import Unread as Unread
from staging.llm._values import VideoPart as VideoPart
from staging.llm.limits import ANTHROPIC as ANTHROPIC
from staging.llm.limits import ANTHROPIC_LONG as ANTHROPIC_LONG
from staging.llm.limits import BEDROCK as BEDROCK
from staging.llm.limits import COMPATIBLE as COMPATIBLE
from staging.llm.limits import GEMINI as GEMINI
from staging.llm.limits import OPENAI as OPENAI
from staging.llm.limits import OPENAI_CHAT as OPENAI_CHAT
from staging.llm.limits import OPENAI_DOCUMENTS as OPENAI_DOCUMENTS
from staging.llm.limits import ProviderLimits as ProviderLimits
from staging.llm.parts import parts as parts
from staging.llm.prompt import prompt as prompt
from staging.llm.shapes import anthropic_blocks as anthropic_blocks
from staging.llm.shapes import gemini_parts as gemini_parts
from staging.llm.shapes import openai_blocks as openai_blocks
from staging.llm.shapes import openai_chat_blocks as openai_chat_blocks
from staging.llm.uploads import Uploads as Uploads
from staging.llm.uploads import sweep_uploads as sweep_uploads
from staging.llm.uploads import uploaded as uploaded

__all__ = [
    "ANTHROPIC",
    "ANTHROPIC_LONG",
    "BEDROCK",
    "COMPATIBLE",
    "GEMINI",
    "OPENAI",
    "OPENAI_CHAT",
    "OPENAI_DOCUMENTS",
    "AudioPart",
    "DocumentPart",
    "ImagePart",
    "Parts",
    "ProviderLimits",
    "TextPart",
    "Unread",
    "Uploads",
    "VideoPart",
    "anthropic_blocks",
    "gemini_parts",
    "openai_blocks",
    "openai_chat_blocks",
    "parts",
    "prompt",
    "sweep_uploads",
    "uploaded",
]

for _name in __all__:  # tracebacks, docs and pickles show the public names
    _value = globals()[_name]
    if isinstance(_value, type | FunctionType):
        _value.__module__ = __name__
