"""CLIP embeddings of any number of pictures, and of captions beside them, on a Ray cluster.

    python embed_with_ray.py --clip CLIP --out embeddings/ --captions shards/*.tar

Reads what `score_with_ray.py` reads. Writes Parquet: all columns but the picture, `image_embedding`, with
`--captions` also `text_embedding` (float32 lists of length 1), and `error`; what can't be read is null.
"""

import numpy as np
import pyarrow as pa
import ray_data

import finecap


class Embedder:
    """One model; each actor of the pool holds one."""

    def __init__(self, clip, captions=False, device="auto", threads=None):
        self.clip = finecap.Clip.load(clip, device=device, threads=threads)
        self.captions = captions

    def __call__(self, table: pa.Table) -> pa.Table:
        errors = {}
        # In whole batches the bits don't depend on how the rows were cut into blocks.
        rows = self.clip.embed_images(ray_data.pictures(table), errors, progress=False, whole_batches=True)
        out = ray_data.rest(table).append_column("image_embedding", column(rows))
        if self.captions:
            texts = self.clip.embed_texts(ray_data.captions(table), progress=False)
            out = out.append_column("text_embedding", column(texts))
        return out.append_column("error", pa.array([errors.get(row) for row in range(len(table))], pa.string()))


def column(rows):
    """Rows `[N, E]` as lists, without a copy; null where they are NaN."""
    values = pa.array(rows.reshape(-1))
    return pa.FixedSizeListArray.from_arrays(values, rows.shape[1], mask=pa.array(np.isnan(rows[:, 0])))


def embed(paths, out, clip, embedder=Embedder, **options):
    """Embeds the pictures of `paths` and writes Parquet files to the folder `out`."""
    ray_data.run(paths, out, clip, embedder, **options)


if __name__ == "__main__":
    parser = ray_data.arguments(__doc__.splitlines()[0])
    parser.add_argument("--captions", action="store_true", help="embed the captions too")
    given = vars(parser.parse_args())
    embed(cpus=given["threads"] or 1, **given)
