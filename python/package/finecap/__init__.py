"""Exact caption metrics without Java, CLIP scores and rewards.

    import finecap

    finecap.evaluate({"1": "a cat on a couch"}, {"1": ["a cat sits on a red couch"]})

* `evaluate`, `diversity`, `fine_cap_eval`, `retrieval`: captions and embeddings in, numbers out
* `finecap.coco`: the classes of pycocoevalcap, with the same numbers
* `Clip`, `GrammarHead`, `Captioner`: models
* `finecap.rewards`: rewards for anyone's training loop; `SelfCritical`: advantages
"""

from importlib.metadata import version as _version

from . import coco, rewards
from .metrics import diversity, evaluate, fine_cap_eval, retrieval
from .models import Captioner, Clip, GrammarHead
from .rewards import SelfCritical

__all__ = [
    "Captioner",
    "Clip",
    "GrammarHead",
    "SelfCritical",
    "coco",
    "diversity",
    "evaluate",
    "fine_cap_eval",
    "retrieval",
    "rewards",
]
__version__ = _version("finecap")
