"""Scores of captions and embeddings."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Union

import numpy as np
from numpy.typing import ArrayLike

from . import _finecap, _frequencies, _meteor, _texts

Captions = Union[Mapping[Any, Union[str, Sequence[str]]], Sequence[Union[str, Sequence[str]]]]

METRICS = ("BLEU", "METEOR", "ROUGE-L", "CIDEr-D", "CIDEr")


def evaluate(
    candidates: Captions,
    references: Captions,
    metrics: Sequence[str] | None = None,
    per_image: bool = False,
    resamples: int = 0,
    meteor_data: str | os.PathLike[str] | None = None,
    *,
    baseline: Captions | None = None,
    frequencies: _frequencies.Source | None = None,
    tokenizer: Literal["ptb", "spaces"] = "ptb",
    seed: int = 1,
    progress: bool = True,
) -> dict[str, Any]:
    """Scores one caption for each image against its references, as pycocoevalcap does.

    Args:
        candidates: one caption for each image: a dict by image, or a list.
        references: one or several captions for each image, by the same keys or in the same order.
        metrics: some of BLEU, METEOR, ROUGE-L, CIDEr-D and CIDEr (plain); by default all. pycocoevalcap's
            "CIDEr" is CIDEr-D.
        per_image: also give the scores of each image.
        resamples: resamples of the images for 95 % intervals (percentile bootstrap); 0 for none, 1000 is usual.
        meteor_data: folder with meteor-1.5.jar; found by itself where pycocoevalcap is installed.
        baseline: captions of another system for the same images, to compare with.
        frequencies: document frequencies for CIDEr-D and CIDEr (see `finecap.coco.CiderD`) instead of those
            of the references.
        tokenizer: "ptb" cuts captions into words as coco-caption does; "spaces" takes words between spaces.
        seed: seed of the resamples.
        progress: show a bar on a terminal.

    Returns:
        A dict with
        `scores`: metric -> number (0 to 1; CIDEr-D and CIDEr 0 to 10);
        `per_image`: image -> metric -> number, if asked for;
        `intervals`: metric -> (low, high), with resamples;
        `baseline`: metric -> number, and `differences`: metric -> {"difference", and with resamples "low",
        "high", "p"}, with a baseline; p is that of the paired bootstrap test, two-sided;
        `not_computed`: metric -> why, for METEOR without its data.

    Raises:
        KeyError: an image that one side lacks.
        ValueError: anything else that can't be scored, in one sentence.
    """
    folder = _meteor.find(meteor_data)
    chosen, not_computed = _chosen(metrics, folder)
    ours, theirs = _texts.keyed(candidates, "candidates"), _texts.keyed(references, "references")
    _texts.same_keys(ours, theirs)
    keys = list(theirs)
    systems = [[_texts.one(ours[key], f"image {key!r}") for key in keys]]
    if baseline is not None:
        other = _texts.keyed(baseline, "baseline")
        _texts.same_keys(other, theirs)
        systems.append([_texts.one(other[key], f"image {key!r} of the baseline") for key in keys])
    texts = [_texts.several(theirs[key], f"image {key!r}") for key in keys]
    if tokenizer == "ptb":
        systems, texts = _texts.cut_nested(systems), _texts.cut_nested(texts)
    elif tokenizer != "spaces":
        raise ValueError(f'the tokenizer must be "ptb" or "spaces", not {tokenizer!r}')
    if resamples < 0:
        raise ValueError(f"resamples must not be negative, as {resamples} is")
    found = _finecap.evaluate(
        systems,
        texts,
        chosen,
        _meteor.load(folder) if folder and "METEOR" in chosen else None,
        _frequencies.load(frequencies) if frequencies is not None else None,
        per_image,
        resamples,
        seed,
        progress,
    )
    names, intervals = found["names"], found["intervals"]
    result: dict[str, Any] = {"scores": dict(zip(names, found["scores"]))}
    if per_image:
        result["per_image"] = {key: dict(zip(names, row)) for key, row in zip(keys, found["per_image"])}
    if resamples:
        result["intervals"] = {name: bounds[:2] for name, bounds in zip(names, intervals)}
    if found["baseline"] is not None:
        result["baseline"] = dict(zip(names, found["baseline"]))
        result["differences"] = differences = {}
        for place, name in enumerate(names):
            differences[name] = {"difference": found["scores"][place] - found["baseline"][place]}
            if resamples:
                bounds = intervals[len(names) + place]
                differences[name].update(zip(("low", "high", "p"), bounds))
    if not_computed:
        result["not_computed"] = not_computed
    return result


def _chosen(metrics: Sequence[str] | None, meteor: str | None) -> tuple[list[str], dict[str, str]]:
    """The metrics to compute, in their usual order, and why one is not."""
    if metrics is None:
        if meteor is None:
            return [name for name in METRICS if name != "METEOR"], {"METEOR": _meteor.MISSING}
        return list(METRICS), {}
    if isinstance(metrics, str):
        metrics = [metrics]
    for name in metrics:
        if name not in METRICS:
            raise ValueError(f"there is no metric {name!r}: choose from {', '.join(METRICS)}")
    if not metrics:
        raise ValueError(f"name at least one metric: {', '.join(METRICS)}")
    if "METEOR" in metrics and meteor is None:
        raise ValueError(_meteor.MISSING)
    return [name for name in METRICS if name in metrics], {}


def diversity(captions: Captions) -> dict[str, float]:
    """What a set of captions looks like, without references.

    Args:
        captions: a dict by image or a list; one caption or several for each image.

    Returns:
        `captions` (number), `mean_words`, `distinct` (different captions), `vocabulary` (different words),
        `distinct_1` and `distinct_2` (different words or pairs over all, Li et al. 2016), `repetition` (share
        of the words that a caption has said before). Words are those of `evaluate`.

    Raises:
        ValueError: no captions, or one that is no text.
    """
    own = _texts.keyed(captions, "captions")
    flat = [caption for key, value in own.items() for caption in _texts.several(value, f"image {key!r}")]
    return _finecap.statistics(_texts.cut(flat))


def fine_cap_eval(
    candidates: Mapping[str, Union[str, Sequence[str]]],
    data: str | os.PathLike[str],
    per_image: bool = False,
    allow_missing: bool = False,
) -> dict[str, Any]:
    """Scores captions of FineCapEval's images (Cho et al. 2022).

    Args:
        candidates: one caption for each image, by its name; names match with or without endings.
        data: FineCapEval's csv file.
        per_image: also give the numbers of each image.
        allow_missing: score the images that both sides have, instead of stopping at the first that one lacks.

    Returns:
        `images`: how many were scored. `scores`: criterion (overall, background, object, relation) -> mode -> number. Overall has CIDEr-D; the
        others have the recall of phrases by `reference` (a stem anywhere in the caption, as the released
        scorer) and `strict` (a word of the same stem). `per_image`: image -> the same, if asked for.
        `rows_left_out`: rows of the file without phrases.

    Raises:
        ValueError: an image that one side lacks, or a file that can't be read.
    """
    own = _texts.keyed(candidates, "candidates")
    names = [_texts.text(name, "the name of an image") for name in own]
    captions = [_texts.one(caption, f"image {name!r}") for name, caption in own.items()]
    found, images, left_out = _finecap.fine_cap_eval(names, captions, data, allow_missing)
    result: dict[str, Any] = {"images": len(images), "scores": {}, "rows_left_out": left_out}
    for criterion, mode, numbers in found:
        result["scores"].setdefault(criterion, {})[mode] = float(np.mean(numbers))
    if per_image:
        result["per_image"] = {}
        for place, image in enumerate(images):
            own_scores: dict[str, Any] = {}
            for criterion, mode, numbers in found:
                own_scores.setdefault(criterion, {})[mode] = numbers[place]
            result["per_image"][image] = own_scores
    return result


def retrieval(
    images: ArrayLike,
    texts: ArrayLike,
    image_of_text: Sequence[int] | None = None,
    ties: Literal["fair", "reference"] = "fair",
) -> dict[str, dict[str, Any]]:
    """How well images and texts find each other, by cosine.

    Args:
        images: embeddings `[M, E]`, of any length.
        texts: embeddings `[N, E]`.
        image_of_text: the image of each text, `[N]`; by default the same number of successive texts belongs
            to each image.
        ties: "fair": half of the equally similar wrong answers stand before the right one; "reference": the
            later ones do, as in the released code.

    Returns:
        `text_to_image` and `image_to_text`, each with `R@1`, `R@5`, `R@10`, `R@50` (percent), `median_rank`,
        `mean_rank` and `ranks` (numpy, from 1; of an image with several texts the best one's).

    Raises:
        ValueError: shapes that don't fit, or rows without a direction.
    """
    rows = [_unit(images, "images"), _unit(texts, "texts")]
    m, n = len(rows[0]), len(rows[1])
    if image_of_text is None:
        if m == 0 or n % m:
            raise ValueError(f"{n} texts are not as many for each of {m} images: give image_of_text")
        image_of_text = [text // (n // m) for text in range(n)]
    elif len(image_of_text) != n:
        raise ValueError(f"image_of_text has {len(image_of_text)} places for {n} texts")
    if ties not in ("fair", "reference"):
        raise ValueError(f'ties must be "fair" or "reference", not {ties!r}')
    found = _finecap.retrieval(rows[0], rows[1], [int(place) for place in image_of_text], ties == "fair")
    result: dict[str, dict[str, Any]] = {}
    for way, (recall, median, mean, ranks) in zip(("text_to_image", "image_to_text"), found):
        result[way] = {f"R@{k}": value for k, value in zip((1, 5, 10, 50), recall)}
        result[way].update(median_rank=median, mean_rank=mean, ranks=np.array(ranks))
    return result


def _unit(values: ArrayLike, what: str) -> np.ndarray:
    try:
        rows = np.array(values, dtype=np.float32)
    except (TypeError, ValueError):
        raise ValueError(f"{what} must be rows of numbers") from None
    if rows.ndim != 2:
        raise ValueError(f"{what} have the shape {rows.shape}, but rows of numbers are needed")
    lengths = np.sqrt((rows * rows).sum(axis=1, keepdims=True))
    bad = np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0)))
    if bad.size:
        raise ValueError(f"row {bad[0]} of {what} has no direction: its length is {lengths[bad[0], 0]}")
    return rows / lengths


__all__: list[str] = ["METRICS", "diversity", "evaluate", "fine_cap_eval", "retrieval"]
