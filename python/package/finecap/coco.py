"""The classes of pycocoevalcap, with the same numbers and without Java.

Scripts change their imports only:

    from finecap.coco import Bleu, Cider, COCOEvalCap, Meteor, PTBTokenizer, Rouge

`gts` and `res` are dicts from image to a list of captions: all references, and the one caption. They are cut into
words already, as `PTBTokenizer` does it; words stand between spaces.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from . import _finecap, _frequencies, _meteor, _texts

Captions = Mapping[Any, "list[str]"]


def _pairs(gts: Captions, res: Captions) -> tuple[list[str], list[list[str]]]:
    """Candidates and references in the order of `gts`."""
    for what, given in (("gts", gts), ("res", res)):
        if not isinstance(given, Mapping):
            raise ValueError(f"{what} must be a dict from image to captions, not {type(given).__name__}")
    _texts.same_keys(res, gts)
    for key in gts:
        for what, value in (("gts", gts[key]), ("res", res[key])):
            if not isinstance(value, (list, tuple)):
                raise ValueError(f"image {key!r}: {what} must hold a list of captions, not {type(value).__name__}")
    return (
        [_texts.one(res[key], f"image {key!r}") for key in gts],
        [_texts.several(gts[key], f"image {key!r}") for key in gts],
    )


class PTBTokenizer:
    """Cuts captions into Penn Treebank words, in lower case and without punctuation."""

    def tokenize(self, captions_for_image: Mapping[Any, list[dict[str, Any]]]) -> dict[Any, list[str]]:
        """{image: [{"caption": text}, ...]} becomes {image: [words, ...]}."""
        try:
            texts = [
                [_texts.text(one["caption"], f"image {key!r}") for one in captions]
                for key, captions in captions_for_image.items()
            ]
        except (TypeError, AttributeError):
            raise ValueError('captions must be given as {image: [{"caption": text}, ...]}') from None
        except KeyError:
            raise KeyError('a caption without the key "caption"') from None
        return dict(zip(captions_for_image, _texts.cut_nested(texts)))


class Bleu:
    """BLEU-1 to BLEU-n, with the closest reference's length."""

    def __init__(self, n: int = 4) -> None:
        if n not in (1, 2, 3, 4):
            raise ValueError(f"BLEU is computed up to n = 4, not {n}")
        self._n = n

    def compute_score(self, gts: Captions, res: Captions, verbose: int = 0) -> tuple[list[float], list[list[float]]]:
        """n scores over all images, and for each n those of every image."""
        score, scores = _finecap.bleu(*_pairs(gts, res))
        return score[: self._n], [[image[n] for image in scores] for n in range(self._n)]

    def method(self) -> str:
        return "Bleu"


class Meteor:
    """METEOR 1.5. Its data come with pycocoevalcap; Java is not needed."""

    def __init__(self, data: str | os.PathLike[str] | None = None) -> None:
        folder = _meteor.find(data)
        if folder is None:
            raise ValueError(_meteor.MISSING)
        self.data = folder

    def compute_score(self, gts: Captions, res: Captions) -> tuple[float, list[float]]:
        """The score over all images, and of every image."""
        return _finecap.meteor(_meteor.load(self.data), *_pairs(gts, res))

    def method(self) -> str:
        return "METEOR"


class Rouge:
    """ROUGE-L."""

    def compute_score(self, gts: Captions, res: Captions) -> tuple[np.float64, np.ndarray]:
        """The mean over the images, and the score of every image."""
        scores = np.array(_finecap.rouge_l(*_pairs(gts, res)))
        return np.mean(scores), scores

    def method(self) -> str:
        return "Rouge"


class Cider:
    """What pycocoevalcap calls CIDEr, which is CIDEr-D: document frequencies are those of the references."""

    def __init__(self, test: Any = None, refs: Any = None, n: int = 4, sigma: float = 6.0) -> None:
        if (n, sigma) != (4, 6.0):
            raise ValueError("CIDEr-D is computed with n = 4 and sigma = 6, as it was published")

    def compute_score(self, gts: Captions, res: Captions) -> tuple[np.float64, np.ndarray]:
        """The mean over the images, and the score of every image."""
        scores = np.array(_finecap.cider_d(*_pairs(gts, res)))
        return np.mean(scores), scores

    def method(self) -> str:
        return "CIDEr"


class CiderD:
    """CIDEr-D with document frequencies that were counted before, as self-critical training uses it.

    `df` is "corpus" (those of the references at hand), a pickled table ({"document_frequency", "ref_len"}), a
    table of `finecap prepare` (.json), or such a dict.
    """

    def __init__(self, n: int = 4, sigma: float = 6.0, df: _frequencies.Source = "corpus") -> None:
        if (n, sigma) != (4, 6.0):
            raise ValueError("CIDEr-D is computed with n = 4 and sigma = 6, as it was published")
        self.df = df
        self._table: _finecap.Frequencies | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"df": self.df, "_table": None}

    def compute_score(self, gts: Captions, res: Any) -> tuple[np.float64, np.ndarray]:
        """The mean over the captions, and the score of each.

        `res` is a dict as elsewhere, or a list of {"image_id": image, "caption": [words]}, in which images
        may come several times.
        """
        if isinstance(self.df, str) and self.df == "corpus":
            table = None
        else:
            self._table = table = self._table or _frequencies.load(self.df)
        if isinstance(res, Mapping):
            candidates, references = _pairs(gts, res)
        else:
            candidates, references = self._listed(gts, res)
            if table is None:
                table = _finecap.Frequencies.count([_texts.several(gts[key], f"image {key!r}") for key in gts])
        scores = np.array(_finecap.cider_d(candidates, references, table))
        return np.mean(scores), scores

    @staticmethod
    def _listed(gts: Captions, res: Any) -> tuple[list[str], list[list[str]]]:
        candidates, references = [], []
        try:
            for one in res:
                key = one["image_id"]
                candidates.append(_texts.one(one["caption"], f"image {key!r}"))
                references.append(_texts.several(gts[key], f"image {key!r}"))
        except TypeError:
            raise ValueError('res must be a dict, or a list of {"image_id", "caption"}') from None
        if not candidates:
            raise ValueError("there is nothing to score: give at least one caption")
        return candidates, references

    def method(self) -> str:
        return "CIDEr-D"


class Spice:
    """SPICE is not here: it needs Java and two parsers."""

    def __init__(self) -> None:
        raise NotImplementedError(
            "SPICE is not part of finecap: leave it out, or take pycocoevalcap's, which needs Java"
        )


class _Annotations:
    """A JSON file of annotations or results, as pycocotools would index it."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        name = os.fspath(path)
        with open(name, encoding="utf-8") as file:
            try:
                content = json.load(file)
            except ValueError as error:
                raise ValueError(f"{name}: is not JSON: {error}") from None
        rows = content.get("annotations") if isinstance(content, dict) else content
        self.imgToAnns: dict[Any, list[dict[str, Any]]] = {}
        try:
            for row in rows or []:
                _texts.text(row["caption"], f"{name}: image {row['image_id']!r}")
                self.imgToAnns.setdefault(row["image_id"], []).append(row)
        except (KeyError, TypeError):
            raise ValueError(f"{name}: must hold annotations with image_id and caption") from None
        images = content.get("images", []) if isinstance(content, dict) else []
        self._ids = [image["id"] for image in images] or list(self.imgToAnns)

    def getImgIds(self) -> list[Any]:
        return list(self._ids)


class COCOEvalCap:
    """All metrics of a results file, as pycocoevalcap's class of this name.

    `coco` and `coco_res` are pycocotools' objects, or the paths of their JSON files. After `evaluate()`, `eval`
    holds metric -> score and `evalImgs` a dict for each image. METEOR is left out, with a warning, where its
    data are not found; SPICE is never there.
    """

    def __init__(self, coco: Any, coco_res: Any) -> None:
        def opened(given: Any) -> Any:
            return _Annotations(given) if isinstance(given, (str, os.PathLike)) else given

        self.evalImgs: list[dict[str, Any]] = []
        self.eval: dict[str, float] = {}
        self.imgToEval: dict[Any, dict[str, Any]] = {}
        self.coco, self.cocoRes = opened(coco), opened(coco_res)
        self.params = {"image_id": self.coco.getImgIds()}

    def evaluate(self) -> None:
        """Scores the images of `params["image_id"]`."""
        truth: dict[Any, Any] = {}
        results: dict[Any, Any] = {}
        for image in self.params["image_id"]:
            for side, what, all_of in ((self.coco, "references", truth), (self.cocoRes, "caption", results)):
                found = side.imgToAnns.get(image)
                if not found:
                    raise KeyError(
                        f"image {image!r} has no {what}: score those of the results alone with "
                        "params['image_id'] = coco_res.getImgIds()"
                    )
                all_of[image] = found
        tokenizer = PTBTokenizer()
        gts, res = tokenizer.tokenize(truth), tokenizer.tokenize(results)
        scorers: list[tuple[Any, Any]] = [(Bleu(4), ["Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4"])]
        if _meteor.find() is None:
            warnings.warn(_meteor.MISSING, stacklevel=2)
        else:
            scorers.append((Meteor(), "METEOR"))
        scorers += [(Rouge(), "ROUGE_L"), (Cider(), "CIDEr")]
        for scorer, names in scorers:
            score, scores = scorer.compute_score(gts, res)
            if isinstance(names, str):
                names, score, scores = [names], [score], [scores]
            for name, whole, each in zip(names, score, scores):
                self.setEval(whole, name)
                self.setImgToEvalImgs(each, gts.keys(), name)
                print(f"{name}: {whole:0.3f}")
        self.setEvalImgs()

    def setEval(self, score: float, method: str) -> None:
        self.eval[method] = score

    def setImgToEvalImgs(self, scores: Any, imgIds: Any, method: str) -> None:
        for image, score in zip(imgIds, scores):
            self.imgToEval.setdefault(image, {"image_id": image})[method] = score

    def setEvalImgs(self) -> None:
        self.evalImgs = list(self.imgToEval.values())
