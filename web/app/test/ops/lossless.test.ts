import { describe, expect, it } from "vitest";
import { format, JsonError, parse } from "../../src/ops/json/lossless.ts";

describe("parse and format", () => {
  it("keep numbers as they were written", () => {
    const text = '{"big":9007199254740993,"small":1.10,"exp":-1E+400,"zero":-0}';
    expect(format(parse(text)).replaceAll(/\s/g, "")).toBe(text);
  });

  it("keep the sequence and the doubles of names", () => {
    expect(format(parse('{"b":1,"a":2,"b":3}'))).toBe('{\n  "b": 1,\n  "a": 2,\n  "b": 3\n}');
  });

  it("write what JSON.parse reads as the same", () => {
    const text = ' { "a" : [ 1 , [ ] , { } , "\\u00e9\\n\\"" ] , "b" : null , "c":[true,false] } ';
    expect(JSON.parse(format(parse(text)))).toEqual(JSON.parse(text));
  });

  it.each([
    ["", "the document ends in line 1, column 1"],
    ["{", "no string in double quotes in line 1, column 2"],
    ['{"a" 1}', "no colon after a name in line 1, column 6"],
    ["[1,\n  02]", "neither a comma nor ] in line 2, column 4"],
    ["[1,]", "no value in line 1, column 4"],
    ["[1] 2", "text after the document in line 1, column 5"],
    ['"a\nb"', "no string in double quotes in line 1, column 1"],
    ["[".repeat(200), "more than 100 levels in line 1, column 102"],
  ])("refuse %j with the place", (text, message) => {
    expect(() => parse(text)).toThrow(new JsonError(message.replace(/ in line .*/, ""), ...placeOf(message)));
  });
});

function placeOf(message: string): [number, number] {
  const [, line, column] = /line (\d+), column (\d+)/.exec(message) ?? [];
  return [Number(line), Number(column)];
}
