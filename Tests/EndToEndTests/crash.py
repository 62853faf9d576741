#!/usr/bin/env python3
"""Kills the server, with SIGKILL, while many devices send at full load; then counts what is there.

    crash.py [--database sqlite|postgres|both] [--sends 10000] [--kills 3] [--senders 16]

After each kill the server is started again and every send that got no answer is repeated under its transaction id.
At the end every acknowledged event is there once, none is there twice, and repeating a send that was acknowledged
gives the same event id.
"""
import sys
import threading
import time

from blackbox import script
from blackbox.certificates import Authority
from blackbox.report import Run, expect_equal
from blackbox.sending import Sending
from blackbox.servers import Fedchatd


def killed_during_sends(server, sends, kills, senders=8):
    """The whole story on a running server; the server runs again at the end. Returns sends per second."""
    user = server.user()
    room = user.create_room()
    devices = [server.site.login(user.localpart, user.password) for _ in range(senders)]
    todo = [[f"{device}-{number}" for number in range(sends // senders)] for device in range(senders)]
    sending, up, start = Sending(room), threading.Event(), time.monotonic()
    up.set()
    threads = sending.threads(*((device, [(each, each) for each in transactions], up.wait)
                                for device, transactions in zip(devices, todo)))
    acknowledged = sending.acknowledged         # each text is its transaction id
    total = sum(map(len, todo))
    down = 0.0
    try:
        for kill in range(kills):
            sending.until(total * (kill + 1) // (kills + 1), threads)
            up.clear()
            stopped = time.monotonic()
            server.kill()
            server.start()
            down += time.monotonic() - stopped
            up.set()
        for thread in threads:
            thread.join()
    finally:
        sending.give_up()
        up.set()
    rate = total / (time.monotonic() - start - down)
    expect_equal(sending.problems, [])
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
    options = script.options(__doc__, "databases")
    options.add_argument("--sends", type=int, default=10_000)
    options.add_argument("--kills", type=int, default=3)
    options.add_argument("--senders", type=int, default=16)
    options, run = options.parse_args(), Run()

    def go(folder, url):
        with Fedchatd(folder / "server", Authority(folder / "ca"), url) as server:
            rate = killed_during_sends(server, options.sends, options.kills, options.senders)
            print(f"        {rate:.0f} sends a second from {options.senders} Python threads")

    for database in script.kinds(options.database):
        with script.folder("crash") as folder, script.Databases(database) as databases:
            run.one(f"{database}: {options.sends} sends, {options.kills} kills", go, folder, databases.create("server"))
    return run.close()


if __name__ == "__main__":
    sys.exit(main())
