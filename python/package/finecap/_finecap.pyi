"""The part that computes; what users call is in the other modules."""

from os import PathLike
from typing import TypedDict

import numpy as np

from ._pictures import Input

_Path = str | PathLike[str]
_Measures = tuple[list[float], float, float, list[int]]

class Evaluated(TypedDict):
    names: list[str]
    scores: list[float]
    per_image: list[list[float]]
    intervals: list[tuple[float, float, float]]
    baseline: list[float] | None

class Frequencies:
    @staticmethod
    def load(path: _Path) -> Frequencies: ...
    @staticmethod
    def of(images: int, counts: list[tuple[list[str], int]]) -> Frequencies: ...
    @staticmethod
    def count(references: list[list[str]]) -> Frequencies: ...
    @staticmethod
    def from_json(text: str) -> Frequencies: ...
    @property
    def images(self) -> int: ...

class Meteor:
    @staticmethod
    def load(path: _Path) -> Meteor: ...

class Clip:
    @staticmethod
    def load(path: _Path, device: str | None, threads: int | None) -> Clip: ...
    @property
    def width(self) -> int: ...
    @property
    def image_size(self) -> int: ...
    def tokenize(self, texts: list[str]) -> list[list[int]]: ...
    def embed_texts(self, texts: list[str], prompt: str, progress: bool) -> np.ndarray: ...
    def embed_images(
        self, images: list[Input], whole_batches: bool, progress: bool
    ) -> tuple[np.ndarray, dict[int, str]]: ...
    def score(
        self,
        images: np.ndarray,
        image_of: list[int],
        captions: list[str],
        references: list[list[str]] | None,
        prompt: str,
        weight: float,
        contrastive: bool,
    ) -> tuple[np.ndarray, np.ndarray | None]: ...

class GrammarHead:
    @staticmethod
    def load(path: _Path, device: str | None, threads: int | None) -> GrammarHead: ...
    def probabilities(self, captions: list[str], progress: bool) -> np.ndarray: ...

class Captioner:
    @staticmethod
    def load(run: _Path, clip: _Path | None, device: str | None, threads: int | None) -> Captioner: ...
    @property
    def max_len(self) -> int: ...
    @property
    def unsure(self) -> list[str]: ...
    def caption(
        self,
        images: list[Input],
        beam: int,
        n_best: int,
        length_penalty: float,
        block_trigrams: bool,
        no_unknown: bool,
        no_bad_endings: bool,
        max_len: int | None,
        progress: bool,
    ) -> tuple[list[list[tuple[str, float]]], dict[int, str]]: ...

def ptb_tokenize(captions: list[str]) -> list[str]: ...
def bleu(candidates: list[str], references: list[list[str]]) -> tuple[list[float], list[list[float]]]: ...
def rouge_l(candidates: list[str], references: list[list[str]]) -> list[float]: ...
def cider_d(
    candidates: list[str],
    references: list[list[str]],
    frequencies: Frequencies | None = None,
    plain: bool = False,
) -> list[float]: ...
def meteor(data: Meteor, candidates: list[str], references: list[list[str]]) -> tuple[float, list[float]]: ...
def evaluate(
    systems: list[list[str]],
    references: list[list[str]],
    metrics: list[str],
    meteor: Meteor | None,
    frequencies: Frequencies | None,
    per_image: bool,
    resamples: int,
    seed: int,
    progress: bool,
) -> Evaluated: ...
def statistics(captions: list[str]) -> dict[str, float]: ...
def fine_cap_eval(
    names: list[str], captions: list[str], path: _Path, allow_missing: bool
) -> tuple[list[tuple[str, str, list[float]]], list[str], int]: ...
def retrieval(
    images: np.ndarray, texts: np.ndarray, image_of_text: list[int], fair: bool
) -> tuple[_Measures, _Measures]: ...
def advantages(scores: list[float], samples: int, baseline: str, divide_by_spread: bool) -> list[float]: ...
def main(arguments: list[str]) -> int: ...
