"""Scripts as people have them run with their import line changed; beside pycocoevalcap they give its numbers."""

import contextlib
import importlib.util
import io
import json

import pytest

from conftest import FIXTURES

OURS = "from finecap.coco import Bleu, Cider, CiderD, COCOEvalCap, Meteor, PTBTokenizer, Rouge\n"
THEIRS = """
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.eval import COCOEvalCap as _COCOEvalCap
from pycocoevalcap.meteor.meteor import Meteor
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer
import pycocoevalcap.eval

class _None:
    def method(self): return "SPICE"
    def compute_score(self, gts, res): return 0.0, [0.0] * len(gts)

pycocoevalcap.eval.Spice = _None

class COCOEvalCap(_COCOEvalCap):
    def evaluate(self):
        super().evaluate()
        self.eval.pop("SPICE")
        for one in self.evalImgs: one.pop("SPICE")
"""

# As pycocoevalcap's own example does it: a results file beside the annotations.
EXAMPLE = """
from pycocotools.coco import COCO
coco = COCO(annotation_file)
coco_result = coco.loadRes(results_file)
coco_eval = COCOEvalCap(coco, coco_result)
coco_eval.params["image_id"] = coco_result.getImgIds()
coco_eval.evaluate()
for metric, score in coco_eval.eval.items():
    print(f"{metric}: {score:.3f}")
result = [coco_eval.eval, coco_eval.evalImgs]
"""

# As evaluation is done inside a training loop: tokenise both sides, then one scorer after the other.
IN_A_LOOP = """
def compute_scores(gts, gen):
    every = ((Bleu(4), [f"BLEU-{n}" for n in (1, 2, 3, 4)]), (Meteor(), "METEOR"), (Rouge(), "ROUGE"), (Cider(), "CIDEr"))
    whole, each = {}, {}
    for scorer, names in every:
        score, scores = scorer.compute_score(gts, gen)
        if isinstance(names, list):
            whole.update(zip(names, score)); each.update(zip(names, scores))
        else:
            whole[names] = score; each[names] = list(scores)
    return whole, each

def by_place(captions):
    return {str(place): [{"caption": text} for text in own] for place, own in enumerate(captions)}

tokenizer = PTBTokenizer()
with open(annotation_file) as file:
    own = {}
    for row in json.load(file)["annotations"]:
        own.setdefault(row["image_id"], []).append(row["caption"])
with open(results_file) as file:
    answers = {row["image_id"]: row["caption"] for row in json.load(file)}
gts = tokenizer.tokenize(by_place([own[image] for image in answers]))
gen = tokenizer.tokenize(by_place([[text] for text in answers.values()]))
result = list(compute_scores(gts, gen))
"""

# As self-critical training scores its samples: the words of several samples of each image, and BLEU beside.
SELF_CRITICAL = """
import numpy as np
samples = {0: ["a red dog runs", "a dog"], 1: ["two cats", "two cats sit on a mat"]}
truth = {0: ["a red dog runs fast", "the dog runs"], 1: ["two cats sit", "cats on a mat"]}
gts, res, res_ = {}, {}, []
for image, own in samples.items():
    for text in own:
        place = len(res_)
        gts[place] = truth[image]
        res[place] = [text]
        res_.append({"image_id": place, "caption": res[place]})
_, cider_scores = (CiderD(df="corpus").compute_score(gts, res_) if CiderD else Cider().compute_score(gts, res))
_, bleu_scores = Bleu(4).compute_score(gts, res)
scores = cider_scores + 0.5 * np.array(bleu_scores[3])
greedy = scores.reshape(2, 2).mean(axis=1, keepdims=True)
result = (scores.reshape(2, 2) - greedy).tolist()
"""


@pytest.fixture
def files(tmp_path, monkeypatch):
    texts = {
        3: (["A cat sits on a red couch.", "The cat rests!"], "A cat on a couch"),
        9: (["Two dogs play", "Dogs play on a lawn."], "two dogs are playing"),
        4: (["A man rides a wave on a surfboard"], "a man surfing a wave"),
    }
    rows = [{"image_id": i, "caption": text} for i, (own, _) in texts.items() for text in own]
    for place, row in enumerate(rows):
        row["id"] = place
    truth = {"images": [{"id": i} for i in texts], "annotations": rows, "info": {}, "licenses": []}
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    (tmp_path / "results.json").write_text(
        json.dumps([{"image_id": i, "caption": text} for i, (_, text) in texts.items()])
    )
    if not importlib.util.find_spec("pycocoevalcap"):
        monkeypatch.setenv("FINECAP_METEOR_DATA", str(FIXTURES / "meteor"))
    return {"annotation_file": str(tmp_path / "truth.json"), "results_file": str(tmp_path / "results.json")}


def ran(script, imports, names):
    names = {"json": json, "CiderD": None, **names}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(imports + script, "script", "exec"), names)
    return names["result"]


@pytest.mark.parametrize("script", [EXAMPLE, IN_A_LOOP, SELF_CRITICAL], ids=["example", "in a loop", "self-critical"])
def test_only_the_import_changes(script, files):
    if script is EXAMPLE:
        pytest.importorskip("pycocotools")
    found = ran(script, OURS, files)
    assert found
    if importlib.util.find_spec("pycocoevalcap"):
        expected = ran(script, THEIRS, files)
        assert flat(found) == pytest.approx(flat(expected), abs=1e-12)
        assert keys(found) == keys(expected)


def flat(value):
    if isinstance(value, dict):
        value = value.values()
    return [number for one in value for number in flat(one)] if hasattr(value, "__iter__") else [float(value)]


def keys(value):
    if isinstance(value, dict):
        return [(key, keys(one)) for key, one in value.items()]
    return [keys(one) for one in value] if isinstance(value, list) else None
