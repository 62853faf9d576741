import Cryptography
import Testing

@Suite("password hashes") struct PasswordHashTests {
    let password = Array("hunter2".utf8)

    @Test func `an Argon2id hash matches its password only, and asks for a new one when the cost changes`() throws {
        let text = try PasswordHash.make(password, cost: .minimal, random: SystemRandomSource())
        #expect(text.hasPrefix("$argon2id$v=19$m=8,t=1,p=1$"))
        let verdict = PasswordHash.verify(password, against: text, cost: .minimal)
        #expect(verdict == .init(matches: true, needsRehash: false))
        #expect(PasswordHash.verify(password, against: text).needsRehash)
        #expect(!PasswordHash.verify(password + [0], against: text).matches)
        #expect(try PasswordHash.make(password, cost: .minimal, random: SystemRandomSource()) != text)
    }

    @Test func `an Argon2id hash of the reference library is read`() {
        let text = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
        #expect(PasswordHash.verify(Array("password".utf8), against: text).matches)
        #expect(!PasswordHash.verify(Array("Password".utf8), against: text).matches)
    }

    @Test(arguments: [
        "$2b$04$abcdefghijklmnopqrstuuV3duMsC0HpUex6N9qapiuOHHWkwRXVm",
        "$2y$04$abcdefghijklmnopqrstuuV3duMsC0HpUex6N9qapiuOHHWkwRXVm",
        "$2a$04$abcdefghijklmnopqrstuuV3duMsC0HpUex6N9qapiuOHHWkwRXVm",
        "$6$rounds=1000$saltsalt$gqUcWLKt3d1wsoaFq/ZlFXJndu400B3QqT3noJu6R/eEGKKt5.bf/H7jRZdxjThW3JpMB1IX.1Z2f5cgwsF710",
    ])
    func `an imported crypt string matches and asks for a new hash`(text: String) {
        #expect(PasswordHash.verify(password, against: text) == .init(matches: true, needsRehash: true))
        #expect(!PasswordHash.verify(password + [0, 1], against: text).matches)
        #expect(!PasswordHash.verify(Array("hunter3".utf8), against: text).matches)
    }

    @Test(arguments: [
        "", "hunter2", "ab0ozUNIgzCZ.", "*0", "$", "$9$what$ever", "$argon2id$", "$2b$04$short", "$2b$04$\0",
    ])
    func `what is no known hash never matches`(text: String) {
        #expect(!PasswordHash.verify(password, against: text).matches)
        #expect(!PasswordHash.verify([], against: text).matches)
    }
}
