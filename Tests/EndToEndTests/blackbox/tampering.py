"""A homeserver that does not do as it should: what its client is told in a sync is changed on the way."""
import http.client
import http.server
import json
import threading
import urllib.parse

from .processes import free_ports


class TamperingSite:
    """Plain HTTP on loopback, before a server's client API. `change(room, events)` gets the timeline of each room in each
    sync and returns what the client is to see; None leaves all as it is."""

    def __init__(self, site):
        self.port, = free_ports(1)
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.change, target, outer = None, urllib.parse.urlsplit(site.base_url), self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                connection = http.client.HTTPConnection(target.hostname, target.port, timeout=60)
                try:
                    connection.request(self.command, self.path, body,
                                       {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")})
                    response = connection.getresponse()
                    data = response.read()
                except OSError:
                    self.close_connection = True
                    return
                finally:
                    connection.close()
                if "/sync" in self.path and response.status == 200:
                    data = outer.changed(data)
                self.send_response(response.status)
                self.send_header("Content-Type", response.headers.get("Content-Type", "application/json"))
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                try:
                    self.wfile.write(data)
                except OSError:
                    self.close_connection = True

            do_GET = do_POST = do_PUT = do_DELETE = answer

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def changed(self, data):
        change = self.change
        if not change:
            return data
        answer = json.loads(data)
        for room, joined in answer.get("rooms", {}).get("join", {}).items():
            timeline = joined.setdefault("timeline", {"events": []})
            timeline["events"] = change(room, timeline.get("events", []))
        return json.dumps(answer).encode()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()
