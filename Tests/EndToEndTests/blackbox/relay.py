"""Something that listens in front of servers and passes connections on."""
import select
import socket
import ssl
import threading


class Relay:
    """Plain TCP on loopback, each connection in a thread of its own. A subclass says where a connection leads, and may put
    TLS on its ends; the one thread has both ways, as two may not read and write one TLS connection at the same time."""

    def listen(self, port):
        self._listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self):
        self._listener.close()

    def ends(self, near):
        """Both ends that bytes go between, for a connection that came in; OSError if it leads nowhere."""
        raise NotImplementedError

    def passed(self, part):
        """Told of all bytes, whichever way they go."""

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, plain):
        try:
            near, far = self.ends(plain)
        except OSError:
            plain.close()
            return
        sinks = {near: far, far: near}
        try:
            while all(self._pass_on(source, sinks[source]) for source in self._readable(near, far)):
                pass
        except OSError:
            pass
        for each in (near, far):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            each.close()

    @staticmethod
    def _readable(*ends):
        """Those that have bytes; of TLS, some may have been read from the socket before."""
        return ([each for each in ends if isinstance(each, ssl.SSLSocket) and each.pending()]
                or select.select(ends, [], [], 600)[0])

    def _pass_on(self, source, sink):
        """Whether more may come."""
        source.settimeout(0)
        try:
            part = source.recv(65536)
        except (BlockingIOError, ssl.SSLWantReadError):     # of TLS it was a message of its own, a session ticket
            return True
        finally:
            source.settimeout(60)
        if part:
            self.passed(part)
            sink.sendall(part)
        return bool(part)
