"""Any data set: a CSV file that the user wrote."""

from tfav import registry
from tfav.data.prepare import manifest


def rows(options: manifest.Options) -> list[manifest.Row]:
    """Returns the rows of `options.manifest`.

    Raises:
      UserError: no path given, or see `manifest.read`.
    """
    if not options.manifest:
        raise registry.UserError(
            "--source=manifest needs --manifest=FILE.csv with the columns id, split, label, and "
            "audio, image or video."
        )
    return manifest.read(options.manifest, options.columns, options.modalities)
