"""The examples on a real Ray of two workers: the rows of one process, whatever happens to the workers."""

import io
import os
import signal
import sys
import tarfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import ray

import finecap

HERE = Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[1] / "examples"))
os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE.parents[1] / "examples"), str(HERE.parent)])

import embed_with_ray
import score_with_ray

FIXTURES = HERE.parents[2] / "fixtures"
CLIP = str(FIXTURES / "clipscore")
WORDS = "red squares on a wave seen through noise as many colours".split()


class Mortal(score_with_ray.Scorer):
    """Its process is killed once, at the second batch that any of them sees."""

    def __init__(self, deaths, **settings):
        super().__init__(**settings)
        self.deaths = Path(deaths)

    def __call__(self, table):
        seen = len(list(self.deaths.iterdir()))
        (self.deaths / f"{os.getpid()}-{seen}").touch()
        if seen == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(table)


@pytest.fixture(scope="session")
def cluster():
    ray.init(num_cpus=3, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def shards(tmp_path_factory):
    """Three shards of 30 pairs; the picture of one is damaged."""
    dir = tmp_path_factory.mktemp("shards")
    names = ["landscape", "portrait", "wide", "tall", "square", "rgba", "palette", "grey-alpha"]
    pairs = []
    for shard in range(3):
        with tarfile.open(dir / f"{shard}.tar", "w") as tar:
            for row in range(30):
                key, picture = f"{shard}{row:02}", (FIXTURES / "preprocess" / f"{names[row % 8]}.png").read_bytes()
                if (shard, row) == (1, 7):
                    picture = picture[:100]
                text = " ".join(WORDS[(row + shard + i) % len(WORDS)] for i in range(1 + row % 9))
                pairs.append((key, picture, text))
                for ending, content in (("png", picture), ("txt", text.encode())):
                    info = tarfile.TarInfo(f"{key}.{ending}")
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
    return sorted(map(str, dir.glob("*.tar"))), pairs


def rows(out):
    return {row["__key__"]: row for row in pq.read_table(out).to_pylist()}


def check_scores(found, pairs):
    errors = {}
    texts = [text for _, _, text in pairs]
    expected = finecap.Clip.load(CLIP).clip_score([p for _, p, _ in pairs], texts, errors=errors, whole_batches=True)
    assert len(found) == len(pairs) == 90 and list(errors) == [37]
    for place, ((key, _, _), score) in enumerate(zip(pairs, expected)):
        if place in errors:
            assert found[key]["clip_s"] is None and "cut short" in found[key]["error"] or found[key]["error"]
        else:
            assert found[key]["clip_s"] == float(score) and found[key]["error"] is None


def test_scores_are_those_of_one_process(cluster, shards, tmp_path):
    paths, pairs = shards
    score_with_ray.score(paths, str(tmp_path / "out"), CLIP, actors=2, batch=16, threads=1)
    check_scores(rows(tmp_path / "out"), pairs)


def test_a_killed_worker_changes_nothing(cluster, shards, tmp_path):
    paths, pairs = shards
    (tmp_path / "deaths").mkdir()
    deaths = str(tmp_path / "deaths")
    score_with_ray.score(paths, str(tmp_path / "out"), CLIP, Mortal, actors=2, batch=16, threads=1, deaths=deaths)
    assert len(list((tmp_path / "deaths").iterdir())) >= 7, "nobody was killed"
    check_scores(rows(tmp_path / "out"), pairs)


def test_embeddings_are_those_of_one_process(cluster, shards, tmp_path):
    paths, pairs = shards
    embed_with_ray.embed(paths, str(tmp_path / "out"), CLIP, actors=2, batch=16, threads=1, captions=True)
    found, clip, errors = rows(tmp_path / "out"), finecap.Clip.load(CLIP), {}
    images = clip.embed_images([picture for _, picture, _ in pairs], errors, whole_batches=True)
    texts = clip.embed_texts([text for _, _, text in pairs])
    for place, (key, _, _) in enumerate(pairs):
        assert found[key]["text_embedding"] == texts[place].tolist()
        if place in errors:
            assert found[key]["image_embedding"] is None and found[key]["error"]
        else:
            assert found[key]["image_embedding"] == images[place].tolist()
    assert np.isnan(images[37]).all()


def test_actors_on_all_cpus_are_refused(cluster, shards, tmp_path):
    with pytest.raises(SystemExit, match="leave none of 3"):
        score_with_ray.score(shards[0], str(tmp_path / "out"), CLIP, actors=3)


def test_tables_of_paths(cluster, tmp_path):
    path = FIXTURES / "preprocess/landscape.png"
    (tmp_path / "pairs.csv").write_text(f"image,caption\n{path},red squares\n/none.png,a wave\n")
    score_with_ray.score([str(tmp_path / "pairs.csv")], str(tmp_path / "out"), CLIP)
    found = pq.read_table(tmp_path / "out").to_pylist()
    assert [row["caption"] for row in found] == ["red squares", "a wave"]
    assert found[0]["clip_s"] > 0 and found[1]["clip_s"] is None and "/none.png" in found[1]["error"]
