import assert from "node:assert/strict";
import { test } from "node:test";
import { toUtf8Bytes } from "ethers";
import { LIMIT, accounts, deploy } from "./support.mjs";

const GREATEST = 2n ** 255n - 1n;
const probe = await deploy("mocks/DecimalProbe", accounts[0]);
const bytes = (text) => (typeof text === "string" ? toUtf8Bytes(text) : text);
const NONE = [false, 0n];

/** What reading a text gives: the number, or undefined. */
async function read(text, decimals = 2) {
  const answer = (await probe.read(bytes(text), decimals)).toArray();
  if (!answer[0]) assert.deepEqual(answer, NONE);
  return answer[0] ? answer[1] : undefined;
}

/** The same of a key in an object. */
async function readAt(json, key = "t", decimals = 2) {
  const answer = (await probe.readAt(bytes(json), bytes(key), decimals)).toArray();
  if (!answer[0]) assert.deepEqual(answer, NONE);
  return answer[0] ? answer[1] : undefined;
}

test("numbers are read", LIMIT, async () => {
  for (const [text, decimals, expected] of [
    ["0", 0, 0n],
    ["0", 18, 0n],
    ["-0", 2, 0n],
    ["-0.00", 2, 0n],
    ["7", 0, 7n],
    ["21", 2, 2100n],
    ["21.5", 2, 2150n],
    ["-12.50", 2, -1250n],
    ["-12.5", 1, -125n],
    ["0.05", 2, 5n],
    ["-0.05", 2, -5n],
    ["10.0", 0, 10n],
    ["100", 0, 100n],
    ["1234567890.0987654321", 10, 12345678900987654321n],
    ["0.1", 18, 10n ** 17n],
    ["993", 18, 993n * 10n ** 18n],
    ["62500.2031", 4, 625002031n],
    [" 21.5", 2, 2150n],
    ["21.5\n", 2, 2150n],
    ["\t\r\n 21.5 \n\r\t", 2, 2150n],
  ]) {
    assert.equal(await read(text, decimals), expected, JSON.stringify(text));
  }
});

test("what is no number is none, and nothing reverts", LIMIT, async () => {
  for (const text of [
    "", " ", "-", "--1", "+1", ".", "-.", ".5", "-.5", "1.", "-1.", "1..2", "1.2.3", "1.-2", "01", "-01", "00", "00.5",
    "1e3", "1E3", "1e-05", "1.5e2", "0x10", "1_000", "1,5", "1 2", "1 .5", "- 1", "1-", "NaN", "nan", "inf",
    "-Infinity", "null", "true", '"21.5"', "[1]", '{"t":1}', "21.5°", "１", "1\0", "\x001", "\ufeff1", "1\u00a0", "1\v",
    "1/", "1:", "/", ":", Uint8Array.of(0xff), Uint8Array.of(0x31, 0xb2), new Uint8Array(32),
    new Uint8Array(64).fill(0xff),
  ]) {
    assert.equal(await read(text), undefined, JSON.stringify(text));
  }
});

test("more digits than there are decimals must be zeros", LIMIT, async () => {
  assert.equal(await read("2.500", 2), 250n);
  assert.equal(await read("2.500", 0), undefined);
  assert.equal(await read("2.000", 0), 2n);
  assert.equal(await read("2.501", 2), undefined);
  assert.equal(await read("2.5001000", 2), undefined);
  assert.equal(await read("0.001", 2), undefined);
  assert.equal(await read("-0.001", 2), undefined);
  assert.equal(await read(`0.${"0".repeat(300)}`, 2), 0n);
  assert.equal(await read(`0.${"0".repeat(300)}1`, 2), undefined);
  assert.equal(await read(`0.${"0".repeat(300)}1`, 255), undefined);
});

test("numbers are as great as an int256 may be", LIMIT, async () => {
  for (const sign of ["", "-"]) {
    const signed = sign === "" ? GREATEST : -GREATEST;
    const digits = GREATEST.toString();
    assert.equal(await read(sign + digits, 0), signed);
    assert.equal(await read(sign + (GREATEST + 1n), 0), undefined);
    assert.equal(await read(`${sign}${digits}0`, 0), undefined);
    assert.equal(await read(`${sign}${digits}.0`, 0), signed);
    assert.equal(await read(sign + digits, 1), undefined);
    assert.equal(await read(`${sign}${digits.slice(0, -2)}.${digits.slice(-2)}`, 2), signed);
    assert.equal(await read(`${sign}${digits.slice(0, -2)}.${BigInt(digits.slice(-2)) + 1n}`, 2), undefined);
    assert.equal(await read(sign + "9".repeat(4000), 0), undefined);
  }
  assert.equal(await read("1", 76), 10n ** 76n);
  assert.equal(await read("1", 77), undefined);
  assert.equal(await read("0", 255), 0n);
  assert.equal(await read("1", 255), undefined);
  assert.equal(await read((2n ** 256n + 5n).toString(), 0), undefined);
});

test("a text has 4,096 bytes at most", LIMIT, async () => {
  assert.equal(await read(`${" ".repeat(4095)}7`), 700n);
  assert.equal(await read(`${" ".repeat(4096)}7`), undefined);
  const filled = (length) => `{"x":"${"y".repeat(length - 14)}","t":7}`;
  assert.equal(filled(4096).length, 4096);
  assert.equal(await readAt(filled(4096)), 700n);
  assert.equal(await readAt(filled(4097)), undefined);
  assert.equal(await readAt(new Uint8Array(65536).fill(0x7b)), undefined);
});

test("a number at a key of a flat object is found", LIMIT, async () => {
  for (const [json, key, expected] of [
    ['{"t":21.5,"n":3}', "t", 2150n],
    ['{"t":21.5,"n":3}', "n", 300n],
    ['{"celsius":-12.50}', "celsius", -1250n],
    [' \n{ "t" : 21.5 , "n" : 3 }\r\n', "t", 2150n],
    ['{\t"a"\n:\r"x",\n"t"\t:\n1\t}', "t", 100n],
    ['{"":4}', "", 400n],
    ['{"a":null,"b":true,"c":false,"d":"","e":1e-05,"t":1}', "t", 100n],
    ['{"t":1,"a":"x"}', "t", 100n],
    ['{"tt":1,"t":2,"ttt":3}', "t", 200n],
    ['{"T":1,"t":2}', "t", 200n],
    ['{"ü":1}', "ü", 100n],
    ['{"a b":1}', "a b", 100n],
  ]) {
    assert.equal(await readAt(json, key), expected, json);
  }
});

test("what a text contains is not taken for a key", LIMIT, async () => {
  for (const [json, expected] of [
    [String.raw`{"a":"\"t\":9","t":1}`, 100n],
    [String.raw`{"a":"\",\"t\":9,\"","t":1}`, 100n],
    [String.raw`{"a":"\\","t":1}`, 100n],
    [String.raw`{"a":"\\\"","t":1}`, 100n],
    [String.raw`{"a":"\\\",\"t\":9","b":2}`, undefined],
    [String.raw`{"a":"\u0022,\u0022t\u0022:9","t":1}`, 100n],
    ['{"a":"t","t":1}', 100n],
    ['{"a":"},{[]:,","t":1}', 100n],
    ['{"a":"t:9"}', undefined],
    ['{"a":"\'t\':9"}', undefined],
    [String.raw`{"a":"x\","t":9}`, undefined],
    [String.raw`{"a":"x\\","t":9}`, 900n],
  ]) {
    assert.equal(await readAt(json), expected, json);
  }
});

test("where readers could disagree there is no number", LIMIT, async () => {
  for (const json of [
    '{"t":1,"t":1}', // Twice.
    '{"t":1,"t":"x"}',
    '{"t":"x","t":1}',
    String.raw`{"\u0074":1}`, // The same key, written otherwise.
    String.raw`{"t":1,"\u0074":2}`,
    String.raw`{"\u0074":2,"t":1}`,
    '{"a":{"t":9}}', // Not flat.
    '{"a":{"t":9},"t":1}',
    '{"t":1,"a":{}}',
    '{"a":[1],"t":1}',
    '{"t":1,"a":[]}',
    '{"t":[1]}',
    '{"t":{"t":1}}',
    '[{"t":1}]',
  ]) {
    assert.equal(await readAt(json), undefined, json);
  }
});

test("an object that is none, or has no number there, has none", LIMIT, async () => {
  for (const json of [
    "", " ", "{", "}", "{}", "{ }", "t", "1", '"t":1', '{"t"', '{"t":', '{"t":1', '{"t":1,', '{"t":1,}', '{,"t":1}',
    '{"t":1}}', '{"t":1}{', '{"t":1} x', '{"t":1}\0', '{"t":1}{"t":1}', '{"t" 1}', '{"t"::1}', '{"t":,"a":1}', '{t:1}',
    "{'t':1}", '{"t":1 "a":2}', '{"t":1;"a":2}', '{"a","t":1}', '{"a":,"t":1}', '{"a":x y,"t":1}', '{"t', '{"a":"',
    '{"a":"\\', '{"a":"x\ny","t":1}', '{"a\0":1,"t":1}', '{"t":1,"a":"\t"}', '{"a":1}',
    '{"t":null}', '{"t":true}',
    '{"t":"1"}', '{"t":""}', '{"t":1e3}', '{"t":01}', '{"t":+1}', '{"t":.5}', '{"t":1.}', '{"t":-}', '{"t":1.234}',
    '{"t":1x}',
    '{"t":1"a":2}', '\ufeff{"t":1}', '{"t":1}\ufeff', '{"t":1/**/}', '{"a":1//,"t":1}', '{"a":"x"y,"t":1}',
    Uint8Array.of(0x7b, 0x22), Uint8Array.of(0x7b, 0x22, 0x5c), new Uint8Array(40).fill(0x22), new Uint8Array(40),
  ]) {
    assert.equal(await readAt(json), undefined, JSON.stringify(json));
  }
  assert.equal(await readAt('{"t":1}', "u"), undefined);
  assert.equal(await readAt('{"t":1}', ""), undefined);
  assert.equal(await readAt('{"t":1}', '"t"'), undefined);
  assert.equal(await readAt('{"t":1}', 't":1,"u'), undefined);
});

test("what JSON.parse finds in random objects is found, and nothing else", LIMIT, async () => {
  // A small alphabet makes many texts that are nearly an object. The seed is fixed, so a failure comes again.
  const pieces = ['"t"', '"a"', ":", ":", ",", "{", "}", "1", "-2.5", '"x"', " ", "null", '"\\""', '"'];
  let state = 20261127;
  const random = (limit) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) % limit;
  };
  const member = () => `${pieces[random(2)]}:${pieces[7 + random(3)]}`;
  const texts = Array.from({ length: 400 }, (_, index) =>
    index % 2 === 0
      ? `{${Array.from({ length: 1 + random(3) }, member).join(",")}}`
      : `{${Array.from({ length: 3 + random(6) }, () => pieces[random(pieces.length)]).join("")}}`,
  );
  let found = 0;
  for (let start = 0; start < texts.length; start += 20) {
    const some = texts.slice(start, start + 20);
    const answers = await Promise.all(some.map((text) => readAt(text)));
    some.forEach((text, index) => {
      let expected;
      try {
        const value = JSON.parse(text)?.t;
        // In these texts no value is "t", so the key is there as often as its letters are.
        if (typeof value === "number" && text.split('"t"').length === 2) expected = BigInt(value * 100);
      } catch {
        // Not JSON.
      }
      assert.equal(answers[index], expected, text);
      if (expected !== undefined) ++found;
    });
  }
  assert.ok(found > 20, `${found} found`);
});
