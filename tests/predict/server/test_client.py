"""Requests to a server that is down, slow or talks nonsense: bounded, and then a clear end."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest
from support.fake_server import SAID, FakeServer, fake_server

from depthlm_plugin.errors import ConfigError
from depthlm_plugin.predict.server.client import Client, Completion, ServerError

TURNS = [{"role": "user", "content": [{"type": "text", "text": "How far?"}]}]


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with fake_server() as fake:
        fake.say = lambda number, picture: SAID
        fake.answer = lambda request: {  # type: ignore[method-assign]
            "choices": [{"message": {"content": SAID}}],
            "usage": {"prompt_tokens": 7},
        }
        yield fake


def client_of(server: FakeServer, timeout_s: float = 5.0) -> Client:
    return Client(server.url, timeout_s, pauses_s=(0.0, 0.0, 0.0))


def test_a_completion(server: FakeServer) -> None:
    client = client_of(server)
    assert client.models() == ["tiny"]
    assert client.complete("tiny", TURNS, 9) == Completion(SAID, 7)
    [request] = server.requests
    assert request == {
        "model": "tiny",
        "messages": TURNS,
        "temperature": 0,
        "max_tokens": 9,
        "stream": False,
    }


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("http://h:80", "http://h:80/v1"),
        ("http://h:80/v1", "http://h:80/v1"),
        ("https://h/gate/v1/", "https://h/gate/v1"),
    ],
)
def test_addresses(url: str, found: str) -> None:
    assert Client(url).url == found


@pytest.mark.parametrize(
    "url", ["localhost:8000", "ftp://h", "http://", "http://h:x", "http://[", ""]
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(ConfigError, match="expected a server as http://HOST:PORT, found"):
        Client(url)


@pytest.mark.parametrize(
    "behaviour", [500, 503, 429, "close", b"<html>busy</html>", b'{"choices": []}', b"[]", b"null"]
)
def test_what_passes_is_tried_again(server: FakeServer, behaviour: object) -> None:
    server.behave = lambda number: behaviour if number < 3 else None
    assert client_of(server).complete("tiny", TURNS, 9).text == SAID
    assert len(server.requests) == 4


@pytest.mark.parametrize(
    ("behaviour", "problem"),
    [
        (503, r"HTTP 503: {\"error\": \"as told\"} \(tried 4 times\)"),
        ("close", r"the connection broke \(.*\) \(tried 4 times\)"),
        (b"<html>busy</html>", r"it answers what is not JSON: <html>busy</html> \(tried 4 times\)"),
        (b'{"choices": [{"message": {"content": null}}]}', "its answer holds no text"),
        (b"[" * 10**5, "it answers what is not JSON"),
        (b"1" * (2**22 + 1), "its answer is longer than 4194304 bytes"),
    ],
)
def test_tries_end(server: FakeServer, behaviour: object, problem: str) -> None:
    server.behave = lambda number: behaviour
    with pytest.raises(ServerError, match=problem) as caught:
        client_of(server).complete("tiny", TURNS, 9)
    assert len(server.requests) == 4
    assert not caught.value.gone


@pytest.mark.parametrize("status", [400, 401, 404, 422])
def test_what_will_not_pass_is_tried_once(server: FakeServer, status: int) -> None:
    server.behave = lambda number: status
    with pytest.raises(ServerError, match=f"chat/completions: HTTP {status}: .*as told"):
        client_of(server).complete("tiny", TURNS, 9)
    assert len(server.requests) == 1


def test_a_slow_answer_is_not_waited_for(server: FakeServer) -> None:
    server.behave = lambda number: 1.5
    started = time.monotonic()
    with pytest.raises(ServerError, match=r"no answer within 0\.1 s"):
        client_of(server, timeout_s=0.1).complete("tiny", TURNS, 9)
    assert time.monotonic() - started < 1.4


def test_nobody_there() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(ServerError, match=r"nobody answers .* is it running") as caught:
        Client(url, pauses_s=(0.0,)).models()
    assert caught.value.gone


def test_a_key_of_the_environment_is_sent(server: FakeServer, monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "abc")
    client = client_of(server)
    assert client._headers["Authorization"] == "Bearer abc"
    monkeypatch.delenv("OPENAI_API_KEY")
    assert "Authorization" not in client_of(server)._headers
