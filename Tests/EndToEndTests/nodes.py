#!/usr/bin/env python3
"""Two nodes of one server: processes that share a PostgreSQL database, keys and files, behind a balancer. Nodes are killed.

    nodes.py [--sends 500] [--only WORD]
"""
import signal
import socket
import subprocess
import sys
import threading
import time

from blackbox import script
from blackbox.certificates import Authority
from blackbox.matrix import User, quoted, timeline
from blackbox.processes import free_ports
from blackbox.relay import Relay
from blackbox.report import Run, eventually, expect, expect_equal
from blackbox.sending import Sending
from blackbox.servers import Fedchatd


class Balancer(Relay):
    """Passes connections on to the ports that answer, in turn: what stands before a server of several nodes."""

    def __init__(self, port, targets):
        self.targets, self.next = targets, 0
        self.listen(port)

    def ends(self, near):
        self.next += 1
        for offset in range(len(self.targets)):
            try:
                far = socket.create_connection(("127.0.0.1", self.targets[(self.next + offset) % len(self.targets)]), 5)
            except OSError:
                continue
            far.settimeout(None)
            return near, far
        raise OSError("no node answers")


class Pair:
    """Two nodes named after their balancer."""

    def __init__(self, folder, authority, url):
        (port,) = free_ports(1)
        self.name = f"localhost:{port}"
        keys = str(folder / "keys" / "signing.key")
        shared = {"server_name": self.name, "signing_key_file": keys, "data_dir": str(folder / "data")}
        (folder / "data").mkdir(parents=True)
        self.nodes = [Fedchatd(folder / f"node{number}", authority, url, **shared) for number in (1, 2)]
        self.balancer = Balancer(port, [node.federation_port for node in self.nodes])

    def __enter__(self):
        for node in self.nodes:
            node.start()
        return self

    def __exit__(self, *_):
        for node in self.nodes:
            node.__exit__()
        self.balancer.stop()

    def at(self, number, user):
        """The same session, at the other node."""
        return User(self.nodes[number].site, {"user_id": user.id, "access_token": user.token, "device_id": user.device}, user.password)


def talk(pair):
    """A word said at one node wakes who waits at the other, and sessions and tokens are good at both."""
    one, two = pair.nodes
    alice, bob = one.user("alice"), two.user("bob")
    room = alice.create_room(preset="public_chat")
    bob.join(room)
    for speaker, listener in ((alice, bob), (bob, alice)):
        waits = []
        for number in range(5):
            since = listener.sync()["next_batch"]
            got = {}

            def wait():
                got["answer"] = listener.sync(since, timeout=20000)
                got["at"] = time.monotonic()

            thread = threading.Thread(target=wait)
            thread.start()
            time.sleep(0.3)
            said = speaker.send(room, f"{speaker.localpart} {number}")
            at = time.monotonic()
            thread.join()
            expect(said in [event["event_id"] for event in timeline(got["answer"], room)], "it is what woke the listener")
            waits.append(got["at"] - at)
        # Without the notification, positions are read every five seconds.
        expect(sorted(waits)[2] < 2, f"woken after {waits}")
        print(f"        woken after {sorted(waits)[2] * 1000:.0f} ms in the middle, {max(waits) * 1000:.0f} ms at most")
    since = alice.sync()["next_batch"]
    said = bob.send(room, "to whoever moves")
    moved = pair.at(1, alice)
    answer = moved.sync(since)
    expect_equal([event["event_id"] for event in timeline(answer, room)], [said], "a sync goes on at the other node")
    one_time = alice.request("PUT", f"/rooms/{quoted(room)}/send/m.room.message/same", {"msgtype": "m.text", "body": "x"})
    again = moved.request("PUT", f"/rooms/{quoted(room)}/send/m.room.message/same", {"msgtype": "m.text", "body": "x"})
    expect_equal(again.json, one_time.json, "the same transaction at both nodes")
    alice.call("POST", "/logout", {})
    eventually(lambda: moved.request("GET", "/account/whoami").status == 401, "logged out at both nodes", 10)


def both_send(pair, sends):
    """Both nodes write one room at once."""
    alice, bob = pair.nodes[0].user("alice"), pair.nodes[1].user("bob")
    room = alice.create_room(preset="public_chat")
    bob.join(room)
    sending, start = Sending(room, later=(429, 500, 503)), time.monotonic()
    for thread in sending.threads(*((who, [(number, f"{who.localpart} {number}") for number in range(sends)]) for who in (alice, bob))):
        thread.join()
    took = time.monotonic() - start
    expect_equal(sending.problems, [])
    seen = [[(event["event_id"], event["content"]["body"]) for event in who.all_events(room) if event["type"] == "m.room.message"]
            for who in (alice, bob)]
    expect(seen[0] == seen[1], "both nodes tell the same order")
    expect_equal(len(seen[0]), 2 * sends, "messages")
    expect_equal({body: event for event, body in seen[0]}, sending.acknowledged, "each once, as acknowledged")
    for who in (alice, bob):
        own = [body for _, body in seen[0] if body.startswith(who.localpart + " ")]
        expect_equal(own, [f"{who.localpart} {number}" for number in range(sends)], "in the order they were sent")
    print(f"        {2 * sends} messages from two nodes in {took:.1f} s")


def claim_at_both(pair):
    """One-time keys are claimed at both nodes at once."""
    alice, bob = pair.nodes[0].user("alice"), pair.nodes[1].user("bob")
    names = [f"K{number:03}" for number in range(80)]
    for part in (names[:40], names[40:]):
        alice.call("POST", "/keys/upload", {"one_time_keys": {
            f"signed_curve25519:{name}": {"key": name, "signatures": {}} for name in part}})
    alice.call("POST", "/keys/upload", {"fallback_keys": {
        "signed_curve25519:last": {"key": "last", "fallback": True, "signatures": {}}}})
    given = [[], []]

    def claim(number, who):
        for _ in range(40):
            answer = who.call("POST", "/keys/claim", {"one_time_keys": {alice.id: {alice.device: "signed_curve25519"}}})
            given[number] += [name.split(":")[1] for name in answer["one_time_keys"][alice.id][alice.device]]

    askers = [pair.at(0, bob), bob]
    threads = [threading.Thread(target=claim, args=each) for each in enumerate(askers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expect_equal(sorted(given[0] + given[1]), names, "each key once, from one node or the other")
    for each in given:
        expect_equal(each, sorted(each), "in the order they were uploaded")
    for who in askers:
        answer = who.call("POST", "/keys/claim", {"one_time_keys": {alice.id: {alice.device: "signed_curve25519"}}})
        expect_equal(list(answer["one_time_keys"][alice.id][alice.device]), ["signed_curve25519:last"], "then the fallback key")
    left = pair.at(1, alice).call("POST", "/keys/upload", {})["one_time_key_counts"]
    expect_equal(left["signed_curve25519"], 0, "none is left at either node")


def query(url, statement):
    done = subprocess.run(["psql", "-At", url, "-c", statement], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    expect(done.returncode == 0, done.stderr)
    return done.stdout.strip()


def take_over(pair, there, url):
    """The node that sends to another server is killed in the midst of it; the other node goes on."""
    alice, bob = pair.nodes[0].user("alice"), pair.nodes[1].user("bob")
    guest = there.user("guest")
    room = alice.create_room(preset="public_chat")
    bob.join(room)
    guest.join(room, via=[pair.name])
    lease = f"SELECT lease_holder || ' ' || lease_until FROM destinations WHERE destination = '{there.name}'"
    one, two = pair.nodes
    # The other server hangs in the midst of a transaction, so somebody holds the right to send to it.
    there.process.popen.send_signal(signal.SIGSTOP)
    try:
        sent = [alice.send(room, "before")]
        eventually(lambda: not query(url, lease).endswith(" 0"), "somebody sends", 10)
        # Who holds it renews it every few seconds; while the first node stands still, that tells which it is.
        one.process.popen.send_signal(signal.SIGSTOP)
        before = query(url, lease)
        time.sleep(7)
        first_holds = query(url, lease) == before
        one.process.popen.send_signal(signal.SIGCONT)
        victim, survivor = (one, bob) if first_holds else (two, alice)
        victim.kill()
        sent.append(survivor.send(room, "after"))
    finally:
        there.process.popen.send_signal(signal.SIGCONT)
    start = time.monotonic()
    eventually(lambda: set(sent) <= {event["event_id"] for event in guest.all_events(room)}, "all of it arrives", 90)
    print(f"        all arrived {time.monotonic() - start:.1f} s after the node that sends was killed")
    found = [event["event_id"] for event in guest.all_events(room) if event["type"] == "m.room.message"]
    expect_equal(found, sent, "each once, in order")
    victim.start()
    word = guest.send(room, "and back")
    for who in (alice, bob):
        eventually(lambda: word in {event["event_id"] for event in who.messages(room)["chunk"]}, "an answer reaches both nodes", 30)


def main():
    options = script.options(__doc__, "only")
    options.add_argument("--sends", type=int, default=500)
    options, run = options.parse_args(), Run()
    with script.folder("nodes") as folder, script.Databases("postgres") as databases:
        authority, url = Authority(folder / "ca"), databases.create("pair")
        with Pair(folder / "pair", authority, url) as pair, Fedchatd(folder / "there", authority) as there:
            for sentence, function, arguments in (
                ("a word at one node wakes who waits at the other; sessions are good at both", talk, (pair,)),
                (f"two nodes send {options.sends} messages each into one room at once: each once, one order", both_send, (pair, options.sends)),
                ("one-time keys claimed at two nodes at once are given out in order, once each", claim_at_both, (pair,)),
                ("a node that is killed while it sends to another server is replaced by the other", take_over, (pair, there, url)),
            ):
                if options.only in sentence:
                    run.one(sentence, function, *arguments)
            if run.failed:
                for each in [*pair.nodes, there]:
                    print("        " + each.process.tail(15).replace("\n", "\n        "))
    return run.close()


if __name__ == "__main__":
    sys.exit(main())
