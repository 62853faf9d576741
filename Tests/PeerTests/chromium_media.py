#!/usr/bin/env python3
"""A media program that is a browser: Chromium without a window, its RTCPeerConnection driven through the DevTools protocol.
It sends a tone, and tells the frequency of what it hears. The protocol is in spec/calls.md.

    chromium_media.py NAME LOG HERTZ
"""
import asyncio
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import websockets

NAME, LOG, HERTZ = sys.argv[1], open(sys.argv[2], "a", buffering=1), float(sys.argv[3])

PAGE = """
let call, pc, audio, tone, gain, mine, analyser, needed = false;
const say = (type, more) => fedchat(JSON.stringify({v: 1, type, call_id: call, ...more}));
const streams = () => ({[mine.stream.id]: {purpose: "m.usermedia", audio_muted: gain.gain.value === 0}});

async function start(told) {
    call = told.call_id;
    if (pc) pc.close();
    if (!audio) {
        audio = new AudioContext({sampleRate: 48000});
        tone = new OscillatorNode(audio, {frequency: HERTZ});
        gain = new GainNode(audio, {gain: 0.4});
        mine = audio.createMediaStreamDestination();
        tone.connect(gain).connect(mine);
        tone.start();
    }
    pc = new RTCPeerConnection({iceServers: told.ice_servers});
    pc.addTrack(mine.stream.getAudioTracks()[0], mine.stream);
    pc.onicecandidate = ({candidate}) => { if (candidate) say("candidates", {candidates: [candidate.toJSON()]}); };
    pc.onicegatheringstatechange = () => {
        // Chrome has no candidate that says it was the last.
        if (pc.iceGatheringState === "complete") say("candidates", {candidates: [{candidate: ""}]});
    };
    pc.onconnectionstatechange = () => {
        if (["connecting", "connected", "disconnected", "failed"].includes(pc.connectionState)) say("state", {state: pc.connectionState});
    };
    pc.ontrack = ({streams: [stream]}) => {
        // Chrome plays nothing of a remote stream to Web Audio that no element plays.
        const element = new Audio(); element.srcObject = stream; element.muted = true; element.play();
        analyser = new AnalyserNode(audio, {fftSize: 32768, smoothingTimeConstant: 0});
        audio.createMediaStreamSource(stream).connect(analyser);
    };
}

setInterval(() => {
    if (!analyser) return;
    const bins = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(bins);
    let best = 0;
    bins.forEach((level, index) => { if (level > bins[best]) best = index; });
    const hz = bins[best] > -60 ? best * audio.sampleRate / analyser.fftSize : 0;
    say("note", {note: {heard_hz: Math.round(hz * 10) / 10, level: Number.isFinite(bins[best]) ? Math.round(bins[best]) : -200}});
}, 1000);

async function describe(request, hold) {
    gain.gain.value = hold ? 0 : 0.4;
    for (const transceiver of pc.getTransceivers()) transceiver.direction = hold ? "sendonly" : "sendrecv";
    await pc.setLocalDescription();
    say("description", {request, description: pc.localDescription.toJSON(), streams: streams()});
}

let chain = Promise.resolve();
const told = line => chain = chain.then(() => take(line)).catch(problem => say("failed", {message: String(problem)}));

async function take(line) {
    if (line.type === "start") await start(line);
    else if (line.type === "create_offer") await describe(line.request, line.hold);
    else if (line.type === "remote_description") {
        // An offer of our own that is in the way is rolled back by this.
        await pc.setRemoteDescription(line.description);
        if (line.description.type === "offer") await describe(line.request, line.hold);
    }
    else if (line.type === "rollback") await pc.setLocalDescription({type: "rollback"});
    else if (line.type === "candidates") for (const each of line.candidates) {
        if (each.candidate !== "") await pc.addIceCandidate(each);
    }
    else if (line.type === "ice_servers") pc.setConfiguration({iceServers: line.ice_servers});
}
"""


async def main():
    folder = tempfile.mkdtemp(prefix="chromium")
    browser = subprocess.Popen(
        ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
         "--remote-debugging-port=0", f"--user-data-dir={folder}", "--autoplay-policy=no-user-gesture-required",
         "--disable-features=WebRtcHideLocalIpsWithMdns", "--allow-loopback-in-peer-connection", "--mute-audio",
         "--disable-background-networking", "--proxy-server=127.0.0.1:9", "about:blank"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        port_file = pathlib.Path(folder) / "DevToolsActivePort"
        for _ in range(300):
            if port_file.exists() and len(port_file.read_text().splitlines()) == 2:
                break
            await asyncio.sleep(0.1)
        port, path = port_file.read_text().splitlines()
        async with websockets.connect(f"ws://127.0.0.1:{port}{path}", max_size=None) as socket:
            await run(socket)
    finally:
        browser.terminate()
        try:
            browser.wait(5)
        except subprocess.TimeoutExpired:
            browser.kill()
        shutil.rmtree(folder, ignore_errors=True)


async def run(socket):
    count, waiting = 0, {}

    async def ask(method, session=None, **parameters):
        nonlocal count
        count += 1
        waiting[count] = asyncio.get_running_loop().create_future()
        await socket.send(json.dumps({"id": count, "method": method, "params": parameters,
                                      **({"sessionId": session} if session else {})}))
        return await waiting[count]

    async def read():
        async for message in socket:
            message = json.loads(message)
            if message.get("method") == "Runtime.bindingCalled":
                line = message["params"]["payload"]
                if json.loads(line)["type"] == "failed":
                    print(f"{NAME}: {line}", file=sys.stderr)
                print(line, flush=True)
            elif message.get("id") in waiting:
                waiting.pop(message["id"]).set_result(message.get("result", {}))

    reading = asyncio.ensure_future(read())
    target = (await ask("Target.createTarget", url="about:blank"))["targetId"]
    session = (await ask("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
    await ask("Runtime.enable", session)
    await ask("Runtime.addBinding", session, name="fedchat")
    await ask("Runtime.evaluate", session, expression=PAGE.replace("HERTZ", str(HERTZ)))
    lines = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        LOG.write(line.decode())
        told = json.loads(line)
        if told["type"] == "stop":
            await ask("Runtime.evaluate", session, expression="pc && pc.close()")
            break
        await ask("Runtime.evaluate", session, expression=f"void told({json.dumps(told)})")
    reading.cancel()


asyncio.run(main())
