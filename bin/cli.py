"""What every binary shares: how it starts, and how a user's mistake ends."""

import contextlib
import errno
import importlib.util
import math
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from logging import WARNING
from typing import Any

from absl import app, flags, logging

from tfav import registry
from tfav.bin import device_flags


def no_arguments(argv: Sequence[str]) -> None:
    """Refuses words that are not flags, such as a flag written without its dashes."""
    if len(argv) > 1:
        raise registry.UserError(
            f"{argv[1]!r} is not a flag: write --name=value; --help lists the names."
        )


def split_paths(flag: str, value: str) -> list[str]:
    """Returns the paths of a flag that lists them, with commas between.

    Raises:
      UserError: one of them is not there, and all together are a path with commas in its name.
    """
    found = [path for path in value.split(",") if path]
    if len(found) > 1 and os.path.exists(value) and not all(map(os.path.exists, found)):
        raise registry.UserError(
            f"--{flag}={value}: commas separate paths, and there is one with a comma in its name: "
            "rename it, or name it by a link without one."
        )
    return found


def run(
    main: Callable[[list[str]], None],
    config: bool = False,
    with_tensorflow: Callable[[], bool] = lambda: True,
) -> None:
    """Runs `main` and exits: 0 done, 2 a mistake of the user (one sentence), 130 interrupted.

    Args:
      main: takes the arguments that are not flags.
      config: let `--config=configs/...` find the installed configs where there are none here.
      with_tensorflow: says, flags parsed, whether to load TensorFlow, which takes seconds.
    """
    for stream in (sys.stdout, sys.stderr):  # a file's name need not be text
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    argv = [_installed_config(a) for a in sys.argv] if config else sys.argv
    _show_help_of(main.__module__)

    # TensorFlow's Python files log through absl too; what they inform of is not for our users.
    logging.get_absl_handler().addFilter(
        lambda record: record.levelno >= WARNING or "tensorflow" not in record.pathname
    )

    def quiet(arguments: list[str]) -> None:
        share = device_flags.gpu_memory()
        if with_tensorflow():
            with _no_startup_notes():
                import tensorflow as tf

                from tfav.training import gpu_memory

                gpu_memory.limit(share)
                tf.config.list_physical_devices()
                _say_what_is_said_once(tf)
        try:
            main(arguments)
        except Exception as error:
            tf = sys.modules.get("tensorflow")
            if tf is None or not isinstance(error, tf.errors.OpError):
                raise
            full = re.search(r"(\S+); No space left on device", error.message)
            if full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), full[1]) from error
            from tfav.training import cluster

            if cluster.is_loss(error):
                raise registry.UserError(cluster.loss(error.message)) from error
            raise
        sys.stdout.flush()

    try:
        app.run(quiet, argv=argv, flags_parser=_parse)
    except registry.UserError as error:
        _exit(f"error: {error}", 2)
    except BrokenPipeError:  # who reads our table, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        where = error.filename or "the output"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            _exit(
                f"error: the disk is full while writing {where}: free some space and run the same "
                "command again.",
                2,
            )
        if error.filename is None:
            raise
        _exit(f"error: {where}: {error.strerror}: correct that path or name another.", 2)
    except KeyboardInterrupt:
        _exit("interrupted", 130)


def _parse(argv: list[str]) -> list[str]:
    """Parses flags; what is wrong with one, or with a config file, becomes a sentence."""
    try:
        rest = flags.FLAGS(argv)
        _check_values()
        if "config" in flags.FLAGS:
            flags.FLAGS.config.to_dict  # noqa: B018 (raises what went wrong while it loaded)
        return rest
    except SystemExit:  # --help, which absl ends with 1
        sys.exit(0)
    except (AttributeError, KeyError) as error:  # ml_collections: a field that is not in the config
        cause = error.args[0]
        text = cause.args[0] if isinstance(cause, KeyError) else str(cause)
        text = " (".join(text.splitlines()) + ")" * text.count("\n")
        raise registry.UserError(f"--config has no such field: {text}.") from error
    except flags.Error as error:
        missing = re.match(r"flag --(\w+)=None: ", str(error))
        if missing:
            raise registry.UserError(
                f"--{missing[1]} is missing: give --{missing[1]}=VALUE; --help lists the flags."
            ) from error
        # What a config file raises comes with its whole traceback, the error last.
        last = _plain(str(error).strip().splitlines()[-1].strip())
        raise registry.UserError(f"{last.rstrip('.')}; --help lists the flags.") from error
    except (TypeError, ValueError) as error:
        raise registry.UserError(
            f"a --config flag has a wrong value: {_plain(str(error))}."
        ) from error
    except BrokenPipeError:  # who reads the help, such as head, has seen enough
        raise
    except (OSError, ImportError, SyntaxError) as error:
        last = str(error.__cause__ or error).strip().splitlines()[-1].strip().rstrip(".")
        raise registry.UserError(
            f"the file of --config cannot be loaded ({last}): write --config=FILE:VARIANT, and "
            "correct that file."
        ) from error


# What Python and absl say of a word that is no such value, and what a user is told.
_NO_VALUE = {
    r"invalid literal for int\(\) with base 10: .*": "give a whole number",
    r"could not convert string to float: .*": "give a number",
    r"\('Non-boolean argument to boolean flag', .*\)": "give true or false",
}


def _plain(text: str) -> str:
    """Returns what a flag's error says, without the names of Python's functions."""
    for pattern, words in _NO_VALUE.items():
        text = re.sub(pattern, words, text)
    return text


def _check_values() -> None:
    """Raises UserError where a flag is no finite number, or names nothing where it must.

    Every bound lets NaN pass; an empty list or text is a choice only where it is the default.
    """
    for name in flags.FLAGS:
        value = flags.FLAGS[name].value
        if value == [] and flags.FLAGS[name].default != []:
            raise registry.UserError(
                f"--{name}= names nothing: give at least one, or leave the flag out."
            )
        if value == "" and flags.FLAGS[name].default is None:  # not the folder that one is in
            raise registry.UserError(f"--{name}= names nothing: give --{name}=VALUE.")
        if isinstance(value, float) and not math.isfinite(value):
            raise registry.UserError(f"--{name}={value}: give a finite number.")


def _show_help_of(module: str) -> None:
    """Lets `--help` of a console script, whose main module is pip's, show all flags of a binary."""
    if module != "__main__":
        sys.modules["__main__"].__doc__ = sys.modules[module].__doc__
        for flag in flags.FLAGS.get_key_flags_for_module(module):
            flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)


@contextlib.contextmanager
def _no_startup_notes() -> Iterator[None]:
    """Sends what TensorFlow's C++ writes while it loads to nowhere: it would drown the messages.

    TensorFlow 2.21 writes some of it past TF_CPP_MIN_LOG_LEVEL. A failed import is a Python
    exception and is seen all the same.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _say_what_is_said_once(tf: Any) -> None:
    """Has oneDNN say what it says once in a process, as an error, of bytes on some processors.

    By a graph of its own on the CPU: an eager op would settle devices and threads, which strategies
    choose later.
    """
    one = tf.compat.v1
    with tf.Graph().as_default(), one.Session(config=one.ConfigProto(device_count={"GPU": 0})) as s:
        byte = one.placeholder(tf.uint8, [1, 1])
        s.run(tf.transpose(byte), {byte: [[1]]})


def _installed_config(argument: str) -> str:
    name, _, value = argument.partition("=")
    file, colon, variant = value.partition(":")
    if name.lstrip("-") == "config" and file.startswith("configs/") and not os.path.exists(file):
        spec = importlib.util.find_spec("tfav.configs")
        assert spec is not None and spec.submodule_search_locations, "a part of the package"
        (folder,) = spec.submodule_search_locations
        found = os.path.join(folder, file[len("configs/") :])
        if os.path.exists(found):
            return f"{name}={found}{colon}{variant}"
    return argument


def _exit(message: str, code: int) -> None:
    print(message, file=sys.stderr)
    sys.exit(code)
