"""`depthlm app` serves a page on which a trained model is asked by clicking."""

from __future__ import annotations

import argparse
import signal
import sys
from contextlib import redirect_stdout, suppress

from .options import add_model, add_server, add_uncalibrated, check_server, predictor_of

_HOST, _PORT = "127.0.0.1", 7860


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `depthlm app`."""
    parser.description = (
        "Serves a page to this machine's browser, until Ctrl-C: open a picture, click on it and"
        " read the metres, how far two clicks are apart, the depth map and the point cloud. The"
        " camera is the picture's EXIF, else an assumed one; the page says which, and takes"
        " another. Nothing is fetched from, or sent to, the internet, unless --server is there: it"
        " gets what the model is shown."
    )
    parser.add_argument(
        "--host", default=_HOST, help=f"address to listen on (default: {_HOST}, this machine only)"
    )
    parser.add_argument("--port", type=int, default=_PORT, help=f"(default: {_PORT})")
    add_model(parser)
    add_uncalibrated(parser)
    add_server(parser)


def run(args: argparse.Namespace) -> int:
    """Serve the page until it is interrupted."""
    check_server(args)
    with redirect_stdout(sys.stderr):  # LLaMA-Factory logs to stdout
        predictor = predictor_of(args)
        from ..app.serve import server_of

        with server_of(predictor, args.host, args.port) as (server, listening):
            if args.host not in (_HOST, "localhost", "::1"):
                print(
                    f"WARNING: listening on {args.host}: whoever reaches this machine can use the"
                    " page; it asks for no password.",
                    file=sys.stderr,
                )
            host = f"[{args.host}]" if ":" in args.host else args.host
            port = listening.getsockname()[1]
            print(f"open http://{host}:{port}/ (Ctrl-C ends)", file=sys.stderr)
            # uvicorn closes and then raises the signal again: here that must not end the process
            # before the pictures are removed.
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            with suppress(KeyboardInterrupt):
                server.run(sockets=[listening])
    return 0
