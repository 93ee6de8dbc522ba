"""Serves a site on this machine alone, with the headers that let it run on several threads."""

import functools
import http.server
import os
import re
import sys
from collections.abc import Callable
from typing import Any

from tfav import registry

SITE_FILE = "site.json"
HOST = "127.0.0.1"
_POLICY = re.compile(r'http-equiv="Content-Security-Policy" content="([^"]+)"')
HEADERS = {
    # Both together isolate the page, without which a browser gives it no shared memory.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".f32": "application/octet-stream",
    ".flac": "audio/flac",
    ".html": "text/html; charset=utf-8",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".md": "text/plain; charset=utf-8",
    ".svg": "image/svg+xml",
    ".tflite": "application/octet-stream",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
}


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Files of one folder; no listing of it, and nothing for a page that another name leads to."""

    extensions_map = _TYPES

    def __init__(self, *args: Any, policy: str, **kwargs: Any):
        self._policy = policy
        super().__init__(*args, **kwargs)

    def send_head(self) -> Any:
        # Another site's name may be made to lead here: a browser then takes us for that site.
        host = self.headers.get("Host", "").rsplit(":", 1)[0]
        if host not in ("localhost", HOST):
            self.send_error(403, f"open http://{HOST} or http://localhost")
            return None
        return super().send_head()

    def list_directory(self, path: Any) -> None:
        del path
        self.send_error(404)

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Security-Policy", f"{self._policy}; frame-ancestors 'none'")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # the name is http.server's
        del format, args


class _Server(http.server.ThreadingHTTPServer):
    """Says nothing of a browser that has gone away before it had all."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def serve(folder: str, port: int) -> http.server.ThreadingHTTPServer:
    """Returns a server of a site, which listens; `serve_forever` answers.

    Args:
      folder: that `site.write` filled.
      port: of the loopback address; 0: any that is free.

    Raises:
      UserError: no site is there, or the port is taken.
    """
    index = os.path.join(folder, "index.html")
    if not os.path.isfile(os.path.join(folder, SITE_FILE)) or not os.path.isfile(index):
        raise registry.UserError(
            f"{folder} is no site of tfav-web: name one with --output, or write it with --export."
        )
    with open(index, encoding="utf-8") as file:
        policy = _POLICY.search(file.read())
    handler = functools.partial(_Handler, directory=folder, policy=policy[1] if policy else "")
    return _listening(port, handler)


def require_free(port: int) -> None:
    """Refuses a port that `serve` could not have, before the work that it waits for.

    Raises:
      UserError: it is taken, or not for this user.
    """
    _listening(port, http.server.BaseHTTPRequestHandler).server_close()


def _listening(port: int, handler: Callable[..., http.server.BaseHTTPRequestHandler]) -> _Server:
    try:
        return _Server((HOST, port), handler)
    except OSError as error:
        raise registry.UserError(
            f"--serve={port}: {error.strerror}: name another port, such as --serve={port + 1}."
        ) from error
