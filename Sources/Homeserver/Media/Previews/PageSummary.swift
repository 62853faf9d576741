/// What a page says of itself: OpenGraph, where it has that, and else what can be read off it.
/// See <https://ogp.me/>
struct PageSummary: Equatable {
    /// `og:…`, by name; the first of each.
    private(set) var properties: [String: String] = [:]
    private(set) var title: String?
    private(set) var description: String?
    /// As the page writes it: a URL, or a part of one.
    private(set) var image: String?
    /// Where a description of the page for embedding lies. See <https://oembed.com/#section4>
    private(set) var embed: String?
    /// What its references are relative to.
    private(set) var base: String?

    /// In these is nothing that says what the page is about.
    private static let passedOver: Set<String> = [
        "script", "style", "noscript", "svg", "nav", "header", "footer", "aside", "form", "select", "button",
        "template", "iframe", "textarea", "noembed", "noframes", "xmp", "menu", "dialog", "figcaption", "object",
        "video", "audio",
    ]
    /// Before and after these a text does not go on.
    private static let blocks: Set<String> = [
        "p", "div", "br", "li", "ul", "ol", "h1", "h2", "h3", "h4", "h5", "h6", "section", "article", "main", "table",
        "tr", "td", "th", "blockquote", "pre", "hr", "dd", "dt", "body",
    ]

    /// - Parameter bytes: UTF-8.
    init(_ bytes: [UInt8]) {
        var metas: [String: String] = [:]
        var twitter: [String: String] = [:]
        var linked: String?
        var shown: String?
        var heading = ""
        var headline: String?
        var paragraphs = ""
        var texts = ""
        var isInTitle = false
        var isInHeading = false
        var isInParagraph = false
        var skipping: (name: String, depth: Int)?
        for token in HTMLTokens(bytes) {
            switch token {
            case .start(let name, let attributes):
                if let open = skipping {
                    if name == open.name { skipping = (name, open.depth + 1) }
                    continue
                }
                if Self.passedOver.contains(name) {
                    skipping = (name, 1)
                    continue
                }
                if Self.blocks.contains(name) {
                    texts += " "
                    paragraphs += " "
                }
                switch name {
                case "meta": takeMeta(attributes, &metas, &twitter)
                case "link": takeLink(attributes, &linked)
                case "base": base = base ?? attributes["href"]
                case "title": isInTitle = title == nil
                case "h1": isInHeading = headline == nil
                case "p": isInParagraph = true
                case "img":
                    if shown == nil, let source = attributes["src"], !source.isEmpty, !source.hasPrefix("data:") {
                        shown = source
                    }
                default: break
                }
            case .end(let name):
                if let open = skipping {
                    if name == open.name { skipping = open.depth > 1 ? (name, open.depth - 1) : nil }
                    continue
                }
                if Self.blocks.contains(name) { texts += " " }
                switch name {
                case "title": isInTitle = false
                case "h1":
                    if isInHeading { headline = Self.tidied(heading) }
                    isInHeading = false
                case "p":
                    isInParagraph = false
                    paragraphs += " "
                default: break
                }
            case .text(let text):
                guard skipping == nil else { continue }
                if isInTitle {
                    title = Self.tidied(text)
                    continue
                }
                if isInHeading, heading.utf8.count < MediaLimits.previewText { heading += text }
                if isInParagraph, paragraphs.utf8.count < MediaLimits.previewText { paragraphs += text }
                if texts.utf8.count < MediaLimits.previewText { texts += text }
            }
        }
        title = properties["og:title"] ?? twitter["twitter:title"] ?? title ?? headline
        description =
            properties["og:description"] ?? twitter["twitter:description"] ?? metas["description"]
            ?? Self.tidied(paragraphs) ?? Self.tidied(texts)
        image =
            properties["og:image:secure_url"] ?? properties["og:image"] ?? properties["og:image:url"]
            ?? twitter["twitter:image"] ?? linked ?? metas["image"] ?? shown
    }

    private mutating func takeMeta(
        _ attributes: [String: String], _ metas: inout [String: String], _ twitter: inout [String: String]
    ) {
        guard let content = attributes["content"].flatMap(Self.tidied) else { return }
        for name in [attributes["property"], attributes["name"], attributes["itemprop"]].compactMap({ $0?.lowercased() }
        ) {
            guard properties.count + twitter.count + metas.count < MediaLimits.previewProperties,
                name.utf8.count <= 64
            else { return }
            if name.hasPrefix("og:") {
                properties[name] = properties[name] ?? content
            } else if name.hasPrefix("twitter:") {
                twitter[name] = twitter[name] ?? content
            } else {
                metas[name] = metas[name] ?? content
            }
        }
    }

    private mutating func takeLink(_ attributes: [String: String], _ linked: inout String?) {
        guard let target = attributes["href"], !target.isEmpty else { return }
        let relations = (attributes["rel"] ?? "").lowercased().split(separator: " ")
        if relations.contains("image_src") { linked = linked ?? target }
        if relations.contains("alternate"),
            attributes["type"]?.lowercased().hasPrefix("application/json+oembed") == true
        {
            embed = embed ?? target
        }
    }

    /// A text in one line, its blanks made one each, cut at a bound; `nil` when nothing is left.
    static func tidied(_ text: String) -> String? {
        var result = ""
        var count = 0
        var isAfterBlank = true
        for character in text.unicodeScalars {
            if character.properties.isWhitespace || character.value < 0x20 || (0x7F...0x9F).contains(character.value) {
                if !isAfterBlank { result.unicodeScalars.append(" ") }
                isAfterBlank = true
                continue
            }
            isAfterBlank = false
            result.unicodeScalars.append(character)
            count += 1
            if count >= MediaLimits.previewValue {
                result += "…"
                break
            }
        }
        while result.last == " " { result.removeLast() }
        return result.isEmpty ? nil : result
    }
}
