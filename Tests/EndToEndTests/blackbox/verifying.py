"""`fedchat verify --json` as a process: what it shows, and the answers to it."""
import json
import subprocess
import threading
import time

from .people import program
from .report import expect, expect_equal


class Verifying:
    """One verification; steps come in the background."""

    def __init__(self, person, *arguments):
        self.person, self.steps = person, []
        self.process = subprocess.Popen(
            [str(program()), "verify", *map(str, arguments), "--json", "--timeout", "120"], env=person.environment,
            text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.steps.append(json.loads(line))

    def step(self, name, seconds=40):
        """Waits for a step."""
        end = time.monotonic() + seconds
        while True:
            for step in self.steps:
                if step["step"] == name:
                    return step
            if self.process.poll() is not None or time.monotonic() > end:
                problem = self.process.stderr.read() if self.process.poll() is not None else "it goes on"
                raise AssertionError(f"{self.person.name}: no step {name!r}, only {self.steps}; {problem}")
            time.sleep(0.05)

    def emoji(self):
        return [emoji["symbol"] for emoji in self.step("compare")["emoji"]]

    def decimals(self):
        return self.step("compare")["decimal"]

    def say(self, is_same=True):
        self.process.stdin.write(json.dumps({"match": is_same}) + "\n")
        self.process.stdin.flush()

    def end(self, status=0, seconds=40):
        """Waits for the end; the exit status must be this."""
        code = self.process.wait(seconds)
        problem = self.process.stderr.read()
        expect_equal(code, status, f"the exit status of verify; {self.steps} {problem}")
        return self

    def effects(self):
        return self.step("verified")["effects"]


def both(first, second):
    """Two fedchats compare, and say yes."""
    expect_equal(first.emoji(), second.emoji(), "both show the same")
    expect_equal(len(first.emoji()), 7, "seven emoji")
    first.say()
    second.say()
    first.end()
    second.end()
    expect("done" in [step["step"] for step in first.steps], f"{first.steps}")
