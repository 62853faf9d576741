#!/usr/bin/env python3
"""What people trust, by fedchat alone: identities, verification, recovery, backups, key files, encrypted files.

    trust.py [--only WORD] [--keep]

Two servers, so that verifications and identities cross a federation.
"""
import base64
import contextlib
import hashlib
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time

from blackbox import script
from blackbox.certificates import Authority
from blackbox.people import People, program
from blackbox.report import Run, Skipped, eventually, expect, expect_equal
from blackbox.servers import Fedchatd
from blackbox.verifying import Verifying, both


class World(People):
    def person(self, name, server=None, identity=True):
        person = super().person(name, server)
        if identity:
            person.do("cross-signing", "bootstrap", "--password-file", person.password_file)
        return person


def secret(person, text, name="secret"):
    file = person.home / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    file.write_text(text + "\n")
    file.chmod(0o600)
    return file


def is_status(person, **wanted):
    found = person.ask("cross-signing", "status")
    return all(found.get(key) == value for key, value in wanted.items())


def identity(world):
    alice = world.person("alice", identity=False)
    expect("master" not in alice.ask("cross-signing", "status"), "there is none at first")
    made = alice.ask("cross-signing", "bootstrap", "--password-file", alice.password_file)
    expect(made["trusted"] and made["device_signed"], f"{made}")
    expect_equal(made["private_keys"], ["master", "self_signing", "user_signing"])
    expect_equal(alice.ask("cross-signing", "bootstrap")["master"], made["master"], "a second time changes nothing")
    wrong = alice.run("cross-signing", "reset", "--password-file", secret(alice, "wrong password"))
    expect(wrong.returncode in (4, 7), f"reset with a wrong password: {wrong.returncode} {wrong.stderr}")
    expect_equal(alice.ask("cross-signing", "status")["master"], made["master"])
    new = alice.ask("cross-signing", "reset", "--password-file", alice.password_file)
    expect(new["master"] != made["master"] and new["trusted"] and new["device_signed"], f"{new}")


def users_verify(world):
    alice, bob, _ = world.pair()
    waiting = Verifying(bob, alice.id, "--incoming")
    asking = Verifying(alice, bob.id)
    both(asking, waiting)
    expect("identity" in asking.effects() and "identity" in waiting.effects(), f"{asking.steps} {waiting.steps}")
    expect_equal(alice.ask("devices", bob.id)["standing"], "verified")
    carol = world.person("carol", world.b)
    alice.do("send", carol.id, "-m", "hello")
    expect_equal(alice.ask("devices", carol.id)["standing"], "cross_signed")


def mismatch(world):
    alice, bob, _ = world.pair()
    waiting = Verifying(bob, alice.id, "--incoming")
    asking = Verifying(alice, bob.id)
    asking.emoji(), waiting.emoji()
    waiting.say(False)
    waiting.end(4)
    # It may have ended by itself: the other side has said no.
    with contextlib.suppress(BrokenPipeError):
        asking.say(True)
    asking.end(4)
    for side in (asking, waiting):
        expect_equal(side.step("cancelled")["code"], "m.mismatched_sas")
        expect("verified" not in [step["step"] for step in side.steps], f"{side.steps}")


def by_file(world):
    """--yes-if, and plain text."""
    alice, bob, _ = world.pair()
    waiting = Verifying(bob, alice.id, "--incoming")
    file = alice.home / "seen"
    asking = Verifying(alice, bob.id, "--yes-if", file)
    file.write_text(" ".join(map(str, waiting.decimals())) + "\n")
    waiting.say()
    asking.end()
    waiting.end()


def qr(world):
    alice, bob, _ = world.pair()
    waiting = Verifying(bob, alice.id, "--incoming", "--qr")
    code = alice.home / "code"
    asking = Verifying(alice, bob.id, "--scan", code)
    code.write_text(waiting.step("qr")["qr"] + "\n")
    waiting.step("confirm_scan")
    waiting.say()
    asking.end()
    waiting.end()
    expect("identity" in asking.effects() and "identity" in waiting.effects(), f"{asking.steps} {waiting.steps}")


def reads_drawing(text, folder):
    """The bytes of a code that was drawn in a terminal, read from a picture of it by a reader of others."""
    lines = [re.fullmatch(r"\x1b\[38;5;16;48;5;231m(.*)\x1b\[0m", line) for line in text.replace("\r", "").split("\n")]
    lines = [line[1] for line in lines if line]
    expect(len(lines) >= 20 and len(set(map(len, lines))) == 1, f"{len(lines)} lines were drawn")
    scale, rows = 6, []
    for line in lines:
        for dark in ("█▀", "█▄"):
            rows += ["".join(("0 " if cell in dark else "255 ") * scale for cell in line)] * scale
    picture = folder / "code.pgm"
    picture.write_text(f"P2\n{len(lines[0]) * scale} {len(rows)}\n255\n" + "\n".join(rows) + "\n")
    read = subprocess.run(["zbarimg", "--quiet", "--raw", "--oneshot", "-Sbinary", picture], capture_output=True, timeout=60)
    expect_equal(read.returncode, 0, f"zbarimg: {read.stderr}")
    return read.stdout


def qr_drawn(world):
    """What a terminal shows is what a camera sees: bob's terminal is read by zbar, and alice is given its bytes."""
    if shutil.which("zbarimg") is None:
        raise Skipped("zbarimg is not there: apt-get install zbar-tools")
    alice, bob, _ = world.pair()
    ours, theirs = pty.openpty()
    command = [str(program()), "verify", alice.id, "--incoming", "--qr", "--timeout", "120"]
    shown, process = b"", subprocess.Popen(command, env=bob.environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    try:
        code = alice.home / "drawn"
        asking = Verifying(alice, bob.id, "--scan", code)

        def show(until):
            nonlocal shown
            end = time.monotonic() + 40
            while until not in shown:
                expect(time.monotonic() < end and select.select([ours], [], [], 40)[0], f"the terminal shows {shown[-400:]}")
                shown += os.read(ours, 65536)

        show(b"or give it as text:")
        payload = reads_drawing(shown.decode(errors="replace"), alice.home)
        expect(payload.startswith(b"MATRIX\x02\x00"), f"{payload[:16]}")
        code.write_text(base64.b64encode(payload).decode() + "\n")
        show(b"[yes/no]")
        os.write(ours, b"yes\n")
        asking.end()
        expect_equal(process.wait(40), 0)
        expect("identity" in asking.effects(), f"{asking.steps}")
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def forgotten(world):
    """A room that is left and forgotten loses its keys on this device; a backup brings them back."""
    alice, bob, room = world.pair()
    alice.do("send", room, "-m", "before")
    bob.hear_texts(room, ["before"])
    bob.ask("backup", "create")
    eventually(lambda: bob.ask("backup", "status")["backed_up"] >= 1, "it is filled", 20)
    bob.do("leave", room, "--forget")
    expect_equal(bob.ask("backup", "status")["sessions"], 0, "the keys are gone")
    expect(room not in bob.do("rooms"), "so is the room")
    alice.do("invite", room, bob.id)
    bob.do("join", room)
    bob.hear_texts(room, ["before"])
    alice.do("send", room, "-m", "after")
    bob.hear_texts(room, ["before", "after"])


def in_the_clear(world):
    """What is not encrypted in an encrypted room, and devices that nobody has verified, are told of."""
    alice, bob, room = world.pair()
    carol = world.person("carol", identity=False)
    alice.do("invite", room, carol.id)
    carol.do("join", room)
    carol.do("send", room, "-m", "from a new device")
    alice.do("send", room, "-m", "from a signed device")
    plain = alice.server.site.login(alice.name, "correct horse battery").send(room, "not by fedchat")
    heard = bob.hear(room, lambda events: any(event["event_id"] == plain for event in events))
    said = {event["content"]["body"]: event for event in heard if event.get("type") == "m.room.message"}
    expect(said["not by fedchat"].get("in_the_clear") is True, f"{said}")
    expect_equal(said["from a new device"]["sender_standing"], "not_cross_signed")
    expect_equal(said["from a signed device"]["sender_standing"], "cross_signed")
    text = bob.do("listen", room, "--since", "start", "--no-follow")
    expect(f"{alice.id} (NOT ENCRYPTED): not by fedchat" in text, text)
    expect(f"{carol.id} (from a device that its owner has not verified): from a new device" in text, text)
    expect(f"{alice.id}: from a signed device" in text, text)


def both_ask(world):
    """Nobody says --incoming: one of the two requests is taken back."""
    alice, bob, _ = world.pair()
    asking, other = Verifying(alice, bob.id), Verifying(bob, alice.id)
    both(asking, other)
    expect("identity" in asking.effects() and "identity" in other.effects(), f"{asking.steps} {other.steps}")


def interrupted(world):
    """The process that owns the keys is killed while two compare: the next one cancels, and tells of it once."""
    alice, bob, _ = world.pair()
    waiting = Verifying(bob, alice.id, "--incoming")
    asking = Verifying(alice, bob.id)
    asking.emoji(), waiting.emoji()
    alice.end_daemon(signal.SIGKILL, commands_too=False)
    asking.end(2)
    again = Verifying(alice, "--incoming")
    expect_equal(again.step("interrupted")["user_id"], bob.id)
    expect_equal(waiting.step("cancelled")["code"], "m.unknown_transaction")
    waiting.end(4)
    waiting = Verifying(bob, alice.id)
    both(again, waiting)
    expect_equal([step["step"] for step in again.steps].count("interrupted"), 1)


def own_devices(world):
    alice = world.person("alice")
    tablet = world.device(alice, "tablet")
    expect(not tablet.ask("cross-signing", "status")["trusted"], "a new device trusts nobody")
    waiting = Verifying(alice, "--incoming")
    asking = Verifying(tablet)
    both(asking, waiting)
    eventually(lambda: is_status(tablet, trusted=True, device_signed=True, private_keys=["master", "self_signing", "user_signing"]),
               "the tablet is signed and has the secrets", 20)


def own_devices_qr(world):
    alice = world.person("alice")
    tablet = world.device(alice, "tablet")
    code = alice.home / "code"
    waiting = Verifying(alice, "--incoming", "--scan", code)
    asking = Verifying(tablet, "--qr")
    code.write_text(asking.step("qr")["qr"] + "\n")
    asking.step("confirm_scan")
    asking.say()
    asking.end()
    waiting.end()
    eventually(lambda: is_status(tablet, trusted=True, device_signed=True), "the tablet is signed", 20)


def changed(world):
    """A verified user who has a new identity gets nothing until that is accepted; with who was only seen all goes on."""
    alice, bob, room = world.pair()
    waiting = Verifying(bob, alice.id, "--incoming")
    both(Verifying(alice, bob.id), waiting)
    alice.do("send", room, "-m", "before")
    bob.do("cross-signing", "reset", "--password-file", bob.password_file)

    tried = []      # until alice's device learns of it, messages go out

    def refused():
        tried.append(f"attempt {len(tried)}")
        done = alice.run("send", room, "-m", tried[-1])
        return done.returncode == 4 and "another identity" in done.stderr

    eventually(refused, "sending stops", 20)
    expect(bob.run("send", room, "-m", "I still talk").returncode == 0, "bob reset himself, and goes on")
    alice.do("cross-signing", "accept", bob.id)
    alice.do("send", room, "-m", "after")
    bob.hear_texts(room, ["before", "after"])
    heard = [text for _, text in bob.hear_texts(room, ["after"])]
    expect(tried[-1] not in heard, f"{heard}")


def recovery(world):
    alice, bob, room = world.pair()
    texts = ["one", "two", "three"]
    for text in texts:
        alice.do("send", room, "-m", text)
    bob.do("send", room, "-m", "four")
    alice.hear_texts(room, texts + ["four"])
    output = alice.home / "recovery"
    alice.do("recovery", "create", "--passphrase-file", secret(alice, "tea for two"), "--output", output)
    expect_equal(output.stat().st_mode & 0o777, 0o600, "nobody else reads the key")
    status = alice.ask("backup", "status", "--complete")
    expect(status["used"] and status["trust"] == "private_key" and status["backed_up"] == status["sessions"] > 0, f"{status}")

    for name, file in (("key", output), ("passphrase", secret(alice, "tea for two"))):
        other = world.device(alice, name)
        wrong = other.run("recovery", "restore", "--key-file", secret(other, "tea for three"))
        expect_equal(wrong.returncode, 4, wrong.stderr)
        answer = other.ask("recovery", "restore", "--key-file", file)
        expect_equal(len(answer["secrets"]), 4, f"{answer}")
        expect(answer["backup"]["new"] > 0 and answer["backup"]["damaged"] == 0, f"{answer}")
        expect(is_status(other, trusted=True, device_signed=True), "the device is signed")
        heard = [text for _, text in other.hear_texts(room, texts + ["four"])]
        expect_equal(heard, texts + ["four"])


def healing(world):
    """A message whose key only the backup has is healed when it is read."""
    alice, bob, room = world.pair()
    alice.do("send", room, "-m", "kept")
    bob.do("send", room, "-m", "kept too")
    alice.hear_texts(room, ["kept", "kept too"])
    key = secret(alice, alice.ask("recovery", "create")["recovery_key"])
    alice.ask("backup", "status", "--complete")
    other = world.device(alice, "late")
    other.ask("recovery", "restore", "--key-file", key)
    bob.do("send", room, "-m", "new")
    eventually(lambda: alice.ask("backup", "status", "--complete")["backed_up"] > 0, "it goes into the backup", 20)
    other.hear_texts(room, ["kept", "kept too", "new"])


def backups(world):
    alice, _, room = world.pair()
    alice.do("send", room, "-m", "one")
    expect_equal(alice.run("backup", "restore").returncode, 7, "there is none")
    first = alice.ask("backup", "create")["version"]
    eventually(lambda: alice.ask("backup", "status")["backed_up"] == 1, "it is filled", 20)
    second = alice.ask("backup", "create")["version"]
    expect(first != second, "another one")
    eventually(lambda: alice.ask("backup", "status")["on_server"] == 1, "and filled anew", 20)
    expect_equal(alice.ask("backup", "restore")["read"], 1)
    alice.do("backup", "delete")
    expect("version" not in alice.ask("backup", "status"), "it is gone")


def backup_of_another(world):
    """A backup that another device has made is not replaced, nor is the key of the one before kept for it."""
    alice = world.person("alice")
    key = secret(alice, alice.ask("recovery", "create")["recovery_key"])
    other = world.device(alice, "other")
    other.ask("recovery", "restore", "--key-file", key)
    version = other.ask("backup", "create")["version"]
    output = alice.home / "recovery"
    refused = alice.run("recovery", "create", "--output", output)
    expect(refused.returncode == 1 and "another device" in refused.stderr, f"{refused.returncode} {refused.stderr}")
    eventually(lambda: alice.run("recovery", "create", "--output", output).returncode == 0, "its key is given", 20)
    status = alice.ask("backup", "status")
    expect_equal((status["version"], status["trust"]), (version, "private_key"))
    third = world.device(alice, "third")
    answer = third.ask("recovery", "restore", "--key-file", output)
    expect(len(answer["secrets"]) == 4 and not answer.get("refused"), f"{answer}")
    expect_equal(third.ask("backup", "status")["trust"], "private_key")


def key_files(world):
    alice, bob, room = world.pair()
    alice.do("send", room, "-m", "in the file")
    passphrase, file = secret(alice, "open sesame"), alice.home / "keys.txt"
    count = alice.ask("keys", "export", file, "--passphrase-file", passphrase)["count"]
    expect(count >= 1, f"{count}")
    expect_equal(file.stat().st_mode & 0o777, 0o600)
    text = file.read_text()
    expect(text.startswith("-----BEGIN MEGOLM SESSION DATA-----") and "in the file" not in text, text[:80])
    other = world.device(alice, "other")
    wrong = other.run("keys", "import", file, "--passphrase-file", secret(other, "open barley"))
    expect_equal(wrong.returncode, 4, wrong.stderr)
    answer = other.ask("keys", "import", file, "--passphrase-file", passphrase)
    expect_equal((answer["count"], answer["new"]), (count, count))
    other.hear_texts(room, ["in the file"])
    file.write_text("nothing of the kind")
    expect_equal(other.run("keys", "import", file, "--passphrase-file", passphrase).returncode, 1)


def files(world):
    alice, bob, room = world.pair()
    original = alice.home / "picture.png"
    original.write_bytes(os.urandom(3_000_001))
    event = alice.do("send", room, "--file", original, "--thumbnail", original).strip()
    heard = bob.hear(room, lambda events: any(each["event_id"] == event for each in events))
    content = next(each["content"] for each in heard if each["event_id"] == event)
    expect_equal((content["msgtype"], content["body"], content["info"]["size"]), ("m.image", "picture.png", 3_000_001))
    expect("file" in content and "thumbnail_file" in content["info"] and "url" not in content, f"{content}")
    copy = bob.home / "copy.png"
    bob.do("download", room, event, "--output", copy)
    expect(copy.read_bytes() == original.read_bytes(), "the same bytes")
    expect_equal(bob.run("download", room, event, "--output", copy).returncode, 1, "nothing is written over")
    text = alice.do("send", room, "-m", "no file").strip()
    expect_equal(bob.run("download", room, text, "--output", bob.home / "none").returncode, 7)
    expect_equal(bob.run("download", room, "picture.png", "--output", bob.home / "none").returncode, 1)
    for store in (alice.server.folder, bob.server.folder):
        for path in store.rglob("*"):
            if path.is_file() and path.stat().st_size > 1_000_000:
                expect(original.read_bytes()[:4096] not in path.read_bytes(), f"{path} holds the file in the clear")


def dehydrated(world):
    """What was said while only a dehydrated device was there."""
    alice, bob, room = world.pair()
    alice.do("send", room, "-m", "hello")
    key = secret(alice, alice.ask("recovery", "create")["recovery_key"])
    device = alice.ask("dehydrate", "--key-file", key)["device_id"]
    alice.do("logout")
    eventually(lambda: [line.split("\t")[0] for line in bob.do("devices", alice.id).splitlines()] == [device],
               "bob sees the dehydrated device alone", 20)
    bob.do("send", room, "-m", "while you were out")
    other = world.device(alice, "back")
    answer = other.ask("recovery", "restore", "--key-file", key)
    expect(answer.get("rehydrated", 0) >= 1, f"{answer}")
    other.hear_texts(room, ["while you were out"])


CASES = [
    ("an identity is made once, and replaced with the password only", identity),
    ("two users of two servers compare emoji and verify each other", users_verify),
    ("codes that differ verify nobody", mismatch),
    ("the numbers in a file answer for the user", by_file),
    ("one scans the other's QR code", qr),
    ("a QR code drawn in a terminal is read by a scanner of others", qr_drawn),
    ("a room that is left and forgotten loses its keys here", forgotten),
    ("what is not encrypted, or of a device that nobody has verified, is told of", in_the_clear),
    ("two who ask each other at once verify each other", both_ask),
    ("a verification whose process is killed is cancelled by the next", interrupted),
    ("a new device is verified by an old one, is signed, and gets the secrets", own_devices),
    ("a new device shows a QR code to an old one", own_devices_qr),
    ("a changed identity stops messages until it is accepted", changed),
    ("a recovery key and a passphrase bring everything back on a new device", recovery),
    ("what was said after a recovery is read too", healing),
    ("backups are made, filled, replaced, read and deleted", backups),
    ("a backup that another device has made is kept, and its key asked for", backup_of_another),
    ("room keys go through a file under a passphrase", key_files),
    ("a dehydrated device keeps what was said while nobody was logged in", dehydrated),
    ("a file is encrypted, sent, fetched and the same", files),
]


def main():
    options, run = script.options(__doc__, "only", "keep").parse_args(), Run()
    with script.folder("trust", options.keep) as folder:
        authority = Authority(folder / "ca")
        with (Fedchatd(folder / "a", authority) as a, Fedchatd(folder / "b", authority) as b,
              contextlib.closing(World(folder, a, b)) as world):
            run.pairs(CASES, world, options.only)
    return run.close()


if __name__ == "__main__":
    sys.exit(main())
