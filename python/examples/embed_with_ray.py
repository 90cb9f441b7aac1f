"""CLIP embeddings of any number of pictures, and of captions beside them, on a Ray cluster.

    python embed_with_ray.py --clip CLIP --out embeddings/ --captions shards/*.tar

Reads what `score_with_ray.py` reads. Writes Parquet: all columns but the picture, `image_embedding`, with
`--captions` also `text_embedding` (float32 lists of length 1), and `error`; what can't be read is null.
"""

import argparse

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


def embed(paths, out, clip, embedder=Embedder, actors=1, gpus=0, cpus=1, batch=256, **settings):
    """Embeds the pictures of `paths` and writes Parquet files to the folder `out`."""
    ray_data.leave_a_cpu(actors, cpus)
    embedded = ray_data.read(paths).map_batches(
        embedder,
        fn_constructor_kwargs={"clip": clip, **settings},
        batch_format="pyarrow",
        zero_copy_batch=True,
        batch_size=batch,
        concurrency=actors,
        num_gpus=gpus,
        num_cpus=cpus,
    )
    embedded.write_parquet(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--clip", required=True, help="CLIP model, at the same path on every machine")
    parser.add_argument("--captions", action="store_true", help="embed the captions too")
    parser.add_argument("--out", required=True, help="folder for Parquet files")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, help="of each actor; as many CPUs are asked for")
    parser.add_argument("--actors", type=int, default=1)
    parser.add_argument("--gpus", type=float, default=0, help="of each actor")
    given = vars(parser.parse_args())
    embed(given.pop("paths"), given.pop("out"), given.pop("clip"), cpus=given["threads"] or 1, **given)


if __name__ == "__main__":
    main()
