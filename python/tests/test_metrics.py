import math
import random

import numpy as np
import pytest

import finecap
from conftest import FIXTURES, golden

CAPTIONS = {"1": "A cat on a couch.", "2": "two dogs", "3": "a man surfing"}
REFERENCES = {
    "3": ["a man rides a wave", "a surfer"],
    "1": ["a cat sits on a red couch", "the cat rests"],
    "2": ["two dogs play", "dogs playing on a lawn"],
}


def test_scores_have_the_usual_names_and_order():
    found = finecap.evaluate(CAPTIONS, REFERENCES, meteor_data=FIXTURES / "meteor", per_image=True)
    names = ["BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "METEOR", "ROUGE-L", "CIDEr-D", "CIDEr"]
    assert list(found) == ["scores", "per_image"]
    assert list(found["scores"]) == names
    assert list(found["per_image"]) == ["3", "1", "2"]
    assert all(type(score) is float for score in found["scores"].values())
    mean = np.mean([own["CIDEr-D"] for own in found["per_image"].values()])
    assert math.isclose(found["scores"]["CIDEr-D"], mean, rel_tol=1e-12)


def test_lists_are_dicts_by_place():
    keys = list(REFERENCES)
    lists = finecap.evaluate([CAPTIONS[key] for key in keys], [REFERENCES[key] for key in keys], ["CIDEr-D", "BLEU"])
    dicts = finecap.evaluate(CAPTIONS, REFERENCES, ["BLEU", "CIDEr-D"])
    assert lists == dicts and "METEOR" not in dicts["scores"]


def test_cider_d_is_the_reference_scripts():
    cider = golden("cider.json")
    found = finecap.evaluate(
        cider["candidates"], cider["references"], ["CIDEr-D", "CIDEr"], per_image=True, tokenizer="spaces"
    )
    assert math.isclose(found["scores"]["CIDEr-D"], cider["corpus"], rel_tol=1e-12)
    for place, own in found["per_image"].items():
        assert own["CIDEr-D"] == pytest.approx(cider["per_image"][place], abs=1e-12)
        assert own["CIDEr"] == pytest.approx(cider["plain_per_image"][place], abs=1e-12)


def test_tables_counted_elsewhere():
    cider = golden("cider.json")
    table = {tuple(gram.split()): count for gram, count in cider["table_counts"]}
    frequencies = {"document_frequency": table, "ref_len": len(cider["table"])}
    found = finecap.evaluate(
        cider["candidates"], cider["references"], ["CIDEr-D"], True, tokenizer="spaces", frequencies=frequencies
    )
    for place, own in found["per_image"].items():
        assert own["CIDEr-D"] == pytest.approx(cider["table_per_image"][place], abs=1e-12)


def test_intervals_hold_the_score_and_tell_systems_apart():
    draw = random.Random(1)
    words = "a red blue cat dog sits runs on the grass table".split()
    references = [[" ".join(draw.choices(words, k=7)) for _ in range(3)] for _ in range(60)]
    good = [own[0] for own in references]
    bad = [" ".join(draw.choices(words, k=7)) for _ in references]
    found = finecap.evaluate(good, references, ["BLEU", "CIDEr-D"], resamples=200, baseline=bad)
    for name, score in found["scores"].items():
        low, high = found["intervals"][name]
        assert low <= score <= high
        difference = found["differences"][name]
        assert difference["difference"] == score - found["baseline"][name] > 0
        assert difference["low"] > 0 and difference["p"] < 0.02
    again = finecap.evaluate(good, references, ["BLEU", "CIDEr-D"], resamples=200, baseline=bad)
    assert again == found
    same = finecap.evaluate(good, references, ["CIDEr-D"], resamples=50, baseline=good)
    assert same["differences"]["CIDEr-D"] == {"difference": 0.0, "low": 0.0, "high": 0.0, "p": 1.0}


def test_meteor_without_data_is_named(monkeypatch):
    monkeypatch.setattr(finecap.metrics._meteor, "find", lambda folder=None: None)
    found = finecap.evaluate(CAPTIONS, REFERENCES)
    assert "METEOR" not in found["scores"] and "pycocoevalcap" in found["not_computed"]["METEOR"]
    with pytest.raises(ValueError, match="METEOR's data"):
        finecap.evaluate(CAPTIONS, REFERENCES, ["METEOR"])


def test_diversity():
    found = finecap.diversity({"a": ["A cat.", "a cat"], "b": "a dog, a dog"})
    assert found["captions"] == 3 and found["distinct"] == 2 and found["vocabulary"] == 3
    assert found["repetition"] == pytest.approx(2 / 8)


def test_fine_cap_eval_is_the_reference_scripts():
    expected = golden("finecapeval/finecapeval.json")
    found = finecap.fine_cap_eval(
        golden("finecapeval/predictions.json"), FIXTURES / "finecapeval/finecapeval.csv", per_image=True
    )
    assert found["scores"]["overall"]["CIDEr-D"] == pytest.approx(expected["overall"]["corpus"], abs=1e-12)
    for mode in ("reference", "strict"):
        for criterion, score in expected[mode]["corpus"].items():
            assert found["scores"][criterion][mode] == pytest.approx(score, abs=1e-12)
            for image, own in expected[mode]["images"].items():
                assert found["per_image"][image][criterion][mode] == pytest.approx(own[criterion], abs=1e-12)


def test_images_that_one_side_lacks():
    captions, data = golden("finecapeval/predictions.json"), FIXTURES / "finecapeval/finecapeval.csv"
    whole = finecap.fine_cap_eval(captions, data, per_image=True)
    name = next(iter(captions))
    del captions[name]
    with pytest.raises(ValueError, match=f"image `{name}.*allow_missing"):
        finecap.fine_cap_eval(captions, data)
    found = finecap.fine_cap_eval({**captions, "unknown": "a"}, data, per_image=True, allow_missing=True)
    assert found["images"] == whole["images"] - 1 and list(found["per_image"]) == list(captions)


def test_retrieval_counts_ranks():
    images = np.array([[1.0, 0], [0, 2], [3, 3]])
    texts = np.array([[1, 0.1], [0.5, 0.6], [0.1, 1], [-0.2, 1], [1, 0.9], [1, -0.3]])
    found = finecap.retrieval(images, texts)
    cosines = (texts / np.linalg.norm(texts, axis=1, keepdims=True)) @ (
        images / np.linalg.norm(images, axis=1, keepdims=True)
    ).T
    own = [0, 0, 1, 1, 2, 2]
    ranks = [1 + int((row > row[image] + 1e-6).sum()) for row, image in zip(cosines, own)]
    assert found["text_to_image"]["ranks"].tolist() == ranks
    assert found["text_to_image"]["R@1"] == pytest.approx(100 * ranks.count(1) / 6)
    other = finecap.retrieval(images, texts[::-1], own[::-1])
    assert other["text_to_image"]["ranks"].tolist() == ranks[::-1]


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        (({"1": "a"}, {"2": ["b"]}), KeyError, "'1' has a caption but no references"),
        (({"1": "a"}, {"1": ["a"], "2": ["b"]}), KeyError, "'2' has references but no caption"),
        ((["a"], [["a"], ["b"]]), KeyError, "image 1 has references"),
        (({}, {}), ValueError, "nothing to score"),
        (([], []), ValueError, "nothing to score"),
        (([1], [["a"]]), ValueError, "image 0: a caption must be text, not int"),
        (([None], [["a"]]), ValueError, "not NoneType"),
        (([["a", "b"]], [["a"]]), ValueError, "one caption is scored, but there are 2"),
        ((["a"], [[]]), ValueError, "there are no references"),
        ((["a"], [[b"x"]]), ValueError, "must be text, not bytes"),
        ((["a"], [7]), ValueError, "must be a list of texts"),
        (("a", [["a"]]), ValueError, "candidates must be a dict or a list"),
        ((3, [["a"]]), ValueError, "candidates must be a dict or a list"),
        ((["\ud800"], [["a"]]), ValueError, "surrogates"),
        ((["a"], [["a"]], ["SPICE"]), ValueError, "there is no metric 'SPICE'"),
        ((["a"], [["a"]], []), ValueError, "at least one metric"),
        ((["a"], [["a"]], None, False, -1), ValueError, "negative"),
        ((["a"], [["a"]], ["METEOR"], False, 0, "/nowhere"), ValueError, "meteor-1.5.jar"),
    ],
)
def test_bad_input_is_one_sentence(arguments, error, says):
    with pytest.raises(error) as raised:
        finecap.evaluate(*arguments)
    message = str(raised.value)
    assert says in message and "\n" not in message and "panic" not in message


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: finecap.diversity([]), "nothing to score"),
        (lambda: finecap.retrieval([[1, 0]], [[1, 0, 0]]), "same model"),
        (lambda: finecap.retrieval([[1, 0]], [[0, 0]]), "row 0 of texts has no direction"),
        (lambda: finecap.retrieval([1, 0], [[0, 1]]), "rows of numbers"),
        (lambda: finecap.retrieval([["a"]], [[0, 1]]), "rows of numbers"),
        (lambda: finecap.retrieval(np.eye(3), np.ones((4, 3))), "image_of_text"),
        (lambda: finecap.retrieval(np.eye(3), np.eye(3), [0, 1, 7]), "right answer"),
        (lambda: finecap.retrieval(np.zeros((0, 3)), np.eye(3)), "image_of_text"),
        (lambda: finecap.fine_cap_eval({"x": "a"}, "/nowhere.csv"), "/nowhere.csv"),
        (lambda: finecap.fine_cap_eval({"x": "a"}, FIXTURES / "finecapeval/finecapeval.csv"), "no image `x`"),
        (lambda: finecap.evaluate(["a"], ["b"], frequencies={"a": 1}), "document_frequency"),
        (
            lambda: finecap.evaluate(["a"], ["b"], frequencies={"document_frequency": {("a",): 9}, "ref_len": 3}),
            "cannot occur in 9 of 3 images",
        ),
    ],
)
def test_other_bad_input(call, says):
    with pytest.raises(ValueError) as raised:
        call()
    assert says in str(raised.value) and "\n" not in str(raised.value)
