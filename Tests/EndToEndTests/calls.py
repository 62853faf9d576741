#!/usr/bin/env python3
"""Calls of fedchat from outside: two servers, real processes, and a media program that only plays by the protocol.

    calls.py [--server fedchatd|synapse] [--only WORD] [--keep]

What goes between the servers is recorded, and nothing of it, of what they keep and of what the clients keep may hold SDP or a
candidate. $FEDCHAT and $FEDCHATD name the programs (default: the debug build).
"""
import contextlib
import pathlib
import signal
import sys
import time

from blackbox import script
from blackbox.calls import Callers
from blackbox.certificates import Authority
from blackbox.report import Run, eventually, expect, expect_equal
from blackbox.servers import Fedchatd, of_kind
from blackbox.tap import Tap

SECRETS = [b"SECRETSDP", b"SECRETCANDIDATE"]


class World(Callers):
    def __init__(self, folder, a, b, taps):
        super().__init__(folder, a, b)
        self.taps = taps

    def talking(self, alice, bob, room):
        """Both ends of a call that goes on."""
        answering = self.end(bob, "answer")
        calling = self.end(alice, "call", room)
        for end in (calling, answering):
            end.wait("connected")
        return calling, answering


def whole_call(world):
    alice, bob, room = world.pair()
    calling, answering = world.talking(alice, bob, room)
    expect_equal([event["event"] for event in calling.events if event["event"] != "note"], ["calling", "answered", "connected"])
    expect_equal([event["event"] for event in answering.events if event["event"] != "note"],
                 ["ringing", "answering", "connected"])
    ring = answering.events[0]
    expect_equal((ring["v"], ring["user_id"], ring["room_id"]), (1, alice.id, room))
    expect(ring["sender_standing"] in ("cross_signed", "not_cross_signed", "verified") and "changed" not in ring, f"{ring}")
    expect(0 < ring["expires_in_ms"] <= 90_000, f"{ring}")
    expect_equal(ring["device_id"], alice.ask("whoami")["device_id"])
    for end, other, kind in ((calling, bob, "answer"), (answering, alice, "offer")):
        described = end.told("remote_description")[0]["description"]
        expect(described["type"] == kind and f"SECRETSDP{other.name}" in described["sdp"], f"{described}")
        eventually(lambda: any(each["candidate"] == "" for told in end.told("candidates") for each in told["candidates"]),
                   "the end of the candidates")
        told = [each for line in end.told("candidates") for each in line["candidates"]]
        expect(f"SECRETCANDIDATE{other.name}" in told[0]["candidate"] and told[0]["sdpMid"] == "0", f"{told}")
        expect_equal(end.told()[1]["type"], "start")
    expect_equal([line["role"] for line in calling.told("start") + answering.told("start")], ["caller", "callee"])
    calling.type("hangup")
    expect_equal(calling.ends(), (0, ("local", "user_hangup")))
    expect_equal(answering.ends(), (0, ("remote", "user_hangup")))
    expect_equal([line["type"] for line in answering.told()][-1], "stop")
    expect(not calling.notices() and not answering.notices(), f"{calling.notices()} {answering.notices()}")


def rings_already(world):
    """The daemon knows of a call that came before anybody waited for one; so does one that starts only then."""
    for is_running in (True, False):
        alice, bob, room = world.pair()
        bob.do("rooms")
        if not is_running:
            bob.end_daemon()
        calling = world.end(alice, "call", bob.id if is_running else room)
        if is_running:
            # A direct room was made: bob joins it while it rings.
            invited = lambda: [line for line in bob.do("rooms").splitlines() if line.endswith("invited")]
            eventually(invited, "bob is invited", 20)
            bob.do("join", invited()[0].split("\t")[0])
        calling.wait("calling")
        time.sleep(1.5)
        answering = world.end(bob, "answer")
        answering.wait("connected")
        calling.wait("connected")
        answering.type("hangup")
        expect_equal(answering.ends(), (0, ("local", "user_hangup")))
        expect_equal(calling.ends(), (0, ("remote", "user_hangup")))


def rejected(world):
    alice, bob, room = world.pair()
    ringing = world.end(bob, "answer", "--ask")
    calling = world.end(alice, "call", room)
    ringing.wait("ringing")
    rejecting = world.end(bob, "answer", "--reject")
    expect_equal(calling.ends(), (7, ("remote", "rejected")))
    expect_equal(rejecting.ends(), (0, ("local", "rejected")))
    ringing.wait("ended")
    expect_equal((ringing.events[-1]["by"], ringing.events[-1]["reason"]), ("elsewhere", "rejected_elsewhere"))
    expect(not ringing.told(), "a call that only rang started the media program")


def two_devices(world):
    alice, bob, room = world.pair()
    bob.do("login", "--profile", "second", "--homeserver", world.b.site.base_url, "--user", bob.name,
           "--password-file", bob.password_file)
    bob.do("rooms", "--profile", "second")
    one, two = world.end(bob, "answer", "--ask"), world.end(bob, "answer", "--ask", "--profile", "second")
    calling = world.end(alice, "call", room)
    one.wait("ringing")
    two.wait("ringing")
    two.type("answer")
    two.wait("connected")
    ended = one.wait("ended")
    expect_equal((ended["by"], ended["reason"]), ("elsewhere", "answered_elsewhere"))
    second = bob.ask("whoami", "--profile", "second")["device_id"]
    expect_equal(calling.wait("answered")["device_id"], second)
    one.interrupt()
    expect_equal(one.ends()[0], 130)
    calling.interrupt()
    expect_equal(two.ends(), (0, ("remote", "user_hangup")))


def given_up(world):
    alice, bob, room = world.pair()
    ringing = world.end(bob, "answer", "--ask")
    calling = world.end(alice, "call", room, "--timeout", "6")
    ringing.wait("ringing")
    expect_equal(calling.ends()[0], 124)
    ended = ringing.wait("ended")
    expect_equal((ended["by"], ended["reason"]), ("remote", "cancelled"))
    again = world.end(bob, "answer", "--timeout", "3")
    expect_equal(again.ends(), (124, None), "a call that is over does not ring again")


def both_call(world):
    alice, bob, room = world.pair()
    # Only a call that is surely theirs is taken by itself.
    for person in (alice, bob):
        person.do("cross-signing", "bootstrap", "--password-file", person.password_file)
    for person, other in ((alice, bob), (bob, alice)):
        person.do("devices", other.id)
    ends = [world.end(alice, "call", room), world.end(bob, "call", room)]
    for end in ends:
        end.wait("connected")
    expect_equal(len({end.events[-1]["call_id"] for end in ends}), 1, "one call")
    ends[0].type("hangup")
    expect_equal(sorted(end.ends() for end in ends), [(0, ("local", "user_hangup")), (0, ("remote", "user_hangup"))])


def held(world):
    alice, bob, room = world.pair()
    calling, answering = world.talking(alice, bob, room)
    for first, second in ((calling, answering), (answering, calling)):
        for word, is_on in (("hold", True), ("resume", False)):
            first.type(word)
            expect_equal(first.wait("holding")["on"], is_on)
            expect_equal(second.wait("held")["on"], is_on)
    calling.interrupt()
    expect_equal(calling.ends(), (130, ("local", "user_hangup")))
    expect_equal(answering.ends(), (0, ("remote", "user_hangup")))


def in_the_clear(world):
    alice, bob, room = world.pair("--unencrypted")
    calling = world.end(alice, "call", room)
    expect_equal(calling.ends()[0], 1)
    expect("not encrypted" in calling.errors.read_text(), calling.errors.read_text())
    expect_equal(world.end(bob, "answer", "--room", room).ends()[0], 1)
    waiting = world.end(bob, "answer")
    time.sleep(1.5)
    login = world.a.site.login(alice.name, "correct horse battery")
    login.call("PUT", f"/rooms/{room}/send/m.call.invite/t1",
               {"call_id": "c1", "party_id": "p1", "version": "1", "lifetime": 60000, "invitee": bob.id,
                "offer": {"type": "offer", "sdp": "v=0"}})
    found = waiting.wait("notice")
    expect_equal((found["notice"], found["user_id"]), ("unencrypted", alice.id))
    expect(not waiting.told(), "it was answered")
    events = login.all_events(room)
    expect_equal([event["type"] for event in events if event["type"].startswith("m.call")], ["m.call.invite"],
                 "what is in the room")


def wrong_people(world):
    alice, bob, room = world.pair()
    carol = world.person("carol", world.a)
    expect_equal(world.end(alice, "call", room, "--to", carol.id).ends()[0], 7)
    alice.do("invite", room, carol.id)
    carol.do("join", room)
    expect_equal(world.end(alice, "call", room).ends()[0], 1, "which of the two?")
    carols = world.end(carol, "answer")
    answering = world.end(bob, "answer")
    calling = world.end(alice, "call", room, "--to", bob.id)
    calling.wait("connected")
    answering.wait("connected")
    expect(not carols.told() and not [event for event in carols.events if event["event"] == "ringing"], "it rings for carol")
    expect_equal(alice.run("call", room).returncode, 1, "without a media program")
    calling.interrupt()
    answering.ends()


def media_ends(world):
    alice, bob, room = world.pair()
    for behavior in ("dies", "garbage", "fails"):
        expect_equal(world.end(alice, "call", room, behavior=behavior).ends(), (2, ("local", "user_media_failed")), behavior)
    answering = world.end(bob, "answer", behavior="dies-later")
    calling = world.end(alice, "call", room)
    expect_equal(answering.ends(), (2, ("local", "unknown_error")))
    expect_equal(calling.ends(), (3, ("remote", "unknown_error")))


def killed(world):
    """The command, or the process that owns the keys, is killed: the other side is told, or finds out; no program is left."""
    alice, bob, room = world.pair()
    calling, answering = world.talking(alice, bob, room)
    process = calling.told("pid")[0]["pid"]
    calling.process.send_signal(signal.SIGKILL)
    expect_equal(answering.ends(), (0, ("remote", "user_hangup")))
    eventually(lambda: not pathlib.Path(f"/proc/{process}").exists() or "Z" in
               pathlib.Path(f"/proc/{process}/stat").read_text().split(")")[1][:4], "the media program ends")
    calling, answering = world.talking(alice, bob, room)
    bob.end_daemon()
    expect_equal(answering.ends()[0], 2)
    calling.interrupt()
    expect_equal(calling.ends()[0], 130)


def turn(world):
    alice, bob, room = world.pair()
    calling, answering = world.talking(alice, bob, room)
    for end in (calling, answering):
        if end.person.server.kind != "fedchatd":
            continue        # it has no TURN server
        server = end.told("start")[0]["ice_servers"][0]
        expect_equal(server["urls"], ["turn:127.0.0.1:3478?transport=udp"])
        expect(server["username"].endswith(end.person.id) and server["credential"], "no credentials")
    calling.interrupt()
    answering.ends()


def public_room(world):
    alice, bob, room = world.pair("--public")
    waiting = world.end(bob, "answer")
    calling = world.end(alice, "call", room)
    expect_equal(waiting.wait("notice")["notice"], "public_room")
    named = world.end(bob, "answer", "--room", room)
    named.wait("connected")
    calling.wait("connected")
    waiting.interrupt()
    calling.interrupt()
    named.ends()


def nothing_in_the_clear(world):
    """After all the others: what the servers keep and logged, what went between them, what the clients keep and logged."""
    passed = 0
    for tap in world.taps:
        data = tap.received
        passed += len(data)
        expect(b"m.megolm.v1.aes-sha2" in data, "no encrypted event went between the servers")
        for secret in SECRETS:
            expect(secret not in data, f"{secret} went between the servers")
    kept = 0
    for server in (world.a, world.b):
        server.stop()
        for path in sorted(server.folder.rglob("*")):
            if path.is_file():
                data = path.read_bytes()
                kept += len(data)
                for secret in SECRETS:
                    expect(secret not in data, f"{path} holds {secret}")
    own = 0
    for person in world.people:
        person.end_daemon()
        for folder in (person.home, person.run_folder):
            for path in folder.rglob("*"):
                # What the media programs were told they wrote down themselves.
                if path.is_file() and not path.name.startswith("media"):
                    data = path.read_bytes()
                    own += len(data)
                    for secret in SECRETS:
                        expect(secret not in data, f"{path} holds {secret}")
    print(f"        {passed} bytes between the servers, {kept} kept by them, {own} by the clients")


CASES = [
    ("a call between two servers, from the invite to the hangup", whole_call),
    ("a call that rings already is answered", rings_already),
    ("a rejection stops the call everywhere", rejected),
    ("two devices ring, one answers, the other is told", two_devices),
    ("a caller gives up, and nothing rings afterwards", given_up),
    ("two who call each other get one call", both_call),
    ("both sides hold and resume", held),
    ("nothing is said or believed in the clear", in_the_clear),
    ("only who is called is called", wrong_people),
    ("a media program that dies, fails or talks nonsense ends the call", media_ends),
    ("a killed command hangs up, and leaves nothing running", killed),
    ("the homeserver's TURN credentials get to the program", turn),
    ("calls in a room that anybody may join ring only where wanted", public_room),
    ("no SDP and no candidate is kept, logged or sent in the clear", nothing_in_the_clear),
]


def main():
    options, run = script.options(__doc__, "server", "only", "keep").parse_args(), Run()
    # The client encrypts by itself; one room here is to be in the clear.
    settings = {"rooms": {"encrypt_by_default": False},
                "turn": {"uris": ["turn:127.0.0.1:3478?transport=udp"], "shared_secret": "secret", "ttl_ms": 60000}}
    with script.folder("calls", options.keep) as folder:
        authority = Authority(folder / "ca")
        with (Tap(authority, "tap-a") as first, Tap(authority, "tap-b") as second,
              Fedchatd(folder / "a", authority, public_port=first.port, **settings) as a,
              of_kind(options.server, folder / "b", authority, public_port=second.port, **settings) as b):
            first.start(a.federation_port)
            second.start(b.federation_port)
            with contextlib.closing(World(folder, a, b, [first, second])) as world:
                run.pairs(CASES, world, options.only)
    return run.close()


if __name__ == "__main__":
    sys.exit(main())
