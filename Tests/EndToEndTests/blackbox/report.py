"""Cases are functions with a sentence; a run prints one line for each, and the counts as its last line."""
import time
import traceback


class Skipped(Exception):
    """Raised by a case that cannot run here; the reason is printed."""


class Case:
    def __init__(self, sentence, function, only):
        self.sentence, self.function, self.only = sentence, function, only


_cases = []


def case(sentence, only=None):
    """Registers a function as a case. `only` names the one kind of server that it is about."""
    def register(function):
        _cases.append(Case(sentence, function, only))
        return function
    return register


def registered():
    return list(_cases)


def expect(holds, what):
    if not holds:
        raise AssertionError(what)


def expect_equal(found, wanted, what=""):
    if found != wanted:
        raise AssertionError(f"{what + ': ' if what else ''}found {found!r:.600}, wanted {wanted!r:.600}")


def said(done):
    """What a program that ended had to say."""
    return f"exit {done.returncode}\nstdout: {done.stdout[-600:]}\nstderr: {done.stderr[-600:]}"


def eventually(holds, what, seconds=10):
    """Asks again until it holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        expect(time.monotonic() < deadline, f"not within {seconds} s: {what}")
        time.sleep(0.05)


class Run:
    def __init__(self, before=None):
        """`before` is told each case before it runs."""
        self.before = before
        self.passed = self.failed = self.skipped = 0
        self.failures = []

    def one(self, sentence, function, *arguments):
        start = time.monotonic()
        try:
            function(*arguments)
        except Skipped as reason:
            self.skipped += 1
            print(f"SKIPPED {sentence}: {reason}", flush=True)
            return
        except Exception:
            self.failed += 1
            self.failures.append(sentence)
            print(f"FAILED  {sentence} ({time.monotonic() - start:.2f} s)", flush=True)
            print("        " + traceback.format_exc(limit=-4).strip().replace("\n", "\n        "), flush=True)
            return
        self.passed += 1
        print(f"ok      {sentence} ({time.monotonic() - start:.2f} s)", flush=True)

    def cases(self, cases, world, matching=None):
        for each in cases:
            if matching and matching not in each.sentence and matching not in each.function.__module__:
                continue
            if each.only and each.only != world.server.kind:
                continue
            if self.before:
                self.before(each)
            self.one(each.sentence, each.function, world)

    def pairs(self, cases, world, matching=""):
        """Runs those functions, each with its sentence, that have the word in it."""
        for sentence, function in cases:
            if matching in sentence:
                self.one(sentence, function, world)

    def close(self):
        """Prints the counts; returns the exit status."""
        if self.failures:
            print("\nfailed:\n" + "\n".join("  " + sentence for sentence in self.failures))
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped", flush=True)
        return 1 if self.failed else 0
