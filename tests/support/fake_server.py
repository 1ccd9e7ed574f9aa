"""An OpenAI-style server on loopback that behaves as a test says, well or badly."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any

from PIL import Image

SAID = "<answer> 2.00 </answer>"
PATCH_PX = 28


class FakeServer:
    """What the server does, which a test may change at any time, and what it was asked.

    Attributes:
        url: Its address.
        models: The names that it lists.
        say: The text of an answer, given the number of the question, from 0, and its picture.
        shrink: The size that it makes of a picture's.
        usage: Whether it says how many tokens a prompt has.
        behave: What it does instead of answering, given the number of the request; None: it
            answers. An int is a status, bytes are the content of an answer, a float are seconds
            to wait before it, "close" closes the connection.
        requests: Every request for a completion.
        pictures: The pictures of questions, without the probes.
    """

    def __init__(self) -> None:
        self.url = ""
        self.models = ["tiny"]
        self.say: Callable[[int, Image.Image], str] = lambda number, picture: SAID
        self.shrink: Callable[[tuple[int, int]], tuple[int, int]] = lambda size_wh: size_wh
        self.usage = True
        self.behave: Callable[[int], Any] = lambda number: None
        self.requests: list[dict[str, Any]] = []
        self.pictures: list[Image.Image] = []
        self.lock = threading.Lock()

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a request for a completion."""
        parts = request["messages"][-1]["content"]
        uris = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
        pictures = [
            Image.open(BytesIO(base64.b64decode(uri.removeprefix("data:image/png;base64,"))))
            for uri in uris
        ]
        tokens = 20
        for picture in pictures:
            width, height = self.shrink(picture.size)
            tokens += (width // PATCH_PX) * (height // PATCH_PX)
        text = "?"
        if request["max_tokens"] > 1:
            with self.lock:
                number = len(self.pictures)
                self.pictures += pictures
            text = self.say(number, pictures[0])
        usage = {"usage": {"prompt_tokens": tokens}} if self.usage else {}
        return {"choices": [{"message": {"role": "assistant", "content": text}}]} | usage


@contextmanager
def fake_server() -> Iterator[FakeServer]:
    """Serve on a free port until the block ends."""
    fake = FakeServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send(200, json.dumps({"data": [{"id": name} for name in fake.models]}).encode())

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            with fake.lock:
                number = len(fake.requests)
                fake.requests.append(json.loads(content))
            behaviour = fake.behave(number)
            if behaviour == "close":
                self.connection.close()
                return
            if isinstance(behaviour, float):
                time.sleep(behaviour)
            if isinstance(behaviour, int):
                self._send(behaviour, b'{"error": "as told"}')
            elif isinstance(behaviour, bytes):
                self._send(200, behaviour)
            else:
                self._send(200, json.dumps(fake.answer(fake.requests[number])).encode())

        def _send(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *arguments: Any) -> None:  # a client that gave up
            pass

    server = Server(("127.0.0.1", 0), Handler)
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
