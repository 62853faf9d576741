"""Something that listens in front of a server, passes everything on, and keeps what went through."""
import socket
import ssl
import threading

from .processes import free_ports


class Tap:
    """TLS before a server's federation: `received` is all that came to it and went back, in the clear. Give `port` to the
    server as its public port, then call `start` with the port that it listens on."""

    def __init__(self, authority, name):
        self.port, = free_ports(1)
        certificate, key = authority.issue(name)
        self._outer = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._outer.load_cert_chain(certificate, key)
        self._inner = ssl.create_default_context(cafile=authority.certificate)
        self._lock, self._parts, self._listener = threading.Lock(), [], None

    def start(self, port):
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def stop(self):
        if self._listener:
            self._listener.close()

    @property
    def received(self):
        with self._lock:
            return b"".join(self._parts)

    def _accept(self):
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain):
        try:
            near = self._outer.wrap_socket(plain, server_side=True)
            far = self._inner.wrap_socket(socket.create_connection(("127.0.0.1", self._target)), server_hostname="localhost")
        except OSError:
            plain.close()
            return
        other = threading.Thread(target=self._pass_on, args=(far, near), daemon=True)
        other.start()
        self._pass_on(near, far)
        other.join(60)

    def _pass_on(self, source, sink):
        try:
            while part := source.recv(65536):
                with self._lock:
                    self._parts.append(part)
                sink.sendall(part)
        except OSError:
            pass
        for each in (source, sink):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
