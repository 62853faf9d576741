private import COpenSSL
private import CSodium

/// Public halves of X25519 keys: the base point times a secret, by way of the Edwards curve, for whose base point libsodium has
/// tables. That takes two thirds of the time of its ladder.
enum Curve25519Base {
    private static let prime: OpenSSLObject = {
        // 2²⁵⁵ − 19
        guard let prime = BN_new(), BN_set_bit(prime, 255) == 1, BN_sub_word(prime, 19) == 1 else {
            fatalError("OpenSSL is out of memory")
        }
        return OpenSSLObject(pointer: prime)
    }()

    private static let contexts = ContextPool(make: { BN_CTX_new() }, free: { BN_CTX_free($0) })

    /// The 32 bytes of u, for 32 bytes of secret.
    static func multiply(_ secret: UnsafePointer<UInt8>) -> [UInt8] {
        var point = [UInt8](repeating: 0, count: 32)
        if crypto_scalarmult_ed25519_base(&point, secret) == 0, let u = montgomery(point) { return u }
        _ = crypto_scalarmult_curve25519_base(&point, secret)
        return point
    }

    /// u = (1 + y) / (1 − y), RFC 7748, 4.1. The point is public, so that this may take its time as it wants.
    private static func montgomery(_ point: [UInt8]) -> [UInt8]? {
        var y = point
        y[31] &= 0x7f
        return contexts.withContext { context in
            BN_CTX_start(context)
            defer { BN_CTX_end(context) }
            guard let numerator = BN_CTX_get(context), let denominator = BN_CTX_get(context),
                BN_lebin2bn(y, 32, numerator) != nil, BN_set_word(denominator, 1) == 1,
                BN_mod_sub(denominator, denominator, numerator, prime.pointer, context) == 1,
                BN_mod_inverse(denominator, denominator, prime.pointer, context) != nil,
                BN_add_word(numerator, 1) == 1,
                BN_mod_mul(numerator, numerator, denominator, prime.pointer, context) == 1,
                BN_bn2lebinpad(numerator, &y, 32) == 32
            else { return nil }
            return y
        }
    }
}
