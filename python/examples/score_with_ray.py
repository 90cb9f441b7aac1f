"""CLIP-S, and the probability of being a sentence, of any number of pairs on a Ray cluster.

    python score_with_ray.py --clip CLIP --out scores/ shards/*.tar
    python score_with_ray.py --clip CLIP --out scores/ --actors 8 --gpus 1 --device cuda pairs.parquet

Reads tar shards of webdataset, or Parquet or CSV files with the columns `image` (bytes, or a path that every
machine has) and `caption`. Writes Parquet: all columns but the picture, `clip_s`, `grammar` if asked for, and
`error`, which says why a picture could not be read; its score is null.
"""

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


def score(paths, out, clip, scorer=Scorer, **options):
    """Scores the pairs of `paths` and writes Parquet files to the folder `out`."""
    ray_data.run(paths, out, clip, scorer, **options)


if __name__ == "__main__":
    parser = ray_data.arguments(__doc__.splitlines()[0])
    parser.add_argument("--grammar", help="run with a grammar model")
    given = vars(parser.parse_args())
    score(cpus=given["threads"] or 1, **given)
