// swift-tools-version: 6.2
import PackageDescription

// Fuzzing needs every module built with coverage and sanitizers, so this is a package of its own, which the project's normal
// build never sees. Sources/ holds links to the project's modules. Run it with script/fuzz.

let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]
let instrumented: [SwiftSetting] = strict + [.unsafeFlags(["-sanitize=fuzzer,address", "-parse-as-library"])]

let httpTypes: Target.Dependency = .product(name: "HTTPTypes", package: "swift-http-types")
let collections: Target.Dependency = .product(name: "Collections", package: "swift-collections")

func library(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: instrumented)
}

let package = Package(
    name: "fedchat-fuzz",
    dependencies: [
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    ],
    targets: [
        .systemLibrary(name: "CSodium", pkgConfig: "libsodium"),
        .systemLibrary(name: "COpenSSL", pkgConfig: "libcrypto"),
        .systemLibrary(name: "CCrypt"),
        library("Cryptography", ["CSodium", "COpenSSL", "CCrypt"]),
        library("MatrixModel", ["Cryptography", collections]),
        library("HTTPMessages", [httpTypes]),
        library("Ratchet", ["Cryptography"]),
        library("PostQuantum", ["Ratchet", "Cryptography", .product(name: "Crypto", package: "swift-crypto")]),
        library("MatrixRooms", ["MatrixModel", "Cryptography", collections]),
        library("MatrixAPI", ["MatrixModel", "HTTPMessages", httpTypes]),
        library("SQLDatabase", []),
        library(
            "ClientEncryption",
            [
                "PostQuantum", "Ratchet", "MatrixAPI", "MatrixModel", "HTTPMessages", "Cryptography", "SQLDatabase",
                httpTypes,
            ]),
        .executableTarget(
            name: "FuzzTargets",
            dependencies: [
                "Cryptography", "MatrixModel", "HTTPMessages", "Ratchet", "PostQuantum", "MatrixRooms", "MatrixAPI",
                "ClientEncryption", "SQLDatabase",
                httpTypes, collections,
            ],
            swiftSettings: instrumented,
            linkerSettings: [.unsafeFlags(["-sanitize=fuzzer,address"])]),
    ],
    swiftLanguageModes: [.v6]
)
