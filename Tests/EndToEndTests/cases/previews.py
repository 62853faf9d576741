"""Previews of links."""
import http.server
import threading

from blackbox.matrix import quoted
from blackbox.pictures import picture
from blackbox.report import case, expect, expect_equal
from cases.media import download


class Page:
    """A web page with a title, a description and a picture."""

    def __init__(self):
        page, drawn = self, picture(64, 48)

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                page.asked += 1
                kind, data = ("image/png", drawn) if self.path == "/p.png" else ("text/html; charset=utf-8", (
                    '<html><head><title>no</title><meta property="og:title" content="Tea &amp; cake">'
                    '<meta property="og:description" content="All about it"><meta property="og:image" content="/p.png">'
                    "</head><body><script>alert(1)</script></body></html>").encode())
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *arguments):
                pass

        self.asked = 0
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/page"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


@case("a link is previewed where the operator wants it, and no page of the private network otherwise", only="fedchatd")
def previews(world):
    page = Page()
    try:
        asked = "/media/preview_url?url=" + quoted(page.url)
        user = world.server.user()
        answer = user.request("GET", asked, prefix="/_matrix/client/v1")
        expect(answer.status in (403, 404), f"off by default: {answer}")
        with world.another(url_previews={"enabled": True}) as server:
            answer = server.user().request("GET", asked, prefix="/_matrix/client/v1")
            expect(400 <= answer.status < 500 or answer.status == 502, f"a private address: {answer}")
        expect_equal(page.asked, 0, "nobody asked the page")
        with world.another(url_previews={"enabled": True}, outbound={"allow_private_addresses": True}) as server:
            user = server.user()
            found = user.call("GET", asked, prefix="/_matrix/client/v1")
            expect_equal((found["og:title"], found["og:description"]), ("Tea & cake", "All about it"))
            expect(found["og:image"].startswith(f"mxc://{server.name}/"), f"{found}")
            expect_equal(download(user, found["og:image"][len("mxc://"):]).status, 200, "its picture is here")
            before = page.asked
            expect_equal(user.call("GET", asked, prefix="/_matrix/client/v1")["og:title"], "Tea & cake")
            expect_equal(page.asked, before, "the second time it is remembered")
            old = user.request("GET", "/_matrix/media/v3/preview_url?url=" + quoted(page.url), prefix="")
            expect_equal((old.status, old.json["og:title"]), (200, "Tea & cake"))
    finally:
        page.stop()
