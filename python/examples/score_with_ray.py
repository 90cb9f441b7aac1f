"""CLIP-S, and the probability of being a sentence, of any number of pairs on a Ray cluster.

    python score_with_ray.py --clip CLIP --out scores/ shards/*.tar
    python score_with_ray.py --clip CLIP --out scores/ --actors 8 --gpus 1 --device cuda pairs.parquet

Reads tar shards of webdataset, or Parquet or CSV files with the columns `image` (bytes, or a path that every
machine has) and `caption`. Writes Parquet: all columns but the picture, `clip_s`, `grammar` if asked for, and
`error`, which says why a picture could not be read; its score is null.
"""

import argparse

import numpy as np
import pyarrow as pa
import ray_data

import finecap


class Scorer:
    """One model; each actor of the pool holds one."""

    def __init__(self, clip, grammar=None, device="auto", threads=None):
        self.clip = finecap.Clip.load(clip, device=device, threads=threads)
        self.grammar = grammar and finecap.GrammarHead.load(grammar, device=device, threads=threads)

    def __call__(self, table: pa.Table) -> pa.Table:
        images, texts, errors = ray_data.pictures(table), ray_data.captions(table), {}
        # In whole batches the bits don't depend on how the rows were cut into blocks.
        scores = self.clip.clip_score(images, texts, errors=errors, progress=False, whole_batches=True)
        out = ray_data.rest(table).append_column("clip_s", pa.array(scores, mask=np.isnan(scores)))
        if self.grammar:
            out = out.append_column("grammar", pa.array(self.grammar(texts, progress=False)))
        return out.append_column("error", pa.array([errors.get(row) for row in range(len(table))], pa.string()))


def score(paths, out, clip, scorer=Scorer, actors=1, gpus=0, cpus=1, batch=256, **settings):
    """Scores the pairs of `paths` and writes Parquet files to the folder `out`."""
    ray_data.leave_a_cpu(actors, cpus)
    scored = ray_data.read(paths).map_batches(
        scorer,
        fn_constructor_kwargs={"clip": clip, **settings},
        batch_format="pyarrow",
        zero_copy_batch=True,
        batch_size=batch,
        concurrency=actors,
        num_gpus=gpus,
        num_cpus=cpus,
    )
    scored.write_parquet(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--clip", required=True, help="CLIP model, at the same path on every machine")
    parser.add_argument("--grammar", help="run with a grammar model")
    parser.add_argument("--out", required=True, help="folder for Parquet files")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, help="of each actor; as many CPUs are asked for")
    parser.add_argument("--actors", type=int, default=1)
    parser.add_argument("--gpus", type=float, default=0, help="of each actor")
    given = vars(parser.parse_args())
    score(given.pop("paths"), given.pop("out"), given.pop("clip"), cpus=given["threads"] or 1, **given)


if __name__ == "__main__":
    main()
