"""Opens a page in the browser of the person who waits for it."""

import os
import sys
import webbrowser


def is_watched() -> bool:
    """Returns whether a person sits at a terminal of this process and has a display."""
    if not sys.stdout.isatty():
        return False
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def open_page(uri: str) -> str:
    """Opens a page in the browser that the system prefers; returns a line that says what came.

    A browser that is not there is no failure: the page is, and the line says where.

    Args:
      uri: of the page, such as `file:///home/ada/report.html`.
    """
    try:
        opened = webbrowser.open(uri)
    except webbrowser.Error:
        opened = False
    return f"opened {uri}" if opened else f"no browser could be started: open {uri} in one"
