"""A person at a terminal: the fedchat program with a home of its own."""
import contextlib
import json
import os
import pathlib
import selectors
import shutil
import signal
import subprocess
import tempfile
import time

from .report import expect


def program():
    """The fedchat to test: $FEDCHAT, or this project's debug build."""
    given = os.environ.get("FEDCHAT")
    return pathlib.Path(given) if given else pathlib.Path(__file__).resolve().parents[3] / ".build/debug/fedchat"


class Person:
    def __init__(self, name, server, folder, password="correct horse battery"):
        self.name, self.server = name, server
        self.home = pathlib.Path(folder) / name
        self.home.mkdir(parents=True)
        self.run_folder = pathlib.Path(tempfile.mkdtemp(prefix="fc"))       # a socket's path must be short
        self.password_file = self.home / "password"
        self.password_file.write_text(password + "\n")
        self.password_file.chmod(0o600)
        self.environment = {
            "PATH": os.environ["PATH"], "HOME": str(self.home), "LANG": "C.UTF-8",
            "XDG_CONFIG_HOME": str(self.home / "config"), "XDG_DATA_HOME": str(self.home / "data"),
            "XDG_STATE_HOME": str(self.home / "state"), "XDG_CACHE_HOME": str(self.home / "cache"),
            "XDG_RUNTIME_DIR": str(self.run_folder),
        }

    @property
    def id(self):
        return f"@{self.name}:{self.server.name}"

    def start(self, *arguments, **more):
        return subprocess.Popen([str(program()), *map(str, arguments)], env=self.environment, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, **more)

    def run(self, *arguments, input="", seconds=60):
        """Runs a verb to its end, whatever that is."""
        return subprocess.run([str(program()), *map(str, arguments)], env=self.environment, text=True, capture_output=True,
                              input=input, timeout=seconds)

    def do(self, *arguments, **more):
        """Runs a verb that must succeed; returns what it prints."""
        done = self.run(*arguments, **more)
        expect(done.returncode == 0, f"{self.name}: fedchat {' '.join(map(str, arguments))}: exit {done.returncode}\n"
                                     f"stdout: {done.stdout[-500:]}\nstderr: {done.stderr[-1000:]}")
        return done.stdout

    def ask(self, *arguments, **more):
        """The one JSON object that a verb prints."""
        lines = [line for line in self.do(*arguments, "--json", **more).splitlines() if line.strip()]
        expect(len(lines) == 1, f"fedchat {arguments[0]} --json prints {len(lines)} lines")
        return json.loads(lines[0])

    def register(self):
        self.do("register", "--homeserver", self.server.site.base_url, "--user", self.name, "--password-file", self.password_file)
        found = self.ask("whoami")
        expect(found["user_id"] == self.id, f"whoami: {found}")
        return self

    def hear(self, room, enough, seconds=40):
        """Listens from the start of the room until `enough(events)`; returns the events in their order."""
        process = self.start("listen", room, "--json", "--since", "start")
        events, buffered, deadline = [], b"", time.monotonic() + seconds
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(process.stdout, selectors.EVENT_READ)
                while not enough(events):
                    left = deadline - time.monotonic()
                    expect(left > 0, f"{self.name} heard only {[event.get('content') for event in events]} in {seconds} s")
                    if not selector.select(left):
                        continue
                    part = os.read(process.stdout.fileno(), 65536)
                    if not part:
                        _, problem = process.communicate(timeout=10)
                        raise AssertionError(f"{self.name}: listen ended with {process.returncode}: {problem[-1000:]}")
                    buffered += part
                    *lines, buffered = buffered.split(b"\n")
                    # Notices of devices come in between.
                    events += [event for event in map(json.loads, filter(str.strip, map(bytes.decode, lines))) if "event_id" in event]
            return events
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            process.stdout.close()
            process.stderr.close()

    def hear_texts(self, room, texts, seconds=40):
        """Listens until all the texts were heard; returns what was said, as (sender, text)."""
        def said(events):
            return [(event["sender"], event["content"]["body"]) for event in events
                    if event.get("type") == "m.room.message" and "body" in event.get("content", {})]

        return said(self.hear(room, lambda events: set(texts) <= {text for _, text in said(events)}, seconds))

    def close(self):
        self.end_daemon()
        shutil.rmtree(self.run_folder, ignore_errors=True)

    def processes(self, commands_too=True):
        """The ids of all that runs for the person, found by their environment, not by their names."""
        mark, found = f"XDG_RUNTIME_DIR={self.run_folder}".encode(), []
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                if mark in (entry / "environ").read_bytes().split(b"\0") and (
                        commands_too or b"daemon" in (entry / "cmdline").read_bytes().split(b"\0")):
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def end_daemon(self, signal_number=signal.SIGTERM, commands_too=True):
        """Ends the person's own background process, and the commands that run."""
        for process in self.processes(commands_too):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal_number)


class People:
    """The people of a run, who have their accounts on two servers."""

    def __init__(self, folder, a, b):
        self.folder, self.a, self.b = folder, a, b
        self.people, self.count = [], 0

    def person(self, name, server=None, registered=True):
        """A new one; the name gets a number."""
        self.count += 1
        person = Person(f"{name}{self.count}", server or self.a, self.folder / "people")
        self.people.append(person)
        return person.register() if registered else person

    def device(self, person, name):
        """Another device of a person, with a home of its own."""
        other = People.person(self, name, person.server, registered=False)
        other.do("login", "--homeserver", person.server.site.base_url, "--user", person.name, "--password-file", other.password_file)
        return other

    def pair(self, *options):
        """Two people of two servers in one room, which is encrypted unless the options of `create` say otherwise."""
        alice, bob = self.person("alice"), self.person("bob", self.b)
        room = alice.ask("create", "--name", "Kitchen", *options)["room_id"]
        alice.do("invite", room, bob.id)
        bob.do("join", room)
        return alice, bob, room

    def close(self):
        for person in self.people:
            person.close()
