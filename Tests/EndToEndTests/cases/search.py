"""Searching messages, and reporting them."""
from blackbox.matrix import quoted
from blackbox.report import case, eventually, expect, expect_equal


def search(user, term, **criteria):
    body = {"search_categories": {"room_events": {"search_term": term, **criteria}}}
    return user.call("POST", "/search", body)["search_categories"]["room_events"]


@case("words of unencrypted rooms are found, with what was said around them, and not by strangers")
def searching(world):
    user, stranger = world.server.user(), world.server.user()
    room = user.create_room(preset="public_chat", name="Observatory")
    for text in ("one telescope", "two telescopes", "something else"):
        user.send(room, text)
    eventually(lambda: search(user, "telescope").get("count") == 2, "both events are in the index", 20)
    found = search(user, "telescope", order_by="recent", event_context={"before_limit": 1, "after_limit": 1})
    expect_equal([r["result"]["content"]["body"] for r in found["results"]], ["two telescopes", "one telescope"])
    expect_equal([e["content"]["body"] for e in found["results"][0]["context"]["events_before"]], ["one telescope"])
    expect_equal(search(user, "observatory", keys=["content.name"])["count"], 1)
    expect_equal(search(stranger, "telescope")["count"], 0)


@case("an event is reported by a member only")
def reporting(world):
    user, stranger = world.server.user(), world.server.user()
    room = user.create_room(preset="public_chat")
    event = user.send(room, "bad")
    path = f"/rooms/{quoted(room)}/report/{quoted(event)}"
    expect_equal(stranger.request("POST", path, {"reason": "why"}).status, 404)
    expect_equal(user.request("POST", path, {"reason": "why"}).status, 200)
    expect_equal(stranger.request("POST", f"/rooms/{quoted(room)}/report", {"reason": "why"}).status, 200)
    expect_equal(stranger.request("POST", f"/users/{quoted(user.id)}/report", {"reason": "why"}).status, 200)
    expect("reason" not in stranger.request("POST", path, {}).json, "an answer tells no reason")
