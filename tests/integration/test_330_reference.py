"""What the documents say of options and commands is what the program has."""

import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from harness.tailrace import binary_path

DOCS = Path(__file__).resolve().parents[2] / "docs"


def say(*args):
    done = subprocess.run([binary_path(), *args], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and done.stderr == "", done
    return done.stdout


def test_manual_page_and_reference_are_those_of_the_program():
    assert (DOCS / "tailrace.1").read_text(encoding="utf-8") == say("help", "--man"), "run make reference"
    text = (DOCS / "configuration.md").read_text(encoding="utf-8")
    assert text.endswith(say("help", "--markdown")), "run make reference"
    twice = [heading for heading, count in Counter(re.findall(r"^#+ .*", text, re.MULTILINE)).items() if count > 1]
    assert not twice, twice


def test_every_option_and_command_is_in_every_help():
    reference, manual, overview = say("help", "--markdown"), say("help", "--man").replace("\\-", "-"), say("--help")
    flags = set(re.findall(r"^\| `\w+` \| `(--(?:\[no-\])?[a-z0-9-]+)", reference, re.MULTILINE))
    assert len(flags) > 100
    commands = re.findall(r"^  tailrace ([a-z]+)", overview, re.MULTILINE)
    assert {"run", "check", "schema", "reload", "drop", "convert"} <= set(commands)
    for command in set(commands) - {"help"}:
        text = say(command, "--help")
        assert text.startswith(f"usage: tailrace {command}") and say("help", command) == text
        assert f".B tailrace {command} " in manual
        own = re.findall(r"^  (--[^ ]+)", text, re.MULTILINE)
        assert len(own) == len(set(own)) or command != "convert"
        if command != "convert":
            missing = flags - set(own)
            assert not missing, f"{command}: {missing}"
        assert not [flag for flag in own if flag not in manual], command


def test_documents_name_options_that_there_are():
    """A flag that a page tells the reader to give is one of tailrace's (or stands in a line of another program's)."""
    known = set(re.findall(r"--(?:\[no-\])?([a-z0-9-]+)", say("help", "--markdown") + "".join(say("help", c) for c in ("check", "reload", "convert"))))
    known |= {"help", "version", "man", "markdown"}
    unknown = []
    for page in [DOCS.parent / "README.md", *DOCS.glob("*.md")]:
        for line in re.findall(r"tailrace (?:run|check|schema|drop|reload|convert)\b[^`\n]*", page.read_text(encoding="utf-8")):
            for flag in re.findall(r"(?<![\w-])--([a-z][a-z0-9-]+)", line.split(" | ")[0]):
                if flag not in known and flag.removeprefix("no-") not in known and re.sub("^(source|target)-", "", flag) not in known:
                    unknown.append(f"{page.name}: --{flag} in: {line}")
    assert not unknown, "\n".join(unknown)


def test_the_service_is_well_locked_in(tmp_path):
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / "tailrace@shop.service"
    text = (DOCS.parent / "scripts/tailrace@.service").read_text(encoding="utf-8").replace("/usr/local/bin/tailrace", str(binary_path()))
    unit.write_text(text, encoding="utf-8")
    done = subprocess.run([tool, "security", "--offline=true", str(unit)], capture_output=True, text=True, timeout=60, check=False)
    exposure = re.search(r"exposure level for .*: ([0-9.]+)", done.stdout)
    if exposure is None:
        pytest.skip("this systemd-analyze does not look at files")
    assert float(exposure[1]) <= 1.5, done.stdout
    assert "nknown" not in done.stderr and "nvalid" not in done.stderr, done.stderr
