"""Keeps what goes to a server's federation and back, in the clear."""
import socket
import ssl
import threading

from .processes import free_ports
from .relay import Relay


class Tap(Relay):
    """TLS before a server's federation: `received` is all that came to it and went back. Give `port` to the server as its
    public port, then call `start` with the port that it listens on."""

    def __init__(self, authority, name):
        self.port, = free_ports(1)
        certificate, key = authority.issue(name)
        self._outer = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._outer.load_cert_chain(certificate, key)
        self._inner = ssl.create_default_context(cafile=authority.certificate)
        self._lock, self._parts, self._target = threading.Lock(), [], None

    def start(self, target):
        self._target = target
        self.listen(self.port)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._target:
            self.stop()

    @property
    def received(self):
        with self._lock:
            return b"".join(self._parts)

    def ends(self, near):
        return (self._outer.wrap_socket(near, server_side=True),
                self._inner.wrap_socket(socket.create_connection(("127.0.0.1", self._target)), server_hostname="localhost"))

    def passed(self, part):
        with self._lock:
            self._parts.append(part)
