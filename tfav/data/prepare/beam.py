"""Decodes rows on whatever runs Apache Beam: this machine, Flink, Spark, Dataflow.

Only decoding is spread: each worker fills files of chunks (`data.chunks`), and one process then
makes the data set of them as it always does, so that both ways give the same bytes. Workers need
tfav, the rows' files at the same paths, and the folder of the chunks.
"""

import contextlib
import functools
import io
from collections.abc import Callable, Sequence

import tensorflow as tf

from tfav import registry
from tfav.data.prepare import chunks, manifest, records


def fill(
    cut: Sequence[chunks.Chunk], options: records.Options, runner: str, flags: Sequence[str] = ()
) -> None:
    """Has the files written that are missing, in parallel.

    Args:
      cut: of `chunks.cut`.
      options: of pictures.
      runner: as in `spread`.
      flags: as in `spread`.

    Raises:
      UserError: Beam is not installed, or refuses the runner or the flags.
    """
    # Plain tuples: Beam would take a NamedTuple for a row of a schema.
    missing = [tuple(chunk) for chunk in cut if not tf.io.gfile.exists(chunk.path)]
    spread(missing, functools.partial(_fill, options), runner, flags)


def spread(
    jobs: Sequence[tuple], do: Callable[[tuple], None], runner: str, flags: Sequence[str] = ()
) -> None:
    """Does jobs on the workers of a runner.

    Args:
      jobs: what each is about, of what pickle takes.
      do: is called with each, by any process, perhaps more than once.
      runner: of Beam: `DirectRunner` (also `direct`), `FlinkRunner`, `SparkRunner`, ...
      flags: of Beam and the runner: `--direct_num_workers=8`, `--flink_master=...`

    Raises:
      UserError: Beam is not installed, or refuses the runner or the flags.
    """
    try:
        import apache_beam
        from apache_beam.options import pipeline_options
    except ImportError as error:
        raise registry.UserError(
            "--runner needs Apache Beam, which the extra `beam` brings: pip install 'tfav[beam]'."
        ) from error
    name = runner if "runner" in runner.lower() else f"{runner.title()}Runner"
    if not jobs:
        return
    said = io.StringIO()  # its parser prints pages and exits
    try:
        with contextlib.redirect_stderr(said):
            settings = pipeline_options.PipelineOptions([f"--runner={name}", *flags])
            settings.get_all_options()  # reads them now
            pipeline = apache_beam.Pipeline(options=settings)
    except (ValueError, ImportError, AttributeError, SystemExit) as error:
        reason = said.getvalue().strip().rpartition("\n")[2] or error
        raise registry.UserError(
            f"--runner={runner} with --beam_options={' '.join(flags)} is refused by Apache Beam "
            f"({reason}): see its list of runners and their flags."
        ) from error
    with pipeline:
        pipeline | apache_beam.Create(jobs) | apache_beam.Reshuffle() | apache_beam.Map(do)


def _fill(options: records.Options, chunk: tuple[str, tuple[manifest.Row, ...]]) -> None:
    chunks.fill(chunks.Chunk(*chunk), options)
