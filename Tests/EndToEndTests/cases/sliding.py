"""Sliding sync, in the shape of today's clients and in that of the specification."""
import threading
import time

from blackbox.matrix import quoted
from blackbox.report import case, expect, expect_equal

OLD = "/_matrix/client/unstable/org.matrix.simplified_msc3575"
NEW = "/_matrix/client/v4"


class Loop:
    """A connection that goes on from its last answer."""

    def __init__(self, user, old, name):
        self.user, self.old, self.name, self.pos = user, old, name, None

    def ask(self, lists, timeout=0, **more):
        body = {"conn_id": self.name, "lists": lists, **more}
        if self.old:
            path = f"/sync?timeout={timeout}" + (f"&pos={quoted(self.pos)}" if self.pos else "")
            return self.user.request("POST", path, body, prefix=OLD)
        body.update({"timeout": timeout, **({"pos": self.pos} if self.pos else {})})
        return self.user.request("POST", "/sync", body, prefix=NEW)

    def sync(self, lists, timeout=0, **more):
        answer = self.ask(lists, timeout, **more)
        expect_equal(answer.status, 200, f"{answer}")
        self.pos = answer.json["pos"]
        return answer.json

    def list(self, last, limit=5, **more):
        if self.old:
            return {"all": {"ranges": [[0, last]], "timeline_limit": limit, "required_state": [
                ["m.room.member", "$ME"], ["m.room.member", "$LAZY"], ["m.room.name", ""]], **more}}
        return {"all": {"range": [0, last], "timeline_limit": limit, "required_state": {
            "include": [{"type": "m.room.member", "state_key": self.user.id}, {"type": "m.room.name"}],
            "lazy_members": True}, **more}}


def bodies(room):
    return [event["content"]["body"] for event in room.get("timeline", []) if event["type"] == "m.room.message"]


@case("sliding sync is announced")
def announced(world):
    features = world.server.user().call("GET", "/versions", prefix="/_matrix/client")["unstable_features"]
    expect_equal(features.get("org.matrix.simplified_msc3575"), True)


# Synapse has the older shape only.
@case("sliding sync shows the newest rooms, then the others, then only what is new", only="fedchatd")
def windows(world):
    for old in (True, False):
        user, other = world.server.user(), world.server.user()
        rooms = [user.create_room(name=f"Room {number}", preset="public_chat") for number in range(5)]
        other.join(rooms[0])
        other.send(rooms[0], "hello")
        loop = Loop(user, old, "main")
        first = loop.sync(loop.list(1, 1))
        expect_equal(first["lists"]["all"]["count"], 5)
        expect_equal(set(first["rooms"]), {rooms[0], rooms[4]})
        newest = first["rooms"][rooms[0]]
        expect_equal(bodies(newest), ["hello"])
        expect_equal((newest["initial"], newest["name"], newest["joined_count"]), (True, "Room 0", 2))
        members = {event["state_key"] for event in newest["required_state"] if event["type"] == "m.room.member"}
        expect_equal(members, {user.id, other.id}, "the sender and oneself")
        second = loop.sync(loop.list(9, 1))
        expect_equal(set(second["rooms"]), set(rooms[1:4]))
        expect_equal(loop.sync(loop.list(9, 1))["rooms"], {})
        other.send(rooms[0], "news")
        third = loop.sync(loop.list(9, 1), timeout=5000)
        expect_equal(set(third["rooms"]), {rooms[0]})
        expect_equal(bodies(third["rooms"][rooms[0]]), ["news"])
        expect_equal(third["rooms"][rooms[0]]["num_live"], 1)
        wider = loop.sync(loop.list(9, 1), room_subscriptions={
            rooms[0]: {"timeline_limit": 10, "required_state": [] if old else {}}})
        expanded = wider["rooms"][rooms[0]]
        expect_equal(bodies(expanded), ["hello", "news"])
        expect(expanded["unstable_expanded_timeline" if old else "expanded_timeline"], "the timeline is expanded")


@case("sliding sync waits for a message, and answers at its timeout without one")
def waiting(world):
    user = world.server.user()
    room = user.create_room(preset="public_chat")
    loop = Loop(user, True, "main")
    loop.sync(loop.list(9))
    start = time.monotonic()
    expect_equal(loop.sync(loop.list(9), timeout=300)["rooms"], {})
    expect(time.monotonic() - start >= 0.29, "it waited")
    sender = threading.Timer(0.2, lambda: user.send(room, "wake"))
    sender.start()
    start = time.monotonic()
    answer = loop.sync(loop.list(9), timeout=20000)
    sender.join()
    expect_equal(bodies(answer["rooms"][room]), ["wake"])
    expect(time.monotonic() - start < 10, "it was woken")


@case("sliding sync answers a repeated question alike, and refuses positions that it does not know", only="fedchatd")
def repeated(world):
    user = world.server.user()
    room = user.create_room(preset="public_chat")
    loop = Loop(user, False, "main")
    loop.sync(loop.list(9))
    user.send(room, "once")
    one, two = (loop.ask(loop.list(9)).json for _ in range(2))
    for answer in (one, two):
        for event in answer["rooms"][room]["timeline"]:
            event["unsigned"].pop("age", None)
    expect_equal(one["rooms"], two["rooms"])
    loop.pos = one["pos"]
    expect_equal(loop.sync(loop.list(9))["rooms"], {})
    loop.name = "another"
    answer = loop.ask(loop.list(9))
    expect_equal((answer.status, answer.errcode), (400, "M_UNKNOWN_POS"))


@case("sliding sync tells of an invite, a join and a leave", only="fedchatd")
def memberships(world):
    for old in (True, False):
        user, other = world.server.user(), world.server.user()
        loop = Loop(user, old, "main")
        loop.sync(loop.list(9))
        room = other.create_room(name="Tea", preset="public_chat")
        other.invite(room, user)
        invited = loop.sync(loop.list(9))["rooms"][room]
        stripped = invited["invite_state" if old else "stripped_state"]
        expect("m.room.name" in {event["type"] for event in stripped}, "the invite says the room's name")
        expect("timeline" not in invited, "no more than that")
        user.join(room)
        joined = loop.sync(loop.list(9))["rooms"][room]
        expect_equal((joined["initial"], joined["name"]), (True, "Tea"))
        user.leave(room)
        left = loop.sync(loop.list(9))
        own = [event["content"]["membership"] for event in left["rooms"][room]["required_state"]
               if event.get("state_key") == user.id]
        expect_equal(own, ["leave"])
        expect_equal(loop.sync(loop.list(9))["lists"]["all"]["count"], 0)


@case("sliding sync brings messages to devices, keys, account data, receipts and typing")
def extensions(world):
    user, other = world.server.user(), world.server.user()
    room = user.create_room(preset="public_chat")
    loop = Loop(user, True, "all")
    wanted = {name: {"enabled": True} for name in ("to_device", "e2ee", "account_data", "receipts", "typing")}
    first = loop.sync(loop.list(9), extensions=wanted)["extensions"]
    expect("m.push_rules" in {event["type"] for event in first["account_data"]["global"]}, "push rules come first")
    expect("signed_curve25519" in first["e2ee"]["device_one_time_keys_count"], "keys are counted")
    other.join(room)
    event = user.send(room, "read this")
    other.call("POST", f"/rooms/{quoted(room)}/receipt/m.read/{quoted(event)}", {})
    other.call("PUT", f"/rooms/{quoted(room)}/typing/{quoted(other.id)}", {"typing": True, "timeout": 30000})
    user.call("PUT", f"/user/{quoted(user.id)}/rooms/{quoted(room)}/account_data/u.test", {"a": 1})
    device = user.call("GET", "/account/whoami")["device_id"]
    other.call("PUT", "/sendToDevice/u.test/1", {"messages": {user.id: {device: {"hello": 1}}}})
    wanted["to_device"]["since"] = first["to_device"]["next_batch"]
    second = loop.sync(loop.list(9), extensions=wanted)["extensions"]
    expect(other.id in second["e2ee"]["device_lists"]["changed"], "who came is told")
    expect(other.id in second["receipts"]["rooms"][room]["content"][event]["m.read"], "the receipt is told")
    expect_equal(second["typing"]["rooms"][room]["content"]["user_ids"], [other.id])
    expect_equal(second["account_data"]["rooms"][room], [{"type": "u.test", "content": {"a": 1}}])
    expect_equal([message["content"] for message in second["to_device"]["events"]], [{"hello": 1}])
    wanted["to_device"]["since"] = second["to_device"]["next_batch"]
    third = loop.sync(loop.list(9), extensions=wanted)["extensions"]
    expect_equal((third["to_device"]["events"], third["receipts"]["rooms"]), ([], {}))
