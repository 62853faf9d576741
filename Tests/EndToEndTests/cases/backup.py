"""Backups of room keys, and signatures upon keys."""
import secrets

from blackbox.ed25519 import SigningKey, unpadded
from blackbox.matrix import quoted
from blackbox.report import case, expect, expect_equal

VERSION = "/room_keys/version"
ALGORITHM = "m.megolm_backup.v1.curve25519-aes-sha2"


def session(first_index, verified=False, forwarded=0):
    return {"first_message_index": first_index, "forwarded_count": forwarded, "is_verified": verified, "session_data": {
        "ciphertext": unpadded(secrets.token_bytes(40)), "mac": unpadded(secrets.token_bytes(8)),
        "ephemeral": unpadded(secrets.token_bytes(32))}}


def new_backup(user):
    return user.call("POST", VERSION, {"algorithm": ALGORITHM, "auth_data": {
        "public_key": unpadded(secrets.token_bytes(32)), "signatures": {}}})["version"]


@case("a backup of room keys is made, described, changed and taken away")
def versions(world):
    user = world.server.user()
    expect_equal(user.request("GET", VERSION).status, 404)
    first, second = new_backup(user), new_backup(user)
    expect(first != second, "each has a version of its own")
    current = user.call("GET", VERSION)
    expect_equal((current["version"], current["count"], current["algorithm"]), (second, 0, ALGORITHM))
    changed = {"algorithm": ALGORITHM, "auth_data": {"public_key": current["auth_data"]["public_key"], "signatures": {user.id: {}}}}
    user.call("PUT", f"{VERSION}/{second}", changed)
    expect_equal(user.call("GET", f"{VERSION}/{second}")["auth_data"], changed["auth_data"])
    answer = user.request("PUT", f"{VERSION}/{second}", {**changed, "algorithm": "org.example.other"})
    expect_equal((answer.status, answer.errcode), (400, "M_INVALID_PARAM"), "the algorithm cannot change")
    user.call("DELETE", f"{VERSION}/{second}")
    expect_equal(user.request("GET", f"{VERSION}/{second}").status, 404)
    expect_equal(user.call("GET", VERSION)["version"], first, "the one before is current again")


# Synapse names the version that was asked for, not the current one.
@case("of two keys for one session the better one stays, and counts and etag tell of it", only="fedchatd")
def replacing(world):
    user, room, other_room = world.server.user(), "!one:example.org", "!two:example.org"
    version = new_backup(user)

    def put(value, name="s"):
        return user.call("PUT", f"/room_keys/keys/{quoted(room)}/{name}?version={version}", value)

    def get(name="s"):
        return user.call("GET", f"/room_keys/keys/{quoted(room)}/{name}?version={version}")

    first = put(session(10))
    better = session(5)
    second = put(better)
    expect_equal(second["count"], 1)
    expect(first["etag"] != second["etag"], "the etag changes with what is kept")
    put(session(7))
    expect_equal(get(), better, "a higher first index does not replace a lower one")
    verified = session(9, verified=True)
    put(verified)
    expect_equal(get(), verified, "a verified one replaces another")
    user.call("PUT", f"/room_keys/keys/{quoted(room)}?version={version}", {"sessions": {"t": session(1), "u": session(2)}})
    answer = user.call("PUT", f"/room_keys/keys?version={version}", {"rooms": {other_room: {"sessions": {"v": session(3)}}}})
    expect_equal(answer["count"], 4)
    expect_equal(set(user.call("GET", f"/room_keys/keys/{quoted(room)}?version={version}")["sessions"]), {"s", "t", "u"})
    everything = user.call("GET", f"/room_keys/keys?version={version}")["rooms"]
    expect_equal({name: set(each["sessions"]) for name, each in everything.items()}, {room: {"s", "t", "u"}, other_room: {"v"}})
    answer = user.request("PUT", f"/room_keys/keys/{quoted(room)}/s?version={int(version) + 1}", session(0))
    expect(answer.status in (403, 404), f"{answer}")
    new = new_backup(user)
    answer = user.request("PUT", f"/room_keys/keys/{quoted(room)}/s?version={version}", session(0))
    expect_equal((answer.status, answer.errcode, answer.json.get("current_version")), (403, "M_WRONG_ROOM_KEYS_VERSION", new))


@case("backed-up keys are taken away one by one, by room, and all")
def removing(world):
    user, room = world.server.user(), "!one:example.org"
    version = new_backup(user)
    user.call("PUT", f"/room_keys/keys?version={version}", {
        "rooms": {room: {"sessions": {name: session(0) for name in "abc"}}, "!two:x": {"sessions": {"d": session(0)}}}})
    expect_equal(user.call("DELETE", f"/room_keys/keys/{quoted(room)}/a?version={version}")["count"], 3)
    expect_equal(user.request("GET", f"/room_keys/keys/{quoted(room)}/a?version={version}").status, 404)
    expect_equal(user.call("DELETE", f"/room_keys/keys/{quoted(room)}?version={version}")["count"], 1)
    expect_equal(user.call("DELETE", f"/room_keys/keys?version={version}")["count"], 0)
    expect_equal(user.call("GET", f"/room_keys/keys?version={version}"), {"rooms": {}})


class Identity:
    """The keys of a user who signs: a device, a master key, and the two that it signs."""

    def __init__(self, user):
        self.user = user
        self.device, self.master, self.self_signing, self.user_signing = (
            SigningKey(secrets.token_bytes(32)) for _ in range(4))

    def device_keys(self):
        value = {"user_id": self.user.id, "device_id": self.user.device,
                 "algorithms": ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
                 "keys": {f"curve25519:{self.user.device}": unpadded(secrets.token_bytes(32)),
                          f"ed25519:{self.user.device}": self.device.public}}
        return self.device.signed(value, self.user.id, self.user.device)

    def key(self, usage, which):
        value = {"user_id": self.user.id, "usage": [usage], "keys": {f"ed25519:{which.public}": which.public}}
        return value if usage == "master" else self.master.signed(value, self.user.id, self.master.public)

    def upload(self):
        self.mine = self.device_keys()
        self.user.call("POST", "/keys/upload", {"device_keys": self.mine})
        self.user.call("POST", "/keys/device_signing/upload", {
            "master_key": self.key("master", self.master), "self_signing_key": self.key("self_signing", self.self_signing),
            "user_signing_key": self.key("user_signing", self.user_signing)})
        return self

    def seen_by(self, asker):
        return asker.call("POST", "/keys/query", {"device_keys": {self.user.id: []}})


@case("a device that its owner signs, and a user whom another signs, are seen signed by those who may")
def signatures(world):
    alice, bob = (Identity(world.server.user()).upload() for _ in range(2))
    signed = alice.self_signing.signed(alice.mine, alice.user.id, alice.self_signing.public)
    answer = alice.user.call("POST", "/keys/signatures/upload", {alice.user.id: {alice.user.device: signed}})
    expect_equal(answer.get("failures", {}), {})
    seen = alice.seen_by(bob.user)["device_keys"][alice.user.id][alice.user.device]
    expect_equal(seen["signatures"][alice.user.id], signed["signatures"][alice.user.id], "bob sees the device signed")
    hers = alice.user_signing.signed(bob.key("master", bob.master), alice.user.id, alice.user_signing.public)
    answer = alice.user.call("POST", "/keys/signatures/upload", {bob.user.id: {bob.master.public: hers}})
    expect_equal(answer.get("failures", {}), {})
    seen = bob.seen_by(alice.user)
    expect_equal(seen["master_keys"][bob.user.id]["signatures"][alice.user.id], hers["signatures"][alice.user.id])
    expect("user_signing_keys" not in seen or bob.user.id not in seen["user_signing_keys"], "whom bob trusts is his own affair")
    expect(alice.user.id not in bob.seen_by(bob.user)["master_keys"][bob.user.id].get("signatures", {}),
           "whom alice trusts is hers: bob does not see it")
    expect(bob.user.id in bob.seen_by(bob.user)["user_signing_keys"], "bob sees his own key")


@case("a signature that does not hold is told of, and not kept")
def bad_signatures(world):
    alice = Identity(world.server.user()).upload()
    signed = alice.self_signing.signed(alice.mine, alice.user.id, alice.self_signing.public)
    name = f"ed25519:{alice.self_signing.public}"
    signed["signatures"][alice.user.id][name] = unpadded(secrets.token_bytes(64))
    answer = alice.user.call("POST", "/keys/signatures/upload", {alice.user.id: {alice.user.device: signed}})
    expect_equal(answer["failures"][alice.user.id][alice.user.device]["errcode"], "M_INVALID_SIGNATURE")
    seen = alice.seen_by(alice.user)["device_keys"][alice.user.id][alice.user.device]
    expect(name not in seen["signatures"][alice.user.id], "the false signature is not kept")
