"""Where METEOR's data are."""

from __future__ import annotations

import importlib.util
import os
from functools import lru_cache
from pathlib import Path

from . import _finecap

MISSING = (
    "METEOR's data are not here: `pip install pycocoevalcap` brings them (Java is not needed), or name the "
    "folder with meteor-1.5.jar and data/paraphrase-en.gz, or set FINECAP_METEOR_DATA"
)


def find(folder: str | os.PathLike[str] | None = None) -> str | None:
    """The folder that was named, or that of an installed pycocoevalcap."""
    if folder is not None:
        return os.fspath(folder)
    if named := os.environ.get("FINECAP_METEOR_DATA"):
        return named
    try:
        spec = importlib.util.find_spec("pycocoevalcap")
    except (ImportError, ValueError):
        return None
    for place in (spec and spec.submodule_search_locations) or []:
        meteor = Path(place) / "meteor"
        if (meteor / "meteor-1.5.jar").is_file():
            return str(meteor)
    return None


@lru_cache(maxsize=2)
def load(folder: str) -> _finecap.Meteor:
    """METEOR with the data of a folder, read once."""
    return _finecap.Meteor.load(folder)
