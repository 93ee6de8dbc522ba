"""Runs the REST client, `tfav/clients/client.py`: one file that can be copied and needs no other.

`tfav-client` is the same, where tfav is installed.
"""

import pathlib
import runpy

if __name__ == "__main__":
    folder = pathlib.Path(__file__).resolve().parent.parent
    runpy.run_path(str(folder / "tfav" / "clients" / "client.py"), run_name="__main__")
