import pickle

import numpy as np
import pytest
from PIL import Image

import finecap
from conftest import FIXTURES, golden
from finecap import rewards

CLIP = FIXTURES / "clipscore"
A, B = (str(FIXTURES / "preprocess" / name) for name in ("landscape.png", "veiled.png"))
REFERENCES = [["red squares on a wave", "many colours"], ["noise"]]


def test_rewards_are_the_scores():
    clip = finecap.Clip.load(CLIP)
    texts, images = ["a wave", "red squares", "noise"], [A, A, B]
    references = [REFERENCES[0], REFERENCES[0], REFERENCES[1]]
    clip_s, ref_clip_s = clip.clip_score(images, texts, references)
    own = rewards.ClipS(CLIP)(prompts=["p"] * 3, completions=texts, image=images)
    assert own == pytest.approx(clip_s.tolist(), abs=1e-6) and type(own) is list and type(own[0]) is float
    chat = [[{"role": "assistant", "content": text}] for text in texts]
    assert rewards.ClipS(clip, image="picture")(None, chat, picture=[[image] for image in images]) == own
    parts = [[{"role": "assistant", "content": [{"type": "text", "text": text}]}] for text in texts]
    assert rewards.ClipS(clip)(None, parts, image=[Image.open(image) for image in images]) == pytest.approx(own)
    found = rewards.RefClipS(clip)(None, texts, image=images, references=references)
    assert found == pytest.approx(ref_clip_s.tolist(), abs=1e-6)


def test_the_contrastive_reward_tells_the_pictures_of_the_batch_apart():
    clip = finecap.Clip.load(CLIP)
    texts, images = ["a wave", "noise", "red squares"], [A, B, A]
    found = rewards.Contrastive(clip)(None, texts, image=images)
    rows, captions = clip.embed_images([A, B]), clip.embed_texts(texts, prompt="A photo depicts")
    cosines = captions @ rows.T
    assert all(score <= 0 for score in found) and len(found) == 3
    # The probability grows with the difference of the cosines, by the model's own scale.
    margins = np.array([cosines[0, 0] - cosines[0, 1], cosines[1, 1] - cosines[1, 0], cosines[2, 0] - cosines[2, 1]])
    logits = np.log(np.expm1(-np.array(found)))
    assert logits / -margins == pytest.approx(np.full(3, (logits / -margins)[0]), rel=1e-3)
    assert rewards.Contrastive(clip)(None, ["a wave"], image=[A]) == [0.0]


def test_cider_d_with_counted_frequencies():
    reward = rewards.CiderD.count(REFERENCES + [["a dog runs"], ["a cat"]])
    again = pickle.loads(pickle.dumps(reward))
    texts, references = ["Red squares on a wave.", "noise", "a dog"], [REFERENCES[0], REFERENCES[1], REFERENCES[1]]
    found = again(None, texts, references=references)
    assert found == reward(None, texts, references=references) and found[2] == 0 < found[0]
    whole = finecap.evaluate(
        [texts[0], texts[1], "a dog runs", "a cat"], REFERENCES + [["a dog runs"], ["a cat"]], ["CIDEr-D"], True
    )
    assert found[:2] == [whole["per_image"][place]["CIDEr-D"] for place in (0, 1)]


def test_sums_and_grammar(run):
    grammar = rewards.Grammar(run)
    cider = rewards.CiderD.count(REFERENCES)
    total = rewards.WeightedSum([(2.0, cider), (0.5, pickle.loads(pickle.dumps(grammar)))])
    texts = ["noise", "red red"]
    expected = [2 * a + 0.5 * b for a, b in zip(cider(None, texts, references=REFERENCES), grammar(None, texts))]
    assert total(None, texts, references=REFERENCES) == expected
    assert total.__name__ == "cider_d_plus_grammar" and rewards.ClipS(CLIP).__name__ == "clip_s"
    assert total(None, [], references=[]) == []


def test_rewards_pickle_without_weights():
    reward = rewards.ClipS(CLIP, threads=1)
    first = reward(None, ["a wave"], image=[A])
    packed = pickle.dumps(reward)
    assert len(packed) < 1000 and pickle.loads(packed)(None, ["a wave"], image=[A]) == first


def test_advantages():
    sampled, greedy = [[1.0, 2.0, 6.0], [0.0, 0.0, 0.0]], [1.5, 1.0]
    found = finecap.SelfCritical().advantages(sampled, greedy)
    assert found.dtype == np.float32 and found.tolist() == [[-0.5, 0.5, 4.5], [-1, -1, -1]]
    found = finecap.SelfCritical("leave_one_out").advantages(np.array(sampled))
    assert found.tolist() == [[-3.0, -1.5, 4.5], [0, 0, 0]]
    found = finecap.SelfCritical("mean", divide_by_spread=True).advantages(sampled)
    assert found.sum(axis=1) == pytest.approx([0, 0], abs=1e-6) and found[0].std() == pytest.approx(1, abs=0.3)
    assert finecap.SelfCritical("mean").advantages(np.zeros((0, 3))).shape == (0, 3)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: rewards.ClipS(CLIP)(None, "a", image=[A]), ValueError, "not one text"),
        (lambda: rewards.ClipS(CLIP)(None, ["a"]), KeyError, "reads the column 'image'"),
        (lambda: rewards.ClipS(CLIP)(None, ["a"], image=[A, B]), ValueError, "2 rows for 1 completions"),
        (lambda: rewards.ClipS(CLIP)(None, ["a"], image=[[A, B]]), ValueError, "one picture"),
        (lambda: rewards.ClipS(CLIP)(None, ["a"], image=["/no.png"]), ValueError, "/no.png"),
        (lambda: rewards.ClipS(CLIP)(None, [3], image=[A]), ValueError, "completion 0"),
        (lambda: rewards.ClipS("/nowhere")(None, ["a"], image=[A]), FileNotFoundError, "/nowhere"),
        (lambda: rewards.CiderD("corpus"), ValueError, "CiderD.count"),
        (lambda: rewards.CiderD.count([]), ValueError, "at least one image"),
        (lambda: rewards.CiderD.count([["a"]])(None, ["a"], references=[[]]), ValueError, "no references"),
        (lambda: rewards.WeightedSum([]), ValueError, "at least one"),
        (lambda: rewards.WeightedSum([(float("nan"), rewards.ClipS(CLIP))]), ValueError, "clip_s must be finite"),
        (lambda: finecap.SelfCritical("median"), ValueError, "baseline"),
        (lambda: finecap.SelfCritical().advantages([[1.0]]), ValueError, "needs their rewards"),
        (lambda: finecap.SelfCritical().advantages([[1.0]], [1, 2]), ValueError, "[1] is needed"),
        (lambda: finecap.SelfCritical("mean").advantages([1.0]), ValueError, "images, samples"),
        (lambda: finecap.SelfCritical("mean").advantages([[float("nan"), 1]]), ValueError, "not a number"),
        (lambda: finecap.SelfCritical("leave_one_out").advantages([[1.0]]), ValueError, ""),
    ],
)
def test_bad_input_is_one_sentence(call, error, says):
    with pytest.raises(error) as raised:
        call()
    assert says in str(raised.value) and "\n" not in str(raised.value)
