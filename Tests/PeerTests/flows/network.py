"""The loopback between servers, so that it can fail: each server is reached through a relay, and the way from one server
to another can be cut or made bad without either of them knowing."""
import asyncio
import contextlib
import pathlib
import random
import socket
import struct
import threading


class Way:
    """From one server to another: how connections fare."""

    def __init__(self):
        self.mode = "open"         # open, reset (connections are torn down), stall (bytes wait), flaky (ends after some bytes)
        self.delay = 0             # seconds that each piece is held up
        self.reopened = asyncio.Event()
        self.links = set()         # the writers of both ends of each connection
        self.refused = 0           # connections that were torn down at once


class Network:
    """`relay` gives a server its public port. A relay knows a caller by the process that owns the connection."""

    def __init__(self, seed=1):
        self.servers, self.ways, self.random = [], {}, random.Random(seed)
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def relay(self):
        """A port that leads to whichever server is `attached` to it."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]

        async def serve():
            await asyncio.start_server(lambda reader, writer: self._connected(port, reader, writer), sock=listener)

        self._run(serve())
        return port

    def attach(self, server):
        self.servers.append(server)

    def close(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)

    # What tests do to it.

    @contextlib.contextmanager
    def parted(self, one, other, mode="reset", both=True):
        """Nothing gets from one to the other, nor back."""
        pairs = [(one, other)] + ([(other, one)] if both else [])
        for pair in pairs:
            self.set(*pair, mode)
        try:
            yield
        finally:
            for pair in pairs:
                self.set(*pair, "open")

    def set(self, source, target, mode, delay=0):
        async def change():
            way = self._way(source.name, target.name)
            way.mode, way.delay = mode, delay
            if mode == "reset":
                for writer in list(way.links):
                    self._tear(writer)
            if mode == "stall":
                way.reopened.clear()
            else:
                way.reopened.set()

        self._run(change())

    # How it works.

    def _run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    def _way(self, source, target):
        return self.ways.setdefault((source, target), Way())

    def _caller(self, port):
        """The name of the server whose process has the connection from this local port; None for anyone else."""
        inode = None
        for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[1].endswith(f":{port:04X}") and fields[9] != "0":
                inode = f"socket:[{fields[9]}]"
        for server in self.servers:
            if inode and server.process and server.process.runs:
                for entry in pathlib.Path(f"/proc/{server.process.id}/fd").iterdir():
                    with contextlib.suppress(OSError):
                        if entry.readlink().name == inode:
                            return server.name
        return None

    @staticmethod
    def _tear(writer):
        """Ends a connection with a reset."""
        with contextlib.suppress(OSError):
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async def _connected(self, port, reader, writer):
        target = next((each for each in self.servers if each.public_port == port), None)
        source = self._caller(writer.get_extra_info("peername")[1])
        if target is None:
            return self._tear(writer)
        way = self._way(source, target.name)
        if way.mode == "reset":
            way.refused += 1
            return self._tear(writer)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", target.federation_port)
        except OSError:
            return self._tear(writer)
        ends = {writer, far_writer}
        way.links |= ends
        budget = [self.random.randint(200, 20_000)] if way.mode == "flaky" else None
        try:
            await asyncio.gather(self._pump(way, reader, far_writer, budget), self._pump(way, far_reader, writer, budget))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            way.links -= ends
            for each in ends:
                self._tear(each) if way.mode in ("reset", "flaky") else each.close()

    async def _pump(self, way, reader, writer, budget):
        while part := await reader.read(65_536):
            if way.mode == "stall":
                await way.reopened.wait()
            if way.delay:
                await asyncio.sleep(way.delay)
            if budget is not None:
                part, budget[0] = part[:max(budget[0], 0)], budget[0] - len(part)
            writer.write(part)
            await writer.drain()
            if budget is not None and budget[0] <= 0:
                raise ConnectionResetError
        with contextlib.suppress(OSError, RuntimeError):
            writer.write_eof()
