"""Writes for briefs with a model behind HTTP: a server that speaks OpenAI's chat completions, or Claude.

What a server answers is not trusted: its size is bounded and its shape is checked, and no part of an error that it
sends is repeated. One event loop stays, and with it the connections; the clients' own retries count against the budget.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from importlib import import_module
from typing import Annotated, Any, Literal, Protocol, get_args

from pydantic import BaseModel, Field, ValidationError

from pipelines.errors import ModelUnavailable
from pipelines.generator.completion import Completion, Left, Told
from pipelines.generator.language_model import MAX_PROMPT_CHARACTERS, instruction, material, shown
from pipelines.records import Brief
from pipelines.text.tweets import MAX_WEIGHTED_LENGTH

Provider = Literal["openai", "anthropic"]

STAGE = "generator.lm"
HOMES: dict[Provider, str] = {"openai": "https://api.openai.com/v1", "anthropic": "https://api.anthropic.com"}
# A token has at least one character.
MAX_TOKENS = MAX_WEIGHTED_LENGTH
MAX_ANSWER_BYTES = 1024 * 1024
MAX_CONNECTIONS = 8
MAX_RETRIES = 2
# How often it is asked whether somebody waits still.
LOOK_S = 0.2
GONE = ModelUnavailable(STAGE, "nobody waits for the answer")
# What a server may refuse to be told (reasoning models a temperature, older servers the newer name of the limit): the
# call is repeated once without what its refusal names.
OPTIONAL = ("temperature", "top_p", "seed", "max_completion_tokens")
REFUSALS = {400, 422}
MAX_REFUSAL_CHARACTERS = 2_000


class _Message(BaseModel):
    content: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _ChatCompletion(BaseModel):
    """What is read of OpenAI's answer (https://platform.openai.com/docs/api-reference/chat/object)."""

    choices: Annotated[list[_Choice], Field(min_length=1)]

    def completion(self) -> Completion:
        choice = self.choices[0]
        if choice.finish_reason == "length" and not (choice.message.content or "").strip():
            raise _OnlyThoughts
        if choice.message.content is None:
            raise _Unreadable
        return Completion(choice.message.content, choice.finish_reason == "stop")


class _Block(BaseModel):
    type: str
    text: str = ""


class _ClaudeMessage(BaseModel):
    """What is read of Claude's answer (https://docs.anthropic.com/en/api/messages)."""

    content: Annotated[list[_Block], Field(min_length=1)]
    stop_reason: str | None = None

    def completion(self) -> Completion:
        text = "".join(block.text for block in self.content if block.type == "text")
        if self.stop_reason == "max_tokens" and not text.strip():
            raise _OnlyThoughts
        return Completion(text, self.stop_reason == "end_turn")


class _Answer(Protocol):
    def iter_bytes(self) -> AsyncIterator[bytes]: ...


class RemoteModel:
    """A model behind HTTP with the same methods as LanguageModel; calls of one instance never overlap."""

    samples, rounds = 1, 1

    def __init__(self, provider: Provider, model: str, base_url: str | None = None, key: str | None = None) -> None:
        """Open nothing yet.

        Args:
            provider: the protocol that the server speaks.
            model: its name there.
            base_url: where the server is; None for the provider's own.
            key: sent as the provider wants it; None where the server asks for none.

        Raises:
            ValueError: the provider's own server without a key, or an unknown provider.
        """
        if provider not in get_args(Provider):
            raise ValueError(f"unknown provider {provider!r}: one of {', '.join(get_args(Provider))}")
        if not key and base_url is None:
            raise ValueError(f"{HOMES[provider]} wants a key: set {provider.upper()}_API_KEY")
        self.version = f"{provider}:{model}"
        self._provider = provider
        self._model = model
        self._base_url = base_url or HOMES[provider]
        self._key = key or "none"
        self._runner = asyncio.Runner()
        self._client: Any = None
        # Parameters of OpenAI's protocol that this server refused once.
        self._refused: set[str] = set()

    def close(self) -> None:
        """Close the connections; the model cannot be asked again."""
        if self._client is not None:
            self._runner.run(self._client.close())
        self._runner.close()

    def complete(
        self,
        briefs: Sequence[Brief],
        *,
        temperature: float,
        top_p: float,
        max_seconds: float,
        told: Told | None = None,
        left: Left | None = None,
    ) -> list[list[Completion] | ModelUnavailable]:
        """Ask `brief.n` times for each brief, all at once, and return within `max_seconds` what came.

        Each answer is told of when it has come whole. Once all have left, the calls that are open are broken off.

        A brief none of whose calls was answered gets the reason instead. OpenAI's protocol takes a seed for each call
        and promises little for it; Claude's takes neither seed nor temperature nor top_p.
        """
        return self._runner.run(self._complete(briefs, temperature, top_p, max_seconds, told=told, left=left))

    async def _complete(
        self,
        briefs: Sequence[Brief],
        temperature: float,
        top_p: float,
        max_seconds: float,
        *,
        told: Told | None,
        left: Left | None,
    ) -> list[list[Completion] | ModelUnavailable]:
        if self._client is None:
            self._client = self._open()
        deadline = asyncio.get_running_loop().time() + max_seconds

        async def ask(place: int, turn: int) -> Completion | ModelUnavailable:
            answer = await self._ask(briefs[place], turn, temperature, top_p, deadline)
            if told is not None and isinstance(answer, Completion):
                told(place, answer)
            return answer

        calls = [
            [asyncio.ensure_future(ask(place, turn)) for turn in range(brief.n)] for place, brief in enumerate(briefs)
        ]
        open_calls = {call for turns in calls for call in turns}
        while open_calls and not (left is not None and left()):
            _, open_calls = await asyncio.wait(open_calls, timeout=LOOK_S)
        for call in open_calls:
            call.cancel()
        if open_calls:
            await asyncio.wait(open_calls)
        results: list[list[Completion] | ModelUnavailable] = []
        for turns in ([GONE if call.cancelled() else call.result() for call in turns] for turns in calls):
            completions = [turn for turn in turns if isinstance(turn, Completion)]
            failures = [turn for turn in turns if isinstance(turn, ModelUnavailable)]
            results.append(failures[0] if failures and not completions else completions)
        return results

    async def _ask(
        self, brief: Brief, turn: int, temperature: float, top_p: float, deadline: float
    ) -> Completion | ModelUnavailable:
        library: Any = import_module(self._provider)
        reason = "the server refuses the request"
        for _ in range(1 + len(OPTIONAL)):
            left_out = frozenset(self._refused)
            try:
                async with asyncio.timeout_at(deadline), self._call(brief, turn, temperature, top_p) as answer:
                    body = await _bounded(answer)
                kind = _ChatCompletion if self._provider == "openai" else _ClaudeMessage
                return kind.model_validate_json(body).completion()
            except (TimeoutError, library.APITimeoutError):
                reason = "no answer in time"
            except library.APIStatusError as error:
                reason = f"the server answered {error.status_code}"
                if error.status_code in REFUSALS and (named := self._named_in(error) - left_out):
                    self._refused |= named
                    continue
            except library.APIConnectionError:
                reason = "no connection"
            except _OnlyThoughts:
                reason = f"the model spent its {MAX_TOKENS} tokens on reasoning; switch its reasoning off"
            except (ValidationError, _Unreadable):
                reason = "the answer cannot be read"
            except Exception as error:  # noqa: BLE001  # the libraries let errors of their HTTP client through
                reason = type(error).__name__
            break
        return ModelUnavailable(STAGE, reason)

    def _named_in(self, error: Any) -> set[str]:
        """Which optional parameters a refusal names; Claude's protocol has none."""
        said = str(getattr(error, "body", None) or error)[:MAX_REFUSAL_CHARACTERS]
        return {name for name in OPTIONAL if name in said} if self._provider == "openai" else set()

    def _call(self, brief: Brief, turn: int, temperature: float, top_p: float) -> AbstractAsyncContextManager[_Answer]:
        told = instruction(brief)
        messages: list[dict[str, str]] = []
        for asked, tweet in shown(brief):
            messages += [{"role": "user", "content": asked}, {"role": "assistant", "content": tweet}]
        messages.append({"role": "user", "content": material(brief.query[:MAX_PROMPT_CHARACTERS])})
        call: AbstractAsyncContextManager[_Answer]
        if self._provider == "openai":
            optional: dict[str, Any] = {
                "max_completion_tokens": MAX_TOKENS,
                "temperature": temperature,
                "top_p": top_p,
                "seed": random.Random(f"{brief.seed}:{turn}").getrandbits(31),
            }
            call = self._client.chat.completions.with_streaming_response.create(
                model=self._model,
                messages=[{"role": "system", "content": told}, *messages],
                **{name: value for name, value in optional.items() if name not in self._refused},
            )
        else:
            call = self._client.messages.with_streaming_response.create(
                model=self._model, system=told, messages=messages, max_tokens=MAX_TOKENS
            )
        return call

    def _open(self) -> Any:
        library: Any = import_module(self._provider)
        http: Any = import_module("httpx2")
        kind = library.AsyncOpenAI if self._provider == "openai" else library.AsyncAnthropic
        return kind(
            api_key=self._key,
            base_url=self._base_url,
            max_retries=MAX_RETRIES,
            # Redirects are not followed: they would carry the key and the author's text elsewhere.
            http_client=http.AsyncClient(
                limits=http.Limits(max_connections=MAX_CONNECTIONS), follow_redirects=False, timeout=None
            ),
        )


class _OnlyThoughts(Exception):
    """The model used up its tokens before it said anything."""


class _Unreadable(Exception):
    """The answer holds nothing, or is longer than any that holds one tweet."""


async def _bounded(answer: _Answer) -> bytes:
    body = bytearray()
    async for part in answer.iter_bytes():
        body += part
        if len(body) > MAX_ANSWER_BYTES:
            raise _Unreadable
    return bytes(body)
