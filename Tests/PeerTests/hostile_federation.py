#!/usr/bin/env python3
"""A hostile homeserver against a server under test: forged, broken, huge, repeated and unauthorized events.

    hostile_federation.py [--server fedchatd|synapse] [--database sqlite|postgres] [--only WORD] [--keep]
"""
import argparse
import json
import pathlib
import shutil
import sys
import tempfile
import time

from synapse_server import Synapse      # puts blackbox on the path
from puppet import Puppet, event_id, redacted, unpadded

from blackbox.certificates import Authority
from blackbox.matrix import quoted
from blackbox.postgres import Cluster
from blackbox.processes import bytes_resident
from blackbox.report import Run, Skipped, eventually, expect, expect_equal
from blackbox.servers import Fedchatd


class World:
    def __init__(self, server, authority):
        self.server, self.puppet, self.authority = server, Puppet(authority), authority

    def room(self, version="12", **more):
        """A local user's public room that the puppet has joined."""
        user = self.server.user()
        room = user.create_room(preset="public_chat", room_version=version, **more)
        return user, self.puppet.join(self.server, room)

    def still_there(self, user, room):
        """The server goes on: a right event of the puppet arrives, and a local one is sent."""
        event = room.text("still there")
        status, answer = room.say(event)
        expect_equal(status, 200, f"{answer}")
        shown(user, room, "still there")
        user.send(room.id, "so are we")


def ours_alone(world, why):
    if world.server.kind != "fedchatd":
        raise Skipped(why)


def expect_sober(world, what, status, answer):
    """The mistake is the sender's, and the server says so, or takes no notice."""
    allowed = (200, 400, 413) if world.server.kind == "fedchatd" else (200, 400, 413, 500)
    expect(status in allowed, f"{what}: {status} {answer}")


def shown(user, room, body, count=1):
    eventually(lambda: user.bodies(room.id).count(body) == count, f"{body!r} is shown {count} times")


def not_shown(user, room, body):
    time.sleep(0.3)
    expect(body not in json.dumps(user.all_events(room.id)), f"{body!r} is shown")


def honest(world):
    for version in ("11", "12"):
        user, room = world.room(version)
        status, answer = room.say(room.text("hello"))
        expect_equal(status, 200)
        expect_equal(answer["pdus"], {room.last: {}})
        shown(user, room, "hello")
        sent = user.send(room.id, "hello, puppet")
        eventually(lambda: sent in map(event_id, world.puppet.received), "the puppet receives it, and its hash is its id")
        event = [event for event in world.puppet.received if event_id(event) == sent][0]
        expect_equal(event["prev_events"], [room.last])
        expect("event_id" not in event and "transaction_id" not in event.get("unsigned", {}), f"{event}")


def repeated(world):
    user, room = world.room()
    event = room.text("once only")
    answers = [world.puppet.send(world.server, [event], transaction="same") for _ in range(3)]
    expect_equal([answer[0] for answer in answers], [200] * 3)
    expect_equal(answers[0], answers[1])
    world.puppet.send(world.server, [event, event], transaction="another")
    shown(user, room, "once only")
    room.last, room.depth = event_id(event), event["depth"]
    # The same transaction id with something else in it is still the first transaction.
    world.puppet.send(world.server, [room.text("smuggled in")], transaction="same")
    not_shown(user, room, "smuggled in")
    world.still_there(user, room)


def wrong_signature(world):
    user, room = world.room()
    event = room.text("forged signature")
    signature = event["signatures"][world.puppet.name][world.puppet.key_id]
    event["signatures"][world.puppet.name][world.puppet.key_id] = ("B" if signature[0] == "A" else "A") + signature[1:]
    room.say(event, advance=False)
    for signatures in ({}, {world.puppet.name: {}}, {world.puppet.name: {"ed25519:puppet": "!!!"}}, {world.puppet.name: 7}, [],
                       {world.puppet.name: {"ed25519:other": signature}}, {"elsewhere.example.org": {"ed25519:puppet": signature}}):
        room.say({**room.text("forged signature"), "signatures": signatures}, advance=False)
    not_shown(user, room, "forged signature")
    world.still_there(user, room)


def wrong_hash(world):
    user, room = world.room()
    event = room.text("what was signed")
    changed = {**event, "content": {"msgtype": "m.text", "body": "what was put in"}}
    status, _ = room.say(changed)
    expect_equal(status, 200)
    not_shown(user, room, "what was put in")
    expect_equal(user.call("GET", f"/rooms/{quoted(room.id)}/event/{quoted(room.last)}")["content"], {}, "taken as redacted")
    world.still_there(user, room)


def foreign_senders(world):
    user, room = world.room()
    for sender in (user.id, "@someone:elsewhere.example.org", f"@stranger:{world.puppet.name}", f"puppet:{world.puppet.name}", "@", ""):
        room.say(room.text("in another's name", sender=sender), advance=False)
    forged = room.plain(content={"msgtype": "m.text", "body": "in another's name"}, sender=user.id)
    room.say(world.puppet.sealed(forged, sign_as=world.server.name), advance=False)
    not_shown(user, room, "in another's name")
    world.still_there(user, room)


def malformed(world):
    user, room = world.room()
    fine = room.plain(content={"msgtype": "m.text", "body": "malformed"})
    changes = [
        {"content": None}, {"content": []}, {"content": "text"}, {"type": None}, {"type": 7}, {"sender": 7}, {"room_id": 7},
        {"prev_events": None}, {"prev_events": {}}, {"prev_events": [7]}, {"prev_events": ["not an id"]}, {"auth_events": "x"},
        {"auth_events": [["$a", {}]]}, {"depth": -1}, {"depth": "1"}, {"depth": 2 ** 53}, {"origin_server_ts": "now"},
        {"origin_server_ts": None}, {"hashes": None}, {"hashes": {"sha256": 7}}, {"state_key": 7}, {"state_key": None},
        {"prev_events": [f"$e{number}" for number in range(30)]}, {"auth_events": [f"$e{number}" for number in range(30)]},
        {"type": "t" * 300}, {"state_key": "k" * 300}, {"content": {"float": 1.5}}, {"content": {"big": 2 ** 60}},
        {"content": {"body": "malformed", "pad": "x" * 70_000}}, {"room_id": "!nothing:example.org"},
    ]
    for change in changes:
        event = {**fine, **change}
        try:
            event = world.puppet.sealed(event)
        except Exception:
            pass                            # canonical JSON refuses what we want to say: say it unsigned
        status, answer = room.say({**event, **({"hashes": change["hashes"]} if "hashes" in change else {})}, advance=False)
        expect_sober(world, change, status, answer)
    for pdu in (7, None, "text", [], {}, {"room_id": room.id}, {"room_id": room.id, "type": "m.room.message"}):
        status, answer = world.puppet.send(world.server, [pdu])
        expect_sober(world, pdu, status, answer)
    deep = 7
    for _ in range(400):
        deep = [deep]
    status, answer = room.say({**fine, "content": {"deep": deep, "body": "malformed"}}, advance=False)
    expect_sober(world, "deep", status, answer)
    not_shown(user, room, "malformed")
    world.still_there(user, room)


def unauthorized(world):
    user, room = world.room(power_level_content_override={"events": {"org.example.reserved": 50}})
    levels = room.state[("m.room.power_levels", "")]["content"]
    room.say(room.event("m.room.power_levels", {**levels, "users": {room.user: 100}}, state_key=""), advance=False)
    room.say(room.event("m.room.topic", {"topic": "unauthorized"}, state_key=""), advance=False)
    room.say(room.event("org.example.reserved", {"body": "unauthorized"}), advance=False)
    room.say(room.event("m.room.member", {"membership": "ban", "reason": "unauthorized"}, state_key=user.id,
                        auth_events=room.auth(("m.room.member", user.id))), advance=False)
    room.say(room.event("m.room.member", {"membership": "join", "reason": "unauthorized"}, state_key=f"@other:{world.puppet.name}"), advance=False)
    room.say(room.event("m.room.create", {"room_version": room.version, "reason": "unauthorized"}, state_key="", prev_events=[], auth_events=[]), advance=False)
    not_shown(user, room, "unauthorized")
    expect_equal(user.state(room.id, "m.room.power_levels")["users"].get(room.user), None)
    expect_equal(user.state(room.id, "m.room.member", user.id)["membership"], "join")
    world.still_there(user, room)


def wrong_auth_events(world):
    user, room = world.room()
    other_user, other = world.room()
    create = "$" + room.id[1:]
    for events in ([], [create] + room.auth(), other.auth(), room.auth() + room.auth(), room.auth() + [event_id(other.state[("m.room.power_levels", "")])],
                   room.auth()[:1], room.auth() + ["$nothing"]):
        room.say(room.text("wrongly authorized", auth_events=events), advance=False)
    not_shown(user, room, "wrongly authorized")
    world.still_there(user, room)


def banned(world):
    user, room = world.room()
    user.call("POST", f"/rooms/{quoted(room.id)}/ban", {"user_id": room.user})
    room.say(room.text("from before the ban, says he"), advance=False)
    not_shown(user, room, "from before the ban, says he")
    user.send(room.id, "peace at last")
    status, answer = world.puppet.request(
        world.server, "GET", f"/_matrix/federation/v1/make_join/{quoted(room.id)}/{quoted(room.user)}?ver=12")
    expect_equal((status, answer["errcode"]), (403, "M_FORBIDDEN"))


def denied_server(world):
    user, room = world.room()
    user.set_state(room.id, "m.room.server_acl", {"allow": ["*"], "deny": ["localhost"], "allow_ip_literals": True})
    room.say(room.text("from a denied server"), advance=False)
    not_shown(user, room, "from a denied server")
    for path in (f"make_join/{quoted(room.id)}/{quoted(room.user)}?ver=12", f"state_ids/{quoted(room.id)}?event_id={quoted(room.last)}",
                 f"backfill/{quoted(room.id)}?v={quoted(room.last)}&limit=10"):
        status, answer = world.puppet.request(world.server, "GET", f"/_matrix/federation/v1/{path}")
        expect_equal((status, answer.get("errcode")), (403, "M_FORBIDDEN"), path)


def gap(world):
    user, room = world.room()
    for number in range(4):
        missing = room.text(f"missing {number}")
        room.last, room.depth = event_id(missing), missing["depth"]
    room.say(room.text("after the gap"))
    shown(user, room, "after the gap")
    eventually(lambda: [body for body in user.bodies(room.id) if body and "missing" in body] == [f"missing {number}" for number in range(4)],
               "the gap is filled, in order")


def hole(world):
    """An event whose past nobody can tell: the server must neither hang nor accept it blindly."""
    user, room = world.room()
    start = time.monotonic()
    status, answer = room.say(room.text("out of nothing", prev_events=["$" + "A" * 43]), advance=False)
    expect(status in (200, 400), f"{status} {answer}")
    expect(time.monotonic() - start < 45, "the server waits too long")
    world.still_there(user, room)


def fork(world):
    """Two events after the same one: both are shown, and the next local one follows both."""
    user, room = world.room()
    left, right = room.text("left"), room.text("right")
    room.say(left, advance=False)
    room.say(right, advance=False)
    shown(user, room, "left")
    shown(user, room, "right")
    joined = user.send(room.id, "joined again")
    eventually(lambda: any(event_id(event) == joined for event in world.puppet.received), "the puppet receives it")
    event = [event for event in world.puppet.received if event_id(event) == joined][0]
    expect_equal(set(event["prev_events"]), {event_id(left), event_id(right)})


def forked_state(world):
    """Both sides change the topic at once; the room goes on with one of the two, which both sides can compute."""
    user, room = world.room(power_level_content_override={"state_default": 0, "events": {}})
    before = room.last
    ours = user.set_state(room.id, "m.room.topic", {"topic": "ours"})
    theirs = room.event("m.room.topic", {"topic": "theirs"}, state_key="", prev=[before])
    room.say(theirs, advance=False)
    eventually(lambda: any(event["event_id"] == event_id(theirs) for event in user.all_events(room.id)), "their event is shown")
    found = user.call("GET", f"/rooms/{quoted(room.id)}/state/m.room.topic/?format=event")["event_id"] \
        if world.server.kind == "fedchatd" else None
    topic = user.state(room.id, "m.room.topic")["topic"]
    expect(topic in ("ours", "theirs"), topic)
    if found:
        expect(found in (ours, event_id(theirs)), found)
    status, state = world.puppet.request(world.server, "GET", f"/_matrix/federation/v1/state_ids/{quoted(room.id)}?event_id={quoted(before)}")
    expect_equal(status, 200)
    expect(ours not in state["pdu_ids"] and event_id(theirs) not in state["pdu_ids"], "the state before is not changed by what came after")
    user.send(room.id, "on we go")
    world.still_there(user, room)


def ephemeral(world):
    user, room = world.room()
    since = user.sync()["next_batch"]
    puppet = world.puppet
    kinds = ["m.typing", "m.receipt", "m.presence", "m.direct_to_device", "m.device_list_update", "m.signing_key_update", "no.such.kind", 7, None]
    contents = [None, 7, "x", [], {}, {"room_id": 7}, {"room_id": room.id, "user_id": user.id, "typing": True},
                {"room_id": room.id, "user_id": "nonsense", "typing": "yes"}, {"push": 7}, {"push": [7, {"user_id": user.id, "presence": "x"}]},
                {room.id: {"m.read": {user.id: {"event_ids": [room.last], "data": {"ts": 1}}}}}, {room.id: 7}, {room.id: {"m.read": 7}},
                {"messages": {user.id: 7}}, {"messages": {user.id: {"*": 7}}, "sender": user.id, "type": "x", "message_id": "1"},
                {"user_id": user.id, "device_id": "X", "stream_id": 1}, {"user_id": room.user, "device_id": 7, "stream_id": "x"}]
    edus = [{"edu_type": kind, "content": content} for kind in kinds for content in contents]
    for start in range(0, len(edus), 50):
        status, answer = puppet.send(world.server, edus=edus[start:start + 50])
        expect_sober(world, edus[start], status, answer)
    for edu in (7, None, [], {}, {"edu_type": "m.typing"}):
        status, answer = puppet.send(world.server, edus=[edu])
        expect_sober(world, edu, status, answer)
    puppet.send(world.server, edus=[{"edu_type": "m.typing", "content": {"room_id": room.id, "user_id": room.user, "typing": True}}])

    def typing(answer):
        events = answer["rooms"].get("join", {}).get(room.id, {}).get("ephemeral", {}).get("events", [])
        return any(event["type"] == "m.typing" and room.user in event["content"]["user_ids"] for event in events)

    answer = user.sync_until(typing, since)
    expect(user.id not in json.dumps([event for event in answer["rooms"]["join"][room.id]["ephemeral"]["events"]]),
           "a notice in our user's name is believed")
    for _ in range(2):
        puppet.send(world.server, edus=[{"edu_type": "m.direct_to_device", "content": {
            "sender": room.user, "type": "org.example.note", "message_id": "note1", "messages": {user.id: {user.device: {"body": "psst"}}}}}])
    answer = user.sync_until(lambda answer: answer.get("to_device", {}).get("events"), since)
    expect_equal([event["content"] for event in answer["to_device"]["events"]], [{"body": "psst"}], "to-device messages")
    world.still_there(user, room)


def transactions(world):
    user, room = world.room()
    path = "/_matrix/federation/v1/send/"
    event = room.text("too many")
    status, answer = world.puppet.send(world.server, [event] * 51)
    expect(status in (400, 413), f"51 PDUs: {status} {answer}")
    status, answer = world.puppet.send(world.server, edus=[{"edu_type": "x", "content": {}}] * 101)
    expect(status in (400, 413), f"101 EDUs: {status} {answer}")
    for number, body in enumerate(({}, {"pdus": 7}, {"pdus": {}}, {"origin": world.puppet.name, "origin_server_ts": 1, "pdus": [], "edus": 7})):
        status, answer = world.puppet.request(world.server, "PUT", f"{path}w{number}", body)
        expect_sober(world, body, status, answer)
    fine = {"origin": world.puppet.name, "origin_server_ts": 1, "pdus": []}
    status, _ = world.puppet.request(world.server, "PUT", path + "t1", fine, tamper=True)
    expect_equal(status, 401, "a wrong signature")
    status, _ = world.puppet.request(world.server, "PUT", path + "t2", fine, destination="elsewhere.example.org")
    expect_equal(status, 401, "for another server")
    status, _ = world.puppet.request(world.server, "PUT", path + "t3", fine, origin="elsewhere.example.org")
    expect(status in (401, 403, 502), f"in another's name: {status}")
    not_shown(user, room, "too many")
    world.still_there(user, room)


def strangers(world):
    """A server that is in no room of ours learns nothing from it."""
    user = world.server.user()
    room = user.create_room(preset="private_chat")
    event = user.send(room, "private")
    for method, path, body in (
            ("GET", f"event/{quoted(event)}", None), ("GET", f"state/{quoted(room)}?event_id={quoted(event)}", None),
            ("GET", f"state_ids/{quoted(room)}?event_id={quoted(event)}", None), ("GET", f"backfill/{quoted(room)}?v={quoted(event)}&limit=5", None),
            ("GET", f"event_auth/{quoted(room)}/{quoted(event)}", None),
            ("POST", f"get_missing_events/{quoted(room)}", {"earliest_events": [], "latest_events": [event], "limit": 5}),
            ("GET", f"make_join/{quoted(room)}/{quoted('@puppet:' + world.puppet.name)}?ver=12", None)):
        status, answer = world.puppet.request(world.server, method, "/_matrix/federation/v1/" + path, body)
        expect(status in (403, 404), f"{path}: {status} {answer}")
        expect("private" not in json.dumps(answer.get("pdus", "")), f"{path} tells: {answer}")


def huge_answers(world):
    """The puppet answers a profile query with far more than a profile: an error, and no memory lost."""
    user = world.server.user()
    before = bytes_resident(world.server.process.id)
    world.puppet.answers[r"/_matrix/federation/v1/query/profile"] = lambda match, body: (200, b'{"displayname":"' + b"x" * 300_000_000 + b'"}')
    try:
        answer = user.request("GET", f"/profile/{quoted('@huge:' + world.puppet.name)}")
        expect(answer.status >= 400, f"{answer.status}")
    finally:
        world.puppet.answers.clear()
    if world.server.kind == "fedchatd":
        grown = bytes_resident(world.server.process.id) - before
        expect(grown < 100_000_000, f"{grown} bytes more")


def nonsense_answers(world):
    user = world.server.user()
    for number, (status, data) in enumerate(((200, b"{"), (200, b"[]"), (200, b'{"displayname":7}'), (500, b"oops"), (302, b""), (200, b"\xff" * 1000),
                                             (200, b"[" * 100_000), (404, b'{"errcode":7}'))):
        world.puppet.answers[r"/_matrix/federation/v1/query/profile"] = lambda match, body: (status, data)
        answer = user.request("GET", f"/profile/{quoted(f'@nonsense{number}:' + world.puppet.name)}")
        expect(answer.status in (200, 404, 403, 500, 502, 504), f"{data[:20]}: {answer}")
        if world.server.kind == "fedchatd":
            expect(answer.status != 500, f"{data[:20]}: {answer}")
    world.puppet.answers.clear()


def inquisitive(world):
    """A server in the room asks all that it may, and the answers fit each other."""
    user, room = world.room("11", visibility="public", name="Curious")
    events = [user.send(room.id, f"message {number}") for number in range(6)]
    base = "/_matrix/federation/v1"

    def ask(path, method="GET", body=None):
        status, answer = world.puppet.request(world.server, method, base + path, body)
        expect_equal(status, 200, f"{path}: {answer}")
        return answer

    room_id, last = quoted(room.id), quoted(events[-1])
    one = ask(f"/event/{last}")["pdus"]
    expect_equal([event_id(event) for event in one], [events[-1]])
    ids = ask(f"/state_ids/{room_id}?event_id={last}")
    state = ask(f"/state/{room_id}?event_id={last}")
    expect_equal(sorted(map(event_id, state["pdus"])), sorted(ids["pdu_ids"]), "state and state_ids")
    expect_equal(sorted(map(event_id, state["auth_chain"])), sorted(ids["auth_chain_ids"]), "their auth chains")
    member = [event for event in state["pdus"] if event["type"] == "m.room.member" and event["state_key"] == room.user][0]
    chain = {event_id(event) for event in ask(f"/event_auth/{room_id}/{quoted(event_id(member))}")["auth_chain"]}
    expect(set(member["auth_events"]) <= chain, "the auth chain of an event")
    back = ask(f"/backfill/{room_id}?v={last}&limit=3")["pdus"]
    expect_equal([event_id(event) for event in back], events[:2:-1], "backfill, newest first")
    missing = ask(f"/get_missing_events/{room_id}", "POST", {
        "earliest_events": [events[1]], "latest_events": [events[5]], "limit": 10, "min_depth": 0})["events"]
    expect_equal([event_id(event) for event in missing], events[2:5], "get_missing_events, oldest first")
    found = ask(f"/timestamp_to_event/{room_id}?dir=b&ts={int(time.time() * 1000) + 1000}")
    expect_equal(found["event_id"], events[-1])
    if world.server.kind != "fedchatd":
        return                              # its directory is closed to others, its devices are told without keys too
    listed = ask("/publicRooms", "POST", {"filter": {"generic_search_term": "Curious"}})["chunk"]
    expect(room.id in [each["room_id"] for each in listed], "the public room")
    expect(room.id in [each["room_id"] for each in ask("/publicRooms?limit=500")["chunk"]], "the public room")
    devices = ask(f"/user/devices/{quoted(user.id)}")
    expect_equal((devices["user_id"], [each["device_id"] for each in devices["devices"]]), (user.id, []), "devices without keys are no one's business")
    token = user.call("POST", f"/user/{quoted(user.id)}/openid/request_token", {})["access_token"]
    expect_equal(ask(f"/openid/userinfo?access_token={quoted(token)}"), {"sub": user.id})
    expect_equal(world.puppet.request(world.server, "GET", base + "/openid/userinfo?access_token=nonsense")[0], 401)
    expect_equal(set(ask("/version")["server"]), {"name", "version"})


def notary(world):
    """Our keys, asked of the server, with its signature beside ours."""
    status, own = world.puppet.request(world.server, "GET", "/_matrix/key/v2/server")
    expect_equal((status, own["server_name"]), (200, world.server.name))
    world.room()
    for method, path, body in (
            ("GET", f"/_matrix/key/v2/query/{quoted(world.puppet.name)}", None),
            ("POST", "/_matrix/key/v2/query", {"server_keys": {world.puppet.name: {}}})):
        status, answer = world.puppet.request(world.server, method, path, body)
        expect_equal(status, 200, f"{answer}")
        told = [each for each in answer["server_keys"] if each["server_name"] == world.puppet.name]
        expect(told and set(told[0]["signatures"]) == {world.puppet.name, world.server.name}, f"{method}: {answer}")
    status, answer = world.puppet.request(world.server, "POST", "/_matrix/key/v2/query", {"server_keys": {"nowhere.invalid": {}}})
    expect_equal((status, answer["server_keys"]), (200, []))


def visitors(world):
    """Knocking, being invited by the old way and the new, and leaving, from another server."""
    user = world.server.user()
    room = user.create_room(room_version="11", initial_state=[{"type": "m.room.join_rules", "state_key": "", "content": {"join_rule": "knock"}}])
    guest = f"@visitor:{world.puppet.name}"

    def handshake(what, version="v2"):
        status, made = world.puppet.request(
            world.server, "GET", f"/_matrix/federation/v1/make_{what}/{quoted(room)}/{quoted(guest)}?ver=11")
        if status != 200:
            return status, made
        event = world.puppet.sealed({**made["event"], "origin_server_ts": int(time.time() * 1000), "sender": guest, "state_key": guest})
        return world.puppet.request(
            world.server, "PUT", f"/_matrix/federation/{version}/send_{what}/{quoted(room)}/{quoted(event_id(event))}", event)

    status, answer = handshake("join")
    expect_equal((status, answer.get("errcode")), (403, "M_FORBIDDEN"))
    status, answer = handshake("knock", "v1")
    expect_equal(status, 200, f"{answer}")
    expect("m.room.join_rules" in {event["type"] for event in answer["knock_room_state"]}, f"{answer}")
    expect_equal(user.state(room, "m.room.member", guest)["membership"], "knock")
    status, answer = handshake("leave")
    expect_equal(status, 200, f"{answer}")
    expect_equal(user.state(room, "m.room.member", guest)["membership"], "leave")

    for version, path in (("11", "v2"), ("1", "v1")):
        invite = {"type": "m.room.member", "room_id": f"!party{version}:{world.puppet.name}", "sender": guest, "state_key": user.id,
                  "content": {"membership": "invite"}, "depth": 5, "origin_server_ts": int(time.time() * 1000),
                  "prev_events": [], "auth_events": []}
        if version == "1":
            invite["event_id"] = f"$invite:{world.puppet.name}"
        event = world.puppet.sealed(invite)
        name = invite.get("event_id") or event_id(event)
        create = {"type": "m.room.create", "state_key": "", "sender": guest, "content": {"creator": guest, "room_version": version}}
        body = {"room_version": version, "event": event, "invite_room_state": [create]} if path == "v2" else {
            **event, "unsigned": {"invite_room_state": [create]}}
        status, answer = world.puppet.request(
            world.server, "PUT", f"/_matrix/federation/{path}/invite/{quoted(invite['room_id'])}/{quoted(name)}", body)
        expect_equal(status, 200, f"{path}: {answer}")
        signed = answer["event"] if path == "v2" else answer[1]["event"]
        expect(world.server.name in signed["signatures"], f"{path}: {answer}")
        shown = user.sync()["rooms"]["invite"]
        expect(invite["room_id"] in shown, f"{path}: the invite is shown")


def many_forks(world):
    """3,000 events after the same one: the server takes them, goes on at its usual pace, and merges them with what it says."""
    ours_alone(world, "Synapse takes more than five minutes")
    count, step = 3000, 50
    user, room = world.room()
    forks = [room.text(f"fork {number}") for number in range(count)]
    memory, start = bytes_resident(world.server.process.id), time.monotonic()
    for first in range(0, count, step):
        status, answer = world.puppet.send(world.server, forks[first:first + step])
        expect_equal(status, 200, f"{answer}")
        expect(not any("error" in result for result in answer["pdus"].values()), f"{answer}")
    last = event_id(forks[-1])
    eventually(lambda: any(event["event_id"] == last for event in user.all_events(room.id)), "the last fork is shown", seconds=240)
    print(f"    {count} forks in {time.monotonic() - start:.0f} s, {(bytes_resident(world.server.process.id) - memory) >> 20} MiB more")
    named = set()
    for number in range(5):
        start = time.monotonic()
        sent = user.send(room.id, f"merging {number}")
        expect(time.monotonic() - start < 10, "a message takes too long")
        eventually(lambda: any(event_id(event) == sent for event in world.puppet.received), "the puppet receives it")
        event = [event for event in world.puppet.received if event_id(event) == sent][0]
        expect_equal(len(event["prev_events"]), 20)
        named |= set(event["prev_events"])
    expect_equal(len(named), 100, "each merges others")
    world.still_there(user, room)


def many_states(world):
    """400 events after the same one, each of which sets other state: no next event costs what all of them cost."""
    ours_alone(world, "Synapse takes more than five minutes")
    count, step = 400, 50
    user, room = world.room(power_level_content_override={"state_default": 0, "events": {}})
    forks = [room.event("test.fork", {"n": number}, state_key=str(number)) for number in range(count)]
    memory, start = bytes_resident(world.server.process.id), time.monotonic()
    for first in range(0, count, step):
        expect_equal(world.puppet.send(world.server, forks[first:first + step])[0], 200)

    def state():
        return {event["state_key"] for event in user.call("GET", f"/rooms/{quoted(room.id)}/state") if event["type"] == "test.fork"}

    eventually(lambda: len(state()) == count, "all of it is in the room's state", seconds=240)
    print(f"    {count} states in {time.monotonic() - start:.0f} s, {(bytes_resident(world.server.process.id) - memory) >> 20} MiB more")
    for number in range(60):
        start = time.monotonic()
        user.send(room.id, f"merging {number}")
        expect(time.monotonic() - start < 10, "a message takes too long")
    expect_equal(len(state()), count, "none of it is lost in merging")
    last = user.send(room.id, "merged")
    eventually(lambda: any(event_id(event) == last for event in world.puppet.received), "the puppet receives it")
    expect_equal(len([event for event in world.puppet.received if event_id(event) == last][0]["prev_events"]), 1)
    expect_equal(user.state(room.id, "m.room.member", room.user)["membership"], "join")


def spaces(world):
    """A space of nonsense does no harm, and what the puppet may not see it is not told."""
    ours_alone(world, "Synapse believes nothing of an answer of which a part is nonsense")
    user, server = world.server.user(), world.server
    space = user.create_room(preset="public_chat", creation_content={"type": "m.space"})
    far = f"!space:{world.puppet.name}"
    user.set_state(space, "m.space.child", {"via": [world.puppet.name]}, far)
    secret = user.create_room(preset="private_chat")
    user.set_state(space, "m.space.child", {"via": [server.name]}, secret)

    def hierarchy(room=space):
        return user.call("GET", f"/rooms/{quoted(room)}/hierarchy", prefix="/_matrix/client/v1")["rooms"]

    rooms = [{"room": {"room_id": far, "room_type": "m.space", "join_rule": "public", "num_joined_members": 1, "world_readable": True,
                       "guest_can_join": False, "children_state": [
                           {"type": "m.space.child", "state_key": far, "sender": "@x:y", "content": {"via": [world.puppet.name]}, "origin_server_ts": 1},
                           {"type": "m.space.child", "state_key": 7, "content": [], "origin_server_ts": "now"}, None]},
              "children": [7, {"room_id": space}, {"room_id": "nonsense"}], "inaccessible_children": [None, secret]},
             {"room": {"room_id": "!other:elsewhere.example.org"}, "children": {}, "inaccessible_children": 3}, [], 7]
    answers = iter(rooms)
    world.puppet.answers[r"/_matrix/federation/v1/hierarchy/"] = lambda *_: (200, next(answers, {}))
    found = [room["room_id"] for room in hierarchy()]
    expect_equal(found, [space, far, secret])
    del world.puppet.answers[r"/_matrix/federation/v1/hierarchy/"]
    status, told = world.puppet.request(server, "GET", f"/_matrix/federation/v1/hierarchy/{quoted(space)}")
    expect_equal((status, told["room"]["room_id"], told["children"], told["inaccessible_children"]), (200, space, [], [secret]))
    for room in (secret, "!nowhere:example.org"):
        status, answer = world.puppet.request(server, "GET", f"/_matrix/federation/v1/hierarchy/{quoted(room)}")
        expect_equal((status, answer["errcode"]), (404, "M_NOT_FOUND"))


def policy(world):
    """A policy server that says anything but what it should: nothing is sent, nothing breaks, and the room can do without it."""
    ours_alone(world, "Synapse answers 500 to some of it")
    user, room = world.room()
    key = unpadded(bytes(world.puppet.key.verify_key))
    user.set_state(room.id, "m.room.policy", {"via": world.puppet.name, "public_keys": {"ed25519": key}})
    sign = r"/_matrix/policy/v1/sign"
    answers = [
        ((200, {}), 403), ((200, []), 502), ((200, b"no JSON"), 502), ((500, {}), 502), ((401, {"errcode": "M_UNKNOWN_TOKEN", "error": "x"}), 502),
        ((200, {world.puppet.name: 7}), 403), ((200, {world.puppet.name: {"ed25519:policy_server": "A" * 86}}), 403),
        ((200, {world.puppet.name: {"ed25519:policy_server": "A" * 90_000}}), 502), ((403, {"errcode": "M_FORBIDDEN", "error": "no"}), 403),
        ((400, {"errcode": "ORG.EXAMPLE.TASTE", "error": "bad taste"}), 400), ((429, {"errcode": "M_LIMIT_EXCEEDED", "error": "slow", "retry_after_ms": 9}), 429)]
    for answer, status in answers:
        world.puppet.answers[sign] = lambda *_, answer=answer: answer
        told = user.request("PUT", f"/rooms/{quoted(room.id)}/send/m.room.message/{time.time_ns()}", {"msgtype": "m.text", "body": "without leave"})
        expect_equal(told.status, status, f"{answer}: {told}")
    expect_equal(told.errcode, "M_LIMIT_EXCEEDED")
    room.say(room.text("without leave either"))
    not_shown(user, room, "without leave")

    def signs(_, body):
        event = json.loads(body)
        signature = world.puppet.signed({**redacted(event), "signatures": {}})["signatures"][world.puppet.name][world.puppet.key_id]
        return 200, {world.puppet.name: {"ed25519:policy_server": signature}}

    world.puppet.answers[sign] = signs
    sent = user.send(room.id, "signed")
    eventually(lambda: any(event_id(event) == sent for event in world.puppet.received), "the puppet receives it")
    event = [event for event in world.puppet.received if event_id(event) == sent][0]
    expect_equal(set(event["signatures"][world.puppet.name]), {"ed25519:policy_server"})
    del world.puppet.answers[sign]
    user.set_state(room.id, "m.room.policy", {})
    user.send(room.id, "on we go")


def addresses(world):
    """Invites to addresses: nothing is believed without the identity server's signature, and nothing is relayed without need."""
    ours_alone(world, "Synapse has POST where the specification has PUT")
    user, server = world.server.user(), world.server
    base = "/_matrix/federation/v1"
    for body in ({}, {"mxid": user.id, "invites": 7}, {"mxid": user.id, "invites": [{}]}, {"mxid": f"@nobody:{server.name}", "invites": []},
                 {"mxid": f"@x:{world.puppet.name}", "invites": []}, {"mxid": 7},
                 {"mxid": user.id, "invites": [{"mxid": user.id, "room_id": "!r:x", "sender": "@a:x", "signed": {"mxid": user.id, "token": "t"}}]}):
        status, answer = world.puppet.request(server, "PUT", f"{base}/3pid/onbind", body)
        expect(status in (400, 404), f"{body}: {status} {answer}")
    # Identity servers of today ask by POST.
    expect_equal(world.puppet.request(server, "POST", f"{base}/3pid/onbind", {"mxid": user.id, "invites": []}), (200, {}))
    user, room = world.room()
    user.set_state(room.id, "m.room.third_party_invite", {
        "display_name": "b", "key_validity_url": "https://id.example.org", "public_key": unpadded(bytes(world.puppet.key.verify_key))}, "t")
    guest = f"@guest:{world.puppet.name}"

    def exchange(signed, state_key=guest, sender=user.id):
        return world.puppet.request(server, "PUT", f"{base}/exchange_third_party_invite/{quoted(room.id)}", {
            "type": "m.room.member", "room_id": room.id, "sender": sender, "state_key": state_key,
            "content": {"membership": "invite", "third_party_invite": {"display_name": "x", "signed": signed}}})

    right = {"mxid": guest, "token": "t"}
    forged = {**right, "signatures": {"id.example.org": {"ed25519:0": "A" * 86}}}
    for signed in (right, forged, {**forged, "token": "other"}, {**forged, "mxid": user.id}, None, 7):
        status, answer = exchange(signed)
        expect(status in (400, 403), f"{signed}: {status} {answer}")
    good = world.puppet.signed(right)
    expect_equal(exchange(good, sender=room.user)[0], 403)
    expect_equal(exchange({**good, "mxid": f"@guest:{server.name}"}, state_key=f"@guest:{server.name}")[0], 403)
    status, event = 0, None

    def signs(_, body):
        nonlocal event
        event = json.loads(body)["event"]
        signature = world.puppet.signed(redacted(event))["signatures"][world.puppet.name]
        return 200, {"event": {**event, "signatures": {**event["signatures"], world.puppet.name: signature}}}

    world.puppet.answers[r"/_matrix/federation/v2/invite/"] = signs
    status, answer = exchange(good)
    del world.puppet.answers[r"/_matrix/federation/v2/invite/"]
    expect_equal((status, answer), (200, {}))
    expect_equal(user.state(room.id, "m.room.member", guest)["membership"], "invite")
    expect_equal(event["content"]["third_party_invite"], {"display_name": "b", "signed": good})


CASES = [
    ("an honest event arrives, and ours arrives there", honest),
    ("a repeated transaction and a repeated event count once", repeated),
    ("events with a wrong signature, or none, are dropped", wrong_signature),
    ("an event with a wrong hash is taken as redacted", wrong_hash),
    ("nobody speaks for another's users", foreign_senders),
    ("malformed events are dropped", malformed),
    ("what the rules do not allow is rejected", unauthorized),
    ("events with the wrong auth events are rejected", wrong_auth_events),
    ("who was banned is not heard, also with an old event", banned),
    ("a server that the room denies is not heard", denied_server),
    ("a gap is filled", gap),
    ("an event from nowhere does no harm", hole),
    ("a fork is joined", fork),
    ("a fork of state is resolved", forked_state),
    ("ephemeral data of every wrong shape does no harm, right ones arrive once", ephemeral),
    ("transactions that are too large or not theirs are refused", transactions),
    ("a server that is not in a room learns nothing of it", strangers),
    ("a server that is in a room gets all it asks for", inquisitive),
    ("other servers' keys are told with a second signature", notary),
    ("visitors knock, leave and invite", visitors),
    ("thousands of forks are merged, twenty at a time", many_forks),
    ("hundreds of forks of state are merged, and none of it is lost", many_states),
    ("spaces of nonsense do no harm", spaces),
    ("a policy server of ill will stops nothing but its room, until it is named no more", policy),
    ("invites to addresses need the identity server's signature", addresses),
    ("an answer without end costs no memory", huge_answers),
    ("answers that are nonsense are no answers", nonsense_answers),
]


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--server", choices=["fedchatd", "synapse"], default="fedchatd")
    options.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    options.add_argument("--only", default="", help="run the cases with this in their sentence")
    options.add_argument("--keep", action="store_true", help="leave the server's folder")
    options = options.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="hostile"))
    authority, cluster, run = Authority(folder / "ca"), None, Run()
    try:
        if options.server == "synapse":
            server = Synapse(folder / "server", authority)
        else:
            cluster = Cluster() if options.database == "postgres" else None
            server = Fedchatd(folder / "server", authority, cluster.create("server") if cluster else None)
        with server:
            world = World(server, authority)
            for sentence, function in CASES:
                if options.only in sentence:
                    run.one(sentence, function, world)
            world.puppet.close()
    finally:
        if cluster:
            cluster.stop()
        if options.keep:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return run.close()


if __name__ == "__main__":
    sys.exit(main())
