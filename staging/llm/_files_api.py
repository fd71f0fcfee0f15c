"""Call the providers' Files APIs through the caller's own client.

There are three small classes with the same methods.

No SDK is imported. A client is recognised by the methods that it has. Its errors are recognised by the status that they
carry. Retries are ours, since a request that an SDK repeats by itself may store the file twice.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, BinaryIO

import anyio

from staging._text import one_line
from staging.llm._values import ImagePart, MediaPart
from staging.llm.limits import ANTHROPIC, GEMINI, OPENAI, ProviderLimits
from staging.llm.shapes import ANTHROPIC_SHAPE, GEMINI_NAMES, GEMINI_SHAPE, RESPONSES_SHAPE, Shape

_POLL = 0.5  # seconds between two looks at a file that the provider still processes


@dataclass(frozen=True, slots=True)
class Stored:
    """A copy at the provider.

    Attributes:
        identity: by which it is deleted.
        reference: by which a message refers to it.
    """

    identity: str
    reference: str = ""


class FilesApi(ABC):
    """A provider's Files API.

    Attributes:
        provider: its name, as ledgers tell it.
        limits: its preset.
        shape: the form of its texts.
        named: whether a copy is deleted by the name that we gave it, so that its id is known before it is sent.
    """

    provider: str
    limits: ProviderLimits
    shape: Shape
    named = False

    @abstractmethod
    async def send(self, name: str, part: MediaPart, content: BinaryIO, expires_after: int) -> Stored:
        """Upload one file."""

    @abstractmethod
    async def delete(self, identity: str) -> None:
        """Delete one file."""

    @abstractmethod
    def listed(self) -> AsyncIterator[tuple[str, str]]:
        """Yield name and id of every file of the account."""

    async def ready(self, stored: Stored) -> None:
        """Wait until a message may refer to the copy.

        Most providers allow it at once.
        """
        del stored

    def is_gone(self, error: Exception) -> bool:
        """Tell whether the error of a deletion says that no such file exists."""
        return status_of(error) == 404


class _Anthropic(FilesApi):
    """Calls the Files API of Anthropic.

    The source is https://platform.claude.com/docs/en/build-with-claude/files.
    """

    provider, limits, shape = "anthropic", ANTHROPIC, ANTHROPIC_SHAPE

    def __init__(self, client: Any) -> None:
        once = client.with_options(max_retries=0)
        self._files = once.files if hasattr(once, "files") else once.beta.files

    async def send(self, name: str, part: MediaPart, content: BinaryIO, expires_after: int) -> Stored:
        expiry = {"expires_in_seconds": expires_after} if _takes(self._files.upload, "expires_in_seconds") else {}
        made = await self._files.upload(file=(name, content, part.media_type), **expiry)
        return Stored(made.id, made.id)

    async def delete(self, identity: str) -> None:
        await self._files.delete(identity)

    async def listed(self) -> AsyncIterator[tuple[str, str]]:
        async for file in self._files.list(limit=1000):
            yield file.filename, file.id


class _OpenAI(FilesApi):
    """Calls the Files API of OpenAI.

    The source is https://developers.openai.com/api/reference/resources/files.
    """

    provider, limits, shape = "openai", OPENAI, RESPONSES_SHAPE

    def __init__(self, client: Any) -> None:
        self._files = client.with_options(max_retries=0).files

    async def send(self, name: str, part: MediaPart, content: BinaryIO, expires_after: int) -> Stored:
        purpose = "vision" if isinstance(part, ImagePart) else "user_data"
        expiry = {"expires_after": {"anchor": "created_at", "seconds": expires_after}}
        expiry = expiry if _takes(self._files.create, "expires_after") else {}
        made = await self._files.create(file=(name, content, part.media_type), purpose=purpose, **expiry)
        return Stored(made.id, made.id)

    async def delete(self, identity: str) -> None:
        await self._files.delete(identity)

    async def listed(self) -> AsyncIterator[tuple[str, str]]:
        async for file in self._files.list(order="desc"):
            yield file.filename, file.id


class _Google(FilesApi):
    """Calls the Files API of Google.

    Files live for 48 hours, and the caller chooses their names. The source is
    https://ai.google.dev/gemini-api/docs/files.
    """

    provider, limits, shape, named = "google", GEMINI, GEMINI_SHAPE, True

    def __init__(self, client: Any) -> None:
        self._files = getattr(client, "aio", client).files

    async def send(self, name: str, part: MediaPart, content: BinaryIO, expires_after: int) -> Stored:
        del expires_after  # it has no such attribute
        media_type = GEMINI_NAMES.get(part.media_type, part.media_type)
        config = {"name": name, "display_name": one_line(part.name, limit=100), "mime_type": media_type}
        made = await self._files.upload(file=content, config=config)
        return Stored(str(made.name).removeprefix("files/"), str(made.uri))

    async def delete(self, identity: str) -> None:
        await self._files.delete(name=f"files/{identity}")

    async def listed(self) -> AsyncIterator[tuple[str, str]]:
        """Yield nothing, as lost copies are deleted by their names."""
        nothing: tuple[tuple[str, str], ...] = ()
        for each in nothing:
            yield each

    async def ready(self, stored: Stored) -> None:
        """Wait while the file is processed.

        Sound, video and PDF take seconds.

        Raises:
            ValueError: if that failed.
        """
        while (state := await self._state(stored)) == "PROCESSING":  # noqa: ASYNC110  # the API has no other way
            await anyio.sleep(_POLL)
        if state == "FAILED":
            raise ValueError("the provider could not process it")

    async def _state(self, stored: Stored) -> str:
        file = await self._files.get(name=f"files/{stored.identity}")
        return str(getattr(file.state, "value", file.state))

    def is_gone(self, error: Exception) -> bool:
        """Tell whether there is no such file.

        This API then answers 403, "or it may not exist".
        """
        return status_of(error) in {403, 404}


def status_of(error: Exception) -> int | None:
    """Return the HTTP status in an SDK's error, or None where no answer came."""
    for name in ("status_code", "code"):
        status = getattr(error, name, None)
        if isinstance(status, int):
            return status
    return None


def files_api(client: Any) -> FilesApi:
    """Return the Files API behind a client.

    Raises:
        TypeError: if it is no async client of the three libraries, or of a platform without a Files API.
        ValueError: if it is closed.
    """
    _require_open(client)
    kind = client if isinstance(client, type) else type(client)
    shown = f"{kind.__module__.partition('.')[0]}.{kind.__qualname__}"
    if _has(client, "aio.files.upload") or (_has(client, "files.upload") and _has(client, "models.generate_content")):
        if getattr(getattr(client, "_api_client", client), "vertexai", False) is True:
            raise TypeError("Google's Files API is not there on Vertex AI: the client must be one of the Gemini API")
        _require_async(getattr(client, "aio", client).files.upload, shown, "google.genai.Client")
        return _Google(client)
    if _has(client, "with_options"):  # `client.with_raw_response` lacks it, and its answers have no id
        files = next((path for path in ("files.upload", "beta.files.upload") if _has(client, path)), "")
        if _has(client, "messages.create") and files:
            _require_async(attrgetter(files)(client), shown, "anthropic.AsyncAnthropic")
            return _Anthropic(client)
        if _has(client, "responses.create") and _has(client, "files.create"):
            _require_async(client.files.create, shown, "openai.AsyncOpenAI")
            return _OpenAI(client)
    known = "anthropic.AsyncAnthropic, openai.AsyncOpenAI or google.genai.Client"
    this = f"{'the class ' * isinstance(client, type)}{one_line(shown, limit=80)}"
    raise TypeError(f"client must be {known}, with a Files API; this is {this}")


def _has(client: Any, path: str) -> bool:
    for name in path.split("."):
        if isinstance(client, type):
            return False
        try:
            client = getattr(client, name, None)
        except Exception:  # noqa: BLE001  # a property of another object that raises counts as missing
            return False
    return callable(client)


def _require_async(function: Any, shown: str, wanted: str) -> None:
    if not inspect.iscoroutinefunction(inspect.unwrap(function)):
        raise TypeError(f"client must be async: {wanted}, not {shown}, whose calls would block the event loop")


def _require_open(client: Any) -> None:
    closed = None if isinstance(client, type) else getattr(client, "is_closed", None)
    http = getattr(getattr(client, "_api_client", None), "_async_httpx_client", None)  # Google's has no such method
    if (callable(closed) and closed() is True) or getattr(http, "is_closed", False) is True:
        raise ValueError("the client is closed: open it around this scope, and close it after")


def _takes(function: Any, name: str) -> bool:
    try:
        return name in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False
