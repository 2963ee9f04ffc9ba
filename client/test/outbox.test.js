// Own messages on their way out: their states and errors, what waits and for how
// long, and the order in which they go.

import assert from 'node:assert/strict'
import { beforeEach, test } from 'node:test'

import { decodeBinary, encodeBinary } from '../binary.js'
import { createClient, QueueError, RateLimitError } from '../gatecast.js'
import { comeBack, connect, FakeSocket, pass, settle, stopTheClock } from './fake.js'

const ROOM = 'room:1'
let client
let room
/** What was told of the room, in order. */
let told

function make(options) {
  client = createClient({ url: 'ws://test/ws', getToken: () => 'token', WebSocket: FakeSocket, ...options })
  room = client.channel(ROOM)
  told = []
  room.on('outgoing', ({ data, state, error }) => told.push([data, state, ...(error ? [error.code] : [])].join(' ')))
  room.on('message', ({ data }) => told.push(`${data} is there`))
}

stopTheClock()
beforeEach(() => make())

const says = (frame) => FakeSocket.last.says({ channel: ROOM, ...frame })
const published = () => FakeSocket.last.sent.filter(({ type }) => type === 'publish')
const data = () => published().map(({ data }) => data)
const outgoing = () => room.outgoing.map(({ data, state }) => `${data} ${state}`)
const acks = ({ id }, seq) => says({ type: 'ack', id, seq, timestamp: '2026-11-25T20:00:00Z' })
const refuses = ({ id }, code, fields) => says({ type: 'error', id, code, message: 'no', ...fields })
const admits = (fields) => says({ type: 'subscribed', id: FakeSocket.last.asked('subscribe').id, epoch: 'one', seq: 10, ...fields })

/** Answers what was published last, again and again, until nothing more comes. */
async function acksAll(seq) {
  for (let answered = 0; answered < published().length; await settle()) acks(published()[answered++], seq++)
}

test('a message is pending, then sent, then there', async () => {
  await connect(client)
  room.subscribe()
  admits()
  const before = room.outgoing
  const receipt = room.publish('hello')
  assert.deepEqual([before, outgoing()], [[], ['hello pending']])
  assert.equal(room.outgoing, room.outgoing)
  const [{ id, key, ...frame }] = published()
  assert.deepEqual(frame, { type: 'publish', channel: ROOM, event: 'message', data: 'hello' })
  acks({ id }, 11)
  assert.deepEqual(told, ['hello pending', 'hello sent', 'hello is there'])
  assert.deepEqual([await receipt, room.outgoing], [{ id: key, seq: 11 }, []])
})

test('what is sent where one is not in is sent, and not there', async () => {
  await connect(client)
  const receipt = room.send('hello')
  assert.equal(published()[0].event, 'chat')
  acks(published()[0], 11)
  await receipt
  assert.deepEqual(told, ['hello pending', 'hello sent'])
})

test('many are under way at a time, and the rest waits for them', async () => {
  await connect(client)
  for (let n = 0; n < 100; n++) room.publish(n)
  assert.equal(published().length, 64)
  await acksAll(1)
  assert.deepEqual(data(), Array.from({ length: 100 }, (_, n) => n))
})

test('a live message over the rate limit fails at once, and the application decides', async () => {
  await connect(client)
  const receipts = [room.publish('one', { id: 'k1' }), room.publish('two', { id: 'k2' })]
  published().forEach((frame) => refuses(frame, 'rate_limited', { retryAfterMs: 700 }))
  for (const receipt of receipts) await assert.rejects(receipt, (error) => error instanceof RateLimitError && error.retryAfterMs === 700)
  assert.deepEqual(outgoing(), ['one failed', 'two failed'])
  await comeBack()
  assert.deepEqual(published(), [], 'what has failed is not sent by itself')

  const again = room.resend('k1')
  room.discard('k2')
  assert.deepEqual(published().map(({ key }) => key), ['k1'])
  acks(published()[0], 5)
  assert.deepEqual(await again, { id: 'k1', seq: 5 })
  assert.deepEqual(told.slice(4), ['one pending', 'two discarded rate_limited', 'one sent'])
  await assert.rejects(room.resend('k2'), { code: 'discarded' })
})

test('what was queued waits for the rate limit and goes out in its order', async () => {
  const receipts = ['one', 'two', 'three'].map((text) => room.publish(text))
  await connect(client)
  assert.deepEqual(data(), ['one'])
  refuses(published()[0], 'rate_limited', { retryAfterMs: 3000 })
  await pass(2900)
  assert.deepEqual(data(), ['one'])
  await pass(100)
  assert.deepEqual(data(), ['one', 'one'])
  acks(published()[1], 1)
  await settle()
  room.publish('four')
  assert.deepEqual(data(), ['one', 'one', 'two'], 'a new one does not overtake')
  acks(published()[2], 2)
  await settle()
  acks(published()[3], 3)
  await Promise.all(receipts)
  assert.deepEqual(data(), ['one', 'one', 'two', 'three', 'four'])
})

test('what waited for its turn when the connection was lost is queued, too', async () => {
  await connect(client)
  for (let n = 0; n < 70; n++) room.publish(n)
  await comeBack()
  for (let n = 0; n < 69; n++) {
    acks(published()[n], n + 1)
    await settle()
  }
  refuses(published()[69], 'rate_limited', { retryAfterMs: 100 })
  await pass(100)
  acks(published()[70], 70)
  assert.deepEqual([outgoing(), data()], [[], [...Array.from({ length: 70 }, (_, n) => n), 69]])
})

for (const [what, answer, wait] of [
  ['busy', (frame) => refuses(frame, 'busy', { retryAfterMs: 300 }), 300],
  ['unknown', (frame) => refuses(frame, 'unknown'), 1000],
  ['unavailable', (frame) => refuses(frame, 'unavailable'), 1000],
  ['no answer', () => {}, 10_000],
]) {
  test(`after "${what}" a message is sent again with its key, before what is behind it`, async () => {
    const receipts = ['one', 'two'].map((text) => room.publish(text))
    await connect(client)
    answer(published()[0])
    await pass(wait)
    assert.deepEqual(data(), ['one', 'one'])
    assert.equal(published()[0].key, published()[1].key)
    acks(published()[1], 1)
    await settle()
    acks(published()[2], 2)
    assert.deepEqual((await Promise.all(receipts)).map(({ seq }) => seq), [1, 2])
  })
}

test('after a lost connection what was missed comes first; what is found there is not sent again', async () => {
  await connect(client)
  room.subscribe()
  admits()
  const receipts = ['one', 'two', 'three'].map((text) => room.publish(text))
  const [one, two, three] = published()
  acks(one, 11)
  await comeBack()
  room.publish('four')
  assert.deepEqual(data(), [], 'it is not known yet what was stored')
  admits({ recovered: true, seq: 12, messages: [{ type: 'message', seq: 12, userId: 'A', key: two.key, event: 'message', data: 'two' }] })
  await settle()
  assert.deepEqual(published().map(({ key }) => key), [three.key])
  acks(published()[0], 13)
  await settle()
  acks(published()[1], 14)
  assert.deepEqual((await Promise.all(receipts)).map(({ seq }) => seq), [11, 12, 13])
  assert.deepEqual(told.filter((what) => what.endsWith('there')), ['one', 'two', 'three', 'four'].map((text) => `${text} is there`))
})

test('a channel that cannot be joined, or was left meanwhile, does not hold messages up', async () => {
  await connect(client)
  room.subscribe()
  room.publish('one')
  refuses(FakeSocket.last.asked('subscribe'), 'forbidden')
  await settle()
  assert.deepEqual(data(), ['one'])
  acks(published()[0], 1)
  room.subscribe()
  room.publish('two')
  room.unsubscribe()
  await settle()
  assert.deepEqual(data(), ['one', 'two'])
})

test('a message that the server refuses has failed', async () => {
  await connect(client)
  const receipt = room.publish('one')
  refuses(published()[0], 'forbidden')
  await assert.rejects(receipt, { code: 'forbidden' })
  assert.deepEqual(told, ['one pending', 'one failed forbidden'])
})

test('the queue holds so many', async () => {
  make({ queue: { count: 2 } })
  const other = client.channel('room:2')
  room.publish('one')
  other.publish('two')
  await assert.rejects(room.publish('three'), (error) => error instanceof QueueError && error.code === 'queue_full')
  assert.deepEqual(outgoing(), ['one pending'])
  await connect(client)
  acks(published()[0], 1)
  room.publish('four')
  assert.deepEqual(outgoing(), ['four pending'])
})

test('the queue holds so long', async () => {
  make({ queue: { ageMs: 5000 } })
  const first = room.publish('one')
  await pass(3000)
  room.publish('two')
  await pass(1900)
  assert.deepEqual(outgoing(), ['one pending', 'two pending'])
  await pass(100)
  await assert.rejects(first, { code: 'expired' })
  assert.deepEqual(outgoing(), ['one failed', 'two pending'])
  await connect(client)
  assert.deepEqual(data(), ['two'])
  refuses(published()[0], 'rate_limited', { retryAfterMs: 20_000 })
  await pass(20_000)
  assert.deepEqual([outgoing(), data()], [['one failed', 'two failed'], ['two']])
})

test('what is published when another fails is given up in its own time', async () => {
  make({ queue: { ageMs: 5000 } })
  const undo = room.on('outgoing', ({ state }) => {
    if (state !== 'failed') return
    undo()
    room.publish('three')
  })
  room.publish('one')
  await pass(1000)
  room.publish('two')
  await pass(5000)
  assert.deepEqual(outgoing(), ['one failed', 'two failed', 'three pending'])
})

test('a queue without an end waits without an end', async (t) => {
  make({ queue: { count: Infinity, ageMs: Infinity } })
  const { setTimeout: set } = globalThis
  const waits = []
  t.mock.method(globalThis, 'setTimeout', (fn, ms) => (waits.push(ms), set(fn, ms)))
  room.publish('one')
  assert.deepEqual(waits, [2 ** 31 - 1])
})

test('of what has failed the newest is kept, as much as may wait', async () => {
  make({ queue: { count: 3 } })
  await connect(client)
  for (let n = 0; n < 5; n++) {
    room.publish(n)
    refuses(published()[n], 'rate_limited')
    await settle()
  }
  assert.deepEqual(outgoing(), ['2 failed', '3 failed', '4 failed'])
  assert.deepEqual(told.filter((what) => what.includes('discarded')), ['0 discarded rate_limited', '1 discarded rate_limited'])
})

test('disconnect fails what is pending, and resend sends it after all', async () => {
  await connect(client)
  const receipts = [room.publish('one', { id: 'k1' }), room.publish('two')]
  await client.disconnect()
  for (const receipt of receipts) await assert.rejects(receipt, { code: 'disconnected' })
  await connect(client)
  assert.deepEqual(data(), [])
  const again = room.resend('k1')
  acks(published()[0], 1)
  assert.deepEqual(await again, { id: 'k1', seq: 1 })
})

test('what one user has written is not sent as another', async () => {
  await connect(client)
  const receipt = room.publish('one')
  await comeBack({ userId: 'B', username: 'bob' })
  await assert.rejects(receipt, { code: 'unauthorized' })
  assert.deepEqual(data(), [])
  room.publish('two')
  assert.deepEqual(data(), ['two'])
})

test('who waits to be in waits on where the connection is of another user', async () => {
  await connect(client)
  await client.disconnect()
  const joined = room.subscribe()
  const receipt = room.publish('one')
  client.connect()
  await settle()
  FakeSocket.last.welcomes({ userId: 'B', username: 'bob' })
  await assert.rejects(receipt, { code: 'unauthorized' })
  admits()
  await joined
  assert.equal(room.status, 'subscribed')
})

test('what is volatile is sent now or never', async () => {
  await room.publish('one', { volatile: true })
  await connect(client)
  assert.deepEqual(published(), [])
  const { id } = await room.publish('two', { volatile: true })
  assert.deepEqual(data(), ['two'])
  FakeSocket.last.bufferedAmount = 1 << 20
  await room.publish('three', { volatile: true })
  await comeBack()
  assert.deepEqual([data(), room.outgoing], [[], []])
  assert.ok(id)
})

test('what is larger than the server takes is not sent', async () => {
  const fails = async (content, limit) => {
    await comeBack({ limits: { messageBytes: limit } })
    return assert.rejects(room.publish(content), { code: 'too_large' })
  }
  await connect(client)
  await fails('x'.repeat(200), 200)
  await fails('ờ'.repeat(100), 300)
  await fails(new Uint8Array(200), 200)
  assert.deepEqual(FakeSocket.last.sent, [])
  room.publish('x'.repeat(50))
  assert.equal(FakeSocket.last.sent.length, 1)
})

test('bytes go out and come in as they are', async () => {
  await connect(client)
  room.subscribe()
  admits()
  const bytes = new Uint8Array([1, 2, 3])
  FakeSocket.last.sent.length = 0
  for (const content of [bytes, bytes.buffer]) room.publish(content, { event: 'image' })
  bytes[0] = 9
  for (const frame of FakeSocket.last.sent) {
    const { header, payload } = decodeBinary(frame)
    assert.deepEqual([header.channel, header.event, payload], [ROOM, 'image', new Uint8Array([1, 2, 3])])
  }
  const heard = []
  room.on('message', ({ event, data, username }) => heard.push([event, data, username]))
  const header = { channel: ROOM, seq: 11, event: 'image', userId: 'B', username: 'bob' }
  FakeSocket.last.onmessage({ data: encodeBinary(header, new Uint8Array([4, 5])).buffer })
  assert.deepEqual(heard, [['image', new Uint8Array([4, 5]), 'bob']])
})

test('an id that waits already is the same message, and what JSON cannot hold is none', async () => {
  const receipt = room.publish('one', { id: 'k1' })
  room.publish('other', { id: 'k1' })
  assert.deepEqual(outgoing(), ['one pending'])
  assert.throws(() => room.publish(1n), TypeError)
  await connect(client)
  acks(published()[0], 1)
  assert.equal((await receipt).seq, 1)
})

test('what a listener publishes goes out behind what it was told of', async () => {
  await connect(client)
  room.on('outgoing', ({ data, state }) => data < 5 && state === 'pending' && room.publish(data + 1))
  room.publish(1)
  assert.deepEqual(data(), [1, 2, 3, 4, 5])
})

test('a listener may disconnect when a message fails, and connect again', async () => {
  await connect(client)
  room.publish('one')
  const statuses = []
  client.on('status', ({ current }) => statuses.push(current))
  let again
  room.on('outgoing', ({ state }) => state === 'failed' && (again ??= client.connect()))
  client.disconnect()
  await settle()
  FakeSocket.last.welcomes()
  assert.equal((await again).type, 'welcome')
  assert.deepEqual(statuses, ['disconnected', 'connecting', 'connected'])
})
