"""Times finecap beside pycocoevalcap, in turn, in one process; needs pycocoevalcap and Java.

    python python/benches/beside_pycocoevalcap.py CAPTIONS... [--rounds 3]

CAPTIONS are five text files (.txt or .gz) with a caption a line, line i of each about image i. All five captions of
the first 5,000 images are references; the candidate is the first eight words of another image's caption for every
second image, and of an own one for the others.
"""

import argparse
import contextlib
import gzip
import io
import json
import statistics
import subprocess
import sys
import time

from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.meteor.meteor import Meteor
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

import finecap
from finecap import coco

IMAGES = 5000


def lines(path):
    opened = gzip.open(path, "rt", encoding="utf-8") if path.endswith(".gz") else open(path, encoding="utf-8")
    with opened as file:
        return [line.strip() for line, _ in zip(file, range(IMAGES))]


def timed(call):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        began = time.perf_counter()
        found = call()
        return found, time.perf_counter() - began


def row(name, calls, rounds):
    """Medians of both, and the ratio."""
    times = {key: [] for key in calls}
    for _ in range(rounds):
        for key, call in calls.items():
            times[key].append(timed(call)[1])
    theirs, ours = (statistics.median(times[key]) for key in ("pycocoevalcap", "finecap"))
    print(f"{name:44}{theirs:12.4f} s{ours:12.4f} s{theirs / ours:9.1f} x", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("captions", nargs=5)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    columns = [lines(path) for path in given.captions]
    references = {image: [column[image] for column in columns] for image in range(IMAGES)}
    candidates = {image: " ".join(columns[1][image ^ (image % 4 == 1) * 2].split()[:8]) for image in references}
    gts = {image: [{"caption": text} for text in own] for image, own in references.items()}
    res = {image: [{"caption": text}] for image, text in candidates.items()}

    def original():
        words, answers = PTBTokenizer().tokenize(gts), PTBTokenizer().tokenize(res)
        scorers = (Bleu(4), Meteor(), Rouge(), Cider())
        return [scorer.compute_score(words, answers)[0] for scorer in scorers]

    def changed_import():
        words, answers = coco.PTBTokenizer().tokenize(gts), coco.PTBTokenizer().tokenize(res)
        scorers = (coco.Bleu(4), coco.Meteor(), coco.Rouge(), coco.Cider())
        return [scorer.compute_score(words, answers)[0] for scorer in scorers]

    print(f"{'':44}{'pycocoevalcap':>14}{'finecap':>14}")
    print(json.dumps([timed(original)[0], timed(changed_import)[0]]))
    row(
        "5,000 images x 5, METEOR, import changed", {"pycocoevalcap": original, "finecap": changed_import}, given.rounds
    )
    chosen = ["BLEU", "METEOR", "ROUGE-L", "CIDEr-D"]
    evaluate = lambda: finecap.evaluate(candidates, references, chosen, progress=False)  # noqa: E731
    row("5,000 images x 5, METEOR, evaluate()", {"pycocoevalcap": original, "finecap": evaluate}, given.rounds)

    few = {place: references[place // 5] for place in range(100)}
    own = {place: [columns[place % 5][place // 5 + 1].lower()] for place in few}
    row(
        "CIDEr-D of 100 captions",
        {
            "pycocoevalcap": lambda: Cider().compute_score(few, own),
            "finecap": lambda: coco.Cider().compute_score(few, own),
        },
        30,
    )
    table = finecap.rewards.CiderD.count(list(references.values()))
    texts, truth = [text for (text,) in own.values()], list(few.values())
    row(
        "the same with the table of 5,000 images",
        {
            "pycocoevalcap": lambda: Cider().compute_score(few, own),
            "finecap": lambda: table(None, texts, references=truth),
        },
        30,
    )

    def start(code):
        return min(timed(lambda: subprocess.run([sys.executable, "-c", code], check=True))[1] for _ in range(10))

    print(f"import finecap: {1000 * (start('import finecap') - start('import numpy')):.0f} ms more than numpy")


if __name__ == "__main__":
    main()
