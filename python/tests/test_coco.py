import json
import math
import pickle

import numpy as np
import pytest

from conftest import FIXTURES, golden
from finecap import coco

GTS = {7: ["a cat sits on a red couch", "the cat rests on a couch"], 3: ["two dogs play", "dogs on a lawn"]}
RES = {3: ["two dogs"], 7: ["a cat on a couch"]}


@pytest.fixture(autouse=True)
def meteor_data(monkeypatch):
    monkeypatch.setenv("FINECAP_METEOR_DATA", str(FIXTURES / "meteor"))


def test_words_are_coco_captions():
    lines = (FIXTURES / "ptb/lines.txt").read_text(encoding="utf-8").split("\n")
    expected = (FIXTURES / "ptb/expected.txt").read_text(encoding="utf-8").split("\n")
    found = coco.PTBTokenizer().tokenize({place: [{"caption": line}] for place, line in enumerate(lines)})
    assert list(found) == list(range(len(lines)))
    assert [own[0] for own in found.values()] == expected


def test_types_and_order_are_the_originals():
    score, scores = coco.Bleu(4).compute_score(GTS, RES)
    assert [type(score), type(scores), type(scores[0])] == [list] * 3
    assert [len(score), len(scores), len(scores[0])] == [4, 4, 2] and type(score[0]) is float
    assert len(coco.Bleu(2).compute_score(GTS, RES, verbose=0)[1]) == 2
    for scorer in (coco.Rouge(), coco.Cider(), coco.CiderD()):
        score, scores = scorer.compute_score(GTS, RES)
        assert type(score) is np.float64 and type(scores) is np.ndarray and scores.dtype == np.float64
        assert score == scores.mean() and scores[0] > 0
    score, scores = coco.Meteor().compute_score(GTS, RES)
    assert type(score) is float and type(scores) is list and type(scores[0]) is float
    swapped = coco.Cider().compute_score({3: GTS[3], 7: GTS[7]}, RES)[1]
    assert swapped.tolist() == coco.Cider().compute_score(GTS, RES)[1].tolist()[::-1]
    names = [scorer.method() for scorer in (coco.Bleu(), coco.Meteor(), coco.Rouge(), coco.Cider())]
    assert names == ["Bleu", "METEOR", "Rouge", "CIDEr"]


def test_meteor_is_the_jars():
    expected = golden("meteor/expected.json")
    gts = {place: image["references"] for place, image in enumerate(expected["images"])}
    res = {place: [image["caption"]] for place, image in enumerate(expected["images"])}
    score, scores = coco.Meteor(FIXTURES / "meteor").compute_score(gts, res)
    assert scores == pytest.approx([image["ours_score"] for image in expected["images"]], abs=1e-15)
    assert score == pytest.approx(expected["ours"], abs=1e-15)


def test_cider_d_takes_tables_as_self_critical_training_has_them(tmp_path):
    cider = golden("cider.json")
    counts = {tuple(gram.split()): float(count) for gram, count in cider["table_counts"]}
    table = {"document_frequency": counts, "ref_len": float(len(cider["table"]))}
    (tmp_path / "words.p").write_bytes(pickle.dumps(table, protocol=2))
    gts = dict(enumerate(cider["references"]))
    res = [{"image_id": place, "caption": [text]} for place, text in enumerate(cider["candidates"])]
    for df in (table, str(tmp_path / "words.p")):
        scorer = pickle.loads(pickle.dumps(coco.CiderD(df=df)))
        score, scores = scorer.compute_score(gts, res + res[:2])
        expected = cider["table_per_image"] + cider["table_per_image"][:2]
        assert scores == pytest.approx(expected, abs=1e-12) and score == scores.mean()
    corpus, _ = coco.CiderD(df="corpus").compute_score(gts, res)
    assert math.isclose(corpus, cider["corpus"], rel_tol=1e-12)


def test_a_pickle_that_runs_something_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return print, ("it ran",)

    (tmp_path / "evil.p").write_bytes(pickle.dumps(Evil()))
    (tmp_path / "short.p").write_bytes(b"\x80")
    for name in ("evil.p", "short.p"):
        with pytest.raises(ValueError, match=name):
            coco.CiderD(df=tmp_path / name).compute_score(GTS, RES)


def annotations(tmp_path):
    texts = {7: ["A cat sits on a red couch.", "The cat rests."], 3: ["Two dogs play!", "Dogs on a lawn"], 5: ["x"]}
    rows = [{"image_id": image, "id": 1, "caption": text} for image, own in texts.items() for text in own]
    (tmp_path / "truth.json").write_text(
        json.dumps({"images": [{"id": image} for image in texts], "annotations": rows})
    )
    results = [{"image_id": 3, "caption": "Two dogs."}, {"image_id": 7, "caption": "A cat on a couch"}]
    (tmp_path / "results.json").write_text(json.dumps(results))
    return tmp_path / "truth.json", tmp_path / "results.json"


def test_a_whole_evaluation_from_files(tmp_path):
    evaluation = coco.COCOEvalCap(*annotations(tmp_path))
    with pytest.raises(KeyError, match="image 5 has no caption"):
        evaluation.evaluate()
    evaluation.params["image_id"] = evaluation.cocoRes.getImgIds()
    evaluation.evaluate()
    names = ["Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4", "METEOR", "ROUGE_L", "CIDEr"]
    assert list(evaluation.eval) == names
    assert [own["image_id"] for own in evaluation.evalImgs] == [3, 7]
    assert list(evaluation.evalImgs[0]) == ["image_id", *names]
    assert evaluation.eval["CIDEr"] == np.mean([own["CIDEr"] for own in evaluation.evalImgs])


def test_what_is_not_there_says_so(monkeypatch, tmp_path):
    with pytest.raises(NotImplementedError, match="SPICE"):
        coco.Spice()
    monkeypatch.setattr(coco._meteor, "find", lambda folder=None: None)
    with pytest.raises(ValueError, match="METEOR's data"):
        coco.Meteor()
    evaluation = coco.COCOEvalCap(*annotations(tmp_path))
    evaluation.params["image_id"] = [3]
    with pytest.warns(UserWarning, match="METEOR's data"):
        evaluation.evaluate()
    assert "METEOR" not in evaluation.eval


@pytest.mark.parametrize(
    ("gts", "res", "error", "says"),
    [
        ({1: ["a"]}, {2: ["a"]}, KeyError, "image 2 has a caption but no references"),
        ({1: ["a"], 2: ["b"]}, {1: ["a"]}, KeyError, "image 2 has references but no caption"),
        ({}, {}, ValueError, "nothing to score"),
        ({1: ["a"]}, {1: ["a", "b"]}, ValueError, "there are 2"),
        ({1: ["a"]}, {1: []}, ValueError, "there are 0"),
        ({1: []}, {1: ["a"]}, ValueError, "no references"),
        ({1: "a"}, {1: ["a"]}, ValueError, "must hold a list"),
        ({1: ["a"]}, {1: "a"}, ValueError, "must hold a list"),
        ({1: [2]}, {1: ["a"]}, ValueError, "must be text, not int"),
        ([["a"]], {1: ["a"]}, ValueError, "gts must be a dict"),
    ],
)
def test_bad_input_is_one_sentence(gts, res, error, says):
    for scorer in (coco.Bleu(), coco.Rouge(), coco.Cider(), coco.Meteor(), coco.CiderD()):
        with pytest.raises(error, match=says):
            scorer.compute_score(gts, res)
    with pytest.raises(ValueError, match="captions must be given"):
        coco.PTBTokenizer().tokenize({1: ["a"]})
