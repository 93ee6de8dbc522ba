"""The precisions of a `.tflite`, one row each: all that is particular to one stands in its row."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from tfav import items, registry
from tfav.export.lite import calibration, conversion, quantize


class Source(NamedTuple):
    """What a file is made of.

    Attributes:
      model: folder of a SavedModel whose signatures have batch 1.
      functions: the signatures of the file.
      items: modality to what one item of it is.
      whole: returns the float32 file of the same signatures.
      rows: real inputs to calibrate on.
    """

    model: str
    functions: Mapping[str, Callable]
    items: Mapping[str, items.ItemSpec]
    whole: Callable[[], bytes]
    rows: calibration.Rows


class Gate(NamedTuple):
    """Which least cosine to the checkpoint is asked of a file.

    Attributes:
      option: the field of `ExportOptions` that holds it.
      switch: the flag that sets it.
    """

    option: str
    switch: str


FLOAT = Gate("min_cosine", "--min_cosine")
INT8 = Gate("min_cosine_int8", "--min_cosine_int8")


class Precision(NamedTuple):
    """How a precision is made, and what is asked of it.

    Attributes:
      convert: returns the file of a `Source`.
      bytes_per_weight: Bytes of the network: a file below most of that has lost weights.
      gate: the least cosine.
      tie_share: two classes are tied where the checkpoint's logits of both differ by less than this
        share of the row's spread: rounding decides between them.
      quantised: whether the file is checked as `inspection.check_quantized` does, and its
        converter's word on the oldest runtime is not believed.
      calibrated: whether `convert` reads real inputs, `Source.rows`.
      require: raises UserError where a package that it needs is missing.
      map_error: how far a value of a map in [0, 1] may be from the checkpoint's; None: as far as
        the tie share.
    """

    convert: Callable[[Source], bytes]
    bytes_per_weight: float
    gate: Gate
    tie_share: float
    quantised: bool = False
    calibrated: bool = False
    require: Callable[[], object] = lambda: None
    map_error: float | None = None


def _static(source: Source) -> bytes:
    feeds = {
        name: list(calibration.feeds(function, source.rows, source.items))
        for name, function in source.functions.items()
    }
    for name, found in feeds.items():
        if not found:
            raise registry.UserError(
                f"no input of the train split to calibrate {name} on: give data that holds some, "
                "or leave int8_static out of --precisions."
            )
    if quantize.has_package():
        return quantize.static(source.whole(), feeds)
    if len(feeds) > 1:
        raise registry.UserError(
            "int8_static of several lengths in one file needs ai-edge-quantizer: "
            "pip install 'tfav[quantize]', or leave --durations out."
        )
    ((name, found),) = feeds.items()
    converter = conversion.converter(source.model, [name])
    return quantize.static_by_converter(converter, lambda: iter(found))


def _halved(source: Source) -> bytes:
    return conversion.convert(source.model, list(source.functions), half=True)


# A tie share is some times what rounding the weights to that precision moves a logit, and far below
# what a lost weight does. Weights of 8 bits are off by up to 1/254 of their channel's largest,
# eight times what float16 is; activations of 8 bits add an error a layer.
PRECISIONS = {
    # Of maps 1e-4: two hundred times what float32 rounding moved one of real rows, and far below
    # what a lost weight or a table left at zeros does.
    "float32": Precision(lambda source: source.whole(), 4, FLOAT, tie_share=1e-3, map_error=1e-4),
    "float16": Precision(_halved, 2, FLOAT, tie_share=1e-2),
    "int8": Precision(
        lambda source: quantize.dynamic(source.whole()),
        1,
        INT8,
        tie_share=5e-2,
        quantised=True,
        require=quantize.package,
    ),
    "int8_static": Precision(_static, 1, INT8, tie_share=1e-1, quantised=True, calibrated=True),
}


def find(name: str) -> Precision:
    """Returns a row of `PRECISIONS`, or what a dotted path leads to.

    Raises:
      UserError: an unknown precision.
    """
    return registry.lookup(PRECISIONS, name, "precision", registry.instance(Precision))
