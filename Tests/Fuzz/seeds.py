#!/usr/bin/env python3
"""Writes seeds for the fuzz targets below a folder: spec/vectors taken apart, and some of each kind by hand."""
import json
import pathlib
import sys

root = pathlib.Path(__file__).resolve().parent.parent.parent
out = pathlib.Path(sys.argv[1])
counts = {}


def seed(target, data):
    if isinstance(data, str):
        data = data.encode()
    number = counts[target] = counts.get(target, 0) + 1
    folder = out / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"seed-{number}").write_bytes(data)


def walk(value):
    yield value
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else []:
        yield from walk(child)


texts, events = set(), []
for file in sorted((root / "spec/vectors").rglob("*.json")):
    for value in walk(json.loads(file.read_text())):
        if isinstance(value, str):
            texts.add(value)
        if isinstance(value, dict) and "type" in value and "sender" in value and "content" in value:
            events.append(value)

for text in sorted(texts)[:400]:
    if text[:1] in "@!$#+" and len(text) < 256:
        seed("identifiers", text)
    if text[:1] in "[{" and len(text) < 4000:
        seed("json", text)
    if len(text) < 200:
        seed("base64", text)
for event in events[:60]:
    seed("json", json.dumps(event))

hashes = {"sha256": "0" * 43}
base = {
    "type": "m.room.message", "sender": "@a:test", "room_id": "!r:test", "origin_server_ts": 1, "depth": 5,
    "auth_events": [], "prev_events": [], "hashes": hashes, "signatures": {"test": {"ed25519:1": "A" * 86}},
    "content": {"body": "hi", "msgtype": "m.text"}, "unsigned": {"age": 3}, "origin": "test",
}
kinds = [
    {},
    {"type": "m.room.create", "state_key": "", "content": {"creator": "@a:test", "room_version": "11"}},
    {"type": "m.room.member", "state_key": "@a:test", "content": {"membership": "join", "displayname": "A"}},
    {"type": "m.room.member", "state_key": "@b:test", "content": {
        "membership": "invite", "third_party_invite": {"signed": {
            "mxid": "@b:test", "token": "t", "signatures": {"x": {"ed25519:0": "A" * 86}}}}}},
    {"type": "m.room.power_levels", "state_key": "", "content": {
        "users": {"@a:test": 100}, "events": {"m.room.name": "50"}, "ban": 50, "notifications": {"room": 20}}},
    {"type": "m.room.join_rules", "state_key": "", "content": {
        "join_rule": "restricted", "allow": [{"type": "m.room_membership", "room_id": "!o:test"}]}},
    {"type": "m.room.third_party_invite", "state_key": "t", "content": {
        "public_key": "A" * 43, "public_keys": [{"public_key": "A" * 43, "key_validity_url": "https://x"}]}},
    {"type": "m.room.redaction", "redacts": "$x:test", "content": {"redacts": "$y", "reason": "z"}},
    {"type": "m.room.server_acl", "state_key": "", "content": {
        "allow": ["*"], "deny": ["*.evil", "1.2.3.?"], "allow_ip_literals": False}},
    {"type": "m.room.history_visibility", "state_key": "", "content": {"history_visibility": "shared"}},
]
for number, kind in enumerate(kinds):
    old = base | kind | {"event_id": "$e%d:test" % number, "auth_events": [["$a:test", hashes]]}
    new = base | kind | {"auth_events": ["$" + "a" * 43]}
    for version in (0, 1):
        seed("pdu", bytes([version]) + json.dumps(old).encode())
    for version in range(2, 12):
        seed("pdu", bytes([version]) + json.dumps(new).encode())
call = {"call_id": "c1", "party_id": "p1", "version": "1"}
streams = {"sdp_stream_metadata": {"s": {"purpose": "m.usermedia", "audio_muted": True, "video_muted": False}}}
for number, content in enumerate([
    {"offer": {"type": "offer", "sdp": "v=0"}, "lifetime": 90000, "invitee": "@b:test", **streams},
    {"candidates": [{"candidate": "candidate:1 1 udp 1 192.0.2.1 9 typ host", "sdpMid": "0", "sdpMLineIndex": 0},
                    {"candidate": ""}]},
    {"answer": {"type": "answer", "sdp": "v=0"}, **streams}, {"selected_party_id": "p2"}, {}, {"reason": "ice_failed"},
    {"description": {"type": "offer", "sdp": "v=0"}, "lifetime": 10000}, streams,
]):
    for common in (call, {"call_id": "c1", "version": 0}):
        seed("call-event", bytes([number]) + json.dumps(common | content).encode())
for version in range(12):
    events = [base | kind for kind in kinds[1:]] + [base]
    if version < 2:
        events = [event | {"event_id": "$e%d:test" % number} for number, event in enumerate(events)]
    lines = b"\n".join(json.dumps(event).encode() for event in events)
    seed("authorization", bytes([version]) + lines)

for text in ["@a:[::1]:80", "@a:1.2.3.4", "!a:example.org:8448", "#a:b", "$" + "a" * 43, "mxc://example.org/abc", "@:x",
             "example.org", "[1:2:3:4:5:6:7.8.9.0]:1", "1.2.3.4:65536", "m.room.message", "@a\u00e9:b"]:
    seed("identifiers", text)
for text in ["*a*b?c\nxaybzc", "*" * 20 + "\n" + "a" * 50, "\u00c4*\n\u00e4bc", "[a-c]\nb"]:
    seed("glob", text)
rules = {"global": {"override": [{
    "rule_id": "x", "enabled": True, "default": False, "actions": ["notify", {"set_tweak": "sound", "value": "default"}],
    "conditions": [{"kind": "event_match", "key": "content.body", "pattern": "a*"},
                   {"kind": "event_property_is", "key": "content.m\\.x.y", "value": 1},
                   {"kind": "event_property_contains", "key": "content.l", "value": "z"},
                   {"kind": "room_member_count", "is": ">=2"},
                   {"kind": "sender_notification_permission", "key": "room"}]}],
    "content": [{"rule_id": "y", "enabled": True, "default": False, "pattern": "word", "actions": ["dont_notify"]}],
    "room": [], "sender": [], "underride": []}}
seed("push-rules", json.dumps(rules) + "\n" + json.dumps(
    base | {"content": {"body": "a word", "m.x": {"y": 1}, "l": ["z"]}}))
for text in ['X-Matrix origin="a.test",destination="b.test",key="ed25519:1",sig="' + "A" * 86 + '"',
             "X-Matrix origin=a.test:80 , key=ed25519:1,sig=abc", 'x-matrix origin="a\\"b", key="k", signature="s"']:
    seed("x-matrix", text)
for text in ["/_matrix/client/v3/rooms/%21a%3Ab/send/m.room.message/1?a=b&c=%20d+e", "https://x/y?z", "/a//b/", "/%zz?%"]:
    seed("path", text)
for text in ["s1_1_2_3_4_5_6_7", "t1_-5", "t1_12", "s1_9007199254740991_0_0_0_0_0_0", "c1_3_9_12_s1_1_2_3_4_5_6_7"]:
    seed("sync-token", text)
part = "--b\r\nContent-Type: application/json\r\n\r\n{}\r\n--b\r\n"
for tail in ["Content-Type: image/png\r\nContent-Disposition: inline; filename=\"a.png\"\r\n\r\nPNG\r\n--b--\r\n",
             "Location: https://x/y\r\n\r\n\r\n--b--", "\r\n\r\n--b--"]:
    seed("multipart", 'multipart/mixed; boundary="b"\n' + part + tail)
seed("image-header", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x10\0\0\0\x20\x08\x06\0\0\0eXIf")
seed("image-header", b"GIF89a\x10\0\x20\0")
seed("image-header", b"\xff\xd8\xff\xe1\0\x10Exif\0\0abcdefgh\xff\xc0\0\x11\x08\0\x10\0\x20\x03")
seed("image-header", b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\x08\0\0\0\x0f\0\0\x1f\0\0")
seed("image-header", b"RIFF\0\0\0\0WEBPVP8L\x05\0\0\0\x2f\x0f\xc0\x07\0")
seed("image-header", b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2a\x10\0\x20\0")
seed("image-header", b"GIF89a\x01\0\x01\0\0\0\0\x2c\0\0\0\0\x01\0\x01\0\0\x02\x01\0\0\x3b")
for kind in ["text/html", "text/html; charset=shift_jis", "text/html; charset=gb18030"]:
    seed("page", kind + "\n<title>a&amp;b</title><meta property=og:title content='x'><p>t<br>u</p><!-- --><script>x</script><img src=a>")
seed("page", b"text/html; charset=utf-16le\n\xff\xfe<\0p\0>\0a\0")
for text in ["inline; filename=a.png", "attachment; filename*=utf-8''%e2%82%ac.txt; filename=x", 'x; filename="a\\"b;c"']:
    seed("disposition", text)
