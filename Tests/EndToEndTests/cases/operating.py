"""What an operator does: the command line, the configuration, start and stop, logs."""
import json
import os
import pathlib
import re
import secrets
import signal
import stat
import time

from blackbox.ed25519 import unpadded
from blackbox.matrix import quoted
from blackbox.report import case, eventually, expect, expect_equal, said


@case("the version and the help are told", only="fedchatd")
def version(world):
    done = world.server.run("--version")
    expect(done.returncode == 0 and re.search(r"\d+\.\d+\.\d+", done.stdout), said(done))
    for arguments in (["--help"], ["serve", "--help"], ["init", "--help"], ["users", "--help"], ["keys", "--help"]):
        done = world.server.run(*arguments)
        expect(done.returncode == 0 and "USAGE" in done.stdout.upper(), said(done))
    done = world.server.run("no-such-command")
    expect_equal(done.returncode, 1, said(done))


@case("init writes a configuration that is right, a key that is secret, and never overwrites", only="fedchatd")
def init(world):
    folder = world.folder / "fresh"
    folder.mkdir()
    arguments = ["init", "--server-name", "example.org", "--public-base-url", "https://matrix.example.org", "--dir", folder]
    done = world.server.run(*arguments)
    expect_equal(done.returncode, 0, said(done))
    text = (folder / "fedchatd.yaml").read_text()
    for key in ("server_name", "public_base_url", "sqlite", "registration", "rate_limits", "timeouts", "limits"):
        expect(key in text, f"{key} is not in fedchatd.yaml")
    key = folder / "federation-keys" / "signing.key"
    expect_equal(stat.S_IMODE(key.stat().st_mode), 0o600, "the key's mode")
    expect_equal(stat.S_IMODE(key.parent.stat().st_mode), 0o700, "the folder's mode")
    kept = key.read_bytes()
    done = world.server.run("check-config", "--config", folder / "fedchatd.yaml")
    expect_equal(done.returncode, 0, said(done))
    done = world.server.run(*arguments)
    expect_equal(done.returncode, 1, said(done))
    expect(key.read_bytes() == kept, "the key is what it was")


@case("a wrong configuration stops the start with one line that names file and key", only="fedchatd")
def wrong_configuration(world):
    for change, key in (({"no_such_key": 1}, "no_such_key"), ({"registration": {"opne": True}}, "opne"),
                        ({"registration": {"open": "perhaps"}}, "registration.open"), ({"server_name": "two words"}, "server_name"),
                        ({"database": {}}, "database"), ({"listeners": [{"port": 99999}]}, "listeners"),
                        ({"rooms": {"default_version": "99"}}, "rooms.default_version")):
        other = world.another(**change)
        for arguments in (["check-config", "--config", other.configuration], ["--config", other.configuration]):
            done = other.run(*arguments)
            expect_equal(done.returncode, 1, f"{change}: {said(done)}")
            lines = [line for line in (done.stdout + done.stderr).splitlines() if key in line]
            expect(lines and "fedchatd.yaml" in lines[0], f"{change}: {said(done)}")
    missing = world.server.run("check-config", "--config", world.folder / "nothing.yaml")
    expect_equal(missing.returncode, 1, said(missing))


@case("an environment variable overrides a key", only="fedchatd")
def environment(world):
    other = world.another()
    os.environ["FEDCHATD_REGISTRATION__OPEN"] = "perhaps"
    try:
        done = other.run("check-config", "--config", other.configuration)
    finally:
        del os.environ["FEDCHATD_REGISTRATION__OPEN"]
    expect_equal(done.returncode, 1, said(done))
    expect_equal(other.run("check-config", "--config", other.configuration).returncode, 0)


@case("an operator makes, lists and changes users while the server runs", only="fedchatd")
def users(world):
    server, world.count = world.server, world.count + 1
    name = f"made{world.count}"
    done = server.run("users", "create", name, "--config", server.configuration, input="a long enough password\n")
    expect_equal(done.returncode, 0, said(done))
    user = server.site.login(name, "a long enough password")
    listed = server.run("users", "list", "--config", server.configuration)
    expect(listed.returncode == 0 and name in listed.stdout, said(listed))
    done = server.run("users", "reset-password", name, "--config", server.configuration, input="another long password\n")
    expect_equal(done.returncode, 0, said(done))
    server.site.login(name, "another long password")
    done = server.run("users", "deactivate", name, "--config", server.configuration)
    expect_equal(done.returncode, 0, said(done))
    expect_equal(user.request("GET", "/account/whoami").status, 401)


@case("a registration token lets its holder in, until it is revoked", only="fedchatd")
def registration_tokens(world):
    other = world.another(registration={"require_token": True, "open": True, "password_hash_cost": "minimum"})
    with other:
        done = other.run("registration-tokens", "create", "--config", other.configuration)
        expect_equal(done.returncode, 0, said(done))
        token = re.search(r"[A-Za-z0-9._~-]{8,}", done.stdout).group(0)
        path = "/_matrix/client/v1/register/m.login.registration_token/validity?token="
        expect_equal(other.site.request("GET", path + quoted(token)).json, {"valid": True})
        expect_equal(other.site.request("GET", path + "nonsense").json, {"valid": False})
        body = {"username": "holder", "password": "correct horse battery"}
        asked = other.site.request("POST", "/_matrix/client/v3/register", body)
        expect_equal(asked.status, 401, f"{asked}")
        for auth in ({"type": "m.login.registration_token", "token": "nonsense"}, {"type": "m.login.dummy"}):
            answer = other.site.request("POST", "/_matrix/client/v3/register", {**body, "auth": {**auth, "session": asked.json["session"]}})
            expect_equal(answer.status, 401, f"{auth}: {answer}")
        answer = other.site.request("POST", "/_matrix/client/v3/register", {**body, "auth": {
            "type": "m.login.registration_token", "token": token, "session": asked.json["session"]}})
        expect_equal(answer.status, 200, f"{answer}")
        done = other.run("registration-tokens", "revoke", token, "--config", other.configuration)
        expect_equal(done.returncode, 0, said(done))
        expect_equal(other.site.request("GET", path + quoted(token)).json, {"valid": False})


@case("closed registration is refused", only="fedchatd")
def closed(world):
    with world.another(registration={"open": False}) as other:
        answer = other.site.request("POST", "/_matrix/client/v3/register", {"username": "x", "password": "correct horse battery"})
        expect_equal((answer.status, answer.errcode), (403, "M_FORBIDDEN"), f"{answer}")
        answer = other.site.request("GET", "/_synapse/admin/v1/register")
        expect_equal((answer.status, answer.errcode), (404, "M_UNRECOGNIZED"), f"{answer}")


@case("a key is rotated: the old one is published as old, and old events stay", only="fedchatd")
def rotation(world):
    other = world.another()

    def published():
        return other.site.request("GET", "/_matrix/key/v2/server").json

    with other:
        before = published()
        expect_equal(before["server_name"], other.name)
        shown = other.run("keys", "show", "--config", other.configuration)
        expect(shown.returncode == 0 and list(before["verify_keys"])[0] in shown.stdout, said(shown))
        done = other.run("keys", "rotate", "--config", other.configuration)
        expect_equal(done.returncode, 0, said(done))
        other.restart()
        after = published()
        expect(set(after["verify_keys"]).isdisjoint(before["verify_keys"]), "a new key")
        expect_equal(len(after["verify_keys"]), 1)
        expect(set(before["verify_keys"]) <= set(after["old_verify_keys"]), "the old key is published as old")
        expect(after["valid_until_ts"] > time.time() * 1000, "valid_until_ts")


@case("a signing key that others can read stops the start", only="fedchatd")
def readable_key(world):
    other = world.another()
    with other:
        pass
    key = other.folder / "federation-keys" / "signing.key"
    key.chmod(0o644)
    done = other.run("--config", other.configuration)
    expect_equal(done.returncode, 1, said(done))
    expect("signing.key" in done.stderr + done.stdout, said(done))


@case("a busy port and an unreachable database end with status 3", only="fedchatd")
def unreachable(world):
    other = world.another()
    other.settings["listeners"][0]["port"] = world.server.client_port
    other.write()
    done = other.run("--config", other.configuration)
    expect_equal(done.returncode, 3, said(done))
    other = world.another(database={"postgres": "postgresql://nobody@127.0.0.1:1/nothing"})
    done = other.run("--config", other.configuration)
    expect_equal(done.returncode, 3, said(done))


@case("SIGTERM and SIGINT end the server cleanly, also while clients wait", only="fedchatd")
def stopping(world):
    import threading
    for number in (signal.SIGTERM, signal.SIGINT):
        other = world.another()
        with other:
            user = other.user()
            since = user.sync()["next_batch"]
            outcome = []

            def wait():
                try:
                    outcome.append(user.request("GET", f"/sync?timeout=30000&since={quoted(since)}").status)
                except OSError as error:
                    outcome.append(error)
                except Exception as error:      # the connection may close in the middle
                    outcome.append(error)

            waiting = threading.Thread(target=wait)
            waiting.start()
            time.sleep(0.3)
            start = time.monotonic()
            other.process.popen.send_signal(number)
            expect_equal(other.process.popen.wait(12), 0, "the exit status")
            expect(time.monotonic() - start < 10, "within ten seconds")
            waiting.join(5)
            expect(outcome, "the waiting client was let go")


@case("SIGHUP makes the server read its log, rate limits, registration and lists of servers again", only="fedchatd")
def hangup(world):
    far = world.server.user()
    with world.another(registration={"open": False, "password_hash_cost": "minimum"}) as other:
        def hang_up(**settings):
            other.settings.update(settings)
            other.write()
            count = other.log_text().count("read again")
            other.process.popen.send_signal(signal.SIGHUP)
            eventually(lambda: other.log_text().count("read again") > count, "it says whether it did")

        def register(name):
            body = {"username": name, "password": "correct horse battery", "auth": {"type": "m.login.dummy"}}
            return other.site.request("POST", "/_matrix/client/v3/register", body)

        def by_secret():
            return other.site.request("GET", "/_synapse/admin/v1/register").status

        expect_equal((register("early").status, by_secret()), (403, 404))
        opened = {"open": True, "shared_secret": other.secret, "password_hash_cost": "minimum"}
        hang_up(registration=opened, log={"format": "json"})
        made = register("late")
        expect_equal((made.status, by_secret()), (200, 200), f"{made}")
        expect(all(isinstance(json.loads(line), dict) for line in other.log_text().splitlines()[-1:]), "the log is JSON now")
        profile = f"/_matrix/client/v3/profile/{quoted(far.id)}"
        expect_equal(other.site.request("GET", profile, token=made.json["access_token"]).status, 200)
        hang_up(federation={**other.settings["federation"], "deny": [world.server.name]})
        answer = other.site.request("GET", profile, token=made.json["access_token"])
        expect(answer.status >= 400, f"a denied server is asked: {answer}")
        hang_up(registration={"open": "perhaps"}, rate_limits={"enabled": True})
        expect_equal(register("later").status, 200, "what is wrong changes nothing")
        hang_up(registration=opened)
        statuses = {other.site.request("POST", "/_matrix/client/v3/login", {
            "type": "m.login.password", "identifier": {"type": "m.id.user", "user": "x"}, "password": "x"}).status for _ in range(60)}
        expect(429 in statuses, f"{statuses}")
        expect_equal(other.site.request("GET", "/health").status, 200)


@case("rate limits answer 429 with the time to wait", only="fedchatd")
def rate_limits(world):
    with world.another(rate_limits={"enabled": True}) as other:
        answers = [other.site.request("POST", "/_matrix/client/v3/login", {
            "type": "m.login.password", "identifier": {"type": "m.id.user", "user": "nobody"}, "password": "x"})
            for _ in range(60)]
        limited = [answer for answer in answers if answer.status == 429]
        expect(limited, "sixty logins in a row were all answered")
        expect_equal(limited[0].errcode, "M_LIMIT_EXCEEDED")
        expect(int(limited[0].headers["Retry-After"]) >= 1, "Retry-After")
        expect(limited[0].json["retry_after_ms"] > 0, "retry_after_ms")


@case("a room is encrypted by default where the operator wants it so", only="fedchatd")
def encrypted_by_default(world):
    other = world.another()
    del other.settings["rooms"]
    other.write()
    with other:
        user = other.user()
        for preset, wanted in (("private_chat", 200), ("public_chat", 404)):
            room = user.create_room(preset=preset)
            answer = user.request("GET", f"/rooms/{quoted(room)}/state/m.room.encryption/")
            expect_equal(answer.status, wanted, preset)


@case("neither log nor metrics hold a message, a password or a token", only="fedchatd")
def silent(world):
    user = world.server.user(password="a most secret password")
    room = user.create_room()
    user.send(room, "a most secret message")
    user.request("PUT", f"/rooms/{quoted(room)}/send/m.room.message/1", b'{"body":"a most secret mistake')
    login = world.site.login(user.localpart, "a most secret password")
    world.site.request("GET", f"/_matrix/client/v3/sync?access_token={login.token}")
    time.sleep(0.3)
    text = world.server.log_text() + world.site.request("GET", "/metrics").body.decode()
    for secret in ("a most secret", user.token, login.token, world.server.secret):
        expect(secret not in text, f"the log holds {secret[:14]}…")


@case("with a storage key, the database's files hold no text of messages and no account data", only="fedchatd")
def sealed(world):
    other = world.another(storage_key_file="storage.key")
    key = other.folder / "storage.key"

    def line(name):
        return f"{name}:{unpadded(secrets.token_bytes(32))}\n"

    key.write_text(line("first"))
    key.chmod(0o600)
    words = {"a sealed message", "a sealed note", "a sealed whisper"}
    with other:
        user = other.user()
        room = user.create_room()
        user.send(room, "a sealed message")
        user.call("PUT", f"/user/{quoted(user.id)}/account_data/org.example.note", {"text": "a sealed note"})
        user.call("PUT", "/sendToDevice/org.example.note/1", {"messages": {user.id: {user.device: {"text": "a sealed whisper"}}}})
        other.stop()
        if world.databases.cluster:
            kept = world.databases.cluster.dump(other.folder.name)
        else:
            kept = b"".join(pathlib.Path(path).read_bytes() for path in other.folder.glob("fedchatd.db*"))
        for word in words:
            expect(word.encode() not in kept, f"the database holds {word!r}")
        key.write_text(line("second") + key.read_text())
        other.start()
        expect_equal(user.bodies(room), ["a sealed message"], "after rotation")
        expect_equal(user.call("GET", f"/user/{quoted(user.id)}/account_data/org.example.note"), {"text": "a sealed note"})
        expect_equal([event["content"] for event in user.sync()["to_device"]["events"]], [{"text": "a sealed whisper"}])


@case("the log can be JSON, a line an entry", only="fedchatd")
def json_log(world):
    with world.another(log={"format": "json", "level": "debug"}) as other:
        other.user()
    lines = [line for line in other.log_text().splitlines() if line.strip()]
    expect(lines, "something is logged")
    for line in lines:
        expect(isinstance(json.loads(line), dict), line)
