"""What is asked and told besides events: ephemeral data, transactions, memberships, policy, invites to addresses."""
import json
import time

from puppet import event_id, redacted, unpadded

from blackbox.matrix import quoted
from blackbox.report import eventually, expect, expect_equal

from . import expect_sober, not_shown, ours_alone, shown

REFUSED = "snake oil"       # what the server under test, as a policy server, does not sign


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


def policing(world):
    """What a policy server of ours is asked to sign: nothing but right events of its rooms, and each but once judged."""
    ours_alone(world, "Synapse is no policy server")
    user, room = world.room()
    sign = "/_matrix/policy/v1/sign"

    def asked(body, method="POST"):
        status, answer = world.puppet.request(world.server, method, sign, body)
        return status, answer.get("errcode", answer)

    event = room.text("fine")
    expect_equal(asked(event), (404, "M_NOT_FOUND"), "the room has no policy server")
    keys = world.server.site.request("GET", "/.well-known/matrix/policy_server").json
    user.set_state(room.id, "m.room.policy", {"via": world.server.name, **keys})
    signed = asked(event)
    expect_equal((signed[0], list(signed[1][world.server.name])), (200, ["ed25519:policy_server"]))
    for body in ({}, {"room_id": 7}, {"room_id": "nonsense"}, {"room_id": room.id}, {**event, "depth": 2 ** 60}, {**event, "depth": -1},
                 {**event, "auth_events": [event_id(event)] * 11}, {**event, "prev_events": "x"}, {**event, "hashes": 7}, {**event, "sender": 7},
                 {**event, "content": {"body": "x" * 70_000}}, {**event, "content": {"x": 1.5}}, {**event, "state_key": ["x"]}):
        expect_equal(asked(body), (400, "M_BAD_JSON"), f"{json.dumps(body)[:200]}")
    deep = {}
    for _ in range(200):
        deep = {"in": deep}
    expect_equal(asked({**event, "content": deep}), (400, "M_NOT_JSON"), "200 objects deep")
    for body in ({**event, "content": {"body": "innocent"}}, {**event, "signatures": {}}, room.plain() | {"hashes": event["hashes"], "signatures": {}},
                 {**event, "sender": user.id}, room.event("m.room.policy", {}, state_key=""), room.text(f"Buy {REFUSED.upper()}!"),
                 {**event, "signatures": {world.server.name: {"ed25519:policy_server": signed[1][world.server.name]["ed25519:policy_server"]}}}):
        expect_equal(asked(body), (400, "M_FORBIDDEN"), f"{json.dumps(body)[:200]}")
    expect_equal(asked({**event, "room_id": "!elsewhere:" + world.server.name}), (404, "M_NOT_FOUND"))
    expect_equal(world.puppet.request(world.server, "GET", sign)[0], 405)
    expect_equal(world.puppet.request(world.server, "POST", sign, event, tamper=True)[0], 401)
    for _ in range(30):
        expect_equal(asked(event), signed, "the same again")
    # Unsigned spam stays out, unsigned sense comes in, and its own users are held to the same.
    room.say(room.text(f"the best {REFUSED}"), advance=False)
    not_shown(user, room, REFUSED)
    told = user.request("PUT", f"/rooms/{quoted(room.id)}/send/m.room.message/1", {"msgtype": "m.text", "body": REFUSED})
    expect_equal((told.status, told.errcode), (400, "M_FORBIDDEN"))
    world.still_there(user, room)


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
    ("ephemeral data of every wrong shape does no harm, right ones arrive once", ephemeral),
    ("transactions that are too large or not theirs are refused", transactions),
    ("a server that is not in a room learns nothing of it", strangers),
    ("a server that is in a room gets all it asks for", inquisitive),
    ("other servers' keys are told with a second signature", notary),
    ("visitors knock, leave and invite", visitors),
    ("a policy server of ill will stops nothing but its room, until it is named no more", policy),
    ("as a policy server, it signs right events of its rooms and nothing else", policing),
    ("invites to addresses need the identity server's signature", addresses),
]
