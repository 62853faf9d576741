private import Foundation

/// Text as words, the same for both engines and for every language: without case and Latin accents, each ideograph, kana
/// and symbol a word of its own.
public enum SearchWords {
    /// The words of a text in its order, each cut at ``Limits/charactersPerWord``.
    /// - Parameter limit: how many at most; ``Limits/wordsPerText`` where it is not said.
    public static func of(_ text: String, limit: Int? = nil) -> [String] {
        let limit = limit ?? Limits.wordsPerText
        var words: [String] = []
        var word = String.UnicodeScalarView()
        func end() {
            guard !word.isEmpty else { return }
            words.append(String(word))
            word = String.UnicodeScalarView()
        }
        let scalars =
            text.utf8.allSatisfy { $0 < 0x80 }
            ? text.lowercased().unicodeScalars
            : text.decomposedStringWithCompatibilityMapping.lowercased().unicodeScalars
        for scalar in scalars {
            guard words.count < limit else { return words }
            switch kind(of: scalar) {
            case .letter: if word.count < Limits.charactersPerWord { word.append(scalar) }
            case .alone:
                end()
                word.append(scalar)
                end()
            case .accent: break
            case .between: end()
            }
        }
        end()
        return words
    }

    private enum Kind { case letter, alone, accent, between }

    private static func kind(of scalar: Unicode.Scalar) -> Kind {
        if scalar.value < 0x80 {
            switch scalar.value {
            case 0x30...0x39, 0x61...0x7A, 0x41...0x5A: return .letter
            default: return .between
            }
        }
        // The accents that decomposed Latin, Greek and Cyrillic letters are followed by.
        if (0x300...0x36F).contains(scalar.value) { return .accent }
        let isIdeograph =
            scalar.properties.isIdeographic || (0x3041...0x30FF).contains(scalar.value)
        switch scalar.properties.generalCategory {
        case .otherLetter where isIdeograph, .letterNumber where isIdeograph, .otherSymbol: return .alone
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .decimalNumber,
            .letterNumber, .otherNumber, .nonspacingMark, .spacingMark:
            return .letter
        default: return .between
        }
    }
}
