"""Document frequencies for CIDEr-D, from the files that people have."""

from __future__ import annotations

import math
import os
import pickle
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Union

from . import _finecap

Source = Union[str, "os.PathLike[str]", Mapping[str, Any], _finecap.Frequencies]


def load(source: Source) -> _finecap.Frequencies:
    """A table of `finecap prepare` (.json), or a pickled one of the CIDEr-D code (.p, .pkl), or its dict.

    The dict has `document_frequency`, n-grams (tuples of words) with the number of images that have them,
    and `ref_len`, the number of images.
    """
    if isinstance(source, _finecap.Frequencies):
        return source
    name = "the table of document frequencies"
    table: Any = source
    if not isinstance(source, Mapping):
        name = os.fspath(source)
        if name.endswith(".json"):
            return _finecap.Frequencies.load(name)
        try:
            with open(name, "rb") as file:
                table = _Plain(file, encoding="latin1").load()
        except (pickle.UnpicklingError, EOFError, ValueError) as error:
            raise ValueError(f"{name}: is not a table of document frequencies: {error}") from None
    try:
        counts, images = table["document_frequency"], float(table["ref_len"])
        rows = [([str(word) for word in ngram], int(count)) for ngram, count in counts.items() if count]
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ValueError(
            f"{name}: must have document_frequency, the images of each n-gram, and ref_len, the number of images"
        ) from None
    if not math.isfinite(images) or images != int(images) or images < 1:
        raise ValueError(f"{name}: ref_len must be the number of images, not {images}")
    return _finecap.Frequencies.of(int(images), rows)


class _Plain(pickle.Unpickler):
    """Reads plain values only: a pickle may otherwise run anything."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = {"defaultdict": defaultdict, "float": float, "int": int, "dict": dict}
        if module in ("collections", "builtins", "__builtin__") and name in allowed:
            return allowed[name]
        raise pickle.UnpicklingError(f"it holds {module}.{name}, which is no plain value")
