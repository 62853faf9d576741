"""Registration, login, tokens, devices, profiles, account data."""
from blackbox.matrix import CLIENT, User, quoted
from blackbox.report import case, eventually, expect, expect_equal

PASSWORD = "correct horse battery"


def fresh(world, prefix="person"):
    world.count += 1
    return f"{prefix}.{world.count}"


def with_password(world, user, method, path, body):
    """A request that asks for user-interactive authentication, answered with the password."""
    asked = user.request(method, path, body)
    expect_equal(asked.status, 401, "the first answer asks for authentication")
    expect(any("m.login.password" in flow["stages"] for flow in asked.json["flows"]), f"flows: {asked}")
    auth = {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": user.localpart},
            "password": user.password, "session": asked.json["session"]}
    return user.request(method, path, {**body, "auth": auth})


@case("versions are listed, and the newest room version is the default")
def versions(world):
    listed = world.site.request("GET", "/_matrix/client/versions").json["versions"]
    expect("v1.11" in listed, f"versions {listed}")
    if world.server.kind == "fedchatd":
        expect_equal(listed, [f"v1.{number}" for number in range(1, 20)])
    user = world.server.user()
    rooms = user.call("GET", "/capabilities")["capabilities"]["m.room_versions"]
    expect(set(map(str, range(1, 13))) <= set(rooms["available"]), f"room versions {rooms}")
    if world.server.kind == "fedchatd":
        expect_equal(rooms["default"], "12")


@case("an account is registered by the dummy stage and can log in")
def register(world):
    name = fresh(world)
    body = {"username": name, "password": PASSWORD, "initial_device_display_name": "first"}
    asked = world.site.request("POST", CLIENT + "/register", body)
    if asked.status == 401:
        expect(["m.login.dummy"] in [flow["stages"] for flow in asked.json["flows"]], f"flows: {asked}")
        body["auth"] = {"type": "m.login.dummy", "session": asked.json["session"]}
        asked = world.site.request("POST", CLIENT + "/register", body)
    expect_equal(asked.status, 200, f"{asked}")
    expect_equal(asked.json["user_id"], f"@{name}:{world.server.name}")
    user = world.site.login(name, PASSWORD)
    expect_equal(user.call("GET", "/account/whoami")["device_id"], user.device)
    expect(user.device != asked.json["device_id"], "a second login is a second device")
    flows = world.site.call("GET", "/login")["flows"]
    expect("m.login.password" in [flow["type"] for flow in flows], f"flows {flows}")


@case("a single registration request with the dummy stage is enough where registration is open", only="fedchatd")
def register_at_once(world):
    made = world.site.call("POST", "/register", {
        "username": fresh(world), "password": PASSWORD, "auth": {"type": "m.login.dummy"}})
    expect("access_token" in made, f"{made}")
    quiet = world.site.call("POST", "/register", {
        "username": fresh(world), "password": PASSWORD, "auth": {"type": "m.login.dummy"}, "inhibit_login": True})
    expect("access_token" not in quiet, f"{quiet}")


@case("a name that is taken or not allowed is refused")
def names(world):
    user = world.server.user()
    for name, code in ((user.localpart, "M_USER_IN_USE"), ("no!pe", "M_INVALID_USERNAME"), ("a b", "M_INVALID_USERNAME"),
                       ("x" * 256, "M_INVALID_USERNAME")):
        answer = world.site.request("GET", f"{CLIENT}/register/available?username={quoted(name)}")
        expect_equal((answer.status, answer.errcode), (400, code), name[:20])
        answer = world.site.request("POST", CLIENT + "/register", {
            "username": name, "password": PASSWORD, "auth": {"type": "m.login.dummy"}})
        expect_equal((answer.status, answer.errcode), (400, code), name[:20])
    free = world.site.request("GET", f"{CLIENT}/register/available?username={fresh(world)}")
    expect_equal(free.json, {"available": True})


@case("a wrong password and an unknown user get the same answer")
def wrong_password(world):
    user = world.server.user()
    answers = [world.site.request("POST", CLIENT + "/login", {
        "type": "m.login.password", "identifier": {"type": "m.id.user", "user": name}, "password": "wrong"})
        for name in (user.localpart, "nobody.at.all")]
    expect_equal([(answer.status, answer.errcode) for answer in answers], [(403, "M_FORBIDDEN")] * 2)
    expect_equal(answers[0].json["error"], answers[1].json["error"])


@case("the shared secret registers users and administrators; a wrong proof does not")
def shared_secret(world):
    admin = world.server.user("admin", admin=True)
    expect_equal(admin.call("GET", "/account/whoami")["user_id"], admin.id)
    nonce = world.site.request("GET", "/_synapse/admin/v1/register").json["nonce"]
    answer = world.site.request("POST", "/_synapse/admin/v1/register", {
        "nonce": nonce, "username": fresh(world), "password": PASSWORD, "admin": True, "mac": "0" * 40})
    expect_equal(answer.status, 403, f"{answer}")


@case("a device id may be chosen by the client, and logging in again renews its token", only="fedchatd")
def chosen_device(world):
    user = world.server.user()
    first = world.site.login(user.localpart, user.password, device_id="KITCHEN")
    expect_equal(first.device, "KITCHEN")
    second = world.site.login(user.localpart, user.password, device_id="KITCHEN")
    expect(first.token != second.token, "a new token")
    expect_equal(first.request("GET", "/account/whoami").status, 401, "the old token is dead")
    names = {device["device_id"] for device in second.call("GET", "/devices")["devices"]}
    expect_equal(names, {"KITCHEN", user.device})


@case("logout ends one token, logout/all ends all")
def logout(world):
    user = world.server.user()
    other = world.site.login(user.localpart, user.password)
    third = world.site.login(user.localpart, user.password)
    other.call("POST", "/logout", {})
    answer = other.request("GET", "/account/whoami")
    expect_equal((answer.status, answer.errcode), (401, "M_UNKNOWN_TOKEN"))
    expect_equal(user.request("GET", "/account/whoami").status, 200)
    user.call("POST", "/logout/all", {})
    expect_equal([each.request("GET", "/account/whoami").status for each in (user, third)], [401, 401])


@case("a request without a token and one with a wrong token are told apart")
def tokens(world):
    answer = world.site.request("GET", CLIENT + "/account/whoami")
    expect_equal((answer.status, answer.errcode), (401, "M_MISSING_TOKEN"))
    answer = world.site.request("GET", CLIENT + "/account/whoami", token="nonsense")
    expect_equal((answer.status, answer.errcode), (401, "M_UNKNOWN_TOKEN"))


@case("a refresh token gives a new pair, and the old pair dies when the new is used")
def refresh(world):
    user = world.server.user()
    first = world.site.login(user.localpart, user.password, refresh_token=True)
    expect(first.refresh_token, "a refresh token is given when asked for")
    made = world.site.call("POST", "/refresh", {"refresh_token": first.refresh_token})
    second = User(world.site, {"user_id": user.id, "device_id": first.device, **made}, user.password)
    expect_equal(second.call("GET", "/account/whoami")["device_id"], first.device)
    if world.server.kind == "fedchatd":
        expect_equal(first.request("GET", "/account/whoami").status, 401, "the old access token")
    again = world.site.request("POST", CLIENT + "/refresh", {"refresh_token": first.refresh_token})
    expect_equal(again.status // 100, 4, "the old refresh token")
    expect_equal(world.server.user().refresh_token, None)


@case("the password is changed with user-interactive authentication, and other devices are logged out")
def password(world):
    user = world.server.user()
    other = world.site.login(user.localpart, user.password)
    wrong = user.request("POST", "/account/password", {"new_password": "x", "auth": {
        "type": "m.login.password", "identifier": {"type": "m.id.user", "user": user.localpart}, "password": "wrong"}})
    expect_equal(wrong.status, 401, f"{wrong}")
    answer = with_password(world, user, "POST", "/account/password", {"new_password": "another horse entirely"})
    expect_equal(answer.status, 200, f"{answer}")
    expect_equal(other.request("GET", "/account/whoami").status, 401)
    expect_equal(user.request("GET", "/account/whoami").status, 200)
    world.site.login(user.localpart, "another horse entirely")


@case("devices are listed, renamed, and deleted with the password")
def devices(world):
    user = world.server.user()
    other = world.site.login(user.localpart, user.password, initial_device_display_name="attic")
    user.call("PUT", f"/devices/{quoted(other.device)}", {"display_name": "cellar"})
    expect_equal(user.call("GET", f"/devices/{quoted(other.device)}")["display_name"], "cellar")
    answer = with_password(world, user, "DELETE", f"/devices/{quoted(other.device)}", {})
    expect_equal(answer.status, 200, f"{answer}")
    expect_equal(other.request("GET", "/account/whoami").status, 401)
    gone = user.request("GET", f"/devices/{quoted(other.device)}")
    expect_equal((gone.status, gone.errcode), (404, "M_NOT_FOUND"))


@case("a profile is set and read, and shows in the rooms")
def profile(world):
    user, other = world.server.user(), world.server.user()
    room = user.create_room()
    user.call("PUT", f"/profile/{quoted(user.id)}/displayname", {"displayname": "Zoë 🐘"})
    user.call("PUT", f"/profile/{quoted(user.id)}/avatar_url", {"avatar_url": "mxc://example.org/elephant"})
    expect_equal(other.call("GET", f"/profile/{quoted(user.id)}"),
                 {"displayname": "Zoë 🐘", "avatar_url": "mxc://example.org/elephant"})
    eventually(lambda: user.state(room, "m.room.member", user.id)["displayname"] == "Zoë 🐘", "the name in the room")
    answer = other.request("PUT", f"/profile/{quoted(user.id)}/displayname", {"displayname": "not me"})
    expect_equal((answer.status // 100, answer.errcode), (4, "M_FORBIDDEN"), f"{answer}")
    answer = other.request("GET", f"/profile/{quoted('@nobody.at.all:' + world.server.name)}")
    expect_equal(answer.status, 404, f"{answer}")


@case("account data is kept, per user and per room, for its owner only")
def account_data(world):
    user, other = world.server.user(), world.server.user()
    room = user.create_room()
    for scope in ("", f"/rooms/{quoted(room)}"):
        path = f"/user/{quoted(user.id)}{scope}/account_data/org.example.note"
        expect_equal(user.request("GET", path).errcode, "M_NOT_FOUND")
        user.call("PUT", path, {"text": "remember the milk"})
        expect_equal(user.call("GET", path), {"text": "remember the milk"})
        expect_equal(other.request("GET", path).status, 403)
    answer = user.request("PUT", f"/user/{quoted(user.id)}/account_data/m.push_rules", {})
    expect_equal((answer.status, answer.errcode), (405, "M_BAD_JSON"))


@case("a filter is kept and read")
def filters(world):
    user = world.server.user()
    wanted = {"room": {"timeline": {"limit": 7}}}
    made = user.call("POST", f"/user/{quoted(user.id)}/filter", wanted)["filter_id"]
    expect_equal(user.call("GET", f"/user/{quoted(user.id)}/filter/{quoted(made)}"), wanted)
    expect_equal(user.request("GET", f"/user/{quoted(user.id)}/filter/987654321").status, 404)


@case("the default push rules stand in their order")
def push_rules(world):
    rules = world.server.user().call("GET", "/pushrules/")["global"]
    override = [rule["rule_id"] for rule in rules["override"]]
    underride = [rule["rule_id"] for rule in rules["underride"]]
    expect_equal(override[0], ".m.rule.master")
    if world.server.kind == "fedchatd":
        expect_equal(override[1], ".org.matrix.msc4028.encrypted_event")
        expect_equal(override[:1] + override[2:], [".m.rule." + name for name in (
            "master", "suppress_notices", "invite_for_me", "member_event", "is_user_mention", "is_room_mention", "tombstone",
            "reaction", "room.server_acl", "suppress_edits")])
        expect_equal(underride, [".m.rule." + name for name in (
            "call", "encrypted_room_one_to_one", "room_one_to_one", "message", "encrypted")])
        expect_equal([(rule["rule_id"], rule["enabled"]) for rule in rules["postcontent"]], [
            (f".io.element.msc4306.rule.{name}_thread", on) for name, on in (("unsubscribed", False), ("subscribed", True))])


@case("a deactivated account cannot log in")
def deactivate(world):
    user = world.server.user()
    answer = with_password(world, user, "POST", "/account/deactivate", {})
    expect_equal(answer.status, 200, f"{answer}")
    expect_equal(user.request("GET", "/account/whoami").status, 401)
    answer = world.site.request("POST", CLIENT + "/login", {
        "type": "m.login.password", "identifier": {"type": "m.id.user", "user": user.localpart}, "password": user.password})
    expect_equal(answer.status, 403, f"{answer}")


@case("push rules are made, put in order, changed, switched off and taken away")
def own_push_rules(world):
    user = world.server.user()
    base = "/pushrules/global"
    for number, name in enumerate(("first", "second")):
        user.call("PUT", f"{base}/content/{name}", {"pattern": f"cake{number}", "actions": ["notify"]})
    user.call("PUT", f"{base}/content/third?after=second", {"pattern": "tea", "actions": []})

    def order():
        return [rule["rule_id"] for rule in user.call("GET", base + "/")["content"] if not rule["default"]]

    expect_equal(order(), ["second", "third", "first"])
    found = user.call("GET", f"{base}/content/first")
    expect_equal((found["pattern"], found["actions"], found["enabled"], found["default"]), ("cake0", ["notify"], True, False))
    user.call("PUT", f"{base}/content/first/actions", {"actions": ["notify", {"set_tweak": "highlight"}]})
    expect_equal(user.call("GET", f"{base}/content/first/actions")["actions"], ["notify", {"set_tweak": "highlight"}])
    user.call("PUT", f"{base}/content/first/enabled", {"enabled": False})
    expect_equal(user.call("GET", f"{base}/content/first/enabled"), {"enabled": False})
    user.call("DELETE", f"{base}/content/second")
    expect_equal(order(), ["third", "first"])
    expect_equal(user.request("GET", f"{base}/content/second").status, 404)
    user.call("PUT", f"{base}/override/.m.rule.suppress_notices/enabled", {"enabled": False})
    expect_equal(user.call("GET", f"{base}/override/.m.rule.suppress_notices/enabled"), {"enabled": False})
    for method, path, body in (("DELETE", "/override/.m.rule.master", None), ("PUT", "/content/.m.mine", {"pattern": "x", "actions": []}),
                               ("PUT", "/nonsense/x", {"actions": []}), ("PUT", "/content/x", {"actions": []})):
        answer = user.request(method, base + path, body)
        expect(answer.status in (400, 404), f"{method} {path}: {answer}")
    since = user.sync()["next_batch"]
    user.call("PUT", f"{base}/content/fourth", {"pattern": "pie", "actions": ["notify"]})
    told = [each for each in user.sync(since)["account_data"]["events"] if each["type"] == "m.push_rules"]
    expect("fourth" in str(told), "the changed rules are told in sync")


@case("who administers may ask where a user was; others only about themselves")
def whois(world):
    admin, user, other = world.server.user("admin", admin=True), world.server.user(), world.server.user()
    for asker in (admin, user):
        expect_equal(asker.call("GET", f"/admin/whois/{quoted(user.id)}")["user_id"], user.id)
    expect_equal(other.request("GET", f"/admin/whois/{quoted(user.id)}").status, 403)


@case("no third-party identifiers are bound to a new account")
def third_party(world):
    expect_equal(world.server.user().call("GET", "/account/3pid"), {"threepids": []})


@case("an OpenID token tells who its holder is", only="fedchatd")
def openid(world):
    user, other = world.server.user(), world.server.user()
    made = user.call("POST", f"/user/{quoted(user.id)}/openid/request_token", {})
    expect_equal((made["token_type"], made["matrix_server_name"]), ("Bearer", world.server.name))
    expect_equal(other.request("POST", f"/user/{quoted(user.id)}/openid/request_token", {}).status, 403)


@case("a locked account can do nothing but log out, a suspended one can only read", only="fedchatd")
def moderation(world):
    admin, user = world.server.user("admin", admin=True), world.server.user()
    room = user.create_room()
    expect_equal(user.request("PUT", f"/admin/lock/{quoted(user.id)}", {"locked": True}, prefix="/_matrix/client/v1").status, 403)
    for what, name in (("lock", "locked"), ("suspend", "suspended")):
        path = f"/admin/{what}/{quoted(user.id)}"
        admin.call("PUT", path, {name: True}, prefix="/_matrix/client/v1")
        expect_equal(admin.call("GET", path, prefix="/_matrix/client/v1"), {name: True})
        sent = user.request("PUT", f"/rooms/{quoted(room)}/send/m.room.message/{what}", {"msgtype": "m.text", "body": "x"})
        read = user.request("GET", "/sync")
        if what == "lock":
            expect_equal((sent.status, sent.errcode, sent.json["soft_logout"]), (401, "M_USER_LOCKED", True))
            expect_equal(read.status, 401)
        else:
            expect_equal((sent.status, sent.errcode), (403, "M_USER_SUSPENDED"))
            expect_equal(read.status, 200)
        admin.call("PUT", path, {name: False}, prefix="/_matrix/client/v1")
        user.send(room, f"after {what}")


@case("a single field of a profile is set, read and taken away", only="fedchatd")
def profile_fields(world):
    user, other = world.server.user(), world.server.user()
    path = f"/profile/{quoted(user.id)}/org.example.pronouns"
    user.call("PUT", path, {"org.example.pronouns": ["they", "them"]})
    expect_equal(other.call("GET", path), {"org.example.pronouns": ["they", "them"]})
    expect_equal(other.request("DELETE", path).status, 403)
    user.call("DELETE", path)
    expect_equal(other.request("GET", path).status, 404)
    expect_equal(user.request("PUT", path, {"org.example.pronouns": "x" * 70_000}).status // 100, 4, "too large a profile")


@case("an administrator gives a user another password and ends the sessions")
def reset_by_admin(world):
    admin, user = world.server.user("admin", admin=True), world.server.user()
    path = f"/_synapse/admin/v1/reset_password/{user.id}"
    expect_equal(user.request("POST", path, {"new_password": "mine now"}, prefix="").status, 403)
    admin.call("POST", path, {"new_password": "a third horse", "logout_devices": True}, prefix="")
    expect_equal(user.request("GET", "/account/whoami").status, 401)
    world.site.login(user.localpart, "a third horse")


@case("users are found by the beginnings of their names", only="fedchatd")
def user_directory(world):
    user, other = world.server.user(), world.server.user()
    user.call("PUT", f"/profile/{quoted(user.id)}/displayname", {"displayname": "Quetzalcóatl Plumed-Serpent"})
    for term, finds in (("quetz", True), ("SERP quetzalcó", True), (f"@{user.localpart}", True), (user.id, True),
                        ("lumed", False), ("%", False)):
        found = other.call("POST", "/user_directory/search", {"search_term": term})
        expect_equal(user.id in [each["user_id"] for each in found["results"]], finds, term)
    some = other.call("POST", "/user_directory/search", {"search_term": "person", "limit": 1})
    expect(len(some["results"]) <= 1, f"{some}")


@case("whoever is suspended takes back their own words and nobody else's", only="fedchatd")
def suspended_redactions(world):
    admin, user, other = world.server.user("admin", admin=True), world.server.user(), world.server.user()
    room = user.create_room(preset="public_chat")
    other.join(room)
    own, foreign = user.send(room, "mine"), other.send(room, "theirs")
    admin.call("PUT", f"/admin/suspend/{quoted(user.id)}", {"suspended": True}, prefix="/_matrix/client/v1")
    refused = user.request("PUT", f"/rooms/{quoted(room)}/redact/{quoted(foreign)}/1", {})
    expect_equal((refused.status, refused.errcode), (403, "M_USER_SUSPENDED"))
    user.call("PUT", f"/rooms/{quoted(room)}/redact/{quoted(own)}/2", {})
    refused = user.request("PUT", f"/profile/{quoted(user.id)}/displayname", {"displayname": "x"})
    expect_equal((refused.status, refused.errcode), (403, "M_USER_SUSPENDED"))
    user.call("POST", f"/rooms/{quoted(room)}/leave", {})


@case("documents are agreed to, guests come in, and helpers are named, where a server is set up so", only="fedchatd")
def terms_guests_support(world):
    terms = [{"id": "tos", "version": "1", "languages": {"en": {"name": "Terms", "url": "https://example.org/terms"}}}]
    contacts = [{"role": "m.role.admin", "matrix_id": "@admin:example.org", "email_address": "admin@example.org"}]
    with world.another(registration={"open": True, "guests": True, "terms": terms, "password_hash_cost": "minimum"},
                       support={"contacts": contacts, "support_page": "https://example.org/help"}) as server:
        site = server.site
        told = site.request("GET", "/.well-known/matrix/support").json
        expect_equal(told, {"contacts": contacts, "support_page": "https://example.org/help"})
        body = {"username": "agreeable", "password": PASSWORD}
        asked = site.request("POST", CLIENT + "/register", body)
        expect_equal((asked.status, asked.json["flows"]), (401, [{"stages": ["m.login.terms"]}]))
        expect_equal(asked.json["params"]["m.login.terms"]["policies"],
                     {"tos": {"version": "1", "en": {"name": "Terms", "url": "https://example.org/terms"}}})
        made = site.call("POST", "/register", {**body, "auth": {"type": "m.login.terms", "session": asked.json["session"]}})
        host = User(site, made, PASSWORD)
        guest = User(site, site.call("POST", "/register?kind=guest", {}), None)
        room = host.create_room(preset="public_chat")
        refused = guest.request("POST", f"/rooms/{quoted(room)}/join", {})
        expect_equal((refused.status, refused.errcode), (403, "M_GUEST_ACCESS_FORBIDDEN"))
        access = f"/rooms/{quoted(room)}/state/m.room.guest_access/"
        host.call("PUT", access, {"guest_access": "can_join"})
        guest.call("POST", f"/rooms/{quoted(room)}/join", {})
        guest.send(room, "hello")
        host.call("PUT", access, {"guest_access": "forbidden"})
        eventually(lambda: host.state(room, "m.room.member", guest.id)["membership"] == "leave", "the guest is taken out")
