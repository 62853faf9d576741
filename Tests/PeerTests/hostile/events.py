"""Events that are wrong: forged, broken, not allowed."""
from puppet import event_id

from blackbox.matrix import quoted
from blackbox.report import eventually, expect, expect_equal

from . import expect_sober, not_shown, shown


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
]
