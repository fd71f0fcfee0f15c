"""The hand-off: from staged files to what a language model can read. Plain text and plain dicts; no SDK is imported."""

from staging.llm.blocks import anthropic_blocks as anthropic_blocks
from staging.llm.blocks import openai_blocks as openai_blocks
from staging.llm.blocks import openai_chat_blocks as openai_chat_blocks
from staging.llm.prompt import prompt as prompt

__all__ = ["anthropic_blocks", "openai_blocks", "openai_chat_blocks", "prompt"]
