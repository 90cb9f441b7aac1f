import inspect
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import finecap
from conftest import FIXTURES, command


def test_the_command_is_there():
    assert "flex" in command("doctor").stdout
    done = command("score", "--nothing")
    assert done.returncode == 2 and "--nothing" in done.stderr
    done = command("--version")
    assert done.returncode == 0 and done.stdout == f"finecap {finecap.__version__}\n"
    script = Path(sys.executable).with_name("finecap")
    assert subprocess.run([script, "--help"], capture_output=True).returncode == 0


def test_it_is_typed_and_explained():
    assert Path(finecap.__file__).with_name("py.typed").exists()
    for module in (finecap, finecap.coco, finecap.rewards):
        assert module.__doc__
    for name in finecap.__all__:
        thing = getattr(finecap, name)
        assert thing.__doc__, name
        if inspect.isclass(thing):
            for method, value in inspect.getmembers(thing, callable):
                if not method.startswith("_"):
                    assert value.__doc__, f"{name}.{method}"


def test_ctrl_c_is_answered_within_a_second():
    code = f"""
import finecap, sys, time
clip = finecap.Clip.load({str(FIXTURES / "clipscore")!r})
print("ready", flush=True)
began = time.monotonic()
try:
    clip.embed_texts(["red squares on a wave number %d" % i for i in range(10_000_000 // 100)] * 20, progress=False)
except KeyboardInterrupt:
    print("stopped", flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "ready\n"
        time.sleep(1.5)
        child.send_signal(signal.SIGINT)
        asked = time.monotonic()
        assert child.stdout.readline() == "stopped\n"
        assert time.monotonic() - asked < 1
        child.wait(30)


def _scores(_):
    return finecap.evaluate(["a cat"], [["a cat sits"]], ["BLEU"])["scores"]


def test_new_processes_work_and_forked_ones_say_why_not():
    expected = _scores(0)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.map(_scores, range(4)) == [expected] * 4
    if not hasattr(os, "fork"):
        pytest.skip("no fork here")
    with multiprocessing.get_context("fork").Pool(1) as pool:
        with pytest.raises(RuntimeError, match="before this process was forked"):
            pool.map(_scores, range(1))
