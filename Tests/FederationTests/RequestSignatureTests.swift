import Cryptography
import Federation
import Foundation
import MatrixModel
import Testing

@Suite("Signatures of requests") struct RequestSignatureTests {
    private func vectors() throws -> JSONView {
        let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let file = package.appending(path: "spec/vectors/federation-request/federation-request.json")
        return try JSONDocument([UInt8](Data(contentsOf: file))).root
    }

    @Test func `requests are signed as the vectors have it, and read back`() throws {
        let vectors = try vectors()
        let seed = try #require(Base64.decode(vectors["ed25519_seed"]?.string ?? ""))
        let key = try Ed25519.SigningKey(seed: seed)
        let requests = vectors["requests"]?.elements ?? []
        #expect(requests.count == 2)
        for request in requests {
            func text(_ name: String) throws -> String { try #require(request[name]?.string) }
            let (origin, destination) = (try ServerName(text("origin")), try ServerName(text("destination")))
            let made = try RequestSignature(
                signing: text("method"), text("uri"), content: request["content"], from: origin, to: destination,
                keyID: text("key"), key: key)
            #expect(made.signature == (try text("sig")))
            let read = try RequestSignature(parsing: text("authorization"))
            #expect(read == made)
            #expect(try RequestSignature(parsing: made.header) == made)
            func verifies(_ method: String, _ uri: String, _ content: JSONView?, _ receiver: String) throws -> Bool {
                read.verifies(method, uri, content: content, to: try ServerName(receiver), key: key.publicKey)
            }
            #expect(try verifies(text("method"), text("uri"), request["content"], destination.text))
            #expect(try !verifies("POST", text("uri"), request["content"], destination.text))
            #expect(try !verifies(text("method"), text("uri") + "x", request["content"], destination.text))
            #expect(try !verifies(text("method"), text("uri"), request["key"], destination.text))
            #expect(try !verifies(text("method"), text("uri"), request["content"], "elsewhere"))
        }
    }

    @Test(arguments: [
        #"X-Matrix origin="a.test",destination="b.test",key="ed25519:1",sig="c2ln""#,
        #"x-matrix origin=a.test,destination=b.test,key=ed25519:1,sig=c2ln"#,
        "X-MATRIX   ,origin=a.test , destination=\"b.test\",\tkey = \"ed25519:1\" ,sig=\"c2ln\",,",
        #"X-Matrix SIG="c2ln",Key="\ed25519\:1",extra="a,b=\"c\"",Destination=b.test,ORIGIN="a.test""#,
        #"X-Matrix origin="a.test",destination="b.test",key="ed25519:1",signature="c2ln""#,
    ])
    func `headers are read in every form that is allowed`(_ header: String) throws {
        let read = try RequestSignature(parsing: header)
        #expect(read.origin.text == "a.test" && read.destination?.text == "b.test")
        #expect(read.keyID == "ed25519:1" && read.signature == "c2ln")
    }

    @Test func `the destination may be missing, as old servers leave it out`() throws {
        let key = try Ed25519.SigningKey(seed: [UInt8](repeating: 1, count: 32))
        let bytes = Array(#"{"method":"GET","origin":"a.test","uri":"/x"}"#.utf8)
        let signature = Base64.encode(key.sign(bytes), .standardUnpadded)
        let read = try RequestSignature(parsing: "X-Matrix origin=a.test,key=ed25519:1,sig=\(signature)")
        #expect(read.destination == nil)
        #expect(read.verifies("GET", "/x", content: nil, to: try ServerName("b.test"), key: key.publicKey))
    }

    @Test(arguments: [
        "", "X-Matrix", "X-Matrix ", "Bearer abc", "X-Matrixorigin=a,key=k,sig=s",
        "X-Matrix origin=a.test,key=ed25519:1",
        "X-Matrix origin=a.test,sig=s", "X-Matrix key=k,sig=s", "X-Matrix origin=,key=k,sig=s",
        #"X-Matrix origin="a.test,key=k,sig=s"#, #"X-Matrix origin=a.test,key=k,sig="s\"#,
        "X-Matrix origin=a.test,origin=b.test,key=k,sig=s", "X-Matrix origin=a.test,key=k,sig=s,destination=\"b test\"",
        "X-Matrix origin", "X-Matrix origin=a.test key=k sig=s other", "X-Matrix =,=,=",
        "X-Matrix origin=a.test,key=k,sig=s,X-Matrix origin=a.test,key=k,sig=s",
        "X-Matrix " + String(repeating: "a=b,", count: 20), "X-Matrix " + String(repeating: "k", count: 5_000),
        "Ⅹ-Matrix origin=a.test,key=k,sig=s", "X-Matrix \u{0}=\u{0}",
    ])
    func `other headers are refused`(_ header: String) {
        #expect(throws: RequestSignature.Malformed.self) { try RequestSignature(parsing: header) }
    }

    @Test func `signatures of odd lengths and contents do not hold`() throws {
        let key = try Ed25519.SigningKey(seed: [UInt8](repeating: 1, count: 32))
        for signature in ["", "AA", "not base64!", String(repeating: "A", count: 200)] {
            let read = try RequestSignature(parsing: "X-Matrix origin=a.test,key=ed25519:1,sig=\"\(signature)\"")
            #expect(!read.verifies("GET", "/", content: nil, to: try ServerName("b.test"), key: key.publicKey))
        }
    }
}
