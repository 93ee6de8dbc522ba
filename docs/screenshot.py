"""Takes the picture of docs/web.md: the page of a site, asked with a voice of its gallery.

python docs/screenshot.py site/toy docs/images/web.png

Of made-up people only: take none of a gallery of real ones. Needs Chromium.
"""

import base64
import io
import pathlib
import sys
import threading

from PIL import Image

ROOT = pathlib.Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests import chromium  # noqa: E402
from tfav.browser import server  # noqa: E402

WIDTH, HEIGHT = 1180, 830
PLACE = 2  # in the gallery


def main(site: str, output: str) -> None:
    """Serves the site, asks it, and writes what is seen."""
    listening = server.serve(site, 0)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    binary = chromium.find() or sys.exit("no Chromium on PATH")
    browser = chromium.Browser(binary, flags=["--hide-scrollbars"])
    try:
        browser.resize(WIDTH, HEIGHT)
        browser.open(f"http://localhost:{listening.server_address[1]}/")
        browser.wait("document.documentElement.dataset.ready === ''")
        browser.click(f"document.querySelectorAll('.chip')[{PLACE}]")
        browser.wait("document.querySelectorAll('.hit').length === 10")
        browser.wait("[...document.querySelectorAll('.hit img')].every(i => i.naturalWidth)")
        browser.run("scrollTo(0, 0)")
        picture = browser.call("Page.captureScreenshot")["data"]
        image = Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB")
        image.quantize(256, Image.Quantize.FASTOCTREE).save(output, optimize=True)
    finally:
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
