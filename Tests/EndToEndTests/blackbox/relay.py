"""Something that listens in front of servers and passes connections on."""
import socket
import threading


class Relay:
    """Plain TCP on loopback, each connection and each of its ways in a thread. A subclass says where a connection leads."""

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
        other = threading.Thread(target=self._pass_on, args=(far, near), daemon=True)
        other.start()
        self._pass_on(near, far)
        other.join(60)
        for each in (near, far):
            each.close()

    def _pass_on(self, source, sink):
        try:
            while part := source.recv(65536):
                self.passed(part)
                sink.sendall(part)
        except OSError:
            pass
        for each in (source, sink):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
