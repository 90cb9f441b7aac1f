import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

import finecap
from conftest import FIXTURES, command, golden

CLIP = FIXTURES / "clipscore"
PICTURES = FIXTURES / "preprocess"


@pytest.fixture(scope="module")
def clip():
    return finecap.Clip.load(CLIP)


def file(name):
    return PICTURES / (name if "." in name else f"{name}.png")


def test_clip_score_is_the_reference_scripts(clip):
    expected = golden("clipscore/expected.json")
    captions, references = golden("clipscore/candidates.json"), golden("clipscore/references.json")
    images = [file(name) for name in expected]
    own = [captions[name] for name in expected]
    clip_s = clip.clip_score(images, own)
    assert clip_s.dtype == np.float32
    assert clip_s == pytest.approx([row["CLIPScore"] for row in expected.values()], abs=2e-6)
    first, second = clip.clip_score(images, own, [references[name] for name in expected])
    assert first.tolist() == clip_s.tolist()
    assert second == pytest.approx([row["RefCLIPScore"] for row in expected.values()], abs=2e-6)
    lists = clip.clip_score(images, [[caption, "waves"] for caption in own])
    assert lists[::2] == pytest.approx(clip_s, abs=1e-6) and len(lists) == 2 * len(own)


def test_embeddings_are_unit_rows_and_the_commands(clip, tmp_path):
    texts = ["red squares", "a wave", "red squares", ""]
    rows = clip.embed_texts(texts)
    assert rows.dtype == np.float32 and rows.shape == (4, clip.width)
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-6)
    assert rows[0].tolist() == rows[2].tolist()
    (tmp_path / "texts.txt").write_text("\n".join(texts) + "\n")
    done = command("embed", "text", "--clip", CLIP, "--input", tmp_path / "texts.txt", "--output", tmp_path / "t.npy")
    assert done.returncode == 0, done.stderr
    assert np.load(tmp_path / "t.npy").tolist() == rows.tolist()
    assert clip.embed_texts([]).shape == (0, clip.width)
    assert clip.embed_images([]).shape == (0, clip.width)
    ids = clip.tokenize(["a wave", ""])
    assert len(ids[1]) == 2 and len(ids[0]) > 2 and type(ids[0][0]) is int


def test_pictures_of_pillow_give_the_bits_of_their_files(clip):
    files = [path for path in sorted(PICTURES.glob("*.png")) if path.stem.count(".") == 0]
    files += sorted(path for path in (FIXTURES / "pictures").iterdir() if path.suffix not in (".png", ""))
    read, kept = [], []
    for path in files:
        image = Image.open(path)
        # What finecap refuses in a file, and modes that older versions of Pillow lack, are not compared.
        if image.mode in ("L", "LA", "RGB", "RGBA", "CMYK", "I;16", "P", "1"):
            kept.append(path)
            read.append(image)
    errors = {}
    expected = clip.embed_images(kept, errors)
    assert not errors and len(kept) > 30 and len({image.mode for image in read}) >= 6
    assert clip.embed_images(read).tolist() == expected.tolist()


def test_arrays_and_bytes(clip):
    path = PICTURES / "landscape.png"
    image = Image.open(path).convert("RGB")
    expected = clip.embed_images([image]).tolist()
    assert clip.embed_images([np.array(image)]).tolist() == expected
    assert clip.embed_images([path.read_bytes()]).tolist() == clip.embed_images([path]).tolist()
    grey = image.convert("L")
    assert clip.embed_images([np.array(grey)]).tolist() == clip.embed_images([grey]).tolist()


def test_rows_do_not_depend_on_what_is_beside_them(clip, pictures):
    images = pictures[:20] + [str(PICTURES / "landscape.png")] * 3 + pictures[:20]
    whole = clip.embed_images(images, whole_batches=True)
    for size in (1, 3, 7, 32):
        for start in range(0, len(images), size):
            found = clip.embed_images(images[start : start + size], whole_batches=True)
            assert found.tolist() == whole[start : start + size].tolist()
    assert clip.embed_images(images) == pytest.approx(whole, abs=1e-6)
    texts = [f"{'red ' * (place % 7)}wave of squares" for place in range(30)]
    assert clip.embed_texts(texts)[4:5].tolist() == clip.embed_texts(texts[4:5]).tolist()


def test_bad_pictures(clip, tmp_path):
    (tmp_path / "cut.png").write_bytes((PICTURES / "landscape.png").read_bytes()[:200])
    good, bad = PICTURES / "landscape.png", tmp_path / "cut.png"
    with pytest.raises(ValueError, match="cut.png"):
        clip.embed_images([good, bad])
    errors = {}
    rows = clip.embed_images([bad, good, b"nothing", tmp_path / "none.png", Image.open(bad)], errors)
    assert sorted(errors) == [0, 2, 3, 4] and "cut.png" in errors[0] and "picture 2" in errors[2]
    assert np.isnan(rows[[0, 2, 3, 4]]).all() and rows[1].tolist() == clip.embed_images([good])[0].tolist()
    errors = {}
    scores = clip.clip_score([bad, good, good], ["waves", ["waves", "red"], "waves"], errors=errors)
    assert list(errors) == [0] and np.isnan(scores[0]) and np.isfinite(scores[1:]).all() and scores[1] == scores[3]


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda clip: finecap.Clip.load("/nowhere"), FileNotFoundError, "/nowhere"),
        (lambda clip: finecap.Clip.load(PICTURES), ValueError, "preprocess"),
        (lambda clip: finecap.Clip.load(CLIP, device="warp"), ValueError, "warp"),
        (lambda clip: finecap.Clip.load(CLIP, threads=0), ValueError, "threads"),
        (lambda clip: clip.embed_texts([1]), ValueError, "must be text, not int"),
        (lambda clip: clip.embed_texts(7), ValueError, "list of texts"),
        (lambda clip: clip.embed_images("a.png"), ValueError, "list"),
        (lambda clip: clip.embed_images([3]), ValueError, "not int"),
        (lambda clip: clip.embed_images([np.zeros((4, 4, 3))]), ValueError, "uint8"),
        (lambda clip: clip.embed_images([np.zeros((4, 4, 2), np.uint8)]), ValueError, "uint8"),
        (lambda clip: clip.embed_images([np.zeros((0, 4, 3), np.uint8)]), ValueError, "pixels"),
        (lambda clip: clip.embed_images([Image.new("F", (4, 4))]), ValueError, "mode F"),
        (lambda clip: clip.clip_score([PICTURES / "wide.png"], "a"), ValueError, "not one text"),
        (lambda clip: clip.clip_score([PICTURES / "wide.png"], []), ValueError, "give one for each"),
        (lambda clip: clip.clip_score([PICTURES / "wide.png"], ["a"], []), ValueError, "give some for each"),
        (lambda clip: finecap.GrammarHead.load(CLIP), ValueError, "grammar"),
        (lambda clip: finecap.Captioner.load(CLIP), ValueError, "clipscore"),
    ],
)
def test_bad_input_is_one_sentence(clip, call, error, says):
    with pytest.raises(error) as raised:
        call(clip)
    message = str(raised.value)
    assert says in message and "\n" not in message


def test_a_grammar_head_gives_the_commands_probabilities(run, tmp_path):
    captions = {"1": "A red circle.", "2": "circle red a a"}
    (tmp_path / "captions.json").write_text(__import__("json").dumps(captions))
    output = tmp_path / "scores.json"
    done = command("score", "--candidates", tmp_path / "captions.json", "--grammar", run, "--output", output)
    assert done.returncode == 0, done.stderr
    found = finecap.GrammarHead.load(run)(list(captions.values()))
    expected = __import__("json").loads(output.read_text())
    assert found.tolist() == [np.float32(expected[key]) for key in captions]


def test_a_captioner_says_what_the_command_says(run, pictures):
    captioner = finecap.Captioner.load(run)
    for beam in (1, 3):
        done = command("caption", *pictures[:5], "--model", run, "--beam", beam)
        assert done.returncode == 0, done.stderr
        expected = [line.split("\t")[1] for line in done.stdout.splitlines()]
        assert captioner.caption(pictures[:5], beam=beam) == expected
        assert captioner.caption([Image.open(path) for path in pictures[:5]], beam) == expected
    with pytest.raises(ValueError, match="beam"):
        captioner.caption(pictures[:1], beam=0)
    errors = {}
    assert captioner.caption([b"x", pictures[0]], errors=errors)[0] is None and 0 in errors


def test_models_pickle_as_paths(clip, run, pictures):
    for model in (clip, finecap.GrammarHead.load(run), finecap.Captioner.load(run, threads=1)):
        assert len(pickle.dumps(model)) < 1000
    again = pickle.loads(pickle.dumps(clip))
    assert again.embed_texts(["a wave"]).tolist() == clip.embed_texts(["a wave"]).tolist()
    assert finecap.Captioner.load(run, threads=1).caption(pictures[:2]) == finecap.Captioner.load(run).caption(
        pictures[:2]
    )


def test_eight_threads_agree(clip, pictures):
    def work(_):
        return (
            clip.embed_texts(["a wave", "red"]).tolist(),
            clip.embed_images(pictures[:3]).tolist(),
            finecap.evaluate(["a cat", "dogs"], [["a cat sits"], ["two dogs"]], ["BLEU", "CIDEr-D", "ROUGE-L"]),
        )

    expected = work(0)
    with ThreadPoolExecutor(8) as pool:
        assert all(found == expected for found in pool.map(work, range(32)))


def test_other_threads_go_on_while_finecap_works(clip, pictures):
    ticks = []
    done = threading.Event()

    def count():
        while not done.wait(0.005):
            ticks.append(1)

    thread = threading.Thread(target=count)
    thread.start()
    clip.embed_images(pictures * 40)
    done.set()
    thread.join()
    assert ticks
