"""The same request several times at once, as clients do that retry, or that have two tasks: it holds, and never fails."""
import secrets
from concurrent.futures import ThreadPoolExecutor

from blackbox.matrix import CLIENT, quoted
from blackbox.report import case, expect, expect_equal
from cases.backup import Identity, session

TIMES, ROUNDS = 4, 5


def statuses(make, send):
    """`send(make())` by several threads at once, again and again; the statuses, without those that are right."""
    found = []
    with ThreadPoolExecutor(TIMES) as threads:
        for _ in range(ROUNDS):
            given = make()
            found += threads.map(lambda _: send(given), range(TIMES))
    return found


def together(make, send, also=(), what=""):
    answers = statuses(make, send)
    wrong = [answer for answer in answers if answer.status != 200 and answer.status not in also]
    expect(not wrong, f"{what} {len(wrong)} of {len(answers)}: {wrong[:2]}")
    expect(any(answer.status == 200 for answer in answers), f"none was right: {answers[:2]}")


@case("one device uploads the same keys several times at once")
def keys(world):
    def make():
        user = world.server.user()
        return user, {
            "device_keys": Identity(user).device_keys(),
            "one_time_keys": {f"signed_curve25519:K{number}": {"key": secrets.token_hex(8), "signatures": {}} for number in range(50)},
            "fallback_keys": {"signed_curve25519:F": {"key": secrets.token_hex(8), "fallback": True, "signatures": {}}}}

    together(make, lambda given: given[0].request("POST", "/keys/upload", given[1]))


# Synapse answers some of these with 500.
@case("cross-signing keys and signatures are uploaded several times at once", only="fedchatd")
def cross_signing(world):
    def make():
        identity = Identity(world.server.user())
        identity.mine = identity.device_keys()
        identity.user.call("POST", "/keys/upload", {"device_keys": identity.mine})
        return identity, {
            "master_key": identity.key("master", identity.master),
            "self_signing_key": identity.key("self_signing", identity.self_signing),
            "user_signing_key": identity.key("user_signing", identity.user_signing)}

    def sign(given):
        identity = given[0]
        signed = identity.self_signing.signed(identity.mine, identity.user.id, identity.self_signing.public)
        return identity.user.request("POST", "/keys/signatures/upload", {identity.user.id: {identity.user.device: signed}})

    def make_uploaded():
        given = make()
        given[0].user.call("POST", "/keys/device_signing/upload", given[1])
        return given

    together(make, lambda given: given[0].user.request("POST", "/keys/device_signing/upload", given[1]))
    together(make_uploaded, sign)


@case("backups of keys are made and filled several times at once")
def backups(world):
    user = world.server.user()
    body = {"algorithm": "m.megolm_backup.v1.curve25519-aes-sha2", "auth_data": {"public_key": "YQ", "signatures": {}}}
    together(lambda: body, lambda given: user.request("POST", "/room_keys/version", given))
    version = user.call("GET", "/room_keys/version")["version"]
    together(lambda: {"rooms": {"!a:b": {"sessions": {secrets.token_hex(4): session(0) for _ in range(5)}}}},
             lambda given: user.request("PUT", f"/room_keys/keys?version={version}", given))
    expect_equal(user.call("GET", f"/room_keys/version/{version}")["count"], 5 * ROUNDS)


# Synapse limits presence.
@case("what belongs to an account is written several times at once", only="fedchatd")
def accounts(world):
    user = world.server.user()
    room = user.create_room()
    event = user.send(room, "hello")
    me, here = quoted(user.id), quoted(room)
    for method, path, body in (
        ("PUT", f"/user/{me}/account_data/org.example.NAME", {"a": 1}),
        ("PUT", f"/user/{me}/rooms/{here}/account_data/org.example.NAME", {"a": 1}),
        ("PUT", f"/user/{me}/rooms/{here}/tags/u.NAME", {"order": 0.5}),
        ("PUT", "/pushrules/global/content/NAME", {"pattern": "x", "actions": ["notify"]}),
        ("PUT", f"/profile/{me}/org.example.NAME", {"org.example.NAME": 1}),
        ("PUT", f"/profile/{me}/displayname", {"displayname": "NAME"}),
        ("PUT", f"/presence/{me}/status", {"presence": "online", "status_msg": "NAME"}),
        ("POST", f"/user/{me}/filter", {"room": {"timeline": {"types": ["NAME"]}}}),
        ("POST", f"/rooms/{here}/receipt/m.read/{quoted(event)}", {}),
        ("POST", f"/rooms/{here}/read_markers", {"m.fully_read": event, "m.read": event}),
        ("PUT", f"/rooms/{here}/typing/{me}", {"typing": True, "timeout": 1000}),
        ("PUT", f"/devices/{quoted(user.device)}", {"display_name": "NAME"}),
        ("PUT", "/sendToDevice/org.example.note/NAME", {"messages": {user.id: {"*": {"a": 1}}}}),
    ):
        def send(name, method=method, path=path, body=body):
            said = {key.replace("NAME", name): name if value == "NAME" else value for key, value in body.items()}
            return user.request(method, path.replace("NAME", name), said)

        if world.server.kind == "fedchatd" or "org.example" not in path:
            together(lambda: "n" + secrets.token_hex(4), send, what=path)
    told = [each["type"] for each in user.sync()["to_device"]["events"]]
    expect_equal(len(told), ROUNDS, "a message to a device comes once for each transaction")


# Synapse answers some of these with 500.
@case("rooms are made, named, entered and left several times at once", only="fedchatd")
def rooms(world):
    user, other = world.server.user(), world.server.user()
    together(lambda: "a" + secrets.token_hex(4), lambda name: user.request("POST", "/createRoom", {"room_alias_name": name}), also=(400,))
    room = user.create_room(preset="public_chat")
    here = quoted(room)
    together(lambda: f"#{secrets.token_hex(4)}:{world.server.name}",
             lambda alias: user.request("PUT", f"/directory/room/{quoted(alias)}", {"room_id": room}), also=(409,))
    together(lambda: None, lambda _: user.request("PUT", f"/directory/list/room/{here}", {"visibility": "public"}))
    together(lambda: secrets.token_hex(4), lambda name: user.request("PUT", f"/rooms/{here}/state/m.room.topic/", {"topic": name}))
    together(lambda: secrets.token_hex(4), lambda name: user.request(
        "PUT", f"/rooms/{here}/send/m.room.message/{name}", {"msgtype": "m.text", "body": name}))
    expect_equal(len(user.bodies(room)), ROUNDS, "a message comes once for each transaction")
    for _ in range(2):
        together(lambda: None, lambda _: other.request("POST", f"/join/{here}", {}))
        together(lambda: None, lambda _: other.request("POST", f"/rooms/{here}/leave", {}), also=(403,))
    together(lambda: None, lambda _: user.request("POST", f"/rooms/{here}/invite", {"user_id": other.id}), also=(403,))
    together(lambda: None, lambda _: other.request("POST", f"/rooms/{here}/leave", {}), also=(403,))
    together(lambda: None, lambda _: other.request("POST", f"/rooms/{here}/forget", {}), also=(400, 404))


@case("one name is registered by one of those who ask at once")
def names(world):
    def send(name):
        first = world.site.request("POST", f"{CLIENT}/register", {"username": name, "password": "correct horse battery"})
        return world.site.request("POST", f"{CLIENT}/register", {
            "username": name, "password": "correct horse battery",
            "auth": {"type": "m.login.dummy", "session": first.json.get("session")}}) if first.status == 401 else first

    answers = statuses(lambda: "n" + secrets.token_hex(4), send)
    taken = [(answer.status, answer.errcode) for answer in answers if answer.status != 200]
    expect_equal(set(taken), {(400, "M_USER_IN_USE")})
    expect_equal(len(answers) - len(taken), ROUNDS, "one got each name")


@case("a token is refreshed by several at once, as two tasks of one client do")
def refreshing(world):
    user = world.server.user()
    made = [world.site.login(user.localpart, user.password, refresh_token=True) for _ in range(ROUNDS)]
    answers = statuses(lambda: made.pop(), lambda device: world.site.request(
        "POST", f"{CLIENT}/refresh", {"refresh_token": device.refresh_token}))
    expect_equal({answer.status for answer in answers} - {401}, {200})
