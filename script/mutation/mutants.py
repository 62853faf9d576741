"""Writes all mutants of a file into it at once, each behind a question whether it is the active one."""
from .swift import COMPARISONS, Code

MODIFIERS = {
    "public", "private", "fileprivate", "internal", "static", "final", "mutating", "nonmutating", "override", "indirect",
    "nonisolated", "convenience", "required", "lazy", "borrowing", "consuming", "package",
}
TYPES = {"struct", "enum", "class", "extension", "protocol", "actor"}
FLIPS = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}


class Mutant:
    """One change: `key` names it across runs."""

    def __init__(self, number, file, line, kind, snippet, occurrence):
        self.number, self.file, self.line, self.kind, self.snippet = number, file, line, kind, snippet
        self.key = (file, kind, snippet, str(occurrence))


class Mutation:
    """The mutants of one file. `first` numbers them, `dropped` are keys that do not compile, `numbers` mutates those too."""

    def __init__(self, source, file, first, dropped, numbers):
        self.code, self.file = Code(source), file
        self.number, self.dropped, self.numbers = first, dropped, numbers
        self.mutants, self.seen, self.skipped = [], {}, []
        # In an initializer, and where a constant gets its value later, an assignment cannot be left out.
        self.in_initializer, self.constants = False, set()

    # --- Making mutants ---

    def mutant(self, low, high, kind):
        """A number for a change to these tokens; None where it does not compile."""
        snippet = " ".join(self.code.raw(low, high).split())[:160]
        occurrence = self.seen[kind, snippet] = self.seen.get((kind, snippet), 0) + 1
        found = Mutant(self.number, self.file, self.code.tokens[low].line, kind, snippet, occurrence)
        if found.key in self.dropped:
            self.skipped.append(found)
            return None
        self.number += 1
        self.mutants.append(found)
        return found.number

    def instead(self, low, high, kind, other, text):
        number = self.mutant(low, high, kind)
        return text if number is None else f"(mutant({number}) ? {other} : {text})"

    # --- Types and functions ---

    def file_text(self):
        code = self.code
        if not code.tokens:
            return code.source
        body = self.declarations(0, len(code.tokens) - 1)
        return code.source[:code.tokens[0].start] + body + code.source[code.tokens[-1].end:]

    def declarations(self, low, high):
        return self.joined(low, high, self.code.statements(low, high), self.declaration)

    def joined(self, low, high, runs, render):
        """The runs rendered, with what stood between them."""
        parts, at = [], self.code.tokens[low].start if low <= high else 0
        for first, last in runs:
            parts.append(self.code.source[at:self.code.tokens[first].start])
            parts.append(render(first, last))
            at = self.code.tokens[last].end
        if low <= high:
            parts.append(self.code.source[at:self.code.tokens[high].end])
        return "".join(parts)

    def keyword(self, low, high):
        index = low
        while index <= high:
            token = self.code.tokens[index]
            if token.text in MODIFIERS or token.text.startswith("@"):
                index += 1
                if self.code.text(index) == "(" and not self.code.tokens[index].space:
                    index = self.code.tokens[index].close + 1
                continue
            return index
        return high

    def declaration(self, low, high):
        code = self.code
        at = self.keyword(low, high)
        word = code.text(at)
        if word == "class" and code.text(at + 1) in ("func", "var"):
            at += 1
            word = code.text(at)
        if word in TYPES:
            brace = code.find(low, high, {"{"})
            return self.braced(low, brace, self.declarations(brace + 1, code.tokens[brace].close - 1), high)
        if word in ("func", "init", "subscript"):
            return self.function(low, high, word)
        if word in ("let", "var"):
            return self.variable(low, high)
        return code.raw(low, high)

    def braced(self, low, brace, body, high):
        code = self.code
        close = code.tokens[brace].close
        inner = body
        if close > brace + 1:
            inner = code.gap(brace + 1) + body
        inner += code.gap(close) if close > brace + 1 else code.source[code.tokens[brace].end:code.tokens[close].start]
        return code.raw(low, brace) + inner + "}" + (code.source[code.tokens[close].end:code.tokens[high].end])

    def function(self, low, high, word):
        code = self.code
        brace = code.find(low, high, {"{"})
        if brace is None:
            return code.raw(low, high)
        returns = word == "get" and code.text(low) == "get" or word == "subscript"
        returns = returns or any(code.text(index) == "->" for index in code.top(low, brace))
        outer, self.in_initializer = self.in_initializer, word == "init"
        body = self.block(brace + 1, code.tokens[brace].close - 1, returns)
        self.in_initializer = outer
        return self.braced(low, brace, body, high)

    def variable(self, low, high):
        code = self.code
        equals = code.find(low, high, {"="}, binary=True)
        brace = code.find(low, high, {"{"})
        if equals is not None and (brace is None or equals < brace):
            value, last = equals + 1, high
            if code.text(value) in ("true", "false") and value == last:
                return code.raw(low, equals) + " " + self.flag(value)
            return code.raw(low, equals) + " " + self.value(value, last)
        if brace is None:
            self.constants.add(code.text(self.keyword(low, high) + 1))
            return code.raw(low, high)
        inner, last = brace + 1, code.tokens[brace].close - 1
        if code.text(inner) in ("get", "set", "didSet", "willSet", "_read"):
            body = self.joined(inner, last, code.statements(inner, last), lambda a, b: self.function(a, b, "get"))
            return self.braced(low, brace, body, high)
        return self.braced(low, brace, self.block(inner, last, True), high)

    def flag(self, index):
        number = self.mutant(index - 2, index, "flip")
        text = self.code.text(index)
        if number is None:
            return text
        return f"mutant({number})" if text == "false" else f"!mutant({number})"

    # --- Statements ---

    def block(self, low, high, returns, must_exit=False):
        """Statements in braces. `returns`: a lone expression is the value."""
        if low > high:
            return ""
        runs = self.code.statements(low, high)
        lone = len(runs) == 1 and returns

        def render(first, last):
            return self.statement(first, last, lone, must_exit and (first, last) == runs[-1], returns)

        return self.joined(low, high, runs, render)

    def statement(self, low, high, lone=False, must_exit=False, returns=False):
        code = self.code
        word = code.text(low)
        if word in ("if", "guard", "while", "for", "switch", "do", "repeat", "defer"):
            return self.control(low, high, returns)
        if word in ("let", "var") or word in MODIFIERS or word in TYPES or word == "func" or word.startswith("@"):
            return self.declaration(low, high)
        if word == "return" and high > low:
            if high == low + 1 and code.text(high) in ("true", "false"):
                number = self.mutant(low, high, "flip")
                if number is None:
                    return code.raw(low, high)
                return f"return mutant({number})" if code.text(high) == "false" else f"return !mutant({number})"
            return "return " + self.value(low + 1, high)
        if word == "throw":
            return code.raw(low, high) if must_exit else self.removable(low, high, "throw " + self.value(low + 1, high))
        if word in ("return", "continue"):
            return code.raw(low, high) if must_exit else self.removable(low, high, code.raw(low, high))
        if word in ("break", "fallthrough", "typealias", "#if", "#endif", "#else", "case", "default"):
            return code.raw(low, high)
        equals = self.assignment(low, high)
        if equals is not None:
            text = self.value(low, equals - 1) + f" {code.text(equals)} " + self.value(equals + 1, high)
            own = code.text(low) == "self" and self.in_initializer
            fixed = equals == low + 1 and (self.in_initializer or code.text(low) in self.constants)
            return text if own or fixed else self.removable(low, high, text)
        if lone:
            return self.value(low, high)
        text = self.value(low, high)
        is_call = code.text(high) in (")", "}") and "init" not in [code.text(i) for i in range(low, min(low + 4, high))]
        return self.removable(low, high, text) if is_call else text

    def assignment(self, low, high):
        for index in self.code.top(low, high):
            text = self.code.text(index)
            if self.code.is_binary(index) and text.endswith("=") and text not in COMPARISONS:
                return index
        return None

    def removable(self, low, high, text):
        number = self.mutant(low, high, "remove")
        return text if number is None else f"if !mutant({number}) {{ {text} }}"

    def control(self, low, high, returns=False):
        code = self.code
        word = code.text(low)
        if word in ("do", "defer", "repeat"):
            return self.tail(low, high)
        if word == "switch":
            brace = code.find(low, high, {"{"})
            subject = "switch " + self.value(low + 1, brace - 1) + " "
            body = self.cases(brace + 1, code.tokens[brace].close - 1, returns)
            return subject + self.braced(brace, brace, body, high)
        if word == "for":
            brace = code.find(low, high, {"{"})
            split = code.find(low, brace, {"in"})
            where = code.find(split, brace, {"where"})
            text = code.raw(low, split) + " " + self.value(split + 1, (where or brace) - 1)
            if where is not None:
                text += " where " + self.condition(where + 1, brace - 1)
            return text + " " + self.tail(brace, high)
        if word == "guard":
            stop = code.find(low, high, {"else"})
            brace = code.find(stop, high, {"{"})
            text = "guard " + self.conditions(low + 1, stop - 1) + " else "
            body = self.block(brace + 1, code.tokens[brace].close - 1, False, must_exit=True)
            return text + self.braced(brace, brace, body, high)
        brace = self.block_brace(low + 1, high)
        return word + " " + self.conditions(low + 1, brace - 1) + " " + self.tail(brace, high)

    def block_brace(self, low, high):
        """The brace that opens the block of an `if` or `while`: a closure's is within brackets, or follows `=`."""
        return self.code.find(low, high, {"{"})

    def tail(self, low, high):
        """The blocks of a statement from the first on: `{ … } else if … { … } catch { … }`."""
        code, parts, index, catches = self.code, [], low, False
        while index <= high:
            token = code.tokens[index]
            catches = catches or token.text == "catch"
            if token.text == "{":
                body = self.block(index + 1, token.close - 1, False, must_exit=catches)
                parts.append(self.braced(index, index, body, token.close))
                index = token.close + 1
                continue
            if token.text == "else" and code.text(index + 1) == "if":
                brace = self.block_brace(index + 2, high)
                parts.append(" else if " + self.conditions(index + 2, brace - 1) + " ")
                index = brace
                continue
            if token.text == "while":
                return "".join(parts) + " while " + self.condition(index + 1, high)
            parts.append(code.gap(index) + token.text)
            if token.close is not None:
                parts[-1] = code.gap(index) + code.raw(index, token.close)
                index = token.close
            index += 1
            if code.text(index) == "{":
                parts.append(code.gap(index))
        return "".join(parts)

    def cases(self, low, high, returns=False):
        """The body of a switch."""
        code = self.code
        labels = [i for i in code.top(low, high) if code.text(i) in ("case", "default") and code.tokens[i].newline]
        has_default = any(code.text(i) == "default" for i in labels)
        parts = [code.source[code.tokens[low].start:code.tokens[labels[0]].start]] if labels else [code.raw(low, high)]
        for position, label in enumerate(labels):
            last = labels[position + 1] - 1 if position + 1 < len(labels) else high
            colon = next(i for i in code.top(label, last) if code.text(i) == ":" and not code.tokens[i].space)
            parts.append(self.label(label, colon, has_default))
            if colon < last:
                parts.append(code.gap(colon + 1))
                runs = code.statements(colon + 1, last)
                alone = len(runs) == 1 and returns
                parts.append(self.joined(
                    colon + 1, last, runs, lambda a, b: self.statement(a, b, alone, returns=returns)))
            if position + 1 < len(labels):
                parts.append(code.gap(labels[position + 1]))
        return "".join(parts)

    def label(self, low, colon, has_default):
        code = self.code
        if code.text(low) == "default":
            return code.raw(low, colon)
        parts = []
        for first, last in code.split(low + 1, colon - 1, {","}):
            where = code.find(first, last, {"where"})
            if where is not None:
                parts.append(code.raw(first, where) + " " + self.condition(where + 1, last))
            elif has_default and code.text(first) not in ("let", "_"):
                number = self.mutant(first, last, "case")
                parts.append(code.raw(first, last) + ("" if number is None else f" where !mutant({number})"))
            else:
                parts.append(code.raw(first, last))
        return "case " + ", ".join(parts) + ":"

    # --- Conditions ---

    def conditions(self, low, high):
        parts = []
        for first, last in self.code.split(low, high, {","}):
            if self.code.text(first) in ("let", "var", "case"):
                equals = self.code.find(first, last, {"="}, binary=True)
                if equals is None:
                    parts.append(self.code.raw(first, last))
                else:
                    parts.append(self.code.raw(first, equals) + " " + self.value(equals + 1, last))
            elif self.code.text(first).startswith("#") or self.code.raw(first, last) == "true":
                parts.append(self.code.raw(first, last))
            else:
                parts.append(self.condition(first, last))
        return ", ".join(parts)

    def condition(self, low, high):
        """A truth value: each of its parts is mutated so that it no longer matters."""
        code, prefix = self.code, ""
        while code.text(low) in ("try", "await") and not code.text(low + 1).startswith("?"):
            prefix += code.text(low) + " "
            low += 1
        for operator, neutral, whole in (("||", "false", "true"), ("&&", "true", "false")):
            runs = code.split(low, high, {operator}, binary=True)
            if len(runs) > 1 and code.find(low, high, {"?"}, binary=True) is None:
                parts = [self.operand(a, b, neutral) for a, b in runs]
                text = "(" + f" {operator} ".join(parts) + ")"
                return prefix + self.instead(low, high, f"always {whole}", whole, text)
        text = f"({self.value(low, high, inside=True)})"
        text = self.instead(low, high, "always true", "true", text)
        return prefix + self.instead(low, high, "always false", "false", text)

    def operand(self, low, high, neutral):
        """One of several: forced to what leaves the others to decide."""
        code = self.code
        other = "||" if neutral == "true" else "&&"
        runs = code.split(low, high, {other}, binary=True)
        if len(runs) > 1:
            inner = "false" if other == "||" else "true"
            text = "(" + f" {other} ".join(self.operand(a, b, inner) for a, b in runs) + ")"
        else:
            text = f"({self.value(low, high, inside=True)})"
        return self.instead(low, high, f"always {neutral}", neutral, text)

    # --- Values ---

    def value(self, low, high, inside=False):
        """An expression; one that is a comparison or a chain of `&&` or `||` is a condition, unless `inside` one."""
        code = self.code
        question = code.find(low, high, {"?"}, binary=True)
        if question is not None:
            colon = next((i for i in code.top(question, high) if code.text(i) == ":" and code.tokens[i].space), None)
            if colon is not None:
                branches = code.gap(question) + "? " + self.value(question + 1, colon - 1) + code.gap(colon) + ": "
                start, prefix = low, ""
                while code.text(start) in ("try", "await"):
                    prefix += code.text(start) + " "
                    start += 1
                return prefix + self.condition(start, question - 1) + branches + self.value(colon + 1, high)
        if code.text(low) in ("if", "switch"):
            return self.control(low, high, True)
        if code.find(low, high, {"&&", "||"}, binary=True) is not None:
            return self.condition(low, high)
        compare = code.find(low, high, COMPARISONS, binary=True)
        if compare is not None and self.assignment(low, high) is None:
            return self.comparison(low, high, compare) if inside else self.condition(low, high)
        return self.walk(low, high)

    def comparison(self, low, high, at):
        code = self.code
        text = code.text(at)
        plain = f"{self.walk(low, at - 1)} {text} {self.walk(at + 1, high)}"
        if text not in FLIPS:
            return plain
        flipped = f"({code.raw(low, at - 1)} {FLIPS[text]} {code.raw(at + 1, high)})"
        return self.instead(low, high, f"{text} is {FLIPS[text]}", flipped, f"({plain})")

    def walk(self, low, high):
        """The tokens as they stand, with what is within brackets mutated."""
        code, parts, index = self.code, [], low
        while index <= high:
            token = code.tokens[index]
            gap = code.gap(index) if index > low else ""
            if token.close is None:
                parts.append(gap + self.literal(index))
                index += 1
                continue
            inside, last = index + 1, token.close - 1
            if inside > last:
                body = code.source[token.end:code.tokens[token.close].start]
            elif token.text == "{":
                body = code.gap(inside) + self.closure(inside, last) + code.gap(token.close)
            elif token.text == "[" and self.is_literal(index):
                body = code.gap(inside) + self.elements(inside, last) + code.gap(token.close)
            else:
                body = code.gap(inside) + self.arguments(inside, last) + code.gap(token.close)
            parts.append(gap + token.text + body + code.text(token.close))
            index = token.close + 1
        return "".join(parts)

    def literal(self, index):
        code, token = self.code, self.code.tokens[index]
        if not self.numbers or token.kind != "number" or not token.text.replace("_", "").isdecimal():
            return token.text
        if code.text(index - 1) in ("[", ".", "<<", ">>") or code.text(index + 1).startswith((".", "]")):
            return token.text
        if code.text(index - 1) in ("...", "..<", "-") or code.text(index + 1).startswith("."):
            return token.text
        number = self.mutant(index, index, f"one more, line of {self.line_text(token.line)}")
        return token.text if number is None else f"mutant({number}, {token.text})"

    def line_text(self, line):
        return " ".join(self.code.source.split("\n")[line - 1].split())[:100]

    def is_literal(self, index):
        before = self.code.tokens[index - 1]
        adjacent = not self.code.tokens[index].space
        return not (adjacent and (before.kind in ("name", "text") or before.text in (")", "]", "?", "!")))

    def elements(self, low, high):
        """An array or dictionary: each text in it is a member that may be missing."""
        code, parts = self.code, []
        if code.text(low) == ":":
            return ":"
        runs = [run for run in code.split(low, high, {","}) if run[0] <= run[1]]
        dotted = len(runs) > 1 and all(
            code.text(a) == "." or (code.tokens[a].kind == "name" and code.text(a + 1) == ".") for a, _ in runs)
        for first, last in runs:
            colon = next((i for i in code.top(first, last) if code.text(i) == ":" and not code.tokens[i].space), None)
            if colon is not None:
                key = self.member(first, colon - 1)
                parts.append(f"{key}: {self.value(colon + 1, last)}")
            else:
                parts.append(self.member(first, last))
        if dotted:
            numbers = [self.mutant(a, b, "without") for a, b in runs]
            for position, number in reversed(list(enumerate(numbers))):
                if number is None:
                    continue
                # The one before in its place: it is then missing.
                other = code.raw(*runs[position - 1])
                parts[position] = f"mutant({number}) ? {other} : {parts[position]}"
        return ", ".join(parts)

    def member(self, first, last):
        token = self.code.tokens[first]
        if first == last and token.kind == "text" and "\\(" not in token.text:
            number = self.mutant(first, last, f"without, line of {self.line_text(token.line)}")
            return token.text if number is None else f"mutant({number}, {token.text})"
        return self.value(first, last)

    def arguments(self, low, high):
        code, parts = self.code, []
        for first, last in code.split(low, high, {","}):
            if first > last:
                continue
            label = ""
            if last > first + 1 and code.tokens[first].kind == "name" and code.text(first + 1) == ":":
                label, first = code.text(first) + ": ", first + 2
            parts.append(label + self.value(first, last))
        return ", ".join(parts)

    def closure(self, low, high):
        """Statements in braces that are a value; what stands before `in` stays."""
        code = self.code
        start = low
        first = code.statements(low, high)[0]
        split = code.find(low, high, {"in"})
        head = [code.text(i) for i in code.top(low, split)] if split is not None else []
        if split is not None and split <= first[1] + 1 and not {"for", "=", "if", "guard"} & set(head):
            start = split + 1
        text = code.source[code.tokens[low].start:code.tokens[start].start] if start > low else ""
        return text + self.block(start, high, True)
