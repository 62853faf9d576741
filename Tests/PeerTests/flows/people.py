"""What is about people and devices rather than rooms' events: typing, receipts, presence, profiles, keys, directories."""
import base64

from blackbox.matrix import quoted
from blackbox.report import Skipped, expect, expect_equal

from canonicaljson import encode_canonical_json
from nacl.signing import SigningKey

from . import flow
from .scene import PATIENCE, ephemeral, query


@flow("typing", quick=True)
def typing(scene):
    host, guest, room = scene.shared()
    for one, other in ((host, guest), (guest, host)):
        since = other.sync()["next_batch"]
        one.call("PUT", f"/rooms/{quoted(room)}/typing/{quoted(one.id)}", {"typing": True, "timeout": 25_000})
        since = other.sync_until(lambda answer: any(one.id in each["user_ids"] for each in ephemeral(answer, room, "m.typing")),
                                 since, PATIENCE)["next_batch"]
        one.call("PUT", f"/rooms/{quoted(room)}/typing/{quoted(one.id)}", {"typing": False})
        other.sync_until(lambda answer: any(one.id not in each["user_ids"] for each in ephemeral(answer, room, "m.typing")),
                         since, PATIENCE)
    scene.alike(room, host, guest)


@flow("receipts, in the room and in a thread", quick=True)
def receipts(scene):
    host, guest, room = scene.shared()
    for one, other in ((host, guest), (guest, host)):
        root = other.send(room, "read this")
        scene.sees(one, room, root)
        reply = other.send(room, {"msgtype": "m.text", "body": "and this", "m.relates_to": {"rel_type": "m.thread", "event_id": root}})
        scene.sees(one, room, reply)
        for event, body, thread in ((root, {}, None), (reply, {"thread_id": root}, root)):
            since = other.sync()["next_batch"]
            one.call("POST", f"/rooms/{quoted(room)}/receipt/m.read/{quoted(event)}", body)
            answer = other.sync_until(lambda answer: any(
                one.id in each.get(event, {}).get("m.read", {}) for each in ephemeral(answer, room, "m.receipt")), since, PATIENCE)
            receipt = next(each for each in ephemeral(answer, room, "m.receipt") if event in each)[event]["m.read"][one.id]
            expect_equal(receipt.get("thread_id"), thread, "the thread of the receipt")
        # A private receipt stays at home.
        last = other.send(room, "read in private")
        scene.sees(one, room, last)
        one.call("POST", f"/rooms/{quoted(room)}/receipt/m.read.private/{quoted(last)}", {})
        since = other.sync()["next_batch"]
        public = other.send(room, "read in public")
        scene.sees(one, room, public)
        one.call("POST", f"/rooms/{quoted(room)}/receipt/m.read/{quoted(public)}", {})
        seen = []

        def heard(answer):
            seen.extend(ephemeral(answer, room, "m.receipt"))
            return any(one.id in each.get(public, {}).get("m.read", {}) for each in seen)
        other.sync_until(heard, since, PATIENCE)
        expect(not any("m.read.private" in types for each in seen for types in each.values()), f"a private receipt came: {seen}")
    scene.alike(room, host, guest)


@flow("presence", versions=None)
def presence(scene):
    host, guest, room = scene.shared()

    def status_of(answer, user):
        return [each["content"].get("status_msg") for each in answer.get("presence", {}).get("events", []) if each["sender"] == user.id]
    for one, other in ((host, guest), (guest, host)):
        since = other.sync()["next_batch"]
        one.call("PUT", f"/presence/{quoted(one.id)}/status", {"presence": "online", "status_msg": "at the market"})
        other.sync_until(lambda answer: "at the market" in status_of(answer, one), since, PATIENCE)
        found = other.call("GET", f"/presence/{quoted(one.id)}/status")
        expect_equal((found["presence"], found.get("status_msg")), ("online", "at the market"))


@flow("profiles: asked for, changed, in rooms", versions=None, quick=True)
def profiles(scene):
    host, guest = scene.people()
    host.call("PUT", f"/profile/{quoted(host.id)}/displayname", {"displayname": "The Host 🫖"})
    host.call("PUT", f"/profile/{quoted(host.id)}/avatar_url", {"avatar_url": f"mxc://{host.server_name}/abc"})
    found = guest.call("GET", f"/profile/{quoted(host.id)}")
    expect_equal((found["displayname"], found["avatar_url"]), ("The Host 🫖", f"mxc://{host.server_name}/abc"))
    expect_equal(guest.call("GET", f"/profile/{quoted(host.id)}/displayname"), {"displayname": "The Host 🫖"})
    answer = guest.request("GET", f"/profile/{quoted('@nobody:' + host.server_name)}")
    expect_equal((answer.status, answer.errcode), (404, "M_NOT_FOUND"))
    room = scene.room(host)
    scene.bring(host, guest, room)
    expect_equal(guest.state(room, "m.room.member", host.id)["displayname"], "The Host 🫖")
    guest.call("PUT", f"/profile/{quoted(guest.id)}/displayname", {"displayname": "The Guest"})
    scene.until(lambda: host.state(room, "m.room.member", guest.id).get("displayname") == "The Guest", "the new name arrives")
    scene.alike(room, host, guest)


@flow("a custom profile field", versions=None)
def profile_field(scene):
    host, guest = scene.people()
    answer = host.request("PUT", f"/profile/{quoted(host.id)}/org.example.hat", {"org.example.hat": {"color": "red"}})
    if answer.errcode == "M_UNRECOGNIZED":
        raise Skipped(f"{scene.host.kind} has no custom profile fields")
    expect_equal(answer.status, 200, f"{answer}")
    found = guest.call("GET", f"/profile/{quoted(host.id)}/org.example.hat")
    expect_equal(found, {"org.example.hat": {"color": "red"}})


@flow("OpenID: whose token it is, asked by others", versions=None, quick=True)
def openid(scene):
    """Identity servers and widgets ask without a signature, so that is taken too.
    Spec: https://spec.matrix.org/v1.19/server-server-api/#openid"""
    host, guest = scene.people()
    path = "/_matrix/federation/v1/openid/userinfo"
    for user, server, other in ((host, scene.host, scene.guest), (guest, scene.guest, scene.host)):
        given = user.call("POST", f"/user/{quoted(user.id)}/openid/request_token", {})
        expect_equal((given["token_type"], given["matrix_server_name"]), ("Bearer", server.name), f"what {server.kind} gives")
        expect(given["expires_in"] > 0, f"expires_in: {given['expires_in']}")
        whose = f"{path}?{query(access_token=given['access_token'])}"
        expect_equal(scene.world.signed(other, server, "GET", whose), (200, {"sub": user.id}), f"signed, at {server.kind}")
        expect_equal(scene.world.plain(server, "GET", whose), (200, {"sub": user.id}), f"plain, at {server.kind}")
        expect_equal(user.site.request("GET", "/_matrix/client/v3/account/whoami", token=given["access_token"]).status, 401,
                     "it is no access token")
        for where, asked in ((other, whose), (server, f"{path}?{query(access_token='nonsense')}"), (server, path)):
            status, answer = scene.world.plain(where, "GET", asked)
            expect_equal(status, 401, f"{asked} at {where.kind}: {answer}")
            expect_equal(answer["errcode"], "M_MISSING_TOKEN" if asked == path else "M_UNKNOWN_TOKEN", f"at {where.kind}: {answer}")
        # A token of the client's own is none of these.
        status, answer = scene.world.plain(server, "GET", f"{path}?{query(access_token=user.token)}")
        expect_equal(status, 401, f"an access token at {server.kind}: {answer}")


@flow("joining by an alias; the directory", quick=True)
def alias(scene):
    host, guest = scene.people()
    name = f"square{host.localpart}{scene.version}"
    room = scene.room(host, preset="public_chat", room_alias_name=name)
    found = guest.call("GET", f"/directory/room/{quoted(f'#{name}:{host.server_name}')}")
    expect_equal(found["room_id"], room)
    expect(host.server_name in found["servers"], f"servers: {found['servers']}")
    expect_equal(guest.join(f"#{name}:{host.server_name}"), room)
    scene.membership(host, room, guest, "join")
    scene.say_and_hear(guest, host, room, "here by name")
    answer = guest.request("GET", f"/directory/room/{quoted(f'#nothing:{host.server_name}')}")
    expect_equal((answer.status, answer.errcode), (404, "M_NOT_FOUND"))
    scene.alike(room, host, guest)


@flow("public rooms of the other server, pages and search", versions=None, quick=True)
def public_rooms(scene):
    host, guest = scene.people()
    made = [scene.room(host, preset="public_chat", visibility="public", name=f"Market {host.localpart} {number}", topic="fish")
            for number in range(3)]
    inside = {"generic_search_term": f"Market {host.localpart} "}
    found = guest.call("POST", f"/publicRooms?{query(server=host.server_name)}", {"filter": inside, "limit": 10})
    expect_equal(sorted(each["room_id"] for each in found["chunk"]), sorted(made))
    each = found["chunk"][0]
    expect_equal((each["topic"], each["num_joined_members"], each["join_rule"]), ("fish", 1, "public"))
    everything, since = [], None
    for _ in range(200):
        page = guest.call("GET", f"/publicRooms?{query(server=host.server_name, limit=2, **({'since': since} if since else {}))}")
        everything += [each["room_id"] for each in page["chunk"]]
        since = page.get("next_batch")
        if not since:
            break
    expect(set(made) <= set(everything), f"{set(made) - set(everything)} are not on any page")


@flow("spaces: the hierarchy over federation")
def hierarchy(scene):
    host, guest = scene.people()
    child, secret = scene.room(host, preset="public_chat", name="Child"), scene.room(host, name="Secret")
    inner = scene.room(host, preset="public_chat", name="Inner", creation_content={"type": "m.space"})
    leaf = scene.room(host, preset="public_chat", name="Leaf")
    space = scene.room(host, preset="public_chat", name="Space", creation_content={"type": "m.space"})
    for parent, room in ((space, child), (space, secret), (space, inner), (inner, leaf)):
        host.set_state(parent, "m.space.child", {"via": [host.server_name]}, room)
    own = guest.create_room(preset="public_chat", name="Ours", creation_content={"type": "m.space"})
    guest.set_state(own, "m.space.child", {"via": [host.server_name]}, space)
    answer = guest.request("GET", f"/rooms/{quoted(own)}/hierarchy?limit=20", prefix="/_matrix/client/v1")
    if answer.errcode == "M_UNRECOGNIZED":
        raise Skipped(f"{scene.guest.kind} has no space hierarchy")
    expect_equal(answer.status, 200, f"{answer}")
    found = [each["room_id"] for each in answer.json["rooms"]]
    if space not in found:
        status, _ = scene.world.signed(scene.guest, scene.host, "GET", f"/_matrix/federation/v1/hierarchy/{quoted(space)}")
        if status == 404:
            raise Skipped(f"{scene.host.kind} has no space hierarchy")
    expect_equal(sorted(found), sorted([own, space, child, inner, leaf]), "the rooms")
    names = {each["room_id"]: each.get("name") for each in answer.json["rooms"]}
    expect_equal((names[space], names[leaf]), ("Space", "Leaf"))


# Devices and keys.

def unpadded(data):
    return base64.b64encode(data).decode().rstrip("=")


def signed(value, user, key, key_id):
    plain = {name: each for name, each in value.items() if name not in ("signatures", "unsigned")}
    signatures = {**value.get("signatures", {})}
    signatures.setdefault(user.id, {})[key_id] = unpadded(key.sign(encode_canonical_json(plain)).signature)
    return {**value, "signatures": signatures}


def upload_device(user, one_time=0, fallback=False):
    """Device keys and one-time keys, rightly signed; returns the device keys and the key that signed."""
    key = SigningKey.generate()
    key_id = f"ed25519:{user.device}"
    device = signed({"user_id": user.id, "device_id": user.device, "algorithms": ["m.olm.v1.curve25519-aes-sha2"],
                     "keys": {f"curve25519:{user.device}": unpadded(bytes(SigningKey.generate().verify_key)),
                              key_id: unpadded(bytes(key.verify_key))}}, user, key, key_id)
    body = {"device_keys": device, "one_time_keys": {
        f"signed_curve25519:K{number}": signed({"key": unpadded(bytes([number] * 32))}, user, key, key_id) for number in range(one_time)}}
    if fallback:
        body["fallback_keys"] = {"signed_curve25519:F": signed({"key": unpadded(bytes([99] * 32)), "fallback": True}, user, key, key_id)}
    user.call("POST", "/keys/upload", body)
    return device, key


@flow("device keys, one-time keys, fallback keys", versions=None, quick=True)
def keys(scene):
    host, guest, room = scene.shared()
    device, _ = upload_device(host, one_time=3, fallback=True)
    found = guest.call("POST", "/keys/query", {"device_keys": {host.id: []}})
    got = found["device_keys"].get(host.id, {}).get(host.device)
    expect(got, f"keys/query: {found}")
    expect_equal({key: value for key, value in got.items() if key != "unsigned"}, device)
    claimed = []
    for _ in range(5):
        answer = guest.call("POST", "/keys/claim", {"one_time_keys": {host.id: {host.device: "signed_curve25519"}}})
        claimed += list(answer["one_time_keys"][host.id][host.device])
    expect_equal(sorted(claimed[:3]), [f"signed_curve25519:K{number}" for number in range(3)], "each one-time key once")
    expect_equal(claimed[3:], ["signed_curve25519:F"] * 2, "then the fallback key")


@flow("to-device messages, in order, each once", versions=None, quick=True)
def to_device(scene):
    host, guest = scene.people()
    for one, other in ((host, guest), (guest, host)):
        since = other.sync()["next_batch"]
        for number in range(30):
            one.call("PUT", f"/sendToDevice/org.example.note/{one.device}{number}", {
                "messages": {other.id: {("*" if number % 2 else other.device): {"number": number}}}})
        got = []

        def all_there(answer):
            got.extend(each["content"]["number"] for each in answer.get("to_device", {}).get("events", []))
            return len(got) >= 30
        other.sync_until(all_there, since, PATIENCE)
        expect_equal(got, list(range(30)))


@flow("device list updates", versions=None, quick=True)
def device_lists(scene):
    host, guest, room = scene.shared()
    upload_device(host)
    guest.call("POST", "/keys/query", {"device_keys": {host.id: []}})

    def changed(since, user):
        return guest.sync_until(lambda answer: user.id in answer.get("device_lists", {}).get("changed", []), since, PATIENCE)["next_batch"]

    def devices():
        return sorted(guest.call("POST", "/keys/query", {"device_keys": {host.id: []}})["device_keys"].get(host.id, {}))
    since = guest.sync()["next_batch"]
    second = scene.host.site.login(host.localpart, host.password, initial_device_display_name="second")
    upload_device(second)
    since = changed(since, host)
    scene.until(lambda: devices() == sorted([host.device, second.device]), "both devices")
    second.call("POST", "/logout", {})
    changed(since, host)
    scene.until(lambda: devices() == [host.device], "the one device that is left")
    since = guest.sync()["next_batch"]
    host.leave(room)
    guest.sync_until(lambda answer: host.id in answer.get("device_lists", {}).get("left", []), since, PATIENCE)


@flow("cross-signing keys", versions=None)
def cross_signing(scene):
    host, guest, room = scene.shared()
    device, device_key = upload_device(host)
    guest.call("POST", "/keys/query", {"device_keys": {host.id: []}})
    since = guest.sync()["next_batch"]
    master, own, others = (SigningKey.generate() for _ in range(3))
    master_id = f"ed25519:{unpadded(bytes(master.verify_key))}"

    def public(key, usage):
        name = unpadded(bytes(key.verify_key))
        return {"user_id": host.id, "usage": [usage], "keys": {f"ed25519:{name}": name}}
    body = {"master_key": signed(public(master, "master"), host, device_key, f"ed25519:{host.device}"),
            "self_signing_key": signed(public(own, "self_signing"), host, master, master_id),
            "user_signing_key": signed(public(others, "user_signing"), host, master, master_id)}
    answer = host.request("POST", "/keys/device_signing/upload", body)
    if answer.status == 401:
        answer = host.request("POST", "/keys/device_signing/upload", {**body, "auth": {
            "type": "m.login.password", "session": answer.json["session"], "password": host.password,
            "identifier": {"type": "m.id.user", "user": host.id}}})
    expect_equal(answer.status, 200, f"{answer}")
    own_id = f"ed25519:{unpadded(bytes(own.verify_key))}"
    failures = host.call("POST", "/keys/signatures/upload", {host.id: {host.device: signed(device, host, own, own_id)}})["failures"]
    expect_equal(failures, {})
    guest.sync_until(lambda answer: host.id in answer.get("device_lists", {}).get("changed", []), since, PATIENCE)

    def all_there():
        found = guest.call("POST", "/keys/query", {"device_keys": {host.id: []}})
        signatures = found["device_keys"].get(host.id, {}).get(host.device, {}).get("signatures", {}).get(host.id, {})
        return (list(found.get("master_keys", {}).get(host.id, {}).get("keys", {})) == [master_id]
                and list(found.get("self_signing_keys", {}).get(host.id, {}).get("keys", {})) == [own_id]
                and own_id in signatures)
    scene.until(all_there, "master key, self-signing key and the signed device")
    found = guest.call("POST", "/keys/query", {"device_keys": {host.id: []}})
    expect(host.id not in found.get("user_signing_keys", {}), "a user-signing key is shown to somebody else")
    theirs = found["master_keys"][host.id]
    expect_equal(theirs["signatures"][host.id], body["master_key"]["signatures"][host.id])
