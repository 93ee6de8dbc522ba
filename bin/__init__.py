"""The binaries, installed as tfav-prepare, tfav-train, tfav-eval, tfav-export and tfav-embed."""
