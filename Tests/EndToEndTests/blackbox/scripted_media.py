#!/usr/bin/env python3
"""A media program without media: it keeps to the protocol of spec/calls.md, and writes down all that it is told.

    scripted_media.py NAME LOG [BEHAVIOR]

Its SDP and candidates hold NAME and a word that is found wherever they are kept in the clear: SECRETSDP, SECRETCANDIDATE. It
says that it is connected once it has both descriptions. BEHAVIOR: dies, silent, garbage, fails, dies-later, or mute, which never
is connected.
"""
import json
import os
import sys
import time

name, log = sys.argv[1], open(sys.argv[2], "a", buffering=1)
behavior = sys.argv[3] if len(sys.argv) > 3 else "normal"
offers = 0


def say(call, kind, **more):
    print(json.dumps({"v": 1, "type": kind, "call_id": call, **more}), flush=True)


def sdp(word, hold):
    direction = "sendonly" if hold else "sendrecv"
    return (f"v=0\r\no=- SECRETSDP{name}{word} 2 IN IP4 127.0.0.1\r\ns=-\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"
            f"a={direction}\r\n")


def candidates(call):
    say(call, "candidates", candidates=[
        {"candidate": f"candidate:SECRETCANDIDATE{name} 1 udp 1 192.0.2.1 9 typ host", "sdpMid": "0", "sdpMLineIndex": 0}])
    say(call, "candidates", candidates=[{"candidate": ""}])


log.write(json.dumps({"type": "pid", "pid": os.getpid()}) + "\n")
for line in sys.stdin:
    told = json.loads(line)
    log.write(json.dumps({"at": time.time(), **told}) + "\n")
    call, kind = told["call_id"], told["type"]
    if behavior == "dies":
        sys.exit(3)
    if behavior == "silent":
        continue
    if behavior == "garbage":
        print("this is no JSON", flush=True)
        continue
    if behavior == "fails" and kind != "start":
        say(call, "failed")
        continue
    if kind == "create_offer":
        offers += 1
        say(call, "description", request=told["request"], description={"type": "offer", "sdp": sdp(f"offer{offers}", told["hold"])},
            streams={"stream" + name: {"purpose": "m.usermedia"}})
        if offers == 1:
            candidates(call)
    elif kind == "remote_description":
        if told["description"]["type"] == "offer":
            say(call, "description", request=told["request"],
                description={"type": "answer", "sdp": sdp("answer", told["hold"])},
                streams={"stream" + name: {"purpose": "m.usermedia"}})
            if offers == 0:
                candidates(call)
        say(call, "note", note={"who": name, "description": told["description"]["type"]})
        if behavior != "mute":
            say(call, "state", state="connected")
        if behavior == "dies-later":
            time.sleep(1)
            sys.exit(3)
    elif kind == "stop":
        break
