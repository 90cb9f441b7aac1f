"""Rewards in the signature of TRL's trainers, and self-critical advantages.

A reward is called as `reward(prompts, completions, **columns)` and returns one float for each completion, which is
a text or a list of chat messages, whose last one counts. `columns` are those of the data set: each reward says
which it reads, and their names can be changed. Rewards pickle as paths and settings.

    reward = rewards.WeightedSum([(1.0, rewards.ClipS("clip")), (0.5, rewards.Grammar("run"))])
    GRPOTrainer(..., reward_funcs=[reward])
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Literal, Union

import numpy as np
from numpy.typing import ArrayLike

from . import _finecap, _frequencies, _texts
from .models import PROMPT, WEIGHT, Clip, GrammarHead

Model = Union[str, "os.PathLike[str]", Clip]


class Reward:
    """A reward: one float for each completion."""

    #: Name in logs, which trainers ask for.
    __name__ = "reward"

    def __call__(self, prompts: Any = None, completions: Sequence[Any] = (), **columns: Any) -> list[float]:
        if isinstance(completions, str):
            raise ValueError("completions must be a list of texts or chats, not one text")
        texts = [_completion(one, place) for place, one in enumerate(completions)]
        if not texts:
            return []
        return [float(score) for score in self.score(texts, columns)]

    def score(self, texts: list[str], columns: dict[str, Any]) -> Any:
        """One score for each text."""
        raise NotImplementedError

    def _column(self, columns: dict[str, Any], name: str, count: int) -> list[Any]:
        if name not in columns:
            raise KeyError(f"the reward {self.__name__} reads the column {name!r}, which the data set does not have")
        values = list(columns[name])
        if len(values) != count:
            raise ValueError(f"the column {name!r} has {len(values)} rows for {count} completions")
        return values


def _completion(value: Any, place: int) -> str:
    """A text, or the content of the last chat message, whose parts may be a list."""
    where = f"completion {place}"
    if isinstance(value, (list, tuple)) and value and isinstance(value[-1], dict):
        value = value[-1].get("content")
        if isinstance(value, list):
            parts = [part.get("text") for part in value if isinstance(part, dict) and part.get("type") == "text"]
            value = "".join(_texts.text(part, where) for part in parts)
    return _texts.text(value, where)


class _WithClip(Reward):
    """Reads pictures and a CLIP model, which is loaded when it is first asked."""

    def __init__(
        self,
        clip: Model,
        image: str = "image",
        *,
        prompt: str = PROMPT,
        device: str = "auto",
        threads: int | None = None,
    ) -> None:
        self.image, self.prompt = image, prompt
        self._model: Clip | None = clip if isinstance(clip, Clip) else None
        self._settings: tuple[Any, ...] = () if isinstance(clip, Clip) else (clip, device, threads)

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        if self._settings:
            state["_model"] = None
        return state

    def _clip(self) -> Clip:
        if self._model is None:
            self._model = Clip.load(*self._settings)
        return self._model

    def _rows(self, columns: dict[str, Any], count: int) -> np.ndarray:
        """Embeddings of the pictures, those that come several times computed once."""
        errors: dict[int, str] = {}
        images = [_single(image) for image in self._column(columns, self.image, count)]
        rows = self._clip()._embed_once(images, errors, False)
        if errors:
            raise ValueError(errors[min(errors)])
        return rows


def _single(image: Any) -> Any:
    """The picture of a list of one, as data sets for chats hold it."""
    if isinstance(image, (list, tuple)):
        if len(image) != 1:
            raise ValueError(f"a caption is about one picture, not {len(image)}")
        return image[0]
    return image


class ClipS(_WithClip):
    """CLIP-S: `weight * max(cos, 0)` of picture and caption. Reads the column `image`."""

    __name__ = "clip_s"

    def __init__(self, clip: Model, image: str = "image", *, weight: float = WEIGHT, **settings: Any) -> None:
        super().__init__(clip, image, **settings)
        self.weight = weight

    def score(self, texts: list[str], columns: dict[str, Any]) -> Any:
        rows = self._rows(columns, len(texts))
        return self._clip()._scored(rows, [[text] for text in texts], None, self.prompt, self.weight)[0]


class RefClipS(ClipS):
    """RefCLIP-S, which also looks at the references. Reads the columns `image` and `references`."""

    __name__ = "ref_clip_s"

    def __init__(self, clip: Model, image: str = "image", references: str = "references", **settings: Any) -> None:
        super().__init__(clip, image, **settings)
        self.references = references

    def score(self, texts: list[str], columns: dict[str, Any]) -> Any:
        rows = self._rows(columns, len(texts))
        references = [
            _texts.several(own, f"row {place} of {self.references!r}")
            for place, own in enumerate(self._column(columns, self.references, len(texts)))
        ]
        return self._clip()._scored(rows, [[text] for text in texts], references, self.prompt, self.weight)[1]


class Contrastive(_WithClip):
    """How much better a caption fits its own picture than the others in the batch: the logarithm of the
    probability that CLIP gives it among them, at most 0. Reads the column `image`."""

    __name__ = "contrastive"

    def score(self, texts: list[str], columns: dict[str, Any]) -> Any:
        rows = self._rows(columns, len(texts))
        # A picture of several samples stands once among those it is told from.
        _, first, place = np.unique(rows, axis=0, return_index=True, return_inverse=True)
        captions: list[list[str]] = [[] for _ in first]
        order: list[list[int]] = [[] for _ in first]
        for row, (text, own) in enumerate(zip(texts, place.reshape(-1))):
            captions[own].append(text)
            order[own].append(row)
        found = self._clip()._scored(rows[first], captions, None, self.prompt, 1.0, contrastive=True)[0]
        scores = np.empty(len(texts), np.float32)
        scores[[row for own in order for row in own]] = found
        return scores


class CiderD(Reward):
    """CIDEr-D, by Penn Treebank words. Reads the column `references`.

    `df` are document frequencies as `finecap.coco.CiderD` takes them, or `CiderD.count(references)`: those of a
    batch alone would say little.
    """

    __name__ = "cider_d"

    def __init__(self, df: _frequencies.Source, references: str = "references") -> None:
        if isinstance(df, str) and df == "corpus":
            raise ValueError("a reward needs document frequencies of the training captions: see CiderD.count")
        self.df, self.references = df, references
        self._table: _finecap.Frequencies | None = None

    @classmethod
    def count(cls, references: Sequence[Sequence[str]], column: str = "references") -> CiderD:
        """Counts the frequencies over the references of all training images."""
        own = [_texts.several(value, f"image {place}") for place, value in enumerate(references)]
        if not own:
            raise ValueError("document frequencies need the references of at least one image")
        return cls(_finecap.Frequencies.count(_texts.cut_nested(own)), column)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_table": None}

    def score(self, texts: list[str], columns: dict[str, Any]) -> Any:
        self._table = self._table or _frequencies.load(self.df)
        references = [
            _texts.several(own, f"row {place} of {self.references!r}")
            for place, own in enumerate(self._column(columns, self.references, len(texts)))
        ]
        # Samples of the same image have the same references, which are cut into words once.
        distinct = dict.fromkeys(tuple(own) for own in references)
        words = dict(zip(distinct, _texts.cut_nested([list(own) for own in distinct])))
        return _finecap.cider_d(_texts.cut(texts), [words[tuple(own)] for own in references], self._table)


class Grammar(Reward):
    """The probability that a caption is a sentence, by the grammar model of a run."""

    __name__ = "grammar"

    def __init__(self, path: Any, *, device: str = "auto", threads: int | None = None) -> None:
        self._settings = (path, device, threads)
        self._head: GrammarHead | None = path if isinstance(path, GrammarHead) else None
        if self._head is not None:
            self._settings = self._head._settings

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_head": None}

    def score(self, texts: list[str], columns: dict[str, Any]) -> Any:
        self._head = self._head or GrammarHead.load(*self._settings)
        return self._head(texts, progress=False)


class WeightedSum(Reward):
    """A sum of rewards, each with its weight."""

    def __init__(self, terms: Sequence[tuple[float, Reward]]) -> None:
        if not terms:
            raise ValueError("a weighted sum needs at least one reward")
        for weight, reward in terms:
            if not np.isfinite(weight):
                raise ValueError(
                    f"the weight of {getattr(reward, '__name__', 'a reward')} must be finite, not {weight}"
                )
        self.terms = [(float(weight), reward) for weight, reward in terms]
        self.__name__ = "_plus_".join(getattr(reward, "__name__", "reward") for _, reward in self.terms)

    def __call__(self, prompts: Any = None, completions: Sequence[Any] = (), **columns: Any) -> list[float]:
        total = [0.0] * len(completions)
        for weight, reward in self.terms:
            scores = reward(prompts=prompts, completions=completions, **columns)
            if len(scores) != len(total):
                name = getattr(reward, "__name__", "reward")
                raise ValueError(f"the reward {name} gave {len(scores)} scores for {len(total)} completions")
            total = [sum_ + weight * score for sum_, score in zip(total, scores)]
        return total


class SelfCritical:
    """Advantages of self-critical training: rewards less a baseline.

    Args:
        baseline: "greedy" (the greedy caption of the same image, Rennie et al. 2017), "leave_one_out" (the mean
            of the other samples) or "mean" (of all samples of the image).
        divide_by_spread: divide by the standard deviation of an image's rewards, as GRPO does.
    """

    def __init__(
        self, baseline: Literal["greedy", "leave_one_out", "mean"] = "greedy", divide_by_spread: bool = False
    ) -> None:
        if baseline not in ("greedy", "leave_one_out", "mean"):
            raise ValueError(f'the baseline must be "greedy", "leave_one_out" or "mean", not {baseline!r}')
        self.baseline, self.divide_by_spread = baseline, divide_by_spread

    def advantages(self, rewards: ArrayLike, greedy: ArrayLike | None = None) -> np.ndarray:
        """Advantages of K samples of each of B images.

        Args:
            rewards: `[B, K]`.
            greedy: rewards of the greedy captions, `[B]`; for the baseline "greedy" alone.

        Returns:
            float32 `[B, K]`.

        Raises:
            ValueError: shapes that don't fit, a reward that is no number, one sample without a greedy caption.
        """
        own = np.asarray(rewards, dtype=np.float32)
        if own.ndim != 2:
            raise ValueError(f"rewards have the shape {list(own.shape)}, but [images, samples] is needed")
        rows = own
        if self.baseline == "greedy":
            if greedy is None:
                raise ValueError("the baseline of greedy captions needs their rewards")
            base = np.asarray(greedy, dtype=np.float32)
            if base.shape != own.shape[:1]:
                raise ValueError(f"greedy rewards have the shape {list(base.shape)}, but [{len(own)}] is needed")
            rows = np.concatenate([base[:, None], own], axis=1)
        if not np.isfinite(rows).all():
            raise ValueError("a reward is not a number")
        if own.size == 0:
            return np.zeros(own.shape, np.float32)
        found = _finecap.advantages(rows.reshape(-1).tolist(), own.shape[1], self.baseline, self.divide_by_spread)
        return np.array(found, np.float32).reshape(own.shape)
