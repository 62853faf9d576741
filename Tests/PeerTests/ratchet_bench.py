#!/usr/bin/env python3
"""ratchet_bench.py [--peer PROGRAM] [--rounds N] [--table FILE]: our ratchet and vodozemac, the same operations in the same run, by turns.

Ours is timed inside fedchat-ratchet-peer (bench); vodozemac through its Python bindings, less what a call costs that does nothing: the
registry of Rust packages is not to be had everywhere. Medians of the rounds. Last line: "N passed, N failed, 0 skipped", passed are
those operations at which ours is at least as fast; slower ones do not fail the run."""
import argparse
import json
import os
import statistics
import subprocess
import time

import vodozemac

here = os.path.dirname(os.path.abspath(__file__))
TEXT, COUNT = bytes([7]) * 1024, 1000


def timed(count, body):
    began = time.perf_counter()
    for index in range(count):
        body(index)
    return (time.perf_counter() - began) / count * 1e6


def accounts(keys):
    alice, bob = vodozemac.Account(), vodozemac.Account()
    bob.generate_one_time_keys(keys)
    return alice, bob, list(bob.one_time_keys.values())


def pair():
    alice, bob, keys = accounts(1)
    first = alice.create_outbound_session(bob.curve25519_key, keys[0])
    second, _ = bob.create_inbound_session(alice.curve25519_key, first.encrypt(b"").to_pre_key())
    first.decrypt(second.encrypt(b""))
    second.decrypt(first.encrypt(b""))
    return first, second


def session_outbound():
    alice, bob, keys = accounts(1)
    identity_key = bob.curve25519_key
    return timed(COUNT, lambda index: alice.create_outbound_session(identity_key, keys[0]))


def session_inbound():
    alice, bob, _ = accounts(0)
    made = []
    while len(made) < COUNT:
        bob.generate_one_time_keys(50)
        keys = list(bob.one_time_keys.values())
        bob.mark_keys_as_published()
        made += [alice.create_outbound_session(bob.curve25519_key, key).encrypt(TEXT).to_pre_key() for key in keys]
    sender = alice.curve25519_key
    return timed(COUNT, lambda index: bob.create_inbound_session(sender, made[index]))


def olm_encrypt():
    alice, _ = pair()
    return timed(COUNT, lambda index: alice.encrypt(TEXT))


def olm_decrypt():
    alice, bob = pair()
    made = [alice.encrypt(TEXT) for _ in range(COUNT)]
    return timed(COUNT, lambda index: bob.decrypt(made[index]))


def olm_ping_pong():
    sides = list(pair())

    def turn(index):
        sides[1].decrypt(sides[0].encrypt(TEXT))
        sides.reverse()
    return timed(COUNT, turn)


def megolm_encrypt():
    session = vodozemac.GroupSession()
    return timed(COUNT, lambda index: session.encrypt(TEXT))


def megolm_decrypt():
    session = vodozemac.GroupSession()
    inbound = vodozemac.InboundGroupSession(session.session_key)
    made = [session.encrypt(TEXT) for _ in range(COUNT)]
    return timed(COUNT, lambda index: inbound.decrypt(made[index]))


def megolm_skip_100000():
    key = vodozemac.GroupSession().session_key
    made = [vodozemac.InboundGroupSession(key) for _ in range(COUNT)]
    return timed(COUNT, lambda index: made[index].export_at(100_000))


OPERATIONS = {
    "session_outbound": (session_outbound, "new session, who sends first"),
    "session_inbound": (session_inbound, "new session, who reads first, with the first message"),
    "olm_encrypt": (olm_encrypt, "Olm, encrypt 1 KiB, same chain"), "olm_decrypt": (olm_decrypt, "Olm, decrypt 1 KiB, same chain"),
    "olm_ping_pong": (olm_ping_pong, "Olm, encrypt and decrypt 1 KiB, by turns"),
    "megolm_encrypt": (megolm_encrypt, "Megolm, encrypt 1 KiB"), "megolm_decrypt": (megolm_decrypt, "Megolm, decrypt 1 KiB"),
    "megolm_skip_100000": (megolm_skip_100000, "Megolm, to index 100,000"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", default=os.path.join(here, "../../.build/release/fedchat-ratchet-peer"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--table")
    arguments = parser.parse_args()
    account = vodozemac.Account()
    ours, theirs, overhead = {}, {}, []
    for _ in range(arguments.rounds):
        overhead.append(timed(100_000, lambda index: account.max_number_of_one_time_keys))
        for name, (measure, _) in OPERATIONS.items():
            theirs.setdefault(name, []).append(measure())
        found = json.loads(subprocess.run([arguments.peer, "bench", "1"], check=True, capture_output=True).stdout)
        for name, value in found.items():
            ours.setdefault(name, []).append(float(value))
    call = statistics.median(overhead)
    rows = ["| operation | ours, µs | vodozemac, µs | vodozemac's time / ours |", "| --- | ---: | ---: | ---: |"]
    better = 0
    for name, (_, words) in OPERATIONS.items():
        own, other = statistics.median(ours[name]), statistics.median(theirs[name]) - call
        better += own <= other
        rows.append(f"| {words} | {own:.2f} | {other:.2f} | {other / own:.2f} |")
    print("\n".join(rows))
    print(f"vodozemac {vodozemac.__version__ if hasattr(vodozemac, '__version__') else ''} by its Python bindings, less {call:.2f} µs a call.")
    if arguments.table:
        with open(arguments.table, "w") as file:
            file.write("\n".join(rows) + "\n")
    print(f"{better} passed, {len(rows) - 2 - better} failed, 0 skipped")


if __name__ == "__main__":
    main()
