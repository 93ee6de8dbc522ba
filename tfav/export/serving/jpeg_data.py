"""What `media.jpeg_scans` finds in a JPEG, found in a graph: whether its data suffice.

Where data end too early and a marker follows, TensorFlow's decoder fills the rest with grey and is
content too. See there for how that is told; both say the same of the same bytes.
"""

from typing import NamedTuple

import tensorflow as tf

from tfav.media import jpeg_scans
from tfav.ops import binary

_FIRST_RESTART, _NUM_RESTARTS = jpeg_scans.RESTARTS[0], len(jpeg_scans.RESTARTS)
_ALONE = (jpeg_scans.SOI, jpeg_scans.TEM, *jpeg_scans.RESTARTS)  # markers without a length
_NUM_COMPONENTS, _NUM_COEFFICIENTS = 256, 64
_NOTHING = -1  # no restart marker to insert


class Scans(NamedTuple):
    """A JPEG and its data.

    Attributes:
      shape: [3] int64, height, width and channels that its header tells of; zeros without one.
      complete: whether every coefficient is sent, and restart markers count up as they must, [].
      closed: whether the end marker is there, [].
      plain: whether the data are of one piece, [].
      ends: [E] int64, place of each marker that ends data.
      restarts: [E] int32, the restart marker to put there too, or -1.
    """

    shape: tf.Tensor
    complete: tf.Tensor
    closed: tf.Tensor
    plain: tf.Tensor
    ends: tf.Tensor
    restarts: tf.Tensor


class _Markers:
    """Every place of a file [N] uint8 that looks like a marker.

    Attributes:
      starts: [R] int64, of the first 0xFF of each; `lasts`: of the last one.
      codes: [R] int32, what follows.
      others: [S] int64, which of them are no restart markers.
    """

    def __init__(self, content: tf.Tensor):
        fills = content == 0xFF
        before, after = tf.pad(fills, [[1, 0]])[:-1], tf.pad(fills, [[0, 1]])[1:]
        starts, lasts = (tf.where(fills & ~other)[:, 0] for other in (before, after))
        codes = tf.gather(tf.pad(content, [[0, 1]]), lasts + 1)
        real = codes != 0
        self.starts, self.lasts = tf.boolean_mask(starts, real), tf.boolean_mask(lasts, real)
        self.codes = tf.cast(tf.boolean_mask(codes, real), tf.int32)
        self.count = tf.size(self.codes, tf.int64)
        self.others = tf.where(~_is_any(self.codes, jpeg_scans.RESTARTS))[:, 0]

    def at(self, place: tf.Tensor) -> tf.Tensor:
        """Returns which marker is the first from a place [] on; their number: none is."""
        return _first(self.lasts, place)


def read(content: tf.Tensor) -> Scans:
    """Finds the data of a JPEG by its markers; never fails, whatever the bytes are.

    Args:
      content: [N] uint8.
    """
    markers = _Markers(content)

    def walking(place: tf.Tensor, *_: tf.Tensor) -> tf.Tensor:
        return place >= 0

    def step(place, closed, in_order, shape, progressive, missing, restarts):  # type: ignore
        found = markers.at(place)
        exists = found < markers.count
        code = tf.cond(exists, lambda: markers.codes[found], lambda: jpeg_scans.EOI)
        closed |= exists & (code == jpeg_scans.EOI)
        after = tf.cond(exists, lambda: markers.lasts[found] + 2, lambda: place)
        end = after + binary.number(content, after, 2, big=True)
        header = content[after:end]
        shape, progressive, missing = tf.cond(
            _is_any(code, jpeg_scans.FRAMES),
            lambda: _frame(code, header),
            lambda: (shape, progressive, missing),
        )
        following, right, restarts, missing = tf.cond(
            tf.equal(code, jpeg_scans.SOS),
            lambda: (
                *_data(markers, content, end, restarts),
                _sent(header, progressive, missing),
            ),
            lambda: (tf.where(_is_any(code, _ALONE), after, end), True, restarts, missing),
        )
        stop = tf.equal(code, jpeg_scans.EOI)
        return (
            *(tf.where(stop, tf.constant(-1, tf.int64), following), closed, in_order & right),
            *(shape, progressive, missing, restarts),
        )

    none = tf.zeros([_NUM_COMPONENTS, _NUM_COEFFICIENTS], tf.bool)
    state = [
        *(tf.constant(2, tf.int64), tf.constant(False), tf.constant(True)),
        *(tf.zeros([3], tf.int64), tf.constant(False), none),
        tf.fill([markers.count], tf.constant(_NOTHING - 1, tf.int32)),  # less: no data end there
    ]
    _, closed, in_order, shape, _, missing, restarts = tf.while_loop(walking, step, state)
    complete = in_order & ~tf.reduce_any(missing)
    ends = tf.boolean_mask(markers.starts, restarts >= _NOTHING)
    restarts = tf.boolean_mask(restarts, restarts >= _NOTHING)
    return Scans(shape, complete, closed, tf.equal(tf.size(ends), 1), ends, restarts)


def _frame(code: tf.Tensor, header: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns shape, whether coefficients come in several scans, and which of them are missing."""
    height, width = (binary.number(header, at, 2, big=True) for at in (3, 5))
    count = binary.number(header, 7, 1)
    progressive = _is_any(code, jpeg_scans.PROGRESSIVE)
    components = header[8 : 8 + 3 * count : 3]
    promised = tf.where(progressive, _NUM_COEFFICIENTS, 1)
    missing = _rows(components) & (tf.range(_NUM_COEFFICIENTS) < promised)
    missing &= tf.size(header, tf.int64) >= 8 + 3 * count
    return tf.stack([height, width, count]), progressive, missing


def _sent(header: tf.Tensor, progressive: tf.Tensor, missing: tf.Tensor) -> tf.Tensor:
    """Returns which coefficients are missing after a scan of this header."""
    count = binary.number(header, 2, 1)
    first, last, bits = (binary.number(header, 3 + 2 * count + k, 1) for k in range(3))
    first, last = (tf.where(progressive, x, 0) for x in (first, last))
    coefficients = tf.range(_NUM_COEFFICIENTS, dtype=tf.int64)
    sent = _rows(header[3 : 3 + 2 * count : 2]) & (first <= coefficients) & (coefficients <= last)
    known = tf.size(header, tf.int64) >= 6 + 2 * count
    return missing & ~(sent & known & ~(progressive & (bits % 16 > 0)))  # lower bits are to follow


def _data(
    markers: _Markers, content: tf.Tensor, start: tf.Tensor, restarts: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Follows the data that begin at `start`.

    Returns:
      where they end, whether restart markers count up, and `restarts` with the markers that end
      data: the restart marker to put there too, or `_NOTHING`.
    """
    first = markers.at(start)
    place = _first(markers.others, first)
    last = tf.cond(
        place < tf.size(markers.others, tf.int64),
        lambda: markers.others[place],
        lambda: markers.count,
    )
    count = tf.cast(last - first, tf.int32)
    right = _FIRST_RESTART + tf.range(count) % _NUM_RESTARTS
    in_order = tf.reduce_all(markers.codes[first:last] == right)
    which = tf.range(markers.count)
    restarts = tf.where((first <= which) & (which < last), _NOTHING, restarts)
    restarts = tf.where(which == last, _FIRST_RESTART + count % _NUM_RESTARTS, restarts)
    end = tf.cond(
        last < markers.count,
        lambda: tf.maximum(markers.starts[last], start),
        lambda: tf.size(content, tf.int64),
    )
    return end, in_order, restarts


def filled(file: tf.Tensor, scans: Scans) -> tf.Tensor:
    """Returns a file [] with more data before each marker that ends some; see `media`."""
    filler = jpeg_scans.FILLER
    table = [filler, *(filler + bytes([0xFF, code]) + filler for code in jpeg_scans.RESTARTS)]
    more = tf.gather(tf.constant(table), tf.maximum(scans.restarts - _FIRST_RESTART + 1, 0))
    begins = tf.concat([[tf.constant(0, tf.int64)], scans.ends], axis=0)
    pieces = tf.map_fn(
        lambda part: tf.strings.substr(file, part[0], part[1] - part[0]),
        (begins[:-1], scans.ends),
        fn_output_signature=tf.string,
    )
    length = tf.cast(tf.strings.length(file), tf.int64)
    rest = tf.strings.substr(file, begins[-1], length)
    return tf.strings.join([tf.strings.reduce_join(tf.strings.join([pieces, more])), rest])


def _rows(components: tf.Tensor) -> tf.Tensor:
    """Returns the components [n] uint8 as a mask of rows [256, 1]."""
    which = tf.range(_NUM_COMPONENTS)[:, tf.newaxis]
    return tf.reduce_any(which == tf.cast(components, tf.int32), axis=1, keepdims=True)


def _first(ascending: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
    return tf.searchsorted(ascending, [value], out_type=tf.int64)[0]


def _is_any(codes: tf.Tensor, of: tuple[int, ...] | range) -> tf.Tensor:
    return tf.reduce_any(codes[..., tf.newaxis] == tf.constant(list(of), codes.dtype), axis=-1)
