#!/usr/bin/env python3
"""A media program on aiortc: sends a tone, and tells the frequency of what it hears. The protocol is in spec/calls.md.

    aiortc_media.py NAME LOG HERTZ [--relay]

Everything stays on loopback. Candidates are trickled. --relay: only through the TURN server that it is told of.
"""
import array
import asyncio
import fractions
import json
import math
import re
import sys
import time

import aioice.ice
import av
import numpy
from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.sdp import candidate_from_sdp

aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]

NAME, LOG, HERTZ, RELAY = sys.argv[1], open(sys.argv[2], "a", buffering=1), float(sys.argv[3]), "--relay" in sys.argv
RATE, SAMPLES = 48_000, 960


class Tone(MediaStreamTrack):
    kind = "audio"

    def __init__(self):
        super().__init__()
        self.is_silent, self._position, self._start = False, 0, None

    async def recv(self):
        self._start = self._start or time.monotonic()
        await asyncio.sleep(max(0, self._start + self._position / RATE - time.monotonic()))
        level = 0 if self.is_silent else 12_000
        samples = array.array("h", (int(level * math.sin(2 * math.pi * HERTZ * (self._position + n) / RATE)) for n in range(SAMPLES)))
        frame = av.AudioFrame(format="s16", layout="mono", samples=SAMPLES)
        frame.planes[0].update(samples.tobytes())
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._position, fractions.Fraction(1, RATE)
        self._position += SAMPLES
        return frame


class Media:
    def __init__(self):
        self.call = self.connection = self.reading = None
        self.is_over = False
        self.tone = Tone()

    def say(self, kind, **more):
        print(json.dumps({"v": 1, "type": kind, "call_id": self.call, **more}), flush=True)

    def start(self, told):
        self.call = told["call_id"]
        servers = [RTCIceServer(urls=each["urls"], username=each.get("username"), credential=each.get("credential"))
                   for each in told["ice_servers"]]
        self.connection = connection = RTCPeerConnection(RTCConfiguration(iceServers=servers))
        connection.addTrack(self.tone)
        connection.on("track", lambda track: setattr(self, "reading", asyncio.ensure_future(self.hear(track))))

        @connection.on("connectionstatechange")
        def changed():
            state = connection.connectionState
            # aiortc closes a connection whose other end has said goodbye, or does not answer any more. A hangup may follow.
            state = "disconnected" if state == "closed" and not self.is_over else state
            if state in ("connecting", "connected", "disconnected", "failed"):
                self.say("state", state=state)

    async def hear(self, track):
        heard = numpy.zeros(0)
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return      # the call is over
            # Interleaved 16 bit, as many channels as the layout has.
            samples = numpy.frombuffer(bytes(frame.planes[0])[:frame.samples * 2 * len(frame.layout.channels)], dtype=numpy.int16)
            heard = numpy.concatenate([heard, samples[::len(frame.layout.channels)]])
            if len(heard) >= frame.sample_rate:
                spectrum = numpy.abs(numpy.fft.rfft(heard * numpy.hanning(len(heard))))
                level = float(numpy.sqrt(numpy.mean(heard ** 2)))
                hertz = float(numpy.argmax(spectrum) * frame.sample_rate / len(heard)) if level > 50 else 0.0
                self.say("note", note={"heard_hz": round(hertz, 1), "level": round(level)})
                heard = numpy.zeros(0)

    async def describe(self, request, hold):
        self.tone.is_silent = hold
        for transceiver in self.connection.getTransceivers():
            transceiver.direction = "sendonly" if hold else "sendrecv"
        is_first = self.connection.localDescription is None
        is_offer = self.connection.signalingState == "stable"
        await self.connection.setLocalDescription(
            await (self.connection.createOffer() if is_offer else self.connection.createAnswer()))
        local = self.connection.localDescription
        # aiortc gathers before it describes: what it found is taken out and sent as candidates.
        kept, candidates, mids, index = [], [], re.findall(r"^a=mid:(\S+)", local.sdp, re.M), -1
        for line in local.sdp.split("\r\n"):
            index += line.startswith("m=")
            if line.startswith("a=candidate:"):
                if not RELAY or " typ relay" in line:
                    candidates.append({"candidate": line[2:], "sdpMid": mids[index], "sdpMLineIndex": index})
            elif line != "a=end-of-candidates":
                kept.append(line)
        streams = {stream: {"purpose": "m.usermedia", "audio_muted": hold} for stream in re.findall(r"^a=msid:(\S+) ", local.sdp, re.M)}
        self.say("description", request=request, description={"type": local.type, "sdp": "\r\n".join(kept)}, streams=streams)
        if is_first:
            for candidate in candidates:
                self.say("candidates", candidates=[candidate])
            self.say("candidates", candidates=[{"candidate": ""}])

    async def take(self, told):
        kind = told["type"]
        if kind == "start":
            self.start(told)
        elif kind == "create_offer":
            await self.describe(told["request"], told["hold"])
        elif kind == "remote_description":
            description = told["description"]
            await self.connection.setRemoteDescription(RTCSessionDescription(description["sdp"], description["type"]))
            if description["type"] == "offer":
                await self.describe(told["request"], told["hold"])
        elif kind == "candidates":
            for each in told["candidates"]:
                if each["candidate"] and (not RELAY or " typ relay" in each["candidate"]):
                    candidate = candidate_from_sdp(each["candidate"].split(":", 1)[1])
                    candidate.sdpMid, candidate.sdpMLineIndex = each.get("sdpMid"), each.get("sdpMLineIndex")
                    await self.connection.addIceCandidate(candidate)


async def main():
    media = Media()
    lines = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        told = json.loads(line)
        LOG.write(json.dumps(told) + "\n")
        if told["type"] == "stop":
            break
        try:
            await media.take(told)
        except Exception as problem:
            print(f"{NAME}: {told['type']}: {problem!r}", file=sys.stderr)
            media.say("failed")
    media.is_over = True
    if media.connection:
        await media.connection.close()


asyncio.run(main())
