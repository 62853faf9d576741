"""Device keys, one-time keys, to-device messages, cross-signing."""
import secrets
from concurrent.futures import ThreadPoolExecutor

from blackbox.ed25519 import unpadded
from blackbox.matrix import quoted
from blackbox.report import case, expect, expect_equal


def key(letter):
    return letter * 43


def upload_device(user):
    return user.call("POST", "/keys/upload", {"device_keys": {
        "user_id": user.id, "device_id": user.device,
        "algorithms": ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
        "keys": {f"curve25519:{user.device}": key("a"), f"ed25519:{user.device}": key("b")}, "signatures": {}}})


def one_time_keys(names):
    return {"one_time_keys": {f"signed_curve25519:{name}": {"key": key("c"), "signatures": {}} for name in names}}


def claim(user, other):
    return user.call("POST", "/keys/claim", {"one_time_keys": {other.id: {other.device: "signed_curve25519"}}})


@case("device keys are uploaded and found by those who ask")
def query(world):
    user, other = world.server.user(), world.server.user()
    upload_device(user)
    found = other.call("POST", "/keys/query", {"device_keys": {user.id: []}})["device_keys"][user.id][user.device]
    expect_equal(found["keys"][f"ed25519:{user.device}"], key("b"))
    answer = other.request("POST", "/keys/query", {"device_keys": [user.id]})
    expect_equal(answer.status, 400, f"{answer}")


@case("one-time keys are given out in order, once each, also to twenty who ask at once")
def once(world):
    user, other = world.server.user(), world.server.user()
    upload_device(user)
    names = [f"AAAA{number:02}" for number in range(20)]
    counts = user.call("POST", "/keys/upload", one_time_keys(names))["one_time_key_counts"]
    expect_equal(counts["signed_curve25519"], 20)
    first = list(claim(other, user)["one_time_keys"][user.id][user.device])
    expect_equal(first, ["signed_curve25519:AAAA00"])
    with ThreadPoolExecutor(10) as threads:
        claims = list(threads.map(lambda _: claim(other, user), range(19)))
    given = [name for answer in claims for name in answer["one_time_keys"][user.id][user.device]]
    expect_equal(sorted(given), [f"signed_curve25519:{name}" for name in names[1:]])
    empty = claim(other, user)["one_time_keys"].get(user.id, {}).get(user.device, {})
    expect_equal(empty, {}, "no key is left")


@case("a one-time key uploaded twice with another content is refused, with the same it is not")
def twice(world):
    user = world.server.user()
    upload_device(user)
    user.call("POST", "/keys/upload", one_time_keys(["AAAA"]))
    user.call("POST", "/keys/upload", one_time_keys(["AAAA"]))
    answer = user.request("POST", "/keys/upload", {"one_time_keys": {"signed_curve25519:AAAA": {"key": key("z"), "signatures": {}}}})
    expect_equal(answer.status, 400, f"{answer}")


@case("a fallback key is given when the others are spent, again and again")
def fallback(world):
    user, other = world.server.user(), world.server.user()
    upload_device(user)
    user.call("POST", "/keys/upload", {"fallback_keys": {
        "signed_curve25519:FALL": {"key": key("f"), "fallback": True, "signatures": {}}}})
    expect_equal(user.sync()["device_unused_fallback_key_types"], ["signed_curve25519"])
    for _ in range(2):
        given = claim(other, user)["one_time_keys"][user.id][user.device]
        expect_equal(list(given), ["signed_curve25519:FALL"])
        expect_equal(given["signed_curve25519:FALL"]["fallback"], True)
    expect_equal(user.sync()["device_unused_fallback_key_types"], [])


@case("who shares a room is told of changed devices, and the counts are told in sync")
def device_lists(world):
    user, other = world.server.user(), world.server.user()
    room = user.create_room(
        invite=[other.id], initial_state=[{
            "type": "m.room.encryption", "state_key": "", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}])
    other.join(room)
    since = other.sync()["next_batch"]
    upload_device(user)
    user.call("POST", "/keys/upload", one_time_keys(["AAAA", "BBBB"]))
    answer = other.sync_until(lambda answer: user.id in answer.get("device_lists", {}).get("changed", []), since)
    changes = other.call("GET", f"/keys/changes?from={quoted(since)}&to={quoted(answer['next_batch'])}")
    expect(user.id in changes["changed"], f"{changes}")
    expect_equal(user.sync()["device_one_time_keys_count"]["signed_curve25519"], 2)
    user.leave(room)
    other.sync_until(lambda answer: user.id in answer.get("device_lists", {}).get("left", []), answer["next_batch"])


@case("a to-device message arrives in order, until it is acknowledged, once")
def to_device(world):
    user, other = world.server.user(), world.server.user()
    for number in range(3):
        for _ in range(2):                  # the same transaction twice
            user.call("PUT", f"/sendToDevice/org.example.note/n{number}", {
                "messages": {other.id: {other.device: {"number": number}}}})
    user.call("PUT", "/sendToDevice/org.example.note/all", {"messages": {other.id: {"*": {"number": "all"}}}})
    answer = other.sync()
    events = answer["to_device"]["events"]
    expect_equal([event["content"]["number"] for event in events], [0, 1, 2, "all"])
    expect_equal({(event["sender"], event["type"]) for event in events}, {(user.id, "org.example.note")})
    again = other.sync()
    expect_equal(len(again["to_device"]["events"]), 4, "not acknowledged yet")
    after = other.sync(answer["next_batch"])
    expect_equal(after.get("to_device", {}).get("events", []), [])


@case("cross-signing keys are uploaded for the first time without, then only with, the password")
def cross_signing(world):
    user, other = world.server.user(), world.server.user()

    def keys():
        public = unpadded(secrets.token_bytes(32))
        return {"master_key": {"user_id": user.id, "usage": ["master"], "keys": {f"ed25519:{public}": public}}}

    first = keys()
    user.call("POST", "/keys/device_signing/upload", first)
    found = other.call("POST", "/keys/query", {"device_keys": {user.id: []}})["master_keys"][user.id]
    expect_equal(found["keys"], first["master_key"]["keys"])
    user.call("POST", "/keys/device_signing/upload", first)
    answer = user.request("POST", "/keys/device_signing/upload", keys())
    expect_equal(answer.status, 401, f"{answer}")


DEHYDRATED = "/_matrix/client/unstable/org.matrix.msc3814.v1"


@case("a device is left dehydrated, gets messages, and another takes them up", only="fedchatd")
def dehydrated(world):
    user, other = world.server.user(), world.server.user()
    name = "dry/+device"
    empty = user.request("GET", "/dehydrated_device", prefix=DEHYDRATED)
    expect_equal((empty.status, empty.errcode), (404, "M_NOT_FOUND"))
    left = {"device_id": name, "initial_device_display_name": "dehydrated",
            "device_data": {"algorithm": "org.matrix.msc3814.v2", "device_pickle": "secret", "nonce": "n"},
            "device_keys": {"user_id": user.id, "device_id": name, "dehydrated": True, "algorithms": [],
                            "keys": {f"curve25519:{name}": key("a"), f"ed25519:{name}": key("b")}, "signatures": {}},
            "fallback_keys": {"signed_curve25519:f": {"key": key("f"), "fallback": True, "signatures": {}}}}
    expect_equal(user.call("PUT", "/dehydrated_device", left, prefix=DEHYDRATED), {"device_id": name})
    expect_equal(user.call("GET", "/dehydrated_device", prefix=DEHYDRATED),
                 {"device_id": name, "device_data": left["device_data"]})
    found = other.call("POST", "/keys/query", {"device_keys": {user.id: []}})["device_keys"][user.id]
    expect_equal(found[name]["dehydrated"], True)
    for number in range(3):
        other.call("PUT", f"/sendToDevice/m.room.encrypted/{number}", {"messages": {user.id: {name: {"number": number}}}})
    new = world.site.login(user.localpart, user.password)
    path = f"/dehydrated_device/{quoted(name)}/events"
    first = new.call("POST", path, {}, prefix=DEHYDRATED)
    expect_equal([event["content"]["number"] for event in first["events"]], [0, 1, 2])
    last = new.call("POST", path, {"next_batch": first["next_batch"]}, prefix=DEHYDRATED)
    expect_equal(last["events"], [])
    expect_equal(other.request("POST", path, {}, prefix=DEHYDRATED).errcode, "M_FORBIDDEN")
    expect_equal(new.call("DELETE", "/dehydrated_device", prefix=DEHYDRATED), {"device_id": name})
    expect_equal(user.request("GET", "/dehydrated_device", prefix=DEHYDRATED).status, 404)
