"""The encoders alone, on one core: events of TPC-B transactions, without source or sink."""

import re
import subprocess

from lab import Run, Wrong, binary_path

SECONDS = 3


class Encoder:
    name, goal = "encoder", {}
    title = "encoders alone, one core: events of TPC-B transactions as JSON (goal: 1.5 million a second) and Avro"
    peers = []
    warm_up = False

    def prepare(self, lab):
        self.program = binary_path().parent / "tests/bench/encoder"
        if not self.program.exists():
            raise Wrong(f"{self.program} is not built: make bench does that")

    def run(self, _side):
        extra, events = {}, 0
        for form in ("json", "avro"):
            out = subprocess.run([self.program, form, str(SECONDS)], capture_output=True, text=True, check=True).stdout
            rate, size = map(int, re.match(r"(\d+) events/s, (\d+) bytes/event", out).groups())
            extra |= {f"{form} events/s": rate, f"{form} bytes/event": size}
            events += rate * SECONDS
        return Run(wall=2 * SECONDS, rows=events, cpu=2 * SECONDS, extra=extra)
