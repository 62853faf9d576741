import MatrixModel
import Testing

@Suite("Writing JSON") struct JSONWriterTests {
    @Test func `commas stand where they belong`() {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("a")
        writer.beginArray()
        writer.integer(1)
        writer.string("x\"\n")
        writer.beginObject()
        writer.endObject()
        writer.beginArray()
        writer.endArray()
        writer.null()
        writer.bool(true)
        writer.number(1.5)
        writer.endArray()
        writer.key("b")
        writer.raw(Array("[0]".utf8))
        writer.key("c")
        writer.value(["z": 1, "y": [nil, false]])
        writer.endObject()
        #expect(text(writer.bytes) == #"{"a":[1,"x\"\n",{},[],null,true,1.5],"b":[0],"c":{"y":[null,false],"z":1}}"#)
    }

    @Test func `numbers that JSON cannot say become null`() {
        #expect(text(JSONValue.number(.nan).serialized()) == "null")
        #expect(text(JSONValue.number(-.infinity).serialized()) == "null")
        #expect(text(JSONValue.integer(.min).serialized()) == "-9223372036854775808")
    }

    @Test func `values can be changed by key`() {
        var value: JSONValue = ["a": 1]
        value["b"] = "x"
        value["a"] = nil
        #expect(value == ["b": "x"])
        var scalar: JSONValue = 5
        scalar["k"] = true
        #expect(scalar == ["k": true])
        #expect(JSONValue.fields(["a": 1, "b": nil]) == ["a": 1])
    }
}
