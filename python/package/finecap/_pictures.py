"""Pictures as people hold them, as the compiled part reads them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any, Union

import numpy as np

# Modes of Pillow whose values are read as they are.
_MODES = ("L", "LA", "RGB", "RGBA", "CMYK", "I;16")

Input = Union[str, "tuple[bytes, str]", "tuple[str, int, int, bytes]"]


def inputs(images: Any) -> tuple[list[Input], dict[int, str]]:
    """All pictures, and why some can't be read."""
    if isinstance(images, (str, bytes, os.PathLike)) or not isinstance(images, (Sequence, np.ndarray, Iterable)):
        raise ValueError("pictures must be given as a list")
    read, errors = [], {}
    for place, image in enumerate(images):
        try:
            read.append(_input(image, place))
        except OSError as error:  # Pillow reads a file only now.
            errors[place] = f"picture {place}: {error}"
            read.append((b"", f"picture {place}"))
    return read, errors


def _input(image: Any, place: int) -> Input:
    if isinstance(image, (str, os.PathLike)):
        return os.fspath(image)
    if isinstance(image, (bytes, bytearray, memoryview)):
        return bytes(image), f"picture {place}"
    if isinstance(image, np.ndarray):
        return _array(image, place)
    if hasattr(image, "mode") and hasattr(image, "tobytes") and hasattr(image, "convert"):
        width, height = image.size
        if image.mode in ("P", "1"):
            return "P", width, height, image.convert("RGB").tobytes()
        if image.mode not in _MODES:
            raise ValueError(
                f'picture {place}: Pillow\'s mode {image.mode} is not read: convert it with image.convert("RGB")'
            )
        return image.mode, width, height, image.tobytes()
    raise ValueError(
        f"picture {place}: must be a path, the bytes of a file, a picture of Pillow or a uint8 array, "
        f"not {type(image).__name__}"
    )


def _array(image: np.ndarray, place: int) -> Input:
    channels = {2: "L"}.get(image.ndim) or (image.ndim == 3 and {1: "L", 3: "RGB", 4: "RGBA"}.get(image.shape[2]))
    if image.dtype != np.uint8 or not channels:
        raise ValueError(
            f"picture {place}: an array must be uint8 of [height, width] or [height, width, 3], "
            f"not {image.dtype} of {list(image.shape)}"
        )
    return channels, image.shape[1], image.shape[0], np.ascontiguousarray(image).tobytes()


def settle(errors: dict[int, str], into: dict[int, str] | None) -> None:
    """Hands errors over to who asked for them; otherwise raises the first."""
    if into is not None:
        into.update(sorted(errors.items()))
    elif errors:
        raise ValueError(errors[min(errors)])
