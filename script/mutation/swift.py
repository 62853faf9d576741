"""Just enough of Swift's syntax to find conditions, statements and literals in code that swift-format has laid out."""
import re

TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*|/\*.*?\*/)
    |(?P<text>\#*\"\"\".*?\"\"\"\#*|\#+"(?:[^"\n]|"(?!\#))*"\#+)
    |(?P<quote>")
    |(?P<number>0[xb][0-9A-Fa-f_]+|[0-9][0-9_]*(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)
    |(?P<name>[@\#$]?[A-Za-z_][A-Za-z0-9_]*|\$[0-9]+|`[^`]+`)
    |(?P<mark>[()\[\]{},;:.\\])
    |(?P<operator>[/=\-+!*%<>&|^~?]+)""",
    re.VERBOSE | re.DOTALL,
)
PAIRS = {"(": ")", "[": "]", "{": "}"}
COMPARISONS = {"==", "!=", "<", ">", "<=", ">=", "===", "!=="}


class Token:
    __slots__ = ("kind", "text", "start", "end", "line", "newline", "space", "close", "open")

    def __init__(self, kind, text, start, end, line, newline, space):
        self.kind, self.text, self.start, self.end = kind, text, start, end
        self.line, self.newline, self.space = line, newline, space
        self.close = self.open = None


def _string_end(source, at):
    """After the quote that closes the literal at `at`, interpolations skipped."""
    at += 1
    while source[at] != '"':
        if source[at] == "\\":
            if source[at + 1] == "(":
                depth, at = 1, at + 2
                while depth:
                    if source[at] == '"':
                        at = _string_end(source, at)
                        continue
                    depth += {"(": 1, ")": -1}.get(source[at], 0)
                    at += 1
                continue
            at += 1
        at += 1
    return at + 1


def tokens(source):
    found, at, line, newline, space = [], 0, 1, True, True
    while at < len(source):
        match = TOKEN.match(source, at)
        if match is None:
            raise SyntaxError(f"line {line}: {source[at:at + 20]!r}")
        kind, text = match.lastgroup, match.group()
        end = match.end()
        if kind == "quote":
            end = _string_end(source, at)
            kind, text = "text", source[at:end]
        if kind == "space":
            newline = newline or "\n" in text or text.startswith("//")
            space = True
        else:
            found.append(Token(kind, text, at, end, line, newline, space))
            newline = space = False
        line += text.count("\n")
        at = end
    stack = []
    for index, token in enumerate(found):
        if token.kind != "mark":
            continue
        if token.text in PAIRS:
            stack.append(index)
        elif token.text in ")]}":
            opened = stack.pop()
            assert PAIRS[found[opened].text] == token.text, f"line {token.line}"
            found[opened].close, token.open = index, opened
    assert not stack
    return found


class Code:
    """A file's tokens, and questions about runs of them, `low` to `high`, both included."""

    def __init__(self, source):
        self.source = source
        self.tokens = tokens(source)

    def raw(self, low, high):
        return self.source[self.tokens[low].start:self.tokens[high].end] if low <= high else ""

    def gap(self, index):
        """What stands before a token: blanks and comments."""
        start = self.tokens[index - 1].end if index else 0
        return self.source[start:self.tokens[index].start]

    def top(self, low, high):
        """The indices at this depth: brackets are stepped over, their opening mark is given."""
        index = low
        while index <= high:
            yield index
            close = self.tokens[index].close
            index = (close if close is not None else index) + 1

    def text(self, index):
        return self.tokens[index].text if 0 <= index < len(self.tokens) else ""

    def is_binary(self, index):
        """An operator between two operands, which swift-format sets apart."""
        token = self.tokens[index]
        if token.kind != "operator" or not token.space or index + 1 >= len(self.tokens):
            return False
        return self.tokens[index + 1].space

    def find(self, low, high, texts, binary=False):
        for index in self.top(low, high):
            if self.text(index) in texts and (not binary or self.is_binary(index)):
                return index
        return None

    def split(self, low, high, texts, binary=False):
        """The runs between the tokens with these texts."""
        runs, start = [], low
        for index in self.top(low, high):
            if self.text(index) in texts and (not binary or self.is_binary(index)):
                runs.append((start, index - 1))
                start = index + 1
        runs.append((start, high))
        return runs

    def statements(self, low, high):
        """The statements of a block."""
        runs, start, previous = [], low, None
        for index in self.top(low, high):
            if previous is not None and index > start and self._begins(index, previous):
                runs.append((start, index - 1))
                start = index
            close = self.tokens[index].close
            previous = close if close is not None else index
        if start <= high:
            runs.append((start, high))
        return [(a, b - 1 if self.text(b) == ";" else b) for a, b in runs]

    def _begins(self, index, previous):
        token, before = self.tokens[index], self.tokens[previous]
        if before.text == ";":
            return True
        if not token.newline:
            return False
        if token.text in (".", ",", ":", "{", "else", "catch", "where") or token.text in ")]}":
            return False
        if token.kind == "operator" and (self.is_binary(index) or token.text.startswith("?")):
            return False
        if before.text in (",", "=", "(", "[", "in", "where", "->", "return:") or before.text in ("case", "guard", "if"):
            return False
        if before.kind == "operator" and before.space and self.tokens[previous + 1].space:
            return False
        return True
