"""What the demo shows: a narrative that scrolls, and on a terminal one live line below it."""

import os
import re
import shutil
import sys
import time

COLOURS = {"bold": "1", "dim": "2", "red": "31;1", "green": "32;1", "yellow": "33;1", "blue": "34;1", "cyan": "36"}
ESCAPES = re.compile(r"\033\[[0-9;]*[A-Za-z]")


class Screen:
    def __init__(self):
        self.begun = time.monotonic()
        self.terminal = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self.colour = self.terminal and "NO_COLOR" not in os.environ
        self.live = False

    def paint(self, text, colour):
        return f"\033[{COLOURS[colour]}m{text}\033[0m" if self.colour else text

    def seconds(self):
        return time.monotonic() - self.begun

    def write(self, text):
        self.clear_live()
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def title(self, text):
        self.write("\n" + self.paint(text, "bold") + "\n" + self.paint("─" * min(len(text), self.width()), "dim"))

    def step(self, text, colour=None, mark="•"):
        """One line of the story, with the time since the beginning."""
        mark = self.paint(mark, colour) if colour else mark
        self.write(f"{self.paint(f'{self.seconds():5.1f} s', 'dim')}  {mark} {text}")

    def good(self, text):
        self.step(text, "green", "✓")

    def bad(self, text):
        self.step(self.paint(text, "red"), "red", "✗")

    def kill(self, text):
        self.step(text, "red", "✗")

    def note(self, text):
        self.write(" " * 11 + self.paint(text, "dim"))

    @staticmethod
    def width():
        return shutil.get_terminal_size((110, 24)).columns - 1

    def clear_live(self):
        if self.live:
            sys.stdout.write("\r\033[K")
            self.live = False

    def show_live(self, text):
        """The line that is written over; nothing where there is no terminal."""
        if self.terminal:
            sys.stdout.write("\r\033[K" + self.paint(f"{self.seconds():5.1f} s  ▸ {text}"[:self.width()], "cyan"))
            sys.stdout.flush()
            self.live = True

    def table(self, heads, rows):
        """Columns as wide as they must be; numbers and hashes to the right."""
        widths = [max(self.length(row[i]) for row in [heads, *rows]) for i in range(len(heads))]
        line = "─┼─".join("─" * width for width in widths)
        self.write("  " + self.paint(" │ ".join(h.ljust(w) for h, w in zip(heads, widths)), "bold"))
        self.write("  " + self.paint(line, "dim"))
        for row in rows:
            cells = [self.align(cell, width, i) for i, (cell, width) in enumerate(zip(row, widths))]
            self.write("  " + self.paint(" │ ", "dim").join(cells))

    def align(self, cell, width, column):
        space = " " * (width - self.length(cell))
        return space + cell if column > 0 and ESCAPES.sub("", cell)[:1].isdigit() else cell + space

    @staticmethod
    def length(text):
        return len(ESCAPES.sub("", text))
