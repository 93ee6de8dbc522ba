"""Files of sound, pictures and video in; arrays and JPEG bytes, or the reason of a failure, out."""
