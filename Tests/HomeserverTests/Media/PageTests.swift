import Testing

@testable import Homeserver

@Suite("What pages say") struct PageTests {
    private func summary(_ html: String) -> PageSummary { PageSummary(Array(html.utf8)) }

    @Test func `OpenGraph goes before all else`() {
        let page = summary(
            """
            <!DOCTYPE html><html><head><title>Title &amp; more</title>
            <meta property="og:title" content="A &quot;graph&quot;"><meta property='og:title' content='second'>
            <META NAME=description CONTENT="plain"><meta property=og:description content=graph>
            <meta property="og:image" content="/a.png"/><meta property="og:type" content="article">
            <link rel="alternate" type="application/json+oembed" href="/oembed?x=1&amp;y=2">
            </head><body><p>text</p></body></html>
            """)
        #expect(page.title == "A \"graph\"" && page.description == "graph" && page.image == "/a.png")
        #expect(page.properties["og:type"] == "article")
        #expect(page.embed == "/oembed?x=1&y=2")
    }

    @Test func `without it, title, description and picture are read off the page`() {
        let page = summary(
            """
            <head><title>
              The   title
            </title><style>p { color: red }</style><script>var a = "<p>no</p>";</script><base href="https://x.test/y/"></head>
            <body><nav><p>Menu</p></nav><img src="data:image/png;base64,AAAA"><img src="pic.jpg?a=1&amp;b=2">
            <h1>Head<em>line</em></h1><p>First&nbsp;line.</p><p>Second <b>line</b>.<br>Third.</p><footer>no</footer>
            """)
        #expect(page.title == "The title")
        #expect(page.description == "First line. Second line. Third.")
        #expect(page.image == "pic.jpg?a=1&b=2")
        #expect(page.base == "https://x.test/y/")
        let bare = summary("<h1>Only this</h1><div>and <span>that</span></div>")
        #expect(bare.title == "Only this" && bare.description == "Only this and that")
        let meta = summary(
            "<meta name=twitter:title content=T><meta name=twitter:image content=i.png><meta name=description content=D>"
        )
        #expect(meta.title == "T" && meta.image == "i.png" && meta.description == "D")
        #expect(summary("").title == nil)
    }

    @Test func `tags and texts are told apart as browsers do`() {
        func tokens(_ html: String) -> [HTMLTokens.Token] { Array(HTMLTokens(Array(html.utf8))) }
        #expect(tokens("a < b") == [.text("a "), .text("< b")])
        #expect(
            tokens("<A HREF = 'x>y' b c=\"1\" c=2 d=e/>z</A >") == [
                .start("a", attributes: ["href": "x>y", "b": "", "c": "1", "d": "e/"]), .text("z"), .end("a"),
            ])
        #expect(
            tokens("<script>if (a</b) '</styl'</SCRIPT>x") == [
                .start("script", attributes: [:]), .text("if (a</b) '</styl'"), .end("script"), .text("x"),
            ])
        #expect(tokens("<!-- <p> --><!doctype a><?php x?>y") == [.text("y")])
        #expect(HTMLEntities.decode(Array("&lt;&#x41;&#66;&unknown;&amp;&eacute;".utf8)[...]) == "<AB&unknown;&é")
    }

    /// What ends early, or is made to be slow.
    @Test(
        .timeLimit(.minutes(1)),
        arguments: [
            "<", "</", "<a", "<a b", "<a b=", "<a b='", "<!--", "<!", "<?", "<title>", "<script>", "</a", "<a =b>",
            "&#", "&",
            "<a " + String(repeating: "x=1 ", count: 200_000), String(repeating: "<", count: 1_000_000),
            String(repeating: "<!--", count: 300_000), String(repeating: "<p>", count: 400_000),
            String(repeating: "&", count: 1_000_000), String(repeating: "<script>", count: 200_000),
            String(repeating: "<title></title", count: 100_000), "<p>" + String(repeating: "a ", count: 1_000_000),
            "<meta property=og:title content='" + String(repeating: "x", count: 1_000_000),
            String(repeating: "<meta property=og:x content=y>", count: 50_000),
        ])
    func `nothing that a page holds is too much`(html: String) {
        let page = summary(html)
        #expect((page.title?.unicodeScalars.count ?? 0) <= MediaLimits.previewValue + 1)
        #expect((page.description?.unicodeScalars.count ?? 0) <= MediaLimits.previewValue + 1)
        #expect(page.properties.count <= MediaLimits.previewProperties)
    }

    @Test func `pages are read in the letters they are written in`() {
        func read(_ bytes: [UInt8], _ type: String = "text/html") -> String {
            String(decoding: CharacterDecoding.utf8(bytes, contentType: type), as: UTF8.self)
        }
        #expect(read(Array("é€".utf8)) == "é€")
        #expect(read([0xE9, 0x80]) == "é€")
        #expect(read([0xE9], "text/html; charset=ISO-8859-1") == "é")
        #expect(read([0xC1], "text/html; charset=\"KOI8-R\"") == "а")
        #expect(read([0x93, 0xFA], "text/html;charset=Shift_JIS") == "日")
        #expect(read(Array("<meta charset=windows-1251>".utf8) + [0xC0]).hasSuffix("А"))
        #expect(
            read(Array("<meta http-equiv=x content='text/html; charset=utf-8'>".utf8) + [0xFF]).hasSuffix("\u{FFFD}"))
        #expect(read([0xEF, 0xBB, 0xBF, 0x61], "text/html; charset=koi8-r") == "a")
        #expect(read([0xFF, 0xFE, 0x61, 0x00, 0xE9, 0x00]) == "aé")
        #expect(read([0xFE, 0xFF, 0x00, 0x61]) == "a")
        #expect(read([0x61, 0xE9], "text/html; charset=../../etc/passwd") == "aé")
        #expect(read([0x61, 0x82], "text/html; charset=euc-jp").hasPrefix("a"))
        #expect(read([0xFF, 0xFE, 0x61]) == "\u{FFFD}" && read([], "text/html; charset=big5").isEmpty)
        let long = [UInt8](repeating: 0xE9, count: 100_000)
        #expect(read(long, "text/html; charset=latin1").unicodeScalars.count == 100_000)
    }

    @Test(
        arguments: [
            ("b.html", "https://x.test/a/b.html"), ("/b?c=d#e", "https://x.test/b?c=d"),
            ("//y.test/z", "https://y.test/z"),
            ("http://z.test:8080", "http://z.test:8080/"), ("../../../b/./c", "https://x.test/b/c"),
            ("?q", "https://x.test/a/p?q"),
            ("a b/ü", "https://x.test/a/a%20b/%C3%BC"), ("#f", "https://x.test/a/p?old"), ("javascript:alert(1)", nil),
            ("data:text/html,x", nil), ("https://user@y.test/", nil), ("ftp://y.test/", nil), ("..", "https://x.test/"),
            ("https://y.test\\@z.test/", nil), ("\n/x", "https://x.test/x"),
        ] as [(String, String?)])
    func `references are resolved`(reference: String, expected: String?) throws {
        let base = try #require(WebAddress("https://x.test/a/p?old"))
        #expect(base.resolved(reference)?.text == expected)
    }
}
