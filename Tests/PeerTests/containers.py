#!/usr/bin/env python3
"""The two organisations of docker-compose.yml, in containers: they come up healthy, federate, and survive.

    containers.py [--keep]

Needs a Docker engine, docker-compose (1.29 or later) and a release build (script/server --build-only); $BASE names the base
image. Skips, and says so, where there is no engine.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

import synapse_server      # puts blackbox on the path

from blackbox.matrix import Site, User, timeline
from blackbox.report import Run, eventually, expect, expect_equal

root = pathlib.Path(__file__).resolve().parents[2]
PROJECT = "fedchattest"


def compose(*arguments, check=True):
    done = subprocess.run(["docker-compose", "--project-name", PROJECT, "--file", root / "docker-compose.yml", *arguments],
                          cwd=root, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if check and done.returncode:
        raise RuntimeError(f"docker-compose {' '.join(arguments)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def container(service):
    return compose("ps", "-q", service).strip()


def inspect(service):
    return json.loads(subprocess.run(["docker", "inspect", container(service)], check=True, capture_output=True, text=True).stdout)[0]


class World:
    def __init__(self):
        self.a, self.b = Site("http://127.0.0.1:18008"), Site("http://127.0.0.1:18009")
        self.count = 0

    def user(self, site):
        self.count += 1
        made = site.call("POST", "/register", {
            "username": f"user{time.time_ns():x}{self.count}", "password": "correct horse battery", "auth": {"type": "m.login.dummy"}})
        return User(site, made, "correct horse battery")


def come_up(world):
    services = [f"--build-arg=BASE={os.environ['BASE']}"] if "BASE" in os.environ else []
    compose("build", *services)
    compose("up", "--detach")
    for service in ("a", "b", "b-proxy", "postgres"):
        eventually(lambda: inspect(service)["State"].get("Health", {}).get("Status") == "healthy", f"{service} is healthy", 90)
    expect(inspect("turn")["State"]["Running"], "turn runs")


def confined(world):
    for service in ("a", "b", "b-proxy", "turn"):
        found = inspect(service)
        expect_equal(found["HostConfig"]["ReadonlyRootfs"], True, service)
        uid = subprocess.run(["docker", "exec", container(service), "id", "-u"], capture_output=True, text=True).stdout.strip()
        expect_equal(uid, "10008", service)


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


def killed(world):
    alice, bob = world.user(world.a), world.user(world.b)
    room = alice.create_room()
    alice.invite(room, bob)
    bob.sync_until(lambda answer: room in answer["rooms"].get("invite", {}))
    bob.join(room, [alice.server_name])
    for service, site, speaker in (("a", world.a, alice), ("postgres", world.a, alice), ("b", world.b, bob)):
        subprocess.run(["docker", "kill", container(service)], check=True, capture_output=True)
        site.forget_connection()
        compose("start", service)

        def answers():
            try:
                return site.request("GET", "/ready").status == 200
            except OSError:
                return False

        eventually(answers, f"{service} is back", 60)
        speaker.send(room, f"{service} is back")
    for person in (alice, bob):
        eventually(lambda: person.bodies(room) == ["a is back", "postgres is back", "b is back"], f"what {person.id} reads", 60)


def stopped(world):
    start = time.monotonic()
    compose("stop", "a", "b")
    expect(time.monotonic() - start < 25, "they stop in time")
    for service in ("a", "b"):
        code = json.loads(subprocess.run(["docker", "inspect", compose("ps", "-aq", service).strip()], check=True, capture_output=True,
                                         text=True).stdout)[0]["State"]["ExitCode"]
        expect_equal(code, 0, service)


CASES = [("the services come up healthy", come_up), ("they run without root and with a read-only root", confined),
         ("the two organisations talk", talk), ("a killed server and a killed database come back, and nothing is lost", killed),
         ("they stop cleanly", stopped)]


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--keep", action="store_true", help="leave the containers running")
    options = options.parse_args()
    try:
        there = subprocess.run(["docker", "info"], capture_output=True).returncode == 0 and compose("version", check=False)
    except OSError:
        there = False
    if not there or not (root / ".build/release/fedchatd").exists():
        print(f"SKIPPED all of it: no Docker engine, no docker-compose, or no release build\n0 passed, 0 failed, {len(CASES)} skipped")
        return 0
    run, world = Run(), World()
    try:
        for sentence, function in CASES:
            run.one(sentence, function, world)
    finally:
        if not options.keep:
            compose("down", "--volumes", check=False)
    return run.close()


if __name__ == "__main__":
    sys.exit(main())
