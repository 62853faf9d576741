#!/usr/bin/env python3
"""The two organisations of docker-compose.yml, in containers: they come up healthy, federate, and survive.

    containers.py [--keep]

Needs docker and docker-compose (1.29 or later), and programs built by script/server --build-only. Where no engine runs, root
starts one of its own, with images made from Debian's packages (container_engine.py; kept in .build-containers). $BASE and
$POSTGRES_IMAGE name other images. Skips, and says so, where it cannot run.
"""
import argparse
import json
import os
import re
import signal
import sys
import time

import container_engine
from container_engine import docker, root, run

from blackbox.matrix import Site, User, timeline
from blackbox.report import Run, eventually, expect, expect_equal

PROJECT = "fedchattest"
PASSWORD = "correct horse battery"


def compose(*arguments, **more):
    return run("docker-compose", "--project-name", PROJECT, "--file", root / "docker-compose.yml", *arguments, cwd=root, **more).stdout


def container(service):
    return compose("ps", "-a", "-q", service).strip()


def inspect(service):
    return json.loads(docker("inspect", container(service)).stdout)[0]


class Person:
    """Somebody with fedchat in a container of their own, outside both organisations' networks."""

    def __init__(self, name, server, homeserver):
        self.name, self.id, self.home = name, f"@{name}:{server}", f"{PROJECT}_{name}"
        docker("run", "--detach", "--name", self.home, "--network", f"{PROJECT}_world", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL",
               "--volume", f"{PROJECT}_certificates:/certificates:ro", "--env", "FEDCHAT_CA_FILE=/certificates/ca.pem",
               "--env", "HOME=/data", "--no-healthcheck", "--entrypoint", "sleep", "fedchatd", "infinity")
        docker("exec", "-i", self.home, "sh", "-c", "umask 077; cat > /data/password", stdin=None, input=PASSWORD + "\n")
        self.do("register", "--homeserver", homeserver, "--user", name, "--password-file", "/data/password")
        expect_equal(self.ask("whoami")["user_id"], self.id)

    def do(self, *arguments, **more):
        return docker("exec", self.home, "fedchat", *arguments, **more).stdout

    def ask(self, *arguments):
        return json.loads(self.do(*arguments, "--json"))

    def heard(self, room):
        events = [json.loads(line) for line in self.do("listen", room, "--json", "--since", "start", "--no-follow", check=False).splitlines()]
        return [event["content"].get("body") for event in events if event["type"] == "m.room.message"]


class World:
    def __init__(self):
        self.a, self.b = Site("http://127.0.0.1:18008"), Site("http://127.0.0.1:18009")
        self.count, self.people = 0, []

    def user(self, site):
        self.count += 1
        made = site.call("POST", "/register", {
            "username": f"user{self.count}", "password": PASSWORD, "auth": {"type": "m.login.dummy"}})
        return User(site, made, PASSWORD)

    def person(self, *arguments):
        self.people.append(Person(*arguments))
        return self.people[-1]

    def wait_for(self, *services):
        for service in services:
            eventually(lambda: inspect(service)["State"].get("Health", {}).get("Status") == "healthy", f"{service} is healthy", 90)
        for site in (self.a, self.b):
            site.forget_connection()


def come_up(world):
    compose("up", "--detach", "--no-build")
    world.wait_for("postgres", "a", "b", "b-proxy", "turn")


def confined(world):
    for service in ("a", "b", "b-proxy", "turn"):
        found = inspect(service)
        expect_equal(found["HostConfig"]["ReadonlyRootfs"], True, service)
        expect_equal(found["HostConfig"]["CapDrop"], ["ALL"], service)
        expect_equal(docker("exec", container(service), "id", "-u").stdout.strip(), "10008", service)
        expect(docker("exec", container(service), "touch", "/usr/x", check=False).returncode != 0, f"{service} writes into /usr")
        processes = docker("exec", container(service), "sh", "-c", "grep -h Uid: /proc/[0-9]*/status").stdout.split("\n")
        expect(all(line.split()[1] != "0" for line in processes if line), f"a process of {service} is root")


def talk(world):
    alice, bob = world.user(world.a), world.user(world.b)
    for host, guest in ((alice, bob), (bob, alice)):
        room = host.create_room(name="Across")
        host.invite(room, guest)
        guest.sync_until(lambda answer: room in answer["rooms"].get("invite", {}))
        guest.join(room, [host.server_name])
        for speaker, listener in ((host, guest), (guest, host)):
            event = speaker.send(room, f"hello from {speaker.id}")
            listener.sync_until(lambda answer: any(each["event_id"] == event for each in timeline(answer, room)))


def encrypted(world):
    alice, bob = world.person("alice", "a.test", "https://a.test:8448"), world.person("bob", "b.test", "https://b.test")
    room = alice.ask("create", "--name", "Kitchen")["room_id"]
    alice.do("invite", room, bob.id)
    eventually(lambda: bob.do("join", room, check=False).strip(), "bob joins", 30)
    said = []
    for service in ("a", "b", None):
        for speaker, listener in ((alice, bob), (bob, alice)):
            said.append(f"{len(said)}: {speaker.name} puts the kettle on")
            speaker.do("send", room, "-m", said[-1])
            eventually(lambda: listener.heard(room) == said, f"{listener.name} reads {said[-1]!r}", 40)
        if service:
            docker("restart", container(service))
            world.wait_for(service)
    dump = docker("exec", container("postgres"), "pg_dump", "-U", "fedchat", "fedchat").stdout
    dump += "".join(bytes.fromhex(found).decode(errors="replace") for found in re.findall(r"\\\\x((?:[0-9a-f]{2})+)", dump))
    files = docker("cp", f"{container('b')}:/data", "-", text=False).stdout.decode(errors="replace")
    for name, kept in (("a's database", dump), ("b's files", files), ("the logs", compose("logs", "--no-color"))):
        expect("puts the kettle on" not in kept, f"{name} hold what was said")
    expect("m.megolm.v1.aes-sha2" in dump and "m.megolm.v1.aes-sha2" in files, "both keep encrypted events")


def call(world):
    """Credentials that a.test gives out open a relay at coturn; others do not."""
    given = world.user(world.a).call("GET", "/voip/turnServer")
    expect_equal(given["uris"], ["turn:localhost:13478?transport=udp"])

    def allocates(password):
        done = docker("exec", container("turn"), "timeout", "20", "turnutils_uclient", "-y", "-n", "2", "-m", "2",
                      "-u", given["username"], "-w", password, "turn",
                      check=False)
        return done.returncode == 0 and "Total lost packets 0" in done.stdout, done.stdout[-500:] + done.stderr[-500:]

    works, output = allocates(given["password"])
    expect(works, output)
    expect(not allocates("another")[0], "a wrong password opens a relay")


def killed(world):
    alice, bob = world.user(world.a), world.user(world.b)
    room = alice.create_room()
    alice.invite(room, bob)
    bob.sync_until(lambda answer: room in answer["rooms"].get("invite", {}))
    bob.join(room, [alice.server_name])
    said = []
    for service, speaker in (("a", alice), ("postgres", alice), ("b", bob)):
        docker("kill", container(service))
        docker("start", container(service))
        world.wait_for(service, "a", "b")
        said.append(f"{service} is back")
        speaker.send(room, said[-1])
    for person in (alice, bob):
        eventually(lambda: person.bodies(room) == said, f"what {person.id} reads", 60)


def stopped(world):
    start = time.monotonic()
    compose("stop", "a", "b")
    expect(time.monotonic() - start < 25, "they stop in time")
    for service in ("a", "b"):
        expect_equal(inspect(service)["State"]["ExitCode"], 0, service)


CASES = [("the services come up healthy", come_up), ("they run without root, without capabilities, with a read-only root", confined),
         ("the two organisations talk", talk), ("fedchat talks encrypted across both, through restarts", encrypted),
         ("a.test's credentials open a relay at coturn", call),
         ("a killed server and a killed database come back, and nothing is lost", killed), ("they stop cleanly", stopped)]


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--keep", action="store_true", help="leave the containers running, until Enter is pressed")
    options = options.parse_args()
    reason = container_engine.missing()
    if not reason and not (root / ".build/image/fedchatd").exists():
        reason = "script/server --build-only was not run"
    if reason:
        print(f"SKIPPED all of it: {reason}\n0 passed, 0 failed, {len(CASES)} skipped")
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with container_engine.prepared(root / ".build-containers"):
        cases, world = Run(), World()
        try:
            for sentence, function in CASES:
                cases.one(sentence, function, world)
                if cases.failed:
                    print(compose("logs", "--no-color", "--tail", "20", check=False))
                    if function is come_up:
                        break
            if options.keep:
                input(f"DOCKER_HOST={os.environ.get('DOCKER_HOST')}, network namespace of process {os.getpid()}; Enter ends it ")
        finally:
            for person in world.people:
                docker("rm", "--force", "--volumes", person.home, check=False)
            compose("down", "--volumes", check=False)
    return cases.close()


if __name__ == "__main__":
    sys.exit(main())
