"""What is old or not wanted any more goes: messages by policy, rooms by the operator."""
import json
import time

from blackbox.matrix import quoted
from blackbox.report import case, eventually, expect, expect_equal, said


def with_fast_retention(world, **more):
    return world.another(timeouts={"retention_interval_ms": 500}, **more)


@case("messages go as the room says, its state stays, and paging back comes to an end", only="fedchatd")
def policy(world):
    with with_fast_retention(world) as server:
        user = server.user()
        room = user.create_room(name="Short", initial_state=[
            {"type": "m.room.retention", "state_key": "", "content": {"max_lifetime": 3000}}])
        plain = user.create_room(name="Long")
        for each in (room, plain):
            for number in range(5):
                user.send(each, f"{number}")
        time.sleep(3)
        last = user.send(room, "last")
        eventually(lambda: user.bodies(room) == ["last"], "the old messages are gone", 30)
        events = user.all_events(room)
        expect(any(event["type"] == "m.room.create" for event in events), "paging ends at the room's beginning")
        expect_equal(user.state(room, "m.room.name"), {"name": "Short"})
        expect_equal(user.bodies(plain), [str(number) for number in range(5)])
        expect_equal(user.request("GET", f"/rooms/{quoted(room)}/event/{quoted(last)}").status, 200)
        done = server.run("rooms", "check", room, "--config", server.configuration)
        expect_equal(done.returncode, 0, said(done))


@case("the operator takes old messages out of a room while the server runs", only="fedchatd")
def purge_history(world):
    with with_fast_retention(world) as server:
        user = server.user()
        room = user.create_room(name="Busy")
        sent = [user.send(room, f"{number}") for number in range(8)]
        done = server.run("rooms", "purge-history", room, "--before", sent[5], "--config", server.configuration)
        expect(done.returncode == 0 and done.stdout.startswith("5 "), said(done))
        expect_equal(user.bodies(room), ["5", "6", "7"])
        for path in ("event", "context"):
            answer = user.request("GET", f"/rooms/{quoted(room)}/{path}/{quoted(sent[2])}")
            expect_equal((answer.status, answer.errcode), (404, "M_NOT_FOUND"), f"{path}: {answer}")
        user.send(room, "8")
        done = server.run("rooms", "check", room, "--config", server.configuration)
        expect_equal(done.returncode, 0, said(done))
        for wrong in ("yesterday", "2999-01-01", "$nothing"):
            done = server.run("rooms", "purge-history", room, "--before", wrong, "--config", server.configuration)
            expect_equal(done.returncode, 1, f"{wrong}: {said(done)}")


@case("the operator deletes a room while the server runs: it is gone for all, and stays out if it is refused", only="fedchatd")
def delete(world):
    with with_fast_retention(world) as server:
        user, other = server.user(), server.user()
        room = user.create_room(name="Unwanted", preset="public_chat", room_alias_name="unwanted")
        stays = user.create_room(name="Wanted", invite=[other.id])
        for each in (room, stays):
            other.join(each)
            user.send(each, "hello")
        since = other.sync()["next_batch"]
        listed = server.run("rooms", "list", "--json", "--config", server.configuration)
        rooms = {line["room_id"]: line for line in map(json.loads, listed.stdout.splitlines())}
        expect_equal(rooms[room]["joined_here"], 2, said(listed))
        done = server.run("rooms", "delete", room, "--config", server.configuration)
        expect(done.returncode == 1 and "--force" in done.stderr, said(done))
        done = server.run("rooms", "delete", room, "--force", "--block", "--config", server.configuration)
        expect_equal(done.returncode, 0, said(done))
        expect(room in other.sync(since)["rooms"]["leave"], "who had it is told that it is left")
        expect(room not in server.run("rooms", "list", "--config", server.configuration).stdout, "it is not listed")
        for person in (user, other):
            expect_equal(person.call("GET", "/joined_rooms")["joined_rooms"], [stays])
            answer = person.request("POST", f"/join/{quoted(room)}", {})
            expect_equal((answer.status, answer.errcode), (403, "M_FORBIDDEN"), f"{answer}")
        expect_equal(user.request("GET", f"/directory/room/{quoted('#unwanted:' + user.server_name)}").status, 404)
        expect_equal(other.bodies(stays), ["hello"])
        done = server.run("rooms", "check", stays, "--config", server.configuration)
        expect_equal(done.returncode, 0, said(done))
        expect(room in server.run("rooms", "list", "--blocked", "--config", server.configuration).stdout, "it is refused")
        expect_equal(server.run("rooms", "unblock", room, "--config", server.configuration).returncode, 0)
        expect_equal(user.request("POST", f"/join/{quoted(room)}", {}).status, 404)


@case("metrics tell how many rows each table has", only="fedchatd")
def gauges(world):
    with with_fast_retention(world) as server:
        server.user().create_room(name="Counted")

        def rows():
            text = server.site.request("GET", "/metrics").body.decode()
            return [line for line in text.splitlines() if line.startswith("fedchat_table_rows{")]

        eventually(lambda: len(rows()) > 40, "all tables are told", 20)
        expect(any('table="events"' in line for line in rows()), "events are told")
