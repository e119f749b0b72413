"""How a peer's script takes its turns: standard library only, for it runs in the peer's environment."""

import gc
import importlib.metadata
import json
import os
import sys
import time

__all__ = ["take_turns"]


def take_turns(repeat, *, work, libraries, note, prepare=lambda: None):
    """Do one repeat for each line on standard input and print how long it took.

    Parameters
    ----------
    repeat : callable
        Does the work once; it is given what `prepare` returned.
    work : int
        Units of work of a repeat.
    libraries : sequence of str
        Distributions whose versions are reported.
    note : str
        What a reader must know to compare it fairly.
    prepare : callable
        Called before each repeat, outside the time.
    """
    # The peer's own prints and logs must not mix with the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(content):
        answers.write(json.dumps(content) + "\n")
        answers.flush()

    # The input lives for the whole process: the collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    versions = {name: importlib.metadata.version(name) for name in libraries}
    answer({"work": work, "versions": versions, "note": note})
    for _ in sys.stdin:
        prepared = prepare()
        cpu, wall = time.process_time(), time.perf_counter()
        repeat(prepared)
        answer({"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu})
