"""What both examples share: pairs of pictures and captions, by Ray's own readers."""

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
