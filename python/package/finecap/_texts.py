"""Captions as people hold them, as plain lists."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from . import _finecap


def text(value: Any, where: str) -> str:
    """One caption."""
    if not isinstance(value, str):
        raise ValueError(f"{where}: a caption must be text, not {type(value).__name__}")
    return value


def one(value: Any, where: str) -> str:
    """One caption, alone or in a list."""
    if isinstance(value, (list, tuple)):
        if len(value) != 1:
            raise ValueError(f"{where}: one caption is scored, but there are {len(value)}")
        value = value[0]
    return text(value, where)


def several(value: Any, where: str) -> list[str]:
    """At least one reference."""
    if isinstance(value, str):
        return [value]
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"{where}: references must be a list of texts, not {type(value).__name__}")
    if not value:
        raise ValueError(f"{where}: there are no references: give at least one or leave the image out")
    return [text(reference, where) for reference in value]


def texts(values: Any, what: str) -> list[str]:
    """A list of captions."""
    if isinstance(values, str):
        values = [values]
    if isinstance(values, Mapping) or not hasattr(values, "__iter__"):
        raise ValueError(f"{what}s must be a list of texts, not {type(values).__name__}")
    return [text(value, f"{what} {place}") for place, value in enumerate(values)]


def keyed(values: Any, what: str) -> dict[Hashable, Any]:
    """A dict as it is, a list by its places."""
    if isinstance(values, Mapping):
        return dict(values)
    if isinstance(values, str) or not hasattr(values, "__iter__"):
        raise ValueError(f"{what} must be a dict or a list, not {type(values).__name__}")
    return dict(enumerate(values))


def same_keys(candidates: Mapping[Hashable, Any], references: Mapping[Hashable, Any]) -> None:
    """Both sides must have the same images, of which there is at least one."""
    if not candidates and not references:
        raise ValueError("there is nothing to score: give at least one caption")
    for key in candidates:
        if key not in references:
            raise KeyError(f"image {key!r} has a caption but no references")
    for key in references:
        if key not in candidates:
            raise KeyError(f"image {key!r} has references but no caption")


def cut(captions: list[str]) -> list[str]:
    """Penn Treebank words of captions, joined by spaces."""
    return _finecap.ptb_tokenize(captions)


def cut_nested(captions: list[list[str]]) -> list[list[str]]:
    """As `cut`, for the references of every image."""
    flat = iter(cut([caption for own in captions for caption in own]))
    return [[next(flat) for _ in own] for own in captions]
