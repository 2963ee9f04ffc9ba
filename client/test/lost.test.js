// What is told of a connection that comes and goes, to people and to listeners.

import assert from 'node:assert/strict'
import { beforeEach, test } from 'node:test'

import { createClient } from '../gatecast.js'
import { comeBack, connect, FakeSocket, pass, settle, stopTheClock } from './fake.js'

let client
let told

stopTheClock()
beforeEach(() => {
  client = createClient({ url: 'ws://test/ws', getToken: () => 'token', WebSocket: FakeSocket })
  told = []
  client.on('lost-connection', (what) => told.push(what))
})

/** Stays away so long: no attempt is welcomed. */
async function stayAway(ms) {
  FakeSocket.last.lost()
  await pass(ms)
}

test('a blip is not told', async () => {
  await connect(client)
  await stayAway(4900)
  FakeSocket.last.welcomes()
  await pass(10_000)
  assert.deepEqual(told, [])
})

test('a longer loss is told, and that it is over', async () => {
  await connect(client)
  await stayAway(4999)
  assert.deepEqual(told, [])
  await pass(1)
  assert.deepEqual(told, ['lost'])
  FakeSocket.last.welcomes()
  assert.deepEqual(told, ['lost', 'restored'])
  await comeBack()
  assert.deepEqual(told, ['lost', 'restored'])
})

for (const away of [0, 1000, 6000]) {
  test(`a connection that is not let in any more has failed, ${away} ms after it was lost`, async () => {
    await connect(client)
    if (away) await stayAway(away)
    FakeSocket.last.lost(4403)
    await pass(10_000)
    assert.deepEqual(told, away > 5000 ? ['lost', 'failed'] : ['failed'])
  })
}

test('who never was in has lost nothing, and who leaves neither', async () => {
  client.connect()
  await settle()
  await stayAway(10_000)
  FakeSocket.last.lost(4403)
  await pass(10_000)
  await connect(client)
  client.disconnect()
  await connect(client)
  FakeSocket.last.lost()
  client.disconnect()
  await pass(10_000)
  assert.deepEqual(told, [])
})

// A listener may do whatever it likes.

for (const [when, listen] of [
  ['a channel is joined', (room, fn) => room.on('status', ({ current }) => current === 'subscribing' && fn())],
  ['a channel is let go', (room, fn) => room.on('outgoing', ({ state }) => state === 'failed' && fn())],
  ['the connection is lost', (room, fn) => client.on('status', ({ current }) => current === 'reconnecting' && fn())],
]) {
  test(`disconnect while ${when} is the last that is told`, async () => {
    const room = client.channel('room:1')
    const statuses = []
    let armed = false
    listen(room, () => armed && client.disconnect())
    client.on('status', ({ previous, current }) => statuses.push([previous, current]))
    room.subscribe()
    await connect(client)
    FakeSocket.last.says({ type: 'subscribed', channel: 'room:1', id: FakeSocket.last.asked('subscribe').id })
    room.publish('x')
    armed = true
    FakeSocket.last.lost(when === 'a channel is let go' ? 4403 : 1006)
    await pass(20_000)
    assert.equal(client.status, 'disconnected')
    statuses.reduce(([, before], [previous, current]) => (assert.equal(previous, before), [previous, current]))
    assert.equal(statuses.at(-1)[1], 'disconnected')
    assert.deepEqual([told, FakeSocket.all.length], [when === 'a channel is let go' ? ['failed'] : [], 1])
  })
}

test('disconnect after an error leaves no timer behind', async (t) => {
  await connect(client)
  const room = client.channel('room:1')
  room.subscribe()
  client.on('error', () => client.disconnect())
  const { setTimeout: set } = globalThis
  FakeSocket.last.says({ type: 'error', id: FakeSocket.last.asked('subscribe').id, code: 'rate_limited', message: 'slow', retryAfterMs: 60_000 })
  let timers = 0
  t.mock.method(globalThis, 'setTimeout', (...args) => (timers++, set(...args)))
  await settle()
  assert.deepEqual([client.status, timers], ['disconnected', 0])
})

test('disconnect twice is told once, and both wait for the socket', async () => {
  await connect(client)
  const statuses = []
  client.on('status', ({ current }) => statuses.push(current))
  FakeSocket.last.close = () => {}
  let closed = 0
  for (let n = 0; n < 2; n++) client.disconnect().then(() => closed++)
  await settle()
  assert.deepEqual([statuses, closed], [['disconnected'], 0])
  FakeSocket.last.onclose()
  await settle()
  assert.equal(closed, 2)
})

for (const [when, open] of [['', () => connect(client)], [' before it was welcomed', () => settle(void client.connect())]]) {
  test(`a socket that does not close is let go${when}`, async () => {
    await open()
    let [terminated, done] = [false, false]
    Object.assign(FakeSocket.last, { close() {}, terminate: () => (terminated = true) })
    client.disconnect().then(() => (done = true))
    await pass(2900)
    assert.ok(!done)
    await pass(100)
    assert.ok(done && terminated)
  })
}

// Deno's socket throws then, as some of others' do.
test('what is sent while the socket closes is lost with it, and throws nothing', async () => {
  await connect(client)
  const room = client.channel('room:1')
  const socket = Object.assign(FakeSocket.last, { readyState: 2, send: () => assert.fail('it is closing') })
  room.typing.keystroke()
  await room.publish(1, { volatile: true })
  room.publish('kept')
  await settle()
  assert.deepEqual(room.outgoing.map(({ state }) => state), ['pending'])
  await comeBack()
  assert.notEqual(FakeSocket.last, socket)
  assert.equal(FakeSocket.last.asked('publish').data, 'kept')
})
