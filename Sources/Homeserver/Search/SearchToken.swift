internal import Cryptography
internal import MatrixAPI
internal import MatrixModel

/// Where a search goes on: behind a result, in all of them or in one group.
struct SearchToken: Sendable, Hashable {
    /// How many results by rank were there before; by time, the last one.
    enum Place: Sendable, Hashable {
        case ranked(Int)
        case recent(timestamp: Int64, nid: Int64)
    }

    static let invalid = MatrixError(.invalidParameter, "next_batch is not a token of a search")

    var place: Place
    /// What the first page counted.
    var count: Int
    /// The group's key and value.
    var group: String?
    var value: String?

    init(place: Place, count: Int, group: String? = nil, value: String? = nil) {
        (self.place, self.count, self.group, self.value) = (place, count, group, value)
    }

    /// - Throws: `M_INVALID_PARAM`.
    init(_ text: String) throws(MatrixError) {
        guard text.utf8.count <= SearchLimits.tokenBytes, let bytes = Base64.decode(text),
            let json = try? JSONValue.parse(bytes), let place = json["p"]?.array?.map(\.integer),
            let count = json["c"]?.integer.flatMap({ Int(exactly: $0) })
        else { throw Self.invalid }
        switch place.count {
        case 1:
            guard let done = place[0], (0...Int64(SearchLimits.candidates)).contains(done) else { throw Self.invalid }
            self.place = .ranked(Int(done))
        case 2:
            guard let timestamp = place[0], let nid = place[1] else { throw Self.invalid }
            self.place = .recent(timestamp: timestamp, nid: nid)
        default: throw Self.invalid
        }
        self.count = count
        group = json["g"]?.string
        value = json["v"]?.string
    }

    var text: String {
        var json: JSONValue = ["c": .integer(Int64(count))]
        switch place {
        case .ranked(let done): json["p"] = [.integer(Int64(done))]
        case .recent(let timestamp, let nid): json["p"] = [.integer(timestamp), .integer(nid)]
        }
        if let group, let value {
            json["g"] = .string(group)
            json["v"] = .string(value)
        }
        return Base64.encode(json.serialized(), .urlSafeUnpadded)
    }
}
