"""Peak memory and time of a step with logits of every token, and of the answers' tokens only.

    PYTHONPATH=tests python tests/benchmarks/answer_logits.py [ROUNDS [ROWS [TOKENS]]]

A step (forward, backward) of a Qwen2.5-VL of two layers, 32 wide, with the published vocabulary of
151 936, bfloat16, on one thread of a CPU. The tokens are random and the last 18 of each row are its
answer. A fresh process each, in turn; memory is the process's peak above that before the step. A
large model spends the same on logits and much more on everything else.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time

VOCABULARY = 151_936
ANSWER = 18
WAYS = ("every token", "answers only")


def main() -> None:
    rounds, rows, tokens = (
        int(n) for n in [*sys.argv[1:], *("3", "1", "512")[len(sys.argv) - 1 :]]
    )
    found: dict[str, list[list[float]]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way in WAYS:
            command = [sys.executable, __file__, "--step", way, str(rows), str(tokens)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found[way].append([float(number) for number in done.stdout.split()[-2:]])
    print(f"{rows} x {tokens} tokens, medians of {rounds} processes")
    print("| logits of | peak MiB | s a step |")
    print("|---|---|---|")
    for way, runs in found.items():
        mebibytes, seconds = (statistics.median(column) for column in zip(*runs, strict=True))
        print(f"| {way} | {mebibytes:.0f} | {seconds:.2f} |")


def step(way: str, rows: int, tokens: int) -> None:
    """Print the peak of memory in MiB, and the seconds of the faster of two steps."""
    import torch
    from support.tiny_heads import tiny

    from depthlm_plugin.host.answer_logits import of_answers

    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = tiny("qwen2_5_vl", vocab_size=VOCABULARY).bfloat16()
    ids = torch.randint(3, VOCABULARY, (rows, tokens))
    labels = torch.full_like(ids, -100)
    labels[:, -ANSWER:] = ids[:, -ANSWER:]
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = []
    for _ in range(2):
        started = time.perf_counter()
        model.zero_grad()
        model(**(of_answers(inputs) if way == WAYS[1] else inputs)).loss.backward()
        seconds.append(time.perf_counter() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print((peak - before) / 1024, min(seconds))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--step"]:
        step(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
