#!/usr/bin/env python3
"""Kills the server, with SIGKILL, while many devices send at full load; then counts what is there.

    crash.py [--database sqlite|postgres|both] [--sends 10000] [--kills 3] [--senders 16]

After each kill the server is started again and every send that got no answer is repeated under its transaction id.
At the end every acknowledged event is there once, none is there twice, and repeating a send that was acknowledged
gives the same event id.
"""
import argparse
import pathlib
import shutil
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from blackbox.certificates import Authority
from blackbox.matrix import User, quoted
from blackbox.postgres import Cluster
from blackbox.report import Run, expect, expect_equal
from blackbox.servers import Fedchatd


def killed_during_sends(server, sends, kills, senders=8):
    """The whole story on a running server; the server runs again at the end. Returns sends per second."""
    user = server.user()
    room = user.create_room()
    devices = [server.site.login(user.localpart, user.password) for _ in range(senders)]
    todo = [[f"{device}-{number}" for number in range(sends // senders)] for device in range(senders)]
    acknowledged = {}                      # transaction id: event id
    lock, up, done = threading.Lock(), threading.Event(), threading.Event()
    up.set()
    problems = []

    def send(device: User, transactions):
        for transaction in transactions:
            while True:
                up.wait()
                try:
                    answer = device.request(
                        "PUT", f"/rooms/{quoted(room)}/send/m.room.message/{transaction}", {"msgtype": "m.text", "body": transaction})
                except Exception:          # no answer: the same transaction again, once the server is back
                    if done.is_set():
                        return
                    time.sleep(0.02)
                    continue
                if answer.status == 200:
                    with lock:
                        acknowledged[transaction] = answer.json["event_id"]
                    break
                if answer.status not in (429, 503):
                    problems.append(f"{transaction}: {answer}")
                    return
                time.sleep(0.05)

    start = time.monotonic()
    threads = [threading.Thread(target=send, args=pair) for pair in zip(devices, todo)]
    for thread in threads:
        thread.start()
    total = sum(map(len, todo))
    down = 0.0
    try:
        for kill in range(kills):
            target = total * (kill + 1) // (kills + 1)
            while len(acknowledged) < target and any(thread.is_alive() for thread in threads):
                time.sleep(0.005)
            up.clear()
            stopped = time.monotonic()
            server.kill()
            server.start()
            down += time.monotonic() - stopped
            up.set()
        for thread in threads:
            thread.join()
    finally:
        done.set()
        up.set()
    rate = total / (time.monotonic() - start - down)
    expect_equal(problems, [])
    expect_equal(len(acknowledged), total, "acknowledged")
    found = [event for event in user.all_events(room) if event["type"] == "m.room.message"]
    counts = {}
    for event in found:
        counts.setdefault(event["content"]["body"], []).append(event["event_id"])
    twice = {text: ids for text, ids in counts.items() if len(ids) > 1}
    expect_equal(twice, {}, "sent twice")
    missing = [text for text, event in acknowledged.items() if counts.get(text) != [event]]
    expect_equal(missing, [], "acknowledged, but not there under its id")
    expect_equal(len(found), total)
    for device, transactions in zip(devices, todo):
        for transaction in transactions[:: max(1, len(transactions) // 10)]:
            again = device.send(room, transaction, transaction=transaction)
            expect_equal(again, acknowledged[transaction], "the same transaction again")
    expect_equal(len([event for event in user.all_events(room) if event["type"] == "m.room.message"]), total)
    return rate


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--database", choices=["sqlite", "postgres", "both"], default="both")
    options.add_argument("--sends", type=int, default=10_000)
    options.add_argument("--kills", type=int, default=3)
    options.add_argument("--senders", type=int, default=16)
    options = options.parse_args()
    run = Run()
    for database in ("sqlite", "postgres") if options.database == "both" else (options.database,):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="crash"))
        cluster = Cluster() if database == "postgres" else None

        def go():
            with Fedchatd(folder / "server", Authority(folder / "ca"), cluster.create("server") if cluster else None) as server:
                rate = killed_during_sends(server, options.sends, options.kills, options.senders)
                print(f"        {rate:.0f} sends a second from {options.senders} Python threads")

        try:
            run.one(f"{database}: {options.sends} sends, {options.kills} kills", go)
        finally:
            if cluster:
                cluster.stop()
            shutil.rmtree(folder, ignore_errors=True)
    return run.close()


if __name__ == "__main__":
    sys.exit(main())
