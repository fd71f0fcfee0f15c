# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "attachment-staging[all]",
#     "discord.py>=2.5",
#     "audioop-lts; python_version >= '3.13'",
#     "anthropic>=0.80",
# ]
# [tool.uv.sources]
# attachment-staging = { path = "..", editable = true }
# ///
"""A Discord bot that answers when it is mentioned, with what was attached in front of the model.

With no token it plays one message through discord.py on this machine, and prints what Discord would be sent. For real:
`DISCORD_TOKEN=... uv run examples/discord_bot.py`. The answer is an echo unless ANTHROPIC_API_KEY is set, token or
none. The bot reads only messages that mention it, so it needs no privileged intent. It takes the files of a message
that is replied to, asks Discord for new links in place of expired ones, and says so when it cannot store files.
"""

import argparse
import asyncio
import logging
import os
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any

from quickstart import SCRIPT, picture  # real files to serve

from staging import AttachmentStage, StagingArea, WorkspaceError, llm
from staging.testing import FakeCDN

try:
    import aiohttp  # discord.py is built on it
    import discord
    from discord.ext import commands
except ImportError:
    sys.exit("discord_bot: the SDK is missing: pip install discord.py")

log = logging.getLogger("bot")
Model = Callable[[str, AttachmentStage], Awaitable[str]]


async def echo(question: str, stage: AttachmentStage) -> str:
    """Answer with what a model would be asked."""
    return f"I was asked: {question}\n\n{stage.context(urls='hide')}"


@asynccontextmanager
async def claude() -> AsyncIterator[Model]:
    """Let Claude answer, which sees pictures, PDFs and text files; one client serves all messages."""
    try:
        import anthropic  # noqa: PLC0415  # only who asks it needs it
    except ImportError:
        sys.exit("discord_bot: ANTHROPIC_API_KEY is set, but the SDK is missing: pip install anthropic")

    async with anthropic.AsyncAnthropic() as client:

        async def answer(question: str, stage: AttachmentStage) -> str:
            content: list[Any] = [*await llm.anthropic_blocks(stage), {"type": "text", "text": question}]
            try:
                message = await client.messages.create(
                    model="claude-sonnet-5-5", max_tokens=600, messages=[{"role": "user", "content": content}]
                )
            except anthropic.AnthropicError as error:  # whoever asked shall hear of it
                return f"The model could not be asked ({type(error).__name__})."
            return "".join(block.text for block in message.content if block.type == "text")

        yield answer


class Answers(commands.Cog):
    """Answers each message that mentions the bot."""

    def __init__(self, bot: commands.Bot, area: StagingArea, model: Model) -> None:
        self.bot, self.area, self.model = bot, area, model

    @commands.Cog.listener()
    async def on_message(self, message: discord.Message) -> None:
        """Type while the files come and the model thinks, then reply."""
        if message.author.bot or self.bot.user not in message.mentions:
            return
        async with message.channel.typing():
            text = await self.answer(message)
        await message.reply(text, allowed_mentions=discord.AllowedMentions.none())  # a model may write @everyone

    async def answer(self, message: discord.Message) -> str:
        """Return the reply; the files are gone by then."""
        question = re.sub(r"<@!?\d+>", "", message.content).strip() or "What is this?"  # models refuse the empty text
        sources = [message]
        if message.reference and isinstance(message.reference.resolved, discord.Message):
            sources.append(message.reference.resolved)  # the files of the message that is replied to
        try:
            async with self.area.stage(max_mb=20, label=f"channel {message.channel.id}", refresh=self.refresh) as stage:
                await stage.download(sources, timeout=30)
                answer = await self.model(question, stage)
                notice = stage.notice()
        except WorkspaceError as error:  # a full disk, say: who asked hears of it, and the log says why
            log.error("No files can be staged: %s", error)  # noqa: TRY400  # the line says it all
            return "I cannot look at files at the moment. Please try again later."
        return f"{answer[:1500]}\n\n{notice[:400]}".strip()  # Discord takes 2,000 characters

    async def refresh(self, urls: Sequence[str]) -> dict[str, str]:
        """Ask Discord for new links in place of expired ones; it takes fifty at once."""
        fresh: dict[str, str] = {}
        for start in range(0, len(urls), 50):
            route = discord.http.Route("POST", "/attachments/refresh-urls")
            links = await self.bot.http.request(route, json={"attachment_urls": list(urls[start : start + 50])})
            fresh |= {link["original"]: link["refreshed"] for link in links["refreshed_urls"]}
        return fresh


@asynccontextmanager
async def ready(area: StagingArea, model: AbstractAsyncContextManager[Model]) -> AsyncIterator[commands.Bot]:
    """Open the area and the model for as long as the bot lives; when it ends, no file of any message is left."""
    bot = commands.Bot(command_prefix=(), intents=discord.Intents.default())
    async with area, model as answer, bot:
        await bot.add_cog(Answers(bot, area, answer))
        yield bot


async def serve(token: str, temp_dir: str | None, model: AbstractAsyncContextManager[Model]) -> None:
    """Answer until somebody ends the process."""
    async with ready(StagingArea(temp_dir), model) as bot:
        await bot.start(token)


USER = {"id": "1", "username": "bot", "discriminator": "0", "avatar": None, "bot": True}
PERSON = {"id": "2", "username": "ann", "discriminator": "0", "avatar": None}
APPLICATION = {
    "id": "1", "name": "bot", "description": "", "icon": None, "bot_public": True, "bot_require_code_grant": False,
    "owner": PERSON, "verify_key": "",
}  # fmt: skip
MESSAGE = {
    "id": "5", "type": 0, "channel_id": "4", "author": PERSON, "content": "<@1> What does this do?", "attachments": [],
    "embeds": [], "mentions": [USER], "mention_roles": [], "mention_everyone": False, "pinned": False, "tts": False,
    "timestamp": "2026-01-01T00:00:00+00:00", "edited_timestamp": None, "flags": 0, "components": [],
}  # fmt: skip


async def discord_api(route: discord.http.Route, **options: Any) -> Any:
    """Stand in for Discord: print what it is sent, and answer as it does."""
    sent = options.get("json", {}).get("content", "")
    print(f"{route.method} {route.url.removeprefix(route.BASE)}{': ' * bool(sent)}{sent}")
    return {"/users/@me": USER, "/oauth2/applications/@me": APPLICATION}.get(route.path, MESSAGE)


async def offline(temp_dir: str | None, model: AbstractAsyncContextManager[Model]) -> None:
    """Let a bot log in, get a message with three attachments (one of them deleted), answer it, and close."""
    async with FakeCDN() as cdn, ready(StagingArea(temp_dir, policy=cdn.policy), model) as bot:
        bot.http.request = discord_api  # type: ignore[method-assign]  # no network from here on
        await bot.login("offline")
        urls = cdn.file("greet.py", SCRIPT), cdn.file("sunset.png", picture()), cdn.url("/deleted.txt")
        attachments = [
            {"id": "9", "filename": url.rpartition("/")[2], "size": 999, "url": url, "proxy_url": url} for url in urls
        ]
        state: Any = bot._connection  # noqa: SLF001  # the gateway's door, through which messages come
        guild = discord.Guild(data={"id": "3"}, state=state)  # type: ignore[typeddict-item]  # all that matters of it
        data: Any = {"id": "4", "type": 0, "name": "general", "position": 0, "permission_overwrites": []}
        channel = discord.TextChannel(state=state, guild=guild, data=data)
        payload: Any = {**MESSAGE, "attachments": attachments}
        answers = bot.get_cog("Answers")
        assert isinstance(answers, Answers)
        await answers.on_message(discord.Message(state=state, channel=channel, data=payload))


def main() -> None:
    """Run for real with a token, and offline without."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--temp-dir", metavar="DIR", help="where files are staged; by default the system's")
    temp_dir = parser.parse_args().temp_dir
    logging.basicConfig(format="%(message)s", stream=sys.stdout)
    logging.getLogger("discord.client").setLevel(logging.ERROR)  # it warns that it cannot speak
    logging.getLogger("staging").setLevel(logging.INFO)
    model = claude() if os.environ.get("ANTHROPIC_API_KEY") else nullcontext(echo)
    token = os.environ.get("DISCORD_TOKEN")
    asyncio.run(serve(token, temp_dir, model) if token else offline(temp_dir, model))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:  # how one ends a bot; by now it has closed
        sys.exit(130)
    except (discord.DiscordException, aiohttp.ClientError, OSError) as error:  # a WorkspaceError is an OSError
        sys.exit(f"discord_bot: {error}")
