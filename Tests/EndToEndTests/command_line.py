#!/usr/bin/env python3
"""fedchat from outside: verbs, JSON, exit codes, its daemon, and that its ratchets survive what people do.

    command_line.py [--server fedchatd|synapse] [--only WORD] [--keep]

Two servers, so that messages cross a federation. $FEDCHAT and $FEDCHATD name the programs (default: the debug build).
"""
import contextlib
import json
import shutil
import signal
import stat
import sys
import time

from blackbox import script
from blackbox.certificates import Authority
from blackbox.matrix import quoted
from blackbox.people import People
from blackbox.report import Run, eventually, expect, expect_equal
from blackbox.servers import Fedchatd, of_kind


def status(person, *arguments, **more):
    done = person.run(*arguments, **more)
    return done.returncode, f"{' '.join(map(str, arguments))}: stdout {done.stdout[-300:]!r}, stderr {done.stderr[-300:]!r}"


def expect_status(person, wanted, *arguments, **more):
    found, what = status(person, *arguments, **more)
    expect_equal(found, wanted, what)


def conversation(world):
    alice, bob, room = world.pair()
    login = world.a.site.login(alice.name, "correct horse battery")
    expect_equal(login.state(room, "m.room.encryption")["algorithm"], "m.megolm.v1.aes-sha2")
    texts = []
    for number in range(3):
        for speaker, listener in ((alice, bob), (bob, alice)):
            texts.append(f"{number}: {speaker.name} says ünverändert 🫖")
            event = speaker.do("send", room, "-m", texts[-1]).strip()
            expect(event.startswith("$") and " " not in event, f"send prints {event!r}")
            expect_equal([text for _, text in listener.hear_texts(room, texts)], texts)
    held = json.dumps(login.all_events(room))
    expect("ünverändert" not in held and "unver" not in held, "the server holds the text")


def standard_input(world):
    alice, bob, room = world.pair()
    text = "one line\nand another\n"
    alice.do("send", room, "-", input=text)
    heard = bob.hear(room, lambda events: any(event["type"] == "m.room.message" for event in events))
    bodies = [event["content"]["body"] for event in heard if event["type"] == "m.room.message"]
    expect(bodies[0].rstrip("\n") == text.rstrip("\n"), f"{bodies}")


def ten_at_once(world):
    alice, bob, room = world.pair()
    alice.do("send", room, "-m", "first")
    bob.hear_texts(room, ["first"])
    texts = [f"parallel {number}" for number in range(10)]
    start = time.monotonic()
    processes = [alice.start("send", room, "-m", text) for text in texts]
    outcomes = [process.communicate(timeout=60) + (process.returncode,) for process in processes]
    took = time.monotonic() - start
    expect_equal([outcome[2] for outcome in outcomes], [0] * 10, f"{outcomes}")
    expect_equal(len({outcome[0] for outcome in outcomes}), 10, "ten event ids")
    heard = [text for _, text in bob.hear_texts(room, texts)]
    expect_equal(sorted(heard), sorted(["first"] + texts))
    print(f"        ten sends in {took:.2f} s")


def cold_and_at_once(world):
    """No daemon runs yet: ten first commands at once agree on one."""
    alice, bob, room = world.pair()
    alice.end_daemon()
    time.sleep(0.5)
    processes = [alice.start("send", room, "-m", f"cold {number}") for number in range(10)]
    outcomes = [process.communicate(timeout=60) + (process.returncode,) for process in processes]
    expect_equal([outcome[2] for outcome in outcomes], [0] * 10, f"{outcomes}")
    bob.hear_texts(room, [f"cold {number}" for number in range(10)])


def killed_daemon(world):
    alice, bob, room = world.pair()
    texts = []
    for number in range(4):
        for person in (alice, bob):
            texts.append(f"{number} from {person.name}")
            person.do("send", room, "-m", texts[-1])
            person.end_daemon(signal.SIGKILL)
    for person in (alice, bob):
        heard = [text for _, text in person.hear_texts(room, texts)]
        expect_equal(sorted(heard), sorted(texts), f"what {person.name} can read")


def exit_codes(world):
    alice = world.person("alice")
    room = alice.ask("create", "--name", "Codes")["room_id"]
    nobody = world.person("nobody", registered=False)
    expect_status(alice, 0, "--version")
    expect_status(alice, 0, "send", "--help")
    expect_status(alice, 1, "no-such-verb")
    expect_status(alice, 1, "send")
    expect_status(nobody, 6, "rooms")
    expect_status(nobody, 6, "send", room, "-m", "x")
    expect_status(alice, 7, "send", "!nothing:example.org", "-m", "x")
    expect_status(alice, 7, "join", f"#nothing:{world.a.name}")
    expect_status(nobody, 3, "login", "--homeserver", "http://127.0.0.1:1", "--user", "x", "--password-file", nobody.password_file)
    nobody.password_file.write_text("wrong\n")
    expect_status(nobody, 7, "login", "--homeserver", world.a.site.base_url, "--user", alice.name,
                  "--password-file", nobody.password_file)
    expect_status(alice, 124, "listen", room, "--json", "--timeout", "2")


def interrupted(world):
    alice = world.person("alice")
    room = alice.ask("create", "--name", "Quiet")["room_id"]
    process = alice.start("listen", room, "--json")
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    expect_equal(process.returncode, 130)


def secrets_kept(world):
    nobody = world.person("nobody", registered=False)
    expect_status(nobody, 1, "login", "--homeserver", "http://example.org", "--user", "x", "--password-file", nobody.password_file)
    expect_status(nobody, 1, "login", "--homeserver", world.a.site.base_url, "--user", "x", "--password", "secret")
    alice, bob, room = world.pair()
    alice.do("send", room, "-m", "between you and me")
    bob.hear_texts(room, ["between you and me"])
    for person in (alice, bob):
        for folder in (person.home, person.run_folder):
            for path in folder.rglob("*"):
                mode = stat.S_IMODE(path.lstat().st_mode)
                if path.name in ("config", "data", "state", "cache") and path.parent == person.home:
                    continue        # the XDG folders themselves belong to the person
                expect(mode & 0o077 == 0 or path.is_dir(), f"{path.name} has mode {mode:o}")
                if path.is_file():
                    data = path.read_bytes()
                    expect(b"between you and me" not in data, f"{path.name} holds the message")
                    if path != person.password_file:
                        expect(b"correct horse" not in data, f"{path.name} holds the password")


def names(world):
    """A room is found by its id, its alias, a part of its name; a person by a direct room."""
    alice, bob, room = world.pair()
    user = world.a.site.login(alice.name, "correct horse battery")
    alias = f"#kitchen.{alice.name}:{world.a.name}"
    user.call("PUT", f"/directory/room/{quoted(alias)}", {"room_id": room})
    for name in (room, alias, "kitch"):
        alice.do("send", name, "-m", f"to {name}")
    heard = [text for _, text in bob.hear_texts(room, [f"to {name}" for name in (room, alias, "kitch")])]
    expect_equal(len(heard), 3)
    alice.ask("create", "--name", "Kitchen garden")
    found, what = status(alice, "send", "kitch", "-m", "to which?")
    expect(found in (1, 7), f"two rooms fit: {what}")


def terminal(world):
    alice = world.person("alice")
    for letter in "AB":
        alice.ask("create", "--name", f"\x1b]0;owned\x07\u202ePantry {letter}\nforged")
    done = alice.run("send", "pantry", "-m", "x")
    expect_equal(done.returncode, 1)
    expect("Pantry A" in done.stderr and "Pantry B" in done.stderr, f"the rooms are named: {done.stderr!r}")
    for output in (done.stderr.rstrip("\n"), *alice.do("rooms").splitlines()):
        for control in ("\x1b", "\x07", "\u202e", "\n"):
            expect(control not in output, f"nothing drives the terminal: {output!r}")
    expect_equal(len(alice.do("rooms").splitlines()), 2, "a name makes no line")


def listings(world):
    alice, bob, room = world.pair()

    def lines(*arguments):
        return [json.loads(line) for line in alice.do(*arguments, "--json").splitlines() if line.strip()]

    rooms = lines("rooms")
    expect(any(each.get("room_id") == room and each.get("name") == "Kitchen" for each in rooms), f"rooms: {rooms}")
    members = lines("members", room)
    expect_equal({each["user_id"] for each in members}, {alice.id, bob.id})
    devices = lines("devices")
    expect(any(each.get("device_id") == alice.ask("whoami")["device_id"] for each in devices), f"devices: {devices}")
    for each in rooms + members + devices + [alice.ask("whoami")]:
        expect_equal(each["v"], 1)
    found, what = status(alice, "doctor")
    expect_equal(found, 0, what)


def newcomers(world):
    """Who joins later does not read what was said before; who left does not read what is said after."""
    alice, bob, room = world.pair()
    alice.do("send", room, "-m", "before")
    bob.hear_texts(room, ["before"])
    carol = world.person("carol", world.b)
    alice.do("invite", room, carol.id)
    carol.do("join", room)
    alice.do("send", room, "-m", "with carol")
    heard = carol.hear_texts(room, ["with carol"])
    expect("before" not in [text for _, text in heard], "carol reads what was said before she came")
    bob.do("leave", room)

    def left():
        members = alice.do("members", room, "--json")
        return bob.id not in members

    eventually(left, "alice knows that bob left", 20)
    alice.do("send", room, "-m", "without bob")
    carol.hear_texts(room, ["without bob"])
    user = world.b.site.login(bob.name, "correct horse battery")
    expect("without bob" not in json.dumps(user.all_events(room)), "bob reads on")


def withheld_and_why(world):
    """A blocked device is told so; `why` explains it and ends with 9, and with 0 for what can be read."""
    alice, bob, room = world.pair()
    event = alice.do("send", room, "-m", "for you").strip()
    bob.hear_texts(room, ["for you"])
    expect_status(bob, 0, "why", event, "--room", room)
    alice.do("devices", bob.id, "--block", bob.ask("whoami")["device_id"])
    event = alice.do("send", room, "-m", "not for you").strip()

    def told():
        bob.run("listen", room, "--json", "--since", "start", "--no-follow")
        done = bob.run("why", event, "--json")
        answer = json.loads(done.stdout) if done.stdout.strip() else {}
        return done.returncode == 9 and answer.get("code") == "m.blacklisted" and answer

    answer = eventually(told, "bob is told that he is blocked", 30) or told()
    expect_equal(answer["undecryptable"], "withheld")
    expect("blocked" in answer["explanation"], answer)
    found, what = status(bob, "why", event)
    expect_equal(found, 9, what)
    expect_status(bob, 7, "why", "$" + 43 * "x")
    expect_equal(alice.ask("key-sharing")["sharing"], "cross-signed-where-possible")
    alice.do("key-sharing", "cross-signed-devices")
    expect_equal(alice.ask("key-sharing")["sharing"], "cross-signed-devices")
    expect_status(alice, 1, "key-sharing", "nobody")


HYBRID, HYBRID_KEY = "org.fedchat.olm.v1.curve25519-mlkem768-aes-sha2", "org.fedchat.signed_mlkem768"


def post_quantum(world):
    """Off by default; used once both have it on; a server that shows no key of the other is noticed."""
    alice, bob, room = world.pair()
    expect_equal(alice.ask("post-quantum"), {"policy": "off", "published": False, "fixed": False, "v": 1})
    expect_status(alice, 1, "post-quantum", "on")
    alice.do("send", room, "-m", "by Olm")
    bob.hear_texts(room, ["by Olm"])
    for person, policy in ((alice, "kept"), (bob, "offered")):
        expect_equal(person.ask("post-quantum", policy), {"policy": policy, "published": True, "fixed": False, "v": 1})
    # Synapse takes no other signature of a device than its first: it is switched on before.
    bob.do("cross-signing", "bootstrap", "--password-file", bob.password_file)

    def listed(person, other, what):
        return [json.loads(line).get(what) for line in person.do("devices", other.id, "--json").splitlines()]

    def standing(person, other):
        return listed(person, other, "post_quantum")

    eventually(lambda: standing(alice, bob) == ["offered"], "alice sees that bob offers it", 30)
    eventually(lambda: standing(bob, alice) == ["offered"], "bob sees that alice offers it", 30)
    for number, (speaker, listener) in enumerate(((alice, bob), (bob, alice), (alice, bob))):
        answer = speaker.ask("send", room, "-m", f"with ML-KEM {number}")
        expect("downgraded" not in answer, answer)
        listener.hear_texts(room, [f"with ML-KEM {number}"])
    for person, other in ((alice, bob), (bob, alice)):
        expect_equal(standing(person, other), ["used"])
        expect_equal(status(person, "doctor")[0], 0)
    # What their servers show of it.
    user = world.a.site.login(alice.name, "correct horse battery")
    device = bob.ask("whoami")["device_id"]

    def shown():
        return user.call("POST", "/keys/query", {"device_keys": {bob.id: []}})["device_keys"][bob.id][device]["algorithms"]

    expect(HYBRID in shown(), shown())
    claim = user.call("POST", "/keys/claim", {"one_time_keys": {bob.id: {device: HYBRID_KEY}}})
    name, key = next(iter(claim["one_time_keys"][bob.id][device].items()))
    expect(name.startswith(HYBRID_KEY + ":") and len(key["key"]) == 1579 and bob.id in key["signatures"], f"{name}: {key}")
    is_fixed = world.b.kind == "synapse"
    expect_equal(bob.ask("post-quantum", "off"), {"policy": "off", "published": is_fixed, "fixed": is_fixed, "v": 1})
    eventually(lambda: (HYBRID in shown()) == is_fixed, "what bob's keys name", 20)
    eventually(lambda: standing(alice, bob) == ["used"], "the session stays")
    alice.do("send", room, "-m", "still")
    bob.hear_texts(room, ["still"])
    eventually(lambda: listed(alice, bob, "standing") == ["cross_signed"], "bob's device is signed anew", 20)


def logged_out(world):
    alice = world.person("alice")
    device = alice.ask("whoami")["device_id"]
    alice.do("logout")
    expect_status(alice, 6, "whoami")
    user = world.a.site.login(alice.name, "correct horse battery")
    expect(device not in [each["device_id"] for each in user.call("GET", "/devices")["devices"]], "the device is gone")
    alice.do("login", "--homeserver", world.a.site.base_url, "--user", alice.name, "--password-file", alice.password_file)
    expect_equal(alice.ask("whoami")["user_id"], alice.id)


def profiles(world):
    """Two profiles of one home are two devices."""
    alice = world.person("alice")
    alice.do("login", "--profile", "second", "--homeserver", world.a.site.base_url, "--user", alice.name,
             "--password-file", alice.password_file)
    first, second = alice.ask("whoami"), alice.ask("whoami", "--profile", "second")
    expect_equal(first["user_id"], second["user_id"])
    expect(first["device_id"] != second["device_id"], "two devices")


def servers_restart(world):
    alice, bob, room = world.pair()
    alice.do("send", room, "-m", "before")
    bob.hear_texts(room, ["before"])
    world.b.stop()
    alice.do("send", room, "-m", "while b is down")
    world.a.restart()
    world.b.start()
    alice.do("send", room, "-m", "after")
    expect_equal([text for _, text in bob.hear_texts(room, ["before", "while b is down", "after"], 90)],
                 ["before", "while b is down", "after"])
    bob.do("send", room, "-m", "all there")
    alice.hear_texts(room, ["all there"])


def authorities(world):
    """The session trusts what --ca-file named last, also where the background process runs already."""
    alice = world.person("alice", registered=False)
    first, second, empty = alice.home / "first.pem", alice.home / "second.pem", alice.home / "empty.pem"
    for file in (first, second):
        shutil.copy(world.authority.certificate, file)
    empty.write_text("no certificate\n")
    other = Authority(alice.home / "other").certificate
    register = ("register", "--homeserver", f"https://localhost:{world.a.federation_port}", "--user", alice.name,
                "--password-file", alice.password_file)
    expect_status(alice, 3, *register)
    alice.do(*register, "--ca-file", first)
    room = alice.ask("create", "--name", "Trust")["room_id"]
    for file in (alice.home / "missing.pem", empty):
        expect_status(alice, 1, "send", room, "-m", "not with this", "--ca-file", file)
    expect_status(alice, 1, "whoami", "--ca-file", first)
    alice.do("send", room, "-m", "what cannot be used changes nothing")
    expect_status(alice, 124, "send", room, "-m", "it waits", "--ca-file", other, "--timeout", "4")
    expect_status(alice, 124, "send", room, "-m", "it is kept", "--timeout", "4")
    alice.do("send", room, "-m", "trusted again", "--ca-file", second)
    first.unlink()
    alice.end_daemon()
    alice.do("send", room, "-m", "kept for the session")


def partly_sent(world):
    """Somebody's server is away before anybody has asked it for a device: they read it later, and the sender knows."""
    alice, carol = world.person("alice"), world.person("carol", world.b)
    room = alice.ask("create", "--name", "Later", "--invite", carol.id)["room_id"]
    eventually(lambda: room in carol.do("rooms"), "carol is invited", 30)
    carol.do("join", room)

    def joined():
        members = [json.loads(line) for line in alice.do("members", room, "--json").splitlines()]
        return (carol.id, "join") in [(each["user_id"], each["membership"]) for each in members]

    eventually(joined, "alice knows that carol has joined", 30)
    world.b.stop()
    done = alice.run("send", room, "-m", "to nobody yet", "--json")
    expect_equal(done.returncode, 8, done.stderr)
    expect_equal(json.loads(done.stdout)["unreached"], [carol.id])
    expect(carol.id in done.stderr, done.stderr)
    world.b.start()
    carol.hear_texts(room, ["to nobody yet"], 90)
    answer = alice.ask("send", room, "-m", "to all")
    expect("unreached" not in answer, answer)


CASES = [
    ("two people of two servers talk, encrypted by default", conversation),
    ("a message comes from standard input", standard_input),
    ("ten sends at once all arrive and decrypt", ten_at_once),
    ("ten first commands at once agree on one daemon", cold_and_at_once),
    ("the daemon is killed again and again, and everything stays readable", killed_daemon),
    ("exit codes say what happened", exit_codes),
    ("an interrupted listen ends with 130", interrupted),
    ("the authorities of --ca-file are the session's until others are given", authorities),
    ("no secret comes from an argument, goes over plain HTTP to others, or lies open on the disk", secrets_kept),
    ("a room is named by id, alias or a part of its name", names),
    ("what others have named does not reach the terminal raw, also in messages of failure", terminal),
    ("rooms, members and devices are listed as lines of JSON", listings),
    ("who comes later or has left cannot read", newcomers),
    ("who is kept from reading is told why", withheld_and_why),
    ("the post-quantum key agreement is used where both have it on", post_quantum),
    ("logout ends the device, login makes a new one", logged_out),
    ("profiles are apart", profiles),
    ("servers restart in between, and nothing is lost", servers_restart),
    ("a message that somebody can read nowhere yet is partly sent", partly_sent),
]


def main():
    options, run = script.options(__doc__, "server", "only", "keep").parse_args(), Run()
    rooms = {"rooms": {"encrypt_by_default": True}}
    with script.folder("commandline", options.keep) as folder:
        authority = Authority(folder / "ca")
        trusted = Fedchatd(folder / "a", authority, **rooms)
        trusted.settings["listeners"][1]["resources"].append("client")     # by TLS, too
        trusted.write()
        with (trusted as a, of_kind(options.server, folder / "b", authority, **rooms) as b,
              contextlib.closing(People(folder, a, b)) as world):
            world.authority = authority
            run.pairs(CASES, world, options.only)
    return run.close()


if __name__ == "__main__":
    sys.exit(main())
