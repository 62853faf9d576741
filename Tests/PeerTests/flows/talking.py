"""Rooms in daily use: joining, messages, redactions, states, power levels, upgrades."""
from blackbox.matrix import quoted, timeline
from blackbox.report import expect, expect_equal

from . import ALL, flow
from .scene import rooms


@flow("join, talk, redact", versions=ALL, quick=True)
def talk(scene):
    host, guest = scene.people()
    room = scene.room(host, name="Across")
    expect_equal(":" in room, scene.number < 12, "a server name in the room's id")
    host.send(room, "before the invite")
    host.invite(room, guest)
    answer = guest.sync_until(lambda answer: room in rooms(answer, "invite"), seconds=40)
    kinds = {event["type"] for event in rooms(answer, "invite")[room]["invite_state"]["events"]}
    expect({"m.room.create", "m.room.member", "m.room.name"} <= kinds, f"invite state holds {kinds}")
    guest.join(room, [host.server_name])
    scene.membership(host, room, guest, "join")
    texts = ["before the invite"]
    for number in range(3):
        for one, other in ((host, guest), (guest, host)):
            texts.append(f"{number} from {one.localpart} ünverändert 🫖")
            event = scene.say_and_hear(one, other, room, texts[-1])
            scene.same_pdu(room, event)
    for user in (host, guest):
        expect_equal(user.bodies(room), texts, f"{user.id}'s timeline")
    for one, other in ((host, guest), (guest, host)):
        slip = scene.say_and_hear(one, other, room, "a slip of the pen")
        since = other.sync()["next_batch"]
        redaction = one.call("PUT", f"/rooms/{quoted(room)}/redact/{quoted(slip)}/r{quoted(slip)}", {"reason": "slip"})["event_id"]
        other.sync_until(lambda answer: any(
            each["event_id"] == redaction and slip in (each.get("redacts"), each["content"].get("redacts"))
            for each in timeline(answer, room)), since, 40)
        kept = other.call("GET", f"/rooms/{quoted(room)}/event/{quoted(slip)}")
        expect_equal(kept["content"], {}, "what is left of the redacted event")
        scene.same_pdu(room, redaction)
    scene.alike(room, host, guest)


@flow("a moderator redacts the other side's message")
def moderated(scene):
    host, guest, room = scene.shared()
    said = guest.send(room, "out of order")
    scene.sees(host, room, said)
    redaction = host.call("PUT", f"/rooms/{quoted(room)}/redact/{quoted(said)}/1", {})["event_id"]
    scene.sees(guest, room, redaction)
    scene.until(lambda: guest.call("GET", f"/rooms/{quoted(room)}/event/{quoted(said)}")["content"] == {}, "it is redacted")
    said = host.send(room, "mine")
    scene.sees(guest, room, said)
    scene.refused(guest.request("PUT", f"/rooms/{quoted(room)}/redact/{quoted(said)}/2", {}))
    scene.alike(room, host, guest)


def replaced(scene, upgrader, other, room, target, is_equal=False):
    """The upgrader's side makes the new room; the other's user follows into it. One of equal power may still speak."""
    new = upgrader.call("POST", f"/rooms/{quoted(room)}/upgrade", {"new_version": target})["replacement_room"]
    scene.until(lambda: other.request("GET", f"/rooms/{quoted(room)}/state/m.room.tombstone/").status == 200, "the tombstone arrives")
    expect_equal(other.state(room, "m.room.tombstone")["replacement_room"], new)
    other.join(new, [upgrader.server_name])
    scene.membership(upgrader, new, other, "join")
    create = other.state(new, "m.room.create")
    expect_equal(create["room_version"], target)
    expect_equal(create["predecessor"]["room_id"], room)
    expect_equal(other.state(new, "m.room.name")["name"], "Old and new")
    scene.say_and_hear(upgrader, other, new, "here we are")
    scene.say_and_hear(other, upgrader, new, "so we are")
    scene.alike(new, upgrader, other)
    scene.alike(room, upgrader, other, silent=[] if is_equal else [other])
    if not is_equal:
        scene.refused(other.request("PUT", f"/rooms/{quoted(room)}/send/m.room.message/late", {"msgtype": "m.text", "body": "?"}))
    scene.refused(upgrader.request("POST", f"/rooms/{quoted(room)}/upgrade", {"new_version": "no such version"}), 400,
                  "M_UNSUPPORTED_ROOM_VERSION")


@flow("upgrade by the host", versions=ALL, quick=True)
def upgraded(scene):
    host, guest, room = scene.shared(preset="public_chat", name="Old and new")
    replaced(scene, host, guest, room, str(min(scene.number + 1, 12)))


@flow("upgrade by the guest, into the newest version")
def upgraded_by_guest(scene):
    host, guest, room = scene.shared(preset="public_chat", name="Old and new")
    event = scene.powers(host, room, users={guest.id: 150 if scene.number >= 12 else 100})
    scene.state_is(guest, room, "m.room.power_levels", event)
    replaced(scene, guest, host, room, "12", is_equal=True)


@flow("power levels change and hold on both sides", quick=True)
def powers(scene):
    host, guest, room = scene.shared(name="First")
    scene.refused(guest.request("PUT", f"/rooms/{quoted(room)}/state/m.room.name/", {"name": "Mine"}))
    event = scene.powers(host, room, users={guest.id: 50}, events={"m.room.power_levels": 50})
    scene.state_is(guest, room, "m.room.power_levels", event)
    event = guest.set_state(room, "m.room.name", {"name": "Second"})
    scene.state_is(host, room, "m.room.name", event)
    scene.refused(guest.request("PUT", f"/rooms/{quoted(room)}/state/m.room.power_levels/",
                                {**guest.state(room, "m.room.power_levels"), "users": {guest.id: 100}}))
    event = scene.powers(guest, room, users={guest.id: 0})          # a moderator steps down
    scene.state_is(host, room, "m.room.power_levels", event)
    scene.refused(guest.request("PUT", f"/rooms/{quoted(room)}/state/m.room.name/", {"name": "Third"}))
    event = scene.powers(host, room, events_default=10)
    scene.state_is(guest, room, "m.room.power_levels", event)
    scene.refused(guest.request("PUT", f"/rooms/{quoted(room)}/send/m.room.message/p", {"msgtype": "m.text", "body": "?"}))
    event = scene.powers(host, room, events_default=0)
    scene.state_is(guest, room, "m.room.power_levels", event)
    scene.say_and_hear(guest, host, room, "again")
    scene.alike(room, host, guest)


@flow("power levels as strings", versions=["1", "6", "9", "10", "12"])
def string_powers(scene):
    """Up to version 9 a level may be a string: https://spec.matrix.org/v1.19/rooms/v10/"""
    host, guest, room = scene.shared()
    levels = host.state(room, "m.room.power_levels")
    answer = host.request("PUT", f"/rooms/{quoted(room)}/state/m.room.power_levels/", {
        **levels, "users": {**levels.get("users", {}), guest.id: "50"}})
    if scene.number >= 10:
        expect(answer.status in (400, 403), f"strings are not allowed: {answer}")
    else:
        if answer.status == 400:        # a server may ask more of its own clients than of others' events
            return scene.alike(room, host, guest)
        expect_equal(answer.status, 200, f"{answer}")
        scene.state_is(guest, room, "m.room.power_levels", answer.json["event_id"])
        event = guest.set_state(room, "m.room.topic", {"topic": "by a moderator"})
        scene.state_is(host, room, "m.room.topic", event)
    scene.alike(room, host, guest)


@flow("states of many kinds")
def states(scene):
    host, guest, room = scene.shared()
    event = scene.powers(host, room, users={guest.id: 50}, events={"org.example.thing": 0})
    scene.state_is(guest, room, "m.room.power_levels", event)
    for one, other in ((host, guest), (guest, host)):
        for number in range(3):
            for key in ("", "a key", "\u00e9", "e\u0301", one.id):
                event = one.set_state(room, "org.example.thing", {"number": number, "by": one.id}, key)
            scene.state_is(other, room, "org.example.thing", event, one.id)
        event = one.set_state(room, "m.room.pinned_events", {"pinned": [event]})
        scene.state_is(other, room, "m.room.pinned_events", event)
    scene.refused(guest.request("PUT", f"/rooms/{quoted(room)}/state/org.example.thing/{quoted(host.id)}", {}))
    scene.alike(room, host, guest)


@flow("encryption on, replies, edits, reactions, threads")
def relations(scene):
    host, guest, room = scene.shared()
    event = host.set_state(room, "m.room.encryption", {"algorithm": "m.megolm.v1.aes-sha2"})
    scene.state_is(guest, room, "m.room.encryption", event)
    root = scene.say_and_hear(host, guest, room, "root")
    for number in range(2):
        answer = guest.send(room, {"msgtype": "m.text", "body": f"in the thread {number}", "m.relates_to": {
            "rel_type": "m.thread", "event_id": root}})
        scene.sees(host, room, answer)
    edit = host.send(room, {"msgtype": "m.text", "body": "* edited", "m.new_content": {"msgtype": "m.text", "body": "edited"},
                            "m.relates_to": {"rel_type": "m.replace", "event_id": root}})
    scene.sees(guest, room, edit)
    reaction = guest.call("PUT", f"/rooms/{quoted(room)}/send/m.reaction/r", {
        "m.relates_to": {"rel_type": "m.annotation", "event_id": root, "key": "🫖"}})["event_id"]
    scene.sees(host, room, reaction)
    for user in (host, guest):
        found = user.call("GET", f"/rooms/{quoted(room)}/event/{quoted(edit)}")["content"]["m.relates_to"]
        expect_equal(found, {"rel_type": "m.replace", "event_id": root})
    scene.alike(room, host, guest)


def spellings(server):
    """Two spellings of one letter are two keys. What a client of fedchatd sends is the exception: see spec/canonical-json.md."""
    return {"\u00e9": 1, **({} if server.kind == "fedchatd" else {"e\u0301": 2})}


@flow("a large event, odd text, deep content")
def large(scene):
    host, guest, room = scene.shared()
    deep = {"end": True}
    for _ in range(40):
        deep = {"in": deep}
    for one, other in ((host, guest), (guest, host)):
        for content in ({"msgtype": "m.text", "body": "x" * 60_000}, {"msgtype": "m.text", "body": "\u0000\u2028 🫖 \" \\ \u007f"},
                        {"msgtype": "m.text", "body": "deep", "deep": deep},
                        {"msgtype": "m.text", "body": "numbers", "n": [0, -1, 2 ** 53 - 1, -(2 ** 53) + 1], "ſ": spellings(scene.server(one.server_name))}):
            event = one.send(room, content)
            scene.sees(other, room, event)
            expect_equal(other.call("GET", f"/rooms/{quoted(room)}/event/{quoted(event)}")["content"], content)
            scene.same_pdu(room, event)
        answer = one.request("PUT", f"/rooms/{quoted(room)}/send/m.room.message/big", {"msgtype": "m.text", "body": "x" * 66_000})
        expect_equal((answer.status, answer.errcode), (413, "M_TOO_LARGE"))
    scene.alike(room, host, guest)
