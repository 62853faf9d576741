#!/usr/bin/env python3
"""Calls with real media: a tone in at each end, its frequency out at the other. Two servers; the media programs are aiortc
and, where it is installed, Chromium.

    call_media.py [--only WORD] [--keep] [--table FILE]

All that goes between the servers is recorded. Afterwards that, the servers' databases and logs and the clients' files are
searched for what the SDP held: ICE's user names and passwords, fingerprints, candidates. With coturn, one call goes
through it alone.
"""
import contextlib
import datetime
import json
import pathlib
import re
import shlex
import shutil
import signal
import sys
import time

here = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(here.parent / "EndToEndTests"))

from blackbox import script
from blackbox.calls import Callers
from blackbox.certificates import Authority
from blackbox.processes import Process, free_ports
from blackbox.report import Run, Skipped, expect, expect_equal
from blackbox.servers import Fedchatd
from blackbox.tap import Tap

SECRET = "a secret of the TURN server's"


class World(Callers):
    def __init__(self, folder, a, b, taps, turn):
        super().__init__(folder, a, b)
        self.taps, self.turn = taps, turn
        self.rows, self.secrets, self.proof = [], set(), ""

    def needs_turn(self):
        if not self.turn:
            raise Skipped("there is no coturn")

    def call(self, programs, hertz, *more):
        """Both ends of a call, connected."""
        alice, bob, room = self.pair()
        commands = []
        for person, program, tone in zip((alice, bob), programs, hertz):
            if program == "chromium" and not shutil.which("chromium"):
                raise Skipped("there is no chromium")
            commands.append(shlex.join([sys.executable, str(here / f"{program}_media.py"), person.name,
                                        str(person.home / "media.log"), str(tone), *more]))
        answering = self.end(bob, "answer", media=commands[1])
        calling = self.end(alice, "call", room, media=commands[0])
        for end in (calling, answering):
            end.wait("connected", 60)
        return calling, answering

    def hears(self, end, hertz):
        """Until the tone is heard; a spectrum of a second has lines 1 to 2 Hz apart."""
        heard = lambda event: event["note"]["heard_hz"] > 0
        end.wait("note", 20, heard)
        found = end.wait("note", 20, heard)["note"]["heard_hz"]
        expect(abs(found - hertz) <= 3, f"{end.person.name} hears {found} Hz, not {hertz}")
        return found

    def close_call(self, calling, answering):
        calling.interrupt()
        expect_equal(calling.ends(), (130, ("local", "user_hangup")))
        expect_equal(answering.ends(), (0, ("remote", "user_hangup")))
        for end in (calling, answering):
            expect(not end.notices(), f"{end.person.name}: {end.notices()}")
            self.learn_secrets(end.person)

    def learn_secrets(self, person):
        """What the other end's SDP and candidates held."""
        for line in (person.home / "media.log").read_text().splitlines():
            told = json.loads(line)
            sdp = told.get("description", {}).get("sdp", "")
            self.secrets.update(re.findall(r"a=ice-(?:ufrag|pwd):(\S{4,})", sdp))
            self.secrets.update(re.findall(r"a=fingerprint:\S+ (\S+)", sdp))
            self.secrets.update(each["candidate"] for each in told.get("candidates", []) if each["candidate"])
            self.secrets.update(each["credential"] for each in told.get("ice_servers", []) if each.get("credential"))


def tones(world, programs, hertz):
    calling, answering = world.call(programs, hertz)
    heard = [world.hears(calling, hertz[1]), world.hears(answering, hertz[0])]
    world.close_call(calling, answering)
    world.rows.append((f"{programs[0]} calls {programs[1]}", hertz, heard, "direct"))


def aiortc_and_aiortc(world):
    tones(world, ("aiortc", "aiortc"), (440, 1230))


def chromium_answers(world):
    tones(world, ("aiortc", "chromium"), (523, 880))


def chromium_calls(world):
    tones(world, ("chromium", "aiortc"), (660, 990))


def chromium_and_chromium(world):
    tones(world, ("chromium", "chromium"), (350, 1400))


def hold(world, programs=("aiortc", "aiortc")):
    calling, answering = world.call(programs, (440, 770))
    world.hears(calling, 770)
    for holding, held in ((calling, answering), (answering, calling)):
        holding.type("hold")
        expect_equal(holding.wait("holding", 20)["on"], True)
        expect_equal(held.wait("held", 20)["on"], True)
        time.sleep(3.2)
        for end in (calling, answering):
            while not end._queue.empty():
                end.wait("note", 1)
        time.sleep(2.5)
        quiet = []
        for end in (calling, answering):
            while not end._queue.empty():
                quiet.append(end.wait("note", 1)["note"]["heard_hz"])
        expect(not any(quiet), f"on hold they hear {quiet}")
        holding.type("resume")
        expect_equal(holding.wait("holding", 20)["on"], False)
        expect_equal(held.wait("held", 20)["on"], False)
        heard = [world.hears(calling, 770), world.hears(answering, 440)]
    world.close_call(calling, answering)
    world.rows.append((f"{programs[0]} calls {programs[1]}, held and resumed by both", (440, 770), heard, "direct"))


def hold_by_chromium(world):
    # The other way round aiortc, having answered, offers other ids for RTP extensions, which Chromium refuses.
    hold(world, ("aiortc", "chromium"))


def relayed(world):
    """Only candidates of the TURN server are used, with the credentials that the homeserver gave."""
    world.needs_turn()
    calling, answering = world.call(("aiortc", "aiortc"), (610, 820), "--relay")
    heard = [world.hears(calling, 820), world.hears(answering, 610)]
    for end in (calling, answering):
        for line in (end.person.home / "media.log").read_text().splitlines():
            for each in json.loads(line).get("candidates", []):
                expect(not each["candidate"] or " typ relay" in each["candidate"], "a candidate that is no relay's")
    world.close_call(calling, answering)
    text = world.turn.log.read_text(errors="replace")
    expect("CREATE_PERMISSION processed, success" in text or "CHANNEL_BIND processed, success" in text, text[-800:])
    world.rows.append(("aiortc calls aiortc", (610, 820), heard, "through coturn alone"))


def renewed(world):
    """The homeserver's credentials are good for a minute; the call goes on longer."""
    world.needs_turn()
    calling, answering = world.call(("aiortc", "aiortc"), (440, 770))
    logs = [end.person.home / "media.log" for end in (calling, answering)]
    end = time.monotonic() + 58
    renewals = lambda log: [line for line in map(json.loads, log.read_text().splitlines()) if line["type"] == "ice_servers"]
    while not all(renewals(log) for log in logs):
        expect(time.monotonic() < end, "no new credentials within their minute")
        time.sleep(0.5)
    for log in logs:
        first = json.loads(log.read_text().splitlines()[0])["ice_servers"][0]
        expect(renewals(log)[0]["ice_servers"][0]["username"] != first["username"], "the old credentials")
    world.hears(calling, 770)
    world.close_call(calling, answering)


def vanished(world):
    """The caller's machine goes off: nothing is said. The connection is lost, and the callee told."""
    calling, answering = world.call(("aiortc", "aiortc"), (440, 770))
    world.learn_secrets(answering.person)
    calling.person.end_daemon(signal.SIGKILL)       # and the command, and the program: nobody says goodbye
    status, end = answering.ends(90)
    expect_equal((status, end), (3, ("local", "ice_timeout")))


def nothing_in_the_clear(world):
    expect(len(world.secrets) > 20, f"only {len(world.secrets)} secrets were seen")
    wanted = [secret.encode() for secret in world.secrets]
    # In a database or in JSON it would be written so too.
    wanted += [json.dumps(secret)[1:-1].encode() for secret in world.secrets]
    between = sum(len(tap.received) for tap in world.taps)
    for tap in world.taps:
        expect(b"m.megolm.v1.aes-sha2" in tap.received, "no encrypted event went between the servers")
        for secret in wanted:
            expect(secret not in tap.received, "SDP or a candidate went between the servers")
    kept = 0
    for server in (world.a, world.b):
        server.stop()
    for person in world.people:
        person.end_daemon()
    places = [(server.folder, lambda path: True) for server in (world.a, world.b)]
    # The media programs were made to write down what they are told.
    places += [(folder, lambda path: not path.name.startswith("media"))
               for person in world.people for folder in (person.home, person.run_folder)]
    for folder, counts in places:
        for path in folder.rglob("*"):
            if path.is_file() and counts(path):
                data = path.read_bytes()
                kept += len(data)
                for secret in wanted:
                    expect(secret not in data, f"{path} holds SDP or a candidate")
    world.proof = (f"{len(world.secrets)} user names, passwords, fingerprints and candidates of all these calls were looked for in {between} bytes "
                   f"between the servers and {kept} bytes of databases, logs and files of servers and clients: 0 found.")
    print("        " + world.proof)


def coturn(folder, port):
    """Debian's TURN server on loopback; None where it is not installed."""
    if not shutil.which("turnserver"):
        return None
    log = folder / "turn.log"
    turn = Process(["turnserver", "-n", "--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", f"--listening-port={port}",
                    "--use-auth-secret", f"--static-auth-secret={SECRET}", "--realm=turn.test", "--allow-loopback-peers",
                    "--no-tls", "--no-dtls", "--no-cli", "--min-port=50000", "--max-port=50400", "--log-file=stdout",
                    f"--pidfile={folder / 'turn.pid'}", f"--userdb={folder / 'turn.db'}", "--verbose"], log)
    turn.wait_until(lambda: b"opened on" in log.read_bytes(), 10, "coturn")
    return turn


CASES = [
    ("aiortc calls aiortc: each hears the other's tone", aiortc_and_aiortc),
    ("aiortc calls a browser: each hears the other's tone", chromium_answers),
    ("a browser calls aiortc: each hears the other's tone", chromium_calls),
    ("a browser calls a browser: each hears the other's tone", chromium_and_chromium),
    ("on hold nothing is heard, and afterwards the tones are back", hold),
    ("a browser holds, and is held", hold_by_chromium),
    ("a call through coturn alone, with the homeserver's credentials", relayed),
    ("credentials are renewed while the call goes on", renewed),
    ("a caller vanishes, and the callee is told", vanished),
    ("no SDP and no candidate is kept, logged or sent in the clear", nothing_in_the_clear),
]


def main():
    options, run = script.options(__doc__, "only", "keep", "table").parse_args(), Run()
    with script.folder("callmedia", options.keep) as folder, contextlib.ExitStack() as stack:
        authority, (turn_port,) = Authority(folder / "ca"), free_ports(1)
        taps = [stack.enter_context(Tap(authority, name)) for name in ("tap-a", "tap-b")]
        turn = coturn(folder, turn_port)
        settings = {}
        if turn:
            stack.callback(turn.terminate)
            settings = {"turn": {"uris": [f"turn:127.0.0.1:{turn_port}?transport=udp"], "shared_secret": SECRET, "ttl_ms": 60_000}}
        a, b = (stack.enter_context(Fedchatd(folder / name, authority, public_port=tap.port, **settings)) for name, tap in zip("ab", taps))
        for tap, server in zip(taps, (a, b)):
            tap.start(server.federation_port)
        world = stack.enter_context(contextlib.closing(World(folder, a, b, taps, turn)))
        run.pairs(CASES, world, options.only)
    status = run.close()
    if options.table:
        rows = [f"| {what} | {hertz[0]} Hz, {hertz[1]} Hz | {heard[1]} Hz, {heard[0]} Hz | {route} |" for what, hertz, heard, route in world.rows]
        script.dated(options.table).write_text("\n".join(
            ["# Calls with media", "", f"{datetime.date.today()}, `Tests/PeerTests/call_media.py`: {run.passed} passed, {run.failed} failed, "
             f"{run.skipped} skipped. Two `fedchat` on two `fedchatd`.", "",
             "| call | tones in: caller, callee | heard: by the callee, by the caller | route |", "| --- | --- | --- | --- |", *rows, "",
             world.proof, ""]))
    return status


if __name__ == "__main__":
    sys.exit(main())
