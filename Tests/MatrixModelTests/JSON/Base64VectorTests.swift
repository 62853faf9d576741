import Cryptography
import MatrixModel
import Testing

@Suite("Unpadded Base64") struct Base64VectorTests {
    @Test func `the vectors are written and read`() throws {
        let vectors = try specificationVectors("base64/base64.json").root
        for vector in try vectors.requiredArray("encode") {
            let bytes = Array(try vector.requiredString("text").utf8)
            #expect(Base64.encode(bytes, .standardUnpadded) == (try vector.requiredString("unpadded")))
            #expect(Base64.decode(try vector.requiredString("unpadded")) == bytes)
            #expect(Base64.decode(Base64.encode(bytes, .standard)) == bytes)
        }
        for vector in try vectors.requiredArray("binary") {
            let bytes = try #require(Hex.decode(vector.requiredString("hex")))
            #expect(Base64.encode(bytes, .standardUnpadded) == (try vector.requiredString("standard")))
            #expect(Base64.encode(bytes, .urlSafeUnpadded) == (try vector.requiredString("url_safe")))
            #expect(Base64.decode(try vector.requiredString("url_safe")) == bytes)
        }
        let loose = try vectors.requiredObject("non_canonical_trailing_bits").requiredString("value")
        #expect(Base64.decode(loose)?.count == 32)
    }
}
