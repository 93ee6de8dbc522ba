"""What a server is sent: refused with a sentence where it cannot be embedded, fitted where it can.

Every check names the signature and the input, and comes before the encoder, which would fail on
shapes that mean nothing to the caller. The limits are those of the readers of
files, `media.mono` and `media.image_files`.
"""

import contextlib
import functools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import tensorflow as tf

from tfav import items, tensors
from tfav.data.input import crops
from tfav.media import image_files, mono

_Check = Callable[[], tf.Operation]


def shapes(
    signature: str, inputs: Mapping[str, tf.Tensor], specs: Mapping[str, tf.TensorSpec]
) -> dict[str, tf.Tensor]:
    """Returns inputs as they came, once they are known to have rows and the shapes of `specs`.

    Python compares shapes before it calls; the C++ session of a server does not, and would answer
    from embeddings of any size.
    """
    found = {}
    for name, value in inputs.items():
        value = tf.ensure_shape(value, specs[name].shape)
        none = f"{signature}: {name} has no rows, send at least one"
        with in_order([functools.partial(_refuse_no_rows, value, none)]):
            found[name] = tf.identity(value)
    return found


def checked(
    signature: str, specs: Mapping[str, items.ItemSpec], function: Callable[..., dict]
) -> Callable[..., dict[str, tf.Tensor]]:
    """Returns `function` behind the checks of a server.

    Args:
      signature: its name.
      specs: modality to what one item of it is.
      function: what answers to tensors by their names.
    """

    def run(**inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        for spec in specs.values():
            if spec.tensor in inputs:
                inputs |= item(signature, spec, inputs)
        return function(**rows(signature, inputs, {spec.length for spec in specs.values()}))

    return run


def _refuse_no_rows(value: tf.Tensor, sentence: str) -> tf.Operation:
    return refuse_unless(tf.shape(value)[0] > 0, sentence)


def item(
    signature: str, spec: items.ItemSpec, inputs: Mapping[str, tf.Tensor]
) -> dict[str, tf.Tensor]:
    """Returns the tensors of one modality as its encoder takes them, once they can be embedded."""
    value = inputs[spec.tensor]
    if spec.fitted:
        return {spec.tensor: _fitted(signature, spec, value)}
    checks = []
    if spec.length:
        checks += _counted(signature, spec, value, inputs[spec.length])
    if value.dtype.is_floating:
        unit = "samples, decode the clip again" if spec.clip else "values"
        broken = f"{signature}: {spec.tensor} holds NaN or infinite {unit}"
        checks.append(lambda: refuse_unless(tf.reduce_all(tf.math.is_finite(value)), broken))
    if spec.clip:
        checks += _audible(signature, spec, value, inputs[spec.length])
    with in_order(checks):
        return {name: tf.identity(inputs[name]) for name in spec.tensors}


def _counted(
    signature: str, spec: items.ItemSpec, value: tf.Tensor, count: tf.Tensor
) -> list[_Check]:
    """Returns checks of rows [B, T, ...] and how much of each counts, [B]."""
    rows, length = tf.shape(value)[0], tf.shape(value)[1]
    unit, example = ("samples", " (16000 are a second)") if spec.clip else ("steps", "")
    name, tensor = spec.length, spec.tensor
    return [
        lambda: refuse_unless(
            length > 0, f"{signature}: {tensor} has no {unit}, send at least one{example}"
        ),
        lambda: refuse_unless(
            tf.equal(rows, tf.size(count)), f"{signature}: send one {name} for each row of {tensor}"
        ),
        lambda: refuse_unless(
            tf.reduce_all(count > 0), f"{signature}: {name} counts the true {unit}, at least 1"
        ),
        lambda: refuse_unless(
            tf.reduce_all(count <= length), f"{signature}: {name} is more than the {tensor} holds"
        ),
    ]


def _audible(
    signature: str, spec: items.ItemSpec, value: tf.Tensor, count: tf.Tensor
) -> list[_Check]:
    """Returns checks of clips [B, T], [B]: long enough, not silent, and no integers as floats."""
    seconds = tf.cast(count, tf.float32) / tensors.SAMPLE_RATE_HZ
    sound = tf.sequence_mask(count, tf.shape(value)[1])
    peak = tf.reduce_max(tf.where(sound, tf.abs(value), tf.zeros_like(value)), axis=1)
    shortest, quietest = tf.argmin(seconds), tf.argmin(peak)
    loudest = tf.argmax(peak)
    least = round(mono.MIN_SECONDS * tensors.SAMPLE_RATE_HZ)
    row = f"{signature}: row"
    return [
        lambda: refuse_unless(
            tf.reduce_all(count >= least),
            *(row, shortest, f"of {spec.tensor} lasts", seconds[shortest]),
            f"s, send at least {mono.MIN_SECONDS} s",
        ),
        lambda: refuse_unless(
            tf.reduce_all(peak >= mono.MIN_PEAK),
            *(row, quietest, f"of {spec.tensor} is silent, its peak is", peak[quietest]),
            f"and the least that is embedded {mono.MIN_PEAK}: send sound",
        ),
        lambda: refuse_unless(
            tf.reduce_all(peak <= mono.MAX_PEAK),
            *(row, loudest, f"of {spec.tensor} has samples up to", peak[loudest]),
            "which should lie in [-1, 1]: divide those of 16 bits by 32768",
        ),
    ]


def _fitted(signature: str, spec: items.ItemSpec, pixels: tf.Tensor) -> tf.Tensor:
    """Returns images fitted to a square as the reader fits them.

    Args:
      signature: what was called.
      spec: What one item of the modality is.
      pixels: [B, H, W, 3] uint8, or frames [B, F, H, W, 3].

    Returns:
      [B, size, size, 3] or [B, F, size, size, 3] uint8.
    """
    shape, size = tf.shape(pixels), spec.side
    lacking = "pixels, send" if pixels.shape.rank == 4 else "frames or no pixels, send one frame of"
    some = f"{signature}: {spec.tensor} has no {lacking} at least 1 x 1"
    checks = [
        lambda: refuse_unless(tf.reduce_all(shape[1:-1] > 0), some),
        *_wide_enough(signature, spec.tensor, shape[-3:-1], min(size, image_files.MIN_SIDE)),
    ]
    with in_order(checks):
        flat = tf.reshape(pixels, tf.concat([[tf.reduce_prod(shape[:-3])], shape[-3:]], axis=0))
    fitted = tf.cond(
        tf.reduce_all(shape[-3:-1] == size),
        lambda: flat,
        lambda: tf.map_fn(lambda one: crops.fit(one, size), flat),
    )
    fitted = tf.reshape(fitted, tf.concat([shape[:-3], [size, size, 3]], axis=0))
    return tf.ensure_shape(fitted, [*pixels.shape[:-3], size, size, 3])


def _wide_enough(signature: str, name: str, shape: tf.Tensor, least: int) -> list[_Check]:
    return [
        lambda: refuse_unless(
            tf.reduce_min(shape) >= least,
            *(f"{signature}: {name} is", shape[0], "pixels high and", shape[1]),
            f"wide, send at least {least} x {least}",
        )
    ]


def wide_enough(signature: str, name: str, shape: tf.Tensor) -> list[_Check]:
    """Returns a check of an image file's height and width [2], what the reader refuses too."""
    return _wide_enough(signature, name, shape, image_files.MIN_SIDE)


def candidates(signature: str, probe: tf.Tensor, candidates: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns probes [B, D] and the candidates of each [B, N, D], once there are any."""
    none = f"{signature}: a probe has no candidates, send at least one in every row of candidates"
    with in_order([lambda: refuse_unless(tf.shape(candidates)[1] > 0, none)]):
        return {"probe": probe, "candidates": tf.identity(candidates)}


def embeddings(signature: str, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Returns embeddings [..., D] as they came, once they are known to be finite."""
    return {
        name: tf.debugging.assert_all_finite(
            value, f"{signature}: {name} holds NaN or infinite values, embed again"
        )
        for name, value in inputs.items()
    }


def rows(
    signature: str, inputs: Mapping[str, tf.Tensor], lengths: Collection[str] = ()
) -> dict[str, tf.Tensor]:
    """Returns inputs as they came, once they are known to hold the same number of rows.

    Args:
      signature: what was called.
      inputs: by name.
      lengths: names of those that count, which have been looked at.
    """
    first, *others = sorted(inputs.keys() - set(lengths))
    count = {name: tf.shape(inputs[name])[0] for name in (first, *others)}
    checks = [
        lambda other=other: refuse_unless(
            tf.equal(count[first], count[other]),
            f"{signature}: {first} and {other} hold different numbers of rows, send one of each "
            "for every row",
        )
        for other in others
    ]
    with in_order(checks):
        return {name: tf.identity(value) for name, value in inputs.items()}


def refuse_unless(condition: tf.Tensor, *words: str | tf.Tensor) -> tf.Operation:
    """Returns an assertion that refuses with a sentence of words and numbers."""
    texts = [
        word
        if isinstance(word, str)
        else tf.strings.as_string(word, shortest=True)
        if word.dtype.is_floating
        else tf.strings.as_string(word)
        for word in words
    ]
    return tf.debugging.Assert(condition, [tf.strings.join(texts, " ")])


@contextlib.contextmanager
def in_order(checks: Sequence[_Check]) -> Iterator[None]:
    """Runs what is made in the block after the checks, and each check after the one before.

    So what is said first is what is wrong first: without, any of them may be.
    """
    with contextlib.ExitStack() as stack:
        for check in checks:
            stack.enter_context(tf.control_dependencies([check()]))
        yield
