"""What the tests share: the committed goldens, and a small run made by the command of the wheel."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
os.environ.setdefault("FINECAP_DEVICE", "flex")

TINY = """
clip = { steps = 4, batch_size = 4, texts = "alt_texts", image_size = 16, patch_size = 8, width = 16, layers = 1, \
heads = 2, embed_dim = 8 }
captioner = { d_model = 16, d_ff = 16, n_heads = 2, n_encoder_layers = 1, n_decoder_layers = 1 }
mle = { steps = 4, batch_size = 4, captions_per_image = 2 }
grammar = { steps = 4, batch_size = 4 }
"""


def golden(name):
    return json.loads((FIXTURES / name).read_text())


def command(*arguments):
    return subprocess.run([sys.executable, "-m", "finecap", *map(str, arguments)], capture_output=True, text=True)


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """A run with a tiny CLIP, a grammar model and a captioner; `data/images` beside it."""
    dir = tmp_path_factory.mktemp("world")
    (dir / "tiny.toml").write_text(TINY)
    steps = [["scenes", "--out", dir / "data", "--train", "12", "--val", "4", "--test", "4", "--size", "16"]]
    for phase in ("clip", "grammar", "mle"):
        steps.append(
            ["train", phase, "--data", dir / "data/dataset.json", "--images", dir / "data/images"]
            + ["--config", dir / "tiny.toml", "--out", dir / "run"]
        )
    for step in steps:
        done = command(*step)
        assert done.returncode == 0, done.stderr
    return dir / "run"


@pytest.fixture(scope="session")
def pictures(run):
    return sorted(map(str, (run.parent / "data/images").rglob("*.png")))
