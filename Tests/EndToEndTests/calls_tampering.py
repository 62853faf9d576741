#!/usr/bin/env python3
"""Calls under homeservers that change what their clients see: events edited, repeated, held back, left out, made up,
devices added.

    calls_tampering.py [--only WORD] [--keep] [--table FILE]

Each case says what the homeserver did, and what the people were told; --table writes that down.
"""
import contextlib
import copy
import datetime
import sys
import time

from blackbox import script
from blackbox.calls import Callers
from blackbox.certificates import Authority
from blackbox.report import Run, eventually, expect, expect_equal
from blackbox.servers import Fedchatd
from blackbox.tampering import TamperingSite


class Behind:
    """A server as its people see it, through something that tampers."""

    def __init__(self, server):
        self.name, self.tampering = server.name, TamperingSite(server.site)
        self.site = self.tampering


def notice(event):
    """What a notice is of, if it is one."""
    keys = {True: ", which gets the keys", False: ", which gets no keys"}.get(event.get("gets_keys"), "")
    return event.get("notice") and event["notice"] + (" of one's own" if event.get("own") else "") + keys


class World(Callers):
    def __init__(self, folder, a, b):
        super().__init__(folder, Behind(a), Behind(b))
        self.rows = []

    def pair(self):
        """Two who have exchanged keys before anything goes wrong."""
        alice, bob, room = super().pair()
        alice.do("send", room, "-m", "hello")
        bob.hear_texts(room, ["hello"])
        bob.do("send", room, "-m", "hello yourself")
        alice.hear_texts(room, ["hello yourself"])
        return alice, bob, room

    def tell(self, *ends):
        """What the ends said to their people goes into the table."""
        self.told = "; ".join(
            f"{end.person.name.rstrip('0123456789')}: "
            + (", ".join(notice(event) or (f"ended {event['reason']} ({event['by']})" if event["event"] == "ended" else event["event"])
                         for event in end.events if event["event"] not in ("note", "calling", "answering", "muted")) or "nothing")
            for end in ends)

    def honest(self):
        self.a.tampering.change = self.b.tampering.change = None

    def close(self):
        super().close()
        for behind in (self.a, self.b):
            behind.tampering.stop()


def from_person(person, events):
    return [event for event in events if event.get("sender") == person.id and event.get("type") == "m.room.encrypted"]


def edited(events, person, positions):
    """The ciphertext of some of a person's events is altered by one character; `positions` counts them."""
    events = copy.deepcopy(events)
    for event in from_person(person, events):
        position, positions["count"] = positions["count"], positions["count"] + 1
        if position in positions["which"]:
            text = event["content"]["ciphertext"]
            middle = len(text) // 2
            event["content"]["ciphertext"] = text[:middle] + ("A" if text[middle] != "A" else "B") + text[middle + 1:]
    return events


def edits_an_invite(world):
    alice, bob, room = world.pair()
    answering = world.end(bob, "answer")
    time.sleep(1)
    positions = {"count": 0, "which": {0}}
    world.b.tampering.change = lambda _, events: edited(events, alice, positions)
    calling = world.end(alice, "call", room)
    found = answering.wait("notice")
    expect_equal((found["notice"], found["user_id"]), ("unreadable", alice.id))
    time.sleep(1)
    expect(not answering.told(), "it was answered")
    calling.type("hangup")
    calling.ends()
    world.tell(calling, answering)


def edits_an_answer(world):
    alice, bob, room = world.pair()
    positions = {"count": 0, "which": {0}}
    world.a.tampering.change = lambda _, events: edited(events, bob, positions)
    answering = world.end(bob, "answer")
    calling = world.end(alice, "call", room)
    found = calling.wait("notice")
    expect_equal((found["notice"], found["user_id"]), ("unreadable", bob.id))
    expect(not calling.told("remote_description"), "its SDP got to the program")
    calling.type("hangup")
    calling.ends()
    answering.ends()
    world.tell(calling, answering)


def repeats_a_call(world):
    """The same event again, to another `answer`; and the same ciphertext under another id."""
    alice, bob, room = world.pair()
    kept = []

    def keep(_, events):
        kept.extend(copy.deepcopy(from_person(alice, events)))
        return events

    world.b.tampering.change = keep
    answering = world.end(bob, "answer")
    calling = world.end(alice, "call", room)
    answering.wait("connected")
    calling.wait("connected")
    calling.type("hangup")
    calling.ends()
    answering.ends()
    expect(kept, "nothing was kept")
    again = world.end(bob, "answer")
    time.sleep(1.5)
    invite = copy.deepcopy(kept[0])
    invite.setdefault("unsigned", {})["age"] = 1
    renamed = {**copy.deepcopy(invite), "event_id": "$" + "x" * 43}
    sent = []

    def repeat(name, events):
        if name == room and not sent:
            sent.append(True)
            return events + [invite, renamed]
        return events

    world.b.tampering.change = repeat
    bob.do("send", room, "-m", "so that there is a sync")
    # The one is known by its call, the other by the index of its ciphertext.
    for _ in range(2):
        expect_equal(again.wait("notice")["detail"] in ("replayed", "a call that is over came again"), True)
    expect_equal(set(again.notices()), {"replayed", "unreadable"})
    expect(not again.told(), "a repeated call was answered")
    again.interrupt()
    again.ends()
    world.tell(again)


def repeats_everything(world):
    """Each event twice, in each sync after."""
    alice, bob, room = world.pair()
    kept = []

    def repeat(name, events):
        if name != room:
            return events
        kept.extend(copy.deepcopy(events))
        return copy.deepcopy(kept[-20:]) + events

    world.a.tampering.change = world.b.tampering.change = repeat
    answering = world.end(bob, "answer")
    calling = world.end(alice, "call", room)
    for end in (calling, answering):
        end.wait("connected")
    calling.type("hold")
    answering.wait("held")
    calling.type("hangup")
    expect_equal(calling.ends(), (0, ("local", "user_hangup")))
    expect_equal(answering.ends(), (0, ("remote", "user_hangup")))
    expect_equal(len(answering.told("remote_description")), 2, "descriptions that the program was given")
    world.tell(calling, answering)


def reverses(world):
    """Events of one sync come backwards, and only every second sync brings any."""
    alice, bob, room = world.pair()
    waiting, turn = [], [0]

    def reverse(name, events):
        if name != room:
            return events
        turn[0] += 1
        waiting.extend(events)
        if turn[0] % 2:
            return []
        found = list(reversed(waiting))
        waiting.clear()
        return found

    world.b.tampering.change = reverse
    answering = world.end(bob, "answer")
    calling = world.end(alice, "call", room)
    for end in (calling, answering):
        end.wait("connected")
    world.honest()
    answering.type("hangup")
    answering.ends()
    expect_equal(calling.ends(), (0, ("remote", "user_hangup")))
    world.tell(calling, answering)


def makes_up(world):
    """A hangup in the clear under the other's name, and an event under another's that nobody encrypted so."""
    alice, bob, room = world.pair()
    answering = world.end(bob, "answer")
    calling = world.end(alice, "call", room)
    for end in (calling, answering):
        end.wait("connected")
    call, sent = calling.events[0]["call_id"], []

    def make_up(name, events):
        if name != room or sent:
            return events
        sent.append(True)
        hangup = {"type": "m.call.hangup", "sender": alice.id, "event_id": "$" + "y" * 43, "origin_server_ts": 1,
                  "content": {"call_id": call, "party_id": "x", "version": "1", "reason": "user_hangup"}, "unsigned": {"age": 1}}
        stolen = [{**copy.deepcopy(event), "sender": alice.id, "event_id": "$" + "z" * 43} for event in from_person(bob, events)]
        return events + [hangup] + stolen[:1]

    world.b.tampering.change = make_up
    bob.do("send", room, "-m", "so that there is a sync")
    # Of the stolen one it is told too, now before and now after.
    answering.wait("notice", holds=lambda found: found["notice"] == "unencrypted")
    time.sleep(1)
    expect(answering.process.poll() is None and calling.process.poll() is None, "the call ended")
    calling.type("hangup")
    expect_equal(answering.ends(), (0, ("remote", "user_hangup")))
    calling.ends()
    world.tell(calling, answering)


def holds_back(world):
    """The invite comes when the caller has given up, and the caller's hangup does not: the answer is nobody's."""
    alice, bob, room = world.pair()
    held, mode = [], ["hold"]

    def hold(name, events):
        if name != room:
            return events
        mine = [event for event in events if event.get("sender") == alice.id]
        rest = [event for event in events if event.get("sender") != alice.id]
        if mode[0] == "hold":
            held.extend(mine)
            return rest
        if mode[0] == "give":
            mode[0] = "drop"
            invite = copy.deepcopy(held[0])
            invite.setdefault("unsigned", {})["age"] = 0
            return rest + [invite]
        return rest

    world.b.tampering.change = hold
    answering = world.end(bob, "answer", behavior="mute")
    calling = world.end(alice, "call", room, "--timeout", "3")
    expect_equal(calling.ends()[0], 124)
    eventually(lambda: held, "the invite is held back")
    mode[0] = "give"
    bob.do("send", room, "-m", "so that there is a sync")
    answering.wait("ringing")
    expect_equal(answering.ends(60), (3, ("local", "ice_failed")))
    world.tell(calling, answering)


def drops_answers(world):
    alice, bob, room = world.pair()
    world.a.tampering.change = lambda name, events: [event for event in events if event.get("sender") != bob.id]
    answering = world.end(bob, "answer", behavior="mute")
    calling = world.end(alice, "call", room)
    expect_equal(answering.ends(60), (3, ("local", "ice_failed")))
    expect_equal(calling.ends(120), (124, ("local", "invite_timeout")))
    world.tell(calling, answering)


def drops_the_selection(world):
    """Media flows, but the caller never seems to have confirmed."""
    alice, bob, room = world.pair()
    answering = world.end(bob, "answer")
    calling = world.end(alice, "call", room)
    answering.wait("answering")
    world.b.tampering.change = lambda name, events: [event for event in events if event.get("sender") != alice.id]
    answering.wait("connected")
    expect_equal(answering.wait("notice")["notice"], "unconfirmed")
    world.honest()
    calling.type("hangup")
    calling.ends()
    answering.ends()
    world.tell(calling, answering)


def new_device(found):
    return found["notice"] == "new_device"


def adds_a_device(world, identity=False):
    """To a homeserver, adding a device is a login of its own making: what it can do with it is what this one can."""
    alice, bob, room = world.pair()
    if identity:
        bob.do("cross-signing", "bootstrap", "--password-file", bob.password_file)
        eventually(lambda: "new_identity" in {each["notice"] for each in alice.ask("send", room, "-m", "now?").get("notices", [])},
                   "alice is told that bob has an identity now", 20)
    added = world.device(bob, "added")
    device = added.ask("whoami")["device_id"]
    answering = world.end(bob, "answer")
    calling = world.end(alice, "call", room)
    found = calling.wait("notice", holds=new_device)
    for end in (calling, answering):
        end.wait("connected")
    expect_equal((found["user_id"], found["device_id"], found["own"], found["gets_keys"]), (bob.id, device, False, not identity))
    expect(f"--block {device}" in found["advice"] and found["explanation"] in found["detail"], f"{found}")
    calling.type("hangup")
    calling.ends()
    answering.ends()
    sent = alice.ask("send", room, "-m", "after the notice")
    expect("notices" not in sent, "it is told twice")
    heard = added.hear(room, lambda events: any(event["event_id"] == sent["event_id"] for event in events))
    reads = [event for event in heard if event["event_id"] == sent["event_id"] and event["type"] == "m.room.message"]
    expect_equal(len(reads), 0 if identity else 1, "what the added device reads")
    world.tell(calling, answering)


def adds_a_device_of_ones_own(world):
    alice, bob, room = world.pair()
    device = world.device(alice, "added").ask("whoami")["device_id"]
    answering = world.end(bob, "answer")
    calling = world.end(alice, "call", room)
    found = calling.wait("notice", holds=new_device)
    for end in (calling, answering):
        end.wait("connected")
    expect_equal((found["user_id"], found["device_id"], found["own"], found["gets_keys"]), (alice.id, device, True, True))
    expect("change your password" in found["detail"], f"{found}")
    calling.type("hangup")
    calling.ends()
    answering.ends()
    world.tell(calling, answering)


CASES = [
    ("alters an invite", edits_an_invite),
    ("alters an answer", edits_an_answer),
    ("brings a call again that is over, as it was and under another event id", repeats_a_call),
    ("brings every event again with each sync", repeats_everything),
    ("turns the order of events round", reverses),
    ("makes up a hangup, and gives an event another sender", makes_up),
    ("holds an invite back until the caller has given up, and drops the hangup", holds_back),
    ("drops what the callee sends", drops_answers),
    ("drops what the caller sends after the invite", drops_the_selection),
    ("adds a device to the callee, who has no cross-signing keys", adds_a_device),
    ("adds a device to the callee, who has cross-signing keys", lambda world: adds_a_device(world, identity=True)),
    ("adds a device to the caller's own account", adds_a_device_of_ones_own),
]


def main():
    options, run = script.options(__doc__, "only", "keep", "table").parse_args(), Run()
    with script.folder("tampering", options.keep) as folder:
        authority = Authority(folder / "ca")
        with (Fedchatd(folder / "a", authority) as a, Fedchatd(folder / "b", authority) as b,
              contextlib.closing(World(folder, a, b)) as world):
            for sentence, function in CASES:
                if options.only in sentence:
                    world.told = "-"
                    run.one(f"a homeserver {sentence}", function, world)
                    world.honest()
                    world.rows.append((sentence, world.told))
    status = run.close()
    if options.table:
        script.dated(options.table).write_text("\n".join(
            ["# A homeserver that tampers with calls", "", f"{datetime.date.today()}, {script.commit()}, `Tests/EndToEndTests/calls_tampering.py`, "
             f"{run.passed} passed, {run.failed} failed.", "", "| the homeserver | what the people were told |", "| --- | --- |"]
            + [f"| {sentence} | {told} |" for sentence, told in world.rows]) + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
