// Binary frames: what is put together comes apart again, and what is none is told.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { runInNewContext } from 'node:vm'

import { decodeBinary, encodeBinary, fromBase64, isBinary, toBytes } from '../binary.js'

const bytes = (...values) => new Uint8Array(values)
const utf8 = (text) => new TextEncoder().encode(text)

/** A frame whose header's length is told as it is, or wrongly. */
function frame(header, payload = bytes(), length = header.length) {
  const whole = new Uint8Array(4 + header.length + payload.length)
  new DataView(whole.buffer).setUint32(0, length)
  whole.set(header, 4)
  whole.set(payload, 4 + header.length)
  return whole
}

test('a frame is its header and its payload', () => {
  const encoded = encodeBinary({ channel: 'lobby', event: 'xin chào' }, bytes(0, 1, 255))
  const json = utf8('{"channel":"lobby","event":"xin chào"}')
  assert.deepEqual(encoded, frame(json, bytes(0, 1, 255)))
  assert.deepEqual(decodeBinary(encoded.buffer), { header: { channel: 'lobby', event: 'xin chào' }, payload: bytes(0, 1, 255) })
})

for (const payload of [bytes(), bytes(7), new Uint8Array(70_000).fill(3)]) {
  test(`a payload of ${payload.length} bytes comes back, whatever the frame stands in`, () => {
    const encoded = encodeBinary({ id: 1 }, payload)
    const inner = new Uint8Array(encoded.length + 13).fill(9)
    inner.set(encoded, 5)
    for (const data of [encoded.buffer, encoded, inner.subarray(5, 5 + encoded.length), Buffer.from(encoded), new DataView(encoded.buffer)]) {
      assert.deepEqual(decodeBinary(data), { header: { id: 1 }, payload })
    }
  })
}

test('a payload is a copy, with a buffer to itself', () => {
  const payload = new Uint8Array(new Float64Array([1.5, -2]).buffer)
  const encoded = Buffer.from(encodeBinary({ a: 1 }, payload))
  payload.fill(0)
  const decoded = decodeBinary(encoded)
  encoded.fill(0)
  assert.equal(decoded.payload.constructor, Uint8Array)
  assert.deepEqual([...new Float64Array(decoded.payload.buffer)], [1.5, -2])
})

test('a payload in a part of a buffer is that part', () => {
  const encoded = encodeBinary({}, new Uint8Array([0, 1, 2, 3]).subarray(1, 3))
  assert.deepEqual(decodeBinary(encoded).payload, bytes(1, 2))
})

const none = {
  'nothing': bytes(),
  'less than a length': bytes(0, 0, 0),
  'a header of no bytes': bytes(0, 0, 0, 0),
  'a header that is longer than the frame': frame(utf8('{}'), bytes(), 3),
  'a header of 4 GiB': frame(utf8('{}'), bytes(), 0xffffffff),
  'a header of 2 GiB': frame(utf8('{}'), bytes(), 0x80000000),
  'a header that is cut': frame(utf8('{}'), bytes(), 1),
  'a header and more': frame(utf8('{} {'), bytes()),
  'a list': frame(utf8('[]')),
  'null': frame(utf8('null')),
  'a text': frame(utf8('"{}"')),
  'a number': frame(utf8('1')),
  'no JSON': frame(utf8('{channel: 1}')),
  'no UTF-8': frame(bytes(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d)),
  'a text frame as bytes': utf8('{"type":"chat","message":"hi"}'),
}
for (const [name, data] of Object.entries(none)) {
  test(`no frame: ${name}`, () => {
    assert.equal(decodeBinary(data), undefined)
    assert.equal(decodeBinary(data.buffer), undefined)
  })
}

test('random bytes are taken or told to be none, and never throw', () => {
  for (let i = 0; i < 20_000; i++) {
    const data = randomBytes(i % 64)
    if (i % 2 && data.length > 4) data.writeUInt32BE(i % data.length) // half of them with a length that may fit
    const decoded = decodeBinary(data)
    if (decoded) assert.equal(typeof decoded.header, 'object')
  }
})

test('frames with a byte changed or cut off never throw', () => {
  const whole = encodeBinary({ type: 'message', channel: 'room:1', seq: 7, key: 'k"\\u' }, bytes(1, 2, 3))
  for (let at = 0; at < whole.length; at++) {
    decodeBinary(whole.subarray(0, at))
    for (const value of [0, 1, 0x22, 0x5b, 0x7f, 0x80, 0xff]) decodeBinary(Uint8Array.from(whole, (byte, i) => (i === at ? value : byte)))
  }
})

test('a header changes nothing but itself', () => {
  const { header } = decodeBinary(frame(utf8('{"__proto__":{"isAdmin":true},"seq":1}')))
  assert.equal({}.isAdmin, undefined)
  assert.equal(header.seq, 1)
})

test('what is binary', () => {
  const buffer = new ArrayBuffer(8)
  for (const data of [buffer, bytes(1), Buffer.from('a'), new DataView(buffer), new Float32Array(2), runInNewContext('new ArrayBuffer(8)'), runInNewContext('new Uint8Array(8)')]) {
    assert.ok(isBinary(data))
  }
  for (const data of [undefined, null, 'text', 1, [1, 2], {}, { byteLength: 3 }, new Blob(['a'])]) assert.ok(!isBinary(data))
})

test('bytes of a buffer, of a view, of a part', () => {
  const buffer = bytes(1, 2, 3, 4).buffer
  assert.deepEqual(toBytes(buffer), bytes(1, 2, 3, 4))
  assert.deepEqual(toBytes(new DataView(buffer, 1, 2)), bytes(2, 3))
  assert.deepEqual(toBytes(new Uint16Array(buffer, 2, 1)), bytes(3, 4))
  assert.equal(toBytes(Buffer.from('a')).constructor, Uint8Array)
  assert.deepEqual(toBytes(runInNewContext('new ArrayBuffer(2)')), bytes(0, 0))
})

const decoders = { 'atob': undefined, 'Uint8Array.fromBase64': (text) => bytes(...Buffer.from(text, 'base64')) }
for (const [name, builtIn] of Object.entries(decoders)) {
  test(`base64 by ${name}`, (t) => {
    const before = Object.getOwnPropertyDescriptor(Uint8Array, 'fromBase64')
    t.after(() => (before ? Object.defineProperty(Uint8Array, 'fromBase64', before) : delete Uint8Array.fromBase64))
    Object.defineProperty(Uint8Array, 'fromBase64', { value: builtIn, configurable: true })
    for (let length = 0; length < 300; length++) {
      const data = randomBytes(length)
      assert.deepEqual(fromBase64(data.toString('base64')), bytes(...data))
    }
  })
}

test('a text that is no base64 throws', () => {
  assert.throws(() => fromBase64('a*b'))
  assert.throws(() => fromBase64('abcde'))
})
