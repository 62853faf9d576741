internal import MatrixAPI

/// The size of thumbnail that a client asks for, and the one it gets.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#thumbnails>
struct ThumbnailSize: Hashable, Sendable {
    enum Method: String, Sendable {
        /// The image whole.
        case scale
        /// The middle of the image, in the proportions asked for.
        case crop
    }

    var width: Int
    var height: Int
    var method: Method

    init(width: Int, height: Int, method: Method) {
        self.width = width
        self.height = height
        self.method = method
    }

    /// Of a request's query. Throws `M_MISSING_PARAM` or `M_INVALID_PARAM`.
    init(_ request: APIRequest) throws(MatrixError) {
        func side(_ name: String) throws(MatrixError) -> Int {
            guard let text = request.query(name) else { throw MatrixError(.missingParameter, "Missing \(name)") }
            guard let side = Int(text), (1...Int(UInt16.max)).contains(side) else {
                throw MatrixError(.invalidParameter, "\(name) is not a size")
            }
            return side
        }
        guard let method = Method(rawValue: request.query("method") ?? "scale") else {
            throw MatrixError(.invalidParameter, "method is neither scale nor crop")
        }
        self.init(width: try side("width"), height: try side("height"), method: method)
    }

    /// What is kept, so that a client cannot have any number of sizes made: the spec's, and larger ones.
    private static let boxes = [(32, 32), (96, 96), (320, 240), (640, 480), (800, 600), (1600, 1200)]
    private static let longSides = [32, 96, 160, 320, 480, 640, 800, 1600]

    /// The next larger size that is kept. Beyond the largest, as large as the image is.
    private var kept: ThumbnailSize {
        switch method {
        case .scale:
            let (width, height) =
                Self.boxes.first { $0.0 >= self.width && $0.1 >= self.height } ?? (Int(UInt16.max), Int(UInt16.max))
            return ThumbnailSize(width: width, height: height, method: .scale)
        case .crop:
            let long = max(width, height)
            let target = Self.longSides.first { $0 >= long } ?? Int(UInt16.max)
            func side(_ length: Int) -> Int { max(1, (length * target + long - 1) / long) }
            return ThumbnailSize(width: side(width), height: side(height), method: .crop)
        }
    }

    /// The box in which the program is to fit the image, so that no side is shorter than asked for and nothing is made
    /// larger than the image.
    func box(for image: ImageHeader) -> ThumbnailSize {
        let kept = self.kept
        let sides = [(image.width, image.height)] + (image.mayBeTurned ? [(image.height, image.width)] : [])
        switch method {
        case .scale:
            // The image covers the box asked for, whichever way it is turned.
            let factor = sides.map { max(Double(kept.width) / Double($0), Double(kept.height) / Double($1)) }.max() ?? 1
            if factor >= 1 {
                let side = image.mayBeTurned ? max(image.width, image.height) : nil
                return ThumbnailSize(width: side ?? image.width, height: side ?? image.height, method: .scale)
            }
            func scaled(_ length: Int) -> Int { max(1, Int((Double(length) * factor).rounded(.up))) }
            let side = image.mayBeTurned ? scaled(max(image.width, image.height)) : nil
            return ThumbnailSize(
                width: side ?? scaled(image.width), height: side ?? scaled(image.height), method: .scale)
        case .crop:
            let factor =
                sides.map { min(1, Double($0) / Double(kept.width), Double($1) / Double(kept.height)) }.min() ?? 1
            func scaled(_ length: Int) -> Int { max(1, Int((Double(length) * factor).rounded())) }
            return ThumbnailSize(width: scaled(kept.width), height: scaled(kept.height), method: .crop)
        }
    }
}
