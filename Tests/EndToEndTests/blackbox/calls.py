"""Calls: fedchat call and fedchat answer, what they say, and what their media programs were told."""
import json
import pathlib
import queue
import shlex
import signal
import subprocess
import sys
import threading
import time

from .people import People, program
from .report import expect

SCRIPTED = pathlib.Path(__file__).resolve().parent / "scripted_media.py"


class End:
    """A running `fedchat call` or `answer` of a person. `media` is a shell's command; without it the scripted program runs."""

    _count = 0

    def __init__(self, person, *arguments, media=None, behavior="normal"):
        End._count += 1
        self.person, self.events = person, []
        self.log = person.home / f"media{End._count}.log"
        words = [sys.executable, str(SCRIPTED), person.name, str(self.log), behavior]
        if "--reject" not in arguments:
            arguments += ("--media", media or shlex.join(words))
        self.process = subprocess.Popen(
            [str(program()), *map(str, arguments), "--json"], env=person.environment, text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=open(person.home / f"call{End._count}.err", "w"))
        self.errors = person.home / f"call{End._count}.err"
        self._queue = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self._queue.put(json.loads(line))
        self._queue.put(None)

    def wait(self, event, seconds=30, holds=lambda found: True):
        """The next event of that kind; those before it are kept in `events`."""
        end = time.monotonic() + seconds
        while True:
            try:
                found = self._queue.get(timeout=max(end - time.monotonic(), 0.01))
            except queue.Empty:
                raise AssertionError(f"{self.person.name} had no {event} within {seconds} s: {self.summary()}")
            expect(found is not None, f"{self.person.name} ended without {event}: {self.summary()}")
            self.events.append(found)
            if found["event"] == event and holds(found):
                return found

    def type(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)

    def ends(self, seconds=30):
        """How it ended: its exit status and the reason."""
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.person.name}'s command did not end within {seconds} s: {self.summary()}")
        while (found := self._queue.get(timeout=5)) is not None:
            self.events.append(found)
        last = [event for event in self.events if event["event"] == "ended"]
        return status, (last[-1]["by"], last[-1]["reason"]) if last else None

    def told(self, kind=None):
        """What the scripted program was told."""
        if not self.log.exists():
            return []
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [line for line in lines if kind is None or line["type"] == kind]

    def notices(self):
        return [event["notice"] for event in self.events if event["event"] == "notice"]

    def summary(self):
        return f"{self.events} {self.errors.read_text()[-500:]}"

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            stream.close()


class Callers(People):
    """People who call each other."""

    def __init__(self, folder, a, b):
        super().__init__(folder, a, b)
        self.ends = []

    def end(self, person, *arguments, **more):
        self.ends.append(End(person, *arguments, **more))
        return self.ends[-1]

    def close(self):
        for each in self.ends:
            each.close()
        super().close()
