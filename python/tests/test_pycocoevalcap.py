"""Against pycocoevalcap itself, where it is installed, on captions that FINECAP_COCO_CAPTIONS names, a file of COCO's
annotations with several captions for each image."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from finecap import coco

CAPTIONS = os.environ.get("FINECAP_COCO_CAPTIONS")

pytest.importorskip("pycocoevalcap")


def test_every_score_is_equal():
    if not CAPTIONS:
        pytest.skip("FINECAP_COCO_CAPTIONS names no captions")
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.meteor.meteor import Meteor
    from pycocoevalcap.rouge.rouge import Rouge
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    captions = {}
    for row in json.loads(Path(CAPTIONS).read_text())["annotations"]:
        captions.setdefault(row["image_id"], []).append({"caption": row["caption"]})
    gts = {image: own[1:] for image, own in captions.items() if len(own) > 1}
    res = {image: captions[image][:1] for image in gts}
    theirs, ours = PTBTokenizer(), coco.PTBTokenizer()
    words, own_words = [(t.tokenize(gts), t.tokenize(res)) for t in (theirs, ours)]
    alike = [
        image for image in gts if words[0][image] == own_words[0][image] and words[1][image] == own_words[1][image]
    ]
    # A tokenizer that sees all captions as one text looks across the ends of a few.
    assert len(alike) >= 0.999 * len(gts)
    gts, res = words
    pairs = [(Bleu(4), coco.Bleu(4)), (Rouge(), coco.Rouge()), (Cider(), coco.Cider()), (Meteor(), coco.Meteor())]
    for original, own in pairs:
        (score, scores), (found, each) = original.compute_score(gts, res), own.compute_score(gts, res)
        bound = 0 if original.method() == "METEOR" else 1e-12
        assert np.abs(np.array(score) - np.array(found)).max() <= bound
        assert np.abs(np.array(scores) - np.array(each)).max() <= bound
        assert type(score) is type(found) and type(scores) is type(each)
