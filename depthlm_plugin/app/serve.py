"""Serving the page, out of one folder that goes away, with nothing from other machines."""

from __future__ import annotations

import os
import re
import socket
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from ..predict.predictor import Predictor

if TYPE_CHECKING:
    import uvicorn

LOOPBACK = "127.0.0.1"
_LARGEST = "200mb"  # of an uploaded file
_ELSEWHERE = re.compile(  # what gradio's page would fetch, or connect to, from other machines
    rb"""<link\s[^>]*preconnect[^>]*>|<script\s[^>]*src\s*=\s*["']?(?:https?:)?//[^>]*>\s*</script>"""
)
# The cloud's viewer would choose WebGPU wherever its name exists, and show nothing without a GPU.
_HEAD = b"<head>", b"<head><script>delete Navigator.prototype.gpu</script>"
_POLICY = (
    b"default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; object-src 'none';"
    b" base-uri 'self'; form-action 'self'"
)


@contextmanager
def server_of(predictor: Predictor, host: str, port: int) -> Iterator[tuple[uvicorn.Server, Any]]:
    """Yield the page's server, and the socket that its `run` is to be given.

    What is uploaded and made lies in one temporary folder until the context ends.

    Args:
        predictor: The model.
        host: The address to listen on.
        port: Its port; 0 takes a free one.

    Raises:
        ConfigError: For an address that cannot be listened on; a model that learnt no depth.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family)
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {host}:{port} ({error}); give another --port"
        ) from error
    with listening, tempfile.TemporaryDirectory(prefix="depthlm-app-") as name:
        folder = Path(name).resolve()
        with _gradio_settings(folder):
            yield _server(predictor, folder), listening


def _server(predictor: Predictor, folder: Path) -> uvicorn.Server:
    with redirect_stdout(sys.stderr), warnings.catch_warnings():  # gradio prints
        # What gradio 6 will change; LLaMA-Factory ends at 5.50.
        warnings.simplefilter("ignore", DeprecationWarning)
        import gradio
        import uvicorn
        from fastapi import FastAPI

        from .page import Page, draw

        made = folder / "made"
        made.mkdir()
        app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
        gradio.mount_gradio_app(
            app,
            draw(Page(predictor, made)),
            path="/",
            allowed_paths=[],
            show_api=False,
            show_error=False,
            max_file_size=_LARGEST,
            ssr_mode=False,
            pwa=False,
            mcp_server=False,
        )
    app.add_middleware(_NothingFromElsewhere)
    # Quiet: a page that is still open when the server ends would be reported as an error.
    quiet = uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1, ws="none")
    return uvicorn.Server(quiet)


@contextmanager
def _gradio_settings(folder: Path) -> Iterator[None]:
    """Let gradio, and temporary files, keep to a folder while the context lasts."""
    settings = {
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_TEMP_DIR": str(folder),
        "GRADIO_EXAMPLES_CACHE": str(folder / "examples"),
    }
    before = {name: os.environ.get(name) for name in settings}
    before_dir, tempfile.tempdir = tempfile.tempdir, str(folder)
    os.environ.update(settings)
    try:
        yield
    finally:
        tempfile.tempdir = before_dir
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


class _NothingFromElsewhere:
    """ASGI: leaves out of the page what gradio takes from the internet, and forbids the rest."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] != "/":
            await self._app(scope, receive, send)
            return
        plain = [pair for pair in scope["headers"] if pair[0].lower() != b"accept-encoding"]
        started: dict[str, Any] = {}
        body = b""

        async def changed(message: dict[str, Any]) -> None:
            nonlocal body
            if message["type"] == "http.response.start":
                started.update(message)
                return
            body += message.get("body", b"")
            if message.get("more_body"):
                return
            text = _ELSEWHERE.sub(b"", body).replace(*_HEAD, 1)
            headers = [pair for pair in started["headers"] if pair[0].lower() != b"content-length"]
            headers += [
                (b"content-length", str(len(text)).encode()),
                (b"content-security-policy", _POLICY),
            ]
            await send(started | {"headers": headers})
            await send({"type": "http.response.body", "body": text})

        await self._app(scope | {"headers": plain}, receive, changed)
