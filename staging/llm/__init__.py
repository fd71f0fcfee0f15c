"""The hand-off: from staged files to what a language model can read. Plain text and plain dicts; no SDK is imported.

`prompt` gives one text, for any model; the others give content blocks for an API: text, pictures and PDFs. Each names
every attachment, with its contents or the reason why they are missing. All take an open `AttachmentStage`::

    content = [*await llm.anthropic_blocks(stage), {"type": "text", "text": question}]

Contents of PDFs, spreadsheets and pictures of other formats take the extras ``pdf``, ``office``, ``images`` and
``heif``: ``pip install 'attachment-staging[pdf,office,images,heif]'``.
"""

from staging.llm.blocks import anthropic_blocks as anthropic_blocks
from staging.llm.blocks import openai_blocks as openai_blocks
from staging.llm.blocks import openai_chat_blocks as openai_chat_blocks
from staging.llm.prompt import prompt as prompt

__all__ = ["anthropic_blocks", "openai_blocks", "openai_chat_blocks", "prompt"]
