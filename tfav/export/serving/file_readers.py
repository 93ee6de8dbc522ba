"""Name of a tensor of whole files to what reads them."""

from tfav.export.serving import image_file, wav_file

FILES = {"wav": wav_file.read, "jpeg": image_file.read}
