"""What both examples share: pairs of pictures and captions, by Ray's own readers."""

import argparse

import pyarrow as pa
import ray

PICTURES = ("image", "jpg", "jpeg", "png", "webp")


def read(paths):
    """A data set of tar shards, Parquet or CSV files; tables have a picture column and perhaps `caption`."""
    if paths[0].endswith(".parquet"):
        return ray.data.read_parquet(paths)
    if paths[0].endswith(".csv"):
        return ray.data.read_csv(paths)
    return ray.data.read_webdataset(paths, decoder=None)


def leave_a_cpu(actors, cpus):
    """Reading and writing need a CPU too; without one Ray would wait for ever."""
    if not ray.is_initialized():
        ray.init()
    there = ray.cluster_resources().get("CPU", 0)
    if actors * cpus >= there:
        raise SystemExit(f"{actors} actors of {cpus} CPUs leave none of {there:.0f} to read with: ask for fewer")


def pictures(table: pa.Table):
    """Bytes or paths of the pictures, from the first column that a row has."""
    columns = [table[name].to_pylist() for name in PICTURES if name in table.column_names]
    if not columns:
        raise ValueError(f"none of the columns {', '.join(table.column_names)} holds pictures: call it image")
    return [next((value for value in row if value is not None), b"") for row in zip(*columns)]


def captions(table: pa.Table):
    name = "caption" if "caption" in table.column_names else "txt"
    texts = table[name].to_pylist()
    return [text.decode() if isinstance(text, bytes) else text or "" for text in texts]


def rest(table: pa.Table):
    """The table without its pictures."""
    return table.drop_columns([name for name in PICTURES if name in table.column_names])


def run(paths, out, clip, actor, actors=1, gpus=0, cpus=1, batch=256, **settings):
    """Sends the pairs of `paths` through a pool of actors and writes Parquet files to the folder `out`."""
    leave_a_cpu(actors, cpus)
    done = read(paths).map_batches(
        actor,
        fn_constructor_kwargs={"clip": clip, **settings},
        batch_format="pyarrow",
        zero_copy_batch=True,
        batch_size=batch,
        concurrency=actors,
        num_gpus=gpus,
        num_cpus=cpus,
    )
    done.write_parquet(out)


def arguments(description):
    """The options that both examples have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--clip", required=True, help="CLIP model, at the same path on every machine")
    parser.add_argument("--out", required=True, help="folder for Parquet files")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, help="of each actor; as many CPUs are asked for")
    parser.add_argument("--actors", type=int, default=1)
    parser.add_argument("--gpus", type=float, default=0, help="of each actor")
    return parser
