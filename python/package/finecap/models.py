"""Models: CLIP, its grammar head, captioners.

They pickle as paths and settings, not as weights, so that they can be sent to other processes.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, overload

import numpy as np

from . import _finecap, _pictures, _texts

#: Put before captions by CLIP-S, and its factor on the cosine (Hessel et al. 2021).
PROMPT, WEIGHT = "A photo depicts", 2.5

#: Pictures whose captions are scored together.
_CHUNK = 256


class _Model:
    """What is loaded from a folder, with the same settings again in another process."""

    _settings: tuple[Any, ...]

    @classmethod
    def load(cls, *settings: Any) -> Any:
        raise NotImplementedError

    def __reduce__(self) -> Any:
        return type(self).load, self._settings


def _checked(path: str | os.PathLike[str], threads: int | None) -> str:
    if threads is not None and threads < 1:
        raise ValueError(f"threads must be at least 1, not {threads}")
    if not os.path.exists(path):
        raise FileNotFoundError(f"{os.fspath(path)}: there is no such folder or file")
    return os.path.abspath(path)


def _device(device: str) -> str | None:
    return None if device == "auto" else device


class Clip(_Model):
    """A CLIP model: captions and pictures in, embeddings and scores out."""

    _clip: _finecap.Clip

    @classmethod
    def load(cls, path: str | os.PathLike[str], device: str = "auto", threads: int | None = None) -> Clip:
        """Loads a CLIP from a folder or file of Hugging Face, OpenCLIP or OpenAI.

        Args:
            path: the folder or file.
            device: "auto", "flex" (CPU), or a GPU that this build has, as "cuda:1".
            threads: threads on the CPU; by default all cores.

        Raises:
            FileNotFoundError: there is nothing at that path.
            ValueError: what is there is not a CLIP that finecap reads, in one sentence.
        """
        own = cls.__new__(cls)
        path = _checked(path, threads)
        own._settings = (path, device, threads)
        own._clip = _finecap.Clip.load(path, _device(device), threads)
        return own

    def __repr__(self) -> str:
        path, device, _ = self._settings
        return f"Clip({path!r}, device={device!r}, width={self.width}, image_size={self.image_size})"

    @property
    def width(self) -> int:
        """Length E of an embedding."""
        return self._clip.width

    @property
    def image_size(self) -> int:
        """Side of the square that pictures are cut to, in pixels."""
        return self._clip.image_size

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of captions, start and end included, cut to the model's length, without padding."""
        return self._clip.tokenize(_texts.texts(texts, "caption"))

    def embed_texts(self, texts: Sequence[str], prompt: str = "", progress: bool = True) -> np.ndarray:
        """Embeddings of captions.

        Args:
            texts: captions; `prompt` is put before each, with a space between.
            progress: show a bar on a terminal.

        Returns:
            float32 `[N, E]`, rows of length 1.

        Raises:
            ValueError: something that is no text.
        """
        return self._clip.embed_texts(_texts.texts(texts, "caption"), _texts.text(prompt, "prompt"), progress)

    def embed_images(
        self,
        images: Sequence[Any],
        errors: dict[int, str] | None = None,
        progress: bool = True,
        *,
        whole_batches: bool = False,
    ) -> np.ndarray:
        """Embeddings of pictures.

        Args:
            images: paths, bytes of picture files, pictures of Pillow (which give the bits that their files
                give), or uint8 arrays `[height, width]` or `[height, width, 3]`.
            errors: a dict that takes note of pictures that can't be read, place -> why; their rows are NaN.
                Without it the first one is raised.
            progress: show a bar on a terminal.
            whole_batches: compute in batches of 32 even where few pictures are left, so that the last bits of a
                row don't depend on what is embedded with it; short lists cost more then.

        Returns:
            float32 `[N, E]`, rows of length 1.

        Raises:
            ValueError: a picture that can't be read, or what is no picture.
        """
        given, failed = _pictures.inputs(images)
        rows, unread = self._clip.embed_images(given, whole_batches, progress)
        _pictures.settle({**unread, **failed}, errors)
        return rows

    @overload
    def clip_score(
        self,
        images: Sequence[Any],
        captions: Sequence[str] | Sequence[Sequence[str]],
        references: None = None,
        *,
        prompt: str = ...,
        weight: float = ...,
        errors: dict[int, str] | None = ...,
        progress: bool = ...,
        whole_batches: bool = ...,
    ) -> np.ndarray: ...

    @overload
    def clip_score(
        self,
        images: Sequence[Any],
        captions: Sequence[str] | Sequence[Sequence[str]],
        references: Sequence[str] | Sequence[Sequence[str]],
        *,
        prompt: str = ...,
        weight: float = ...,
        errors: dict[int, str] | None = ...,
        progress: bool = ...,
        whole_batches: bool = ...,
    ) -> tuple[np.ndarray, np.ndarray]: ...

    def clip_score(
        self,
        images: Sequence[Any],
        captions: Any,
        references: Any = None,
        *,
        prompt: str = PROMPT,
        weight: float = WEIGHT,
        errors: dict[int, str] | None = None,
        progress: bool = True,
        whole_batches: bool = False,
    ) -> Any:
        """CLIP-S, and RefCLIP-S with references (Hessel et al. 2021).

        Args:
            images: pictures, as `embed_images` takes them.
            captions: one caption, or a list of captions, for each picture.
            references: one or several references for each picture.
            prompt: put before every caption, with a space between.
            weight: factor on the cosine.
            errors: as in `embed_images`; the scores of such pictures are NaN.
            progress: show a bar on a terminal.
            whole_batches: as in `embed_images`.

        Returns:
            float32 `[N]`, one for each caption in order: `weight * max(cos, 0)`. With references a pair of
            such arrays, CLIP-S and RefCLIP-S.

        Raises:
            ValueError: numbers of pictures and captions that differ, a picture that can't be read.
        """
        for what, value in (("captions", captions), ("references", references)):
            if isinstance(value, str):
                raise ValueError(f"{what} must be a list with one or several for each picture, not one text")
        own = [_texts.several(caption, f"picture {place}") for place, caption in enumerate(captions)]
        given = list(images)
        if len(own) != len(given):
            raise ValueError(f"{len(given)} pictures have {len(own)} captions or lists of captions: give one for each")
        if references is not None:
            references = [_texts.several(value, f"picture {place}") for place, value in enumerate(references)]
            if len(references) != len(given):
                raise ValueError(f"{len(given)} pictures have references for {len(references)}: give some for each")
        unread: dict[int, str] = {}
        rows = self._embed_once(given, unread, progress, whole_batches)
        _pictures.settle(unread, errors)
        scores: list[list[np.ndarray]] = [[], []]
        for start in range(0, len(given), _CHUNK):
            found = self._scored(
                rows[start : start + _CHUNK],
                own[start : start + _CHUNK],
                references and references[start : start + _CHUNK],
                prompt,
                weight,
            )
            for column, values in zip(scores, found):
                column.append(values)
        columns = [np.concatenate(column) if column else np.zeros(0, np.float32) for column in scores]
        return columns[0] if references is None else (columns[0], columns[1])

    def _embed_once(
        self, images: list[Any], errors: dict[int, str], progress: bool, whole_batches: bool = False
    ) -> np.ndarray:
        """As `embed_images`; a picture that comes several times is embedded once."""
        first: dict[Any, int] = {}
        places, distinct = [], []
        for image in images:
            place = first.setdefault(image if isinstance(image, (str, bytes)) else id(image), len(distinct))
            if place == len(distinct):
                distinct.append(image)
            places.append(place)
        failed: dict[int, str] = {}
        rows = self.embed_images(distinct, failed, progress, whole_batches=whole_batches)
        errors.update({place: failed[row] for place, row in enumerate(places) if row in failed})
        return rows[places] if len(distinct) < len(images) else rows

    def _scored(
        self,
        rows: np.ndarray,
        captions: list[list[str]],
        references: list[list[str]] | None,
        prompt: str,
        weight: float,
        contrastive: bool = False,
    ) -> list[np.ndarray]:
        """Scores of the captions of embedded pictures; NaN where a row is."""
        good = np.isfinite(rows).all(axis=1)
        place = np.cumsum(good) - 1
        image_of = np.repeat(np.arange(len(rows)), [len(own) for own in captions])
        kept = good[image_of] if len(image_of) else np.zeros(0, bool)
        texts = [caption for own, keep in zip(captions, good) if keep for caption in own]
        if references is not None:
            references = [own for own, keep in zip(references, good) if keep]
        columns = []
        found: Any = (np.zeros(0, np.float32), None if references is None else np.zeros(0, np.float32))
        if texts:
            of = [int(place[image]) for image, keep in zip(image_of, kept) if keep]
            found = self._clip.score(rows[good], of, texts, references, prompt, weight, contrastive)
        for values in found:
            if values is not None:
                column = np.full(len(image_of), np.nan, np.float32)
                column[kept] = values
                columns.append(column)
        return columns


class GrammarHead(_Model):
    """Tells sentences from broken ones; no picture is looked at."""

    _head: _finecap.GrammarHead

    @classmethod
    def load(cls, path: str | os.PathLike[str], device: str = "auto", threads: int | None = None) -> GrammarHead:
        """Loads the grammar model of a run that `finecap train grammar` made.

        Raises:
            FileNotFoundError: there is nothing at that path.
            ValueError: it holds no grammar model.
        """
        own = cls.__new__(cls)
        path = _checked(path, threads)
        own._settings = (path, device, threads)
        own._head = _finecap.GrammarHead.load(path, _device(device), threads)
        return own

    def __call__(self, captions: Sequence[str], progress: bool = True) -> np.ndarray:
        """Probability of each caption to be a sentence, float32 `[N]`. Case and punctuation don't count."""
        return self._head.probabilities(_texts.texts(captions, "caption"), progress)


class Captioner(_Model):
    """A trained captioner, and the CLIP model that sees for it."""

    _captioner: _finecap.Captioner

    @classmethod
    def load(
        cls,
        run: str | os.PathLike[str],
        clip: str | os.PathLike[str] | None = None,
        device: str = "auto",
        threads: int | None = None,
    ) -> Captioner:
        """Loads the captioner of a run (its scst model, or else its mle model), or one from its folder.

        Args:
            run: the run, one phase of it, as RUN/mle, or a captioner's folder.
            clip: CLIP model that sees; by default the one that the captioner was trained with.
            device, threads: as in `Clip.load`.

        Raises:
            FileNotFoundError: there is nothing at that path.
            ValueError: no captioner, or another CLIP than that of its training.
        """
        own = cls.__new__(cls)
        run = _checked(run, threads)
        clip = None if clip is None else _checked(clip, None)
        own._settings = (run, clip, device, threads)
        own._captioner = _finecap.Captioner.load(run, clip, _device(device), threads)
        return own

    @property
    def unsure(self) -> list[str]:
        """What about the pictures could not be compared with training, as its files don't tell."""
        return list(self._captioner.unsure)

    def caption(
        self,
        images: Sequence[Any],
        beam: int = 1,
        *,
        length_penalty: float = 0.0,
        block_trigrams: bool = False,
        no_unknown: bool = False,
        no_bad_endings: bool = False,
        max_len: int | None = None,
        errors: dict[int, str] | None = None,
        progress: bool = True,
    ) -> list[str | None]:
        """Captions of pictures.

        Args:
            images: pictures, as `Clip.embed_images` takes them.
            beam: width of the beam search; 1 is greedy decoding.
            length_penalty: compare captions of T tokens by `log P / ((5 + T) / 6) ** a` (Wu et al. 2016).
            block_trigrams: never say the same three words in a row twice.
            no_unknown: never say the unknown word.
            no_bad_endings: never end with a word such as "a", "with" or "is".
            max_len: the longest caption in tokens, its end included; the model's own limit by default.
            errors: a dict that takes note of pictures that can't be read; their captions are None.
            progress: show a bar on a terminal.

        Raises:
            ValueError: a picture that can't be read, or settings that can't be decoded with.
        """
        if beam < 1:
            raise ValueError(f"beam must be at least 1, not {beam}")
        given, failed = _pictures.inputs(images)
        found, unread = self._captioner.caption(
            given,
            beam,
            1,
            length_penalty,
            block_trigrams,
            no_unknown,
            no_bad_endings,
            max_len,
            progress,
        )
        _pictures.settle({**unread, **failed}, errors)
        return [own[0][0] if own else None for own in found]
