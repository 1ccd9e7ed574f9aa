"""Requests to an OpenAI-style server: bounded in time, size and number, whatever it answers."""

from __future__ import annotations

import http.client
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ...errors import ConfigError, DepthLMError

TIMEOUT_S = 600.0  # of a request: servers on a CPU answer one after the other
PAUSES_S = (0.5, 2.0, 8.0)  # before the second, third and last try
_LONGEST_PAUSE_S = 30.0  # of those that a server may ask for
_MOST_BYTES = 2**22  # of an answer
_BLOCK_BYTES = 2**16
_TRY_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
_SHOWN = 300  # characters of what a server says


T = TypeVar("T")


class ServerError(DepthLMError):
    """A request that got no usable answer, however often it was tried.

    Attributes:
        gone: Whether nobody answers at that address.
    """

    def __init__(self, message: str, *, gone: bool = False) -> None:
        super().__init__(message)
        self.gone = gone


@dataclass(frozen=True)
class Completion:
    """What a server generated.

    Attributes:
        text: The first choice's text.
        prompt_tokens: Tokens of the prompt, pictures included; None where it does not say.
    """

    text: str
    prompt_tokens: int | None


class _TryAgainError(Exception):
    """This try failed; another one may not."""

    def __init__(self, message: str, pause_s: float = 0.0, *, gone: bool = False) -> None:
        super().__init__(message)
        self.pause_s = pause_s
        self.gone = gone


class Client:
    """An OpenAI-style server at an address.

    The environment's `OPENAI_API_KEY` is sent where there is one, as other clients do.

    Attributes:
        url: Its address, which ends in `/v1`.
    """

    def __init__(
        self, url: str, timeout_s: float = TIMEOUT_S, pauses_s: Sequence[float] = PAUSES_S
    ) -> None:
        """Keep the address.

        Args:
            url: `http://host:port`, with or without `/v1`.
            timeout_s: Seconds that one try of a request may take in all.
            pauses_s: Seconds before each further try.

        Raises:
            ConfigError: For an address of another form.
        """
        try:
            parts = urllib.parse.urlsplit(url)
            valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            valid = False
        if not valid or parts.query or parts.fragment:
            raise ConfigError(f"expected a server as http://HOST:PORT, found {url!r}")
        path = parts.path.rstrip("/")
        self.url = (
            f"{parts.scheme}://{parts.netloc}{path if path.endswith('/v1') else path + '/v1'}"
        )
        self._timeout_s = timeout_s
        self._pauses_s = pauses_s
        self._headers = {"Content-Type": "application/json"}
        if key := os.environ.get("OPENAI_API_KEY"):
            self._headers["Authorization"] = f"Bearer {key}"

    def models(self) -> list[str]:
        """Return the names of the models that it serves.

        Raises:
            ServerError: When it does not say.
        """
        return self._tried("models", None, _names)

    def complete(self, model: str, messages: list[dict[str, Any]], most_tokens: int) -> Completion:
        """Return what a model generates, greedily.

        Args:
            model: Its name.
            messages: The turns, as OpenAI's chat completions take them.
            most_tokens: Tokens to generate at most.

        Raises:
            ServerError: When no try got a completion.
        """
        request = {
            "model": model,
            "messages": messages,
            "temperature": 0,
            "max_tokens": most_tokens,
            "stream": False,
        }
        return self._tried("chat/completions", request, _completion)

    def _tried(self, path: str, request: Mapping[str, Any] | None, read: Callable[[Any], T]) -> T:
        """Return what `read` makes of the answer, trying again where that may help."""
        for pause_s in (*self._pauses_s, None):
            try:
                return read(self._once(path, request))
            except _TryAgainError as error:
                if pause_s is None:
                    tries = len(self._pauses_s) + 1
                    raise ServerError(
                        f"{self.url}: {error} (tried {tries} times)", gone=error.gone
                    ) from error
                time.sleep(min(max(pause_s, error.pause_s), _LONGEST_PAUSE_S))
        raise AssertionError("unreachable")

    def _once(self, path: str, request: Mapping[str, Any] | None) -> Any:
        data = None if request is None else json.dumps(request).encode()
        asked = urllib.request.Request(f"{self.url}/{path}", data, self._headers)
        deadline = time.monotonic() + self._timeout_s
        try:
            with urllib.request.urlopen(asked, timeout=self._timeout_s) as response:
                content = _read(response, deadline)
        except urllib.error.HTTPError as error:
            with error:
                said = _shown(error.read(_MOST_BYTES).decode(errors="replace"))
            if error.code in _TRY_AGAIN:
                raise _TryAgainError(f"HTTP {error.code}: {said}", _pause_of(error)) from error
            raise ServerError(f"{self.url}/{path}: HTTP {error.code}: {said}") from error
        except TimeoutError as error:
            raise self._too_slow() from error
        except urllib.error.URLError as error:
            if isinstance(error.reason, TimeoutError):
                raise self._too_slow() from error
            raise _TryAgainError(
                f"nobody answers ({error.reason}); is it running?", gone=True
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise _TryAgainError(
                f"the connection broke ({error or type(error).__name__})"
            ) from error
        try:
            return json.loads(content)
        except (ValueError, RecursionError) as error:
            said = _shown(content.decode(errors="replace"))
            raise _TryAgainError(f"it answers what is not JSON: {said}") from error

    def _too_slow(self) -> ServerError:
        return ServerError(f"{self.url}: no answer within {self._timeout_s:g} s")


def _read(response: Any, deadline: float) -> bytes:
    """Return what a response holds, which neither its length nor its pace makes endless."""
    blocks, length = [], 0
    while block := response.read1(_BLOCK_BYTES):
        blocks.append(block)
        length += len(block)
        if length > _MOST_BYTES:
            raise _TryAgainError(f"its answer is longer than {_MOST_BYTES} bytes")
        if time.monotonic() > deadline:
            raise TimeoutError
    return b"".join(blocks)


def _names(content: Any) -> list[str]:
    try:
        return [str(model["id"]) for model in content["data"]]
    except (KeyError, TypeError) as error:
        raise _TryAgainError(f"it does not list models: {_shown(content)}") from error


def _completion(content: Any) -> Completion:
    try:
        text = content["choices"][0]["message"]["content"]
    except (KeyError, IndexError, TypeError):
        text = None
    if not isinstance(text, str):
        raise _TryAgainError(f"its answer holds no text: {_shown(content)}")
    usage = content.get("usage")
    tokens = usage.get("prompt_tokens") if isinstance(usage, Mapping) else None
    # Some write 0 for what they do not count.
    return Completion(text, tokens if isinstance(tokens, int) and tokens > 0 else None)


def _pause_of(error: urllib.error.HTTPError) -> float:
    try:
        return float(error.headers.get("Retry-After") or 0)
    except ValueError:  # a date
        return 0.0


def _shown(content: object) -> str:
    text = " ".join(str(content).split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} ..."
