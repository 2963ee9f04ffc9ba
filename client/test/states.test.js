// The client's states, with a socket and a clock of the test's own.

import assert from 'node:assert/strict'
import { beforeEach, mock, test } from 'node:test'

import { createClient, UnauthorizedError } from '../gatecast.js'
import { connect, FakeSocket, settle, stopTheClock } from './fake.js'

let statuses
let client

function make(options = {}) {
  const made = createClient({ url: 'ws://test/ws', getToken: () => 'token', WebSocket: FakeSocket, ...options })
  made.on('status', ({ current }) => statuses.push(current))
  return made
}

stopTheClock()
beforeEach(() => {
  statuses = []
  client = make()
})

test('silence leads to a ping, and more silence to a new connection', async () => {
  await connect(client)
  mock.timers.tick(24_999)
  assert.deepEqual(FakeSocket.last.sent, [])
  mock.timers.tick(1)
  assert.deepEqual(FakeSocket.last.sent, [{ type: 'ping' }])
  FakeSocket.last.says({ type: 'pong' })
  mock.timers.tick(25_000)
  mock.timers.tick(10_000)
  assert.equal(client.status, 'reconnecting')
  assert.ok(FakeSocket.last.closed)
  mock.timers.tick(500)
  await settle()
  assert.equal(FakeSocket.all.length, 2)
})

// T7: the code decides whether and how it comes back.
test('4403 is final', async () => {
  await connect(client)
  FakeSocket.last.lost(4403)
  mock.timers.tick(60_000)
  await settle()
  assert.equal(client.status, 'failed')
  assert.equal(FakeSocket.all.length, 1)
})

for (const [code, first] of [[1006, 500], [1012, 500], [1013, 8000], [4408, 8000], [4429, 8000]]) {
  test(`after ${code} it comes back within ${first} ms`, async () => {
    await connect(client)
    FakeSocket.last.lost(code)
    mock.timers.tick(first - 1)
    await settle()
    assert.equal(FakeSocket.all.length, 1)
    mock.timers.tick(1)
    await settle()
    assert.equal(FakeSocket.all.length, 2)
  })
}

test('what asks for a slow return says that connect() does not hurry it', async () => {
  const told = []
  client.on('status', ({ retryInMs, mayHurry }) => retryInMs && told.push(mayHurry))
  await connect(client)
  FakeSocket.last.lost(4429)
  client.connect()
  await settle()
  assert.equal(FakeSocket.all.length, 1)
  mock.timers.tick(8_000)
  await settle()
  FakeSocket.last.lost(1006)
  client.connect()
  await settle()
  assert.equal(FakeSocket.all.length, 3)
  assert.deepEqual(told, [false, true])
})

test('the back-off grows, and starts anew after a connection that lasted', async () => {
  const waits = []
  client.on('status', ({ retryInMs }) => retryInMs && waits.push(retryInMs))
  client.connect().catch(() => {})
  await settle()
  for (let i = 0; i < 3; i++) {
    FakeSocket.last.lost()
    mock.timers.tick(waits.at(-1))
    await settle()
  }
  FakeSocket.last.welcomes()
  FakeSocket.last.lost() // at once: it did not last
  mock.timers.tick(waits.at(-1))
  await settle()
  FakeSocket.last.welcomes()
  mock.timers.tick(5_000)
  FakeSocket.last.lost()
  assert.deepEqual(waits, [500, 1000, 2000, 4000, 500])
})

test('getToken that fails is asked again; one that says unauthorized is not', async () => {
  let asked = 0
  client = make({
    getToken: async () => {
      if (++asked === 3) throw new UnauthorizedError('log in again')
      throw new Error('no network')
    },
  })
  const connecting = client.connect()
  await settle()
  mock.timers.tick(500)
  await settle()
  mock.timers.tick(1000)
  await assert.rejects(connecting, { code: 'unauthorized', message: 'log in again' })
  mock.timers.tick(60_000)
  await settle()
  assert.equal(asked, 3)
})

test('a request that is not answered is given up', async () => {
  await connect(client)
  const request = client.request('chat', { message: 'x' })
  assert.deepEqual(FakeSocket.last.sent, [{ message: 'x', type: 'chat', id: 1 }])
  mock.timers.tick(10_000)
  await assert.rejects(request, { code: 'timeout' })
})

test('what is open when the line is lost is rejected', async () => {
  await connect(client)
  const request = client.request('chat', { message: 'x' })
  FakeSocket.last.lost()
  await assert.rejects(request, { code: 'disconnected' })
})

test('off() undoes on(), also for the frame that is being told', async () => {
  await connect(client)
  const heard = []
  client.on('chat', () => heard.length === 2 && off())
  const off = client.on('chat', () => heard.push('chat'))
  for (let n = 0; n < 4; n++) FakeSocket.last.says({ type: 'chat' })
  assert.equal(heard.length, 2)
})

test('a URL that no attempt can use makes no client', () => {
  for (const url of ['nonsense', 'http://test/ws', '/ws', '', 'ws://test/ws#part']) assert.throws(() => make({ url }), TypeError)
})

test('a server that never welcomes, and a token that never comes, are given up', async () => {
  client.connect().catch(() => {})
  await settle()
  mock.timers.tick(15_000)
  assert.equal(client.status, 'reconnecting')
  assert.ok(FakeSocket.last.closed)

  client.disconnect()
  statuses = []
  client = make({ getToken: () => new Promise(() => {}) })
  client.connect().catch(() => {})
  mock.timers.tick(15_000)
  assert.deepEqual(statuses, ['connecting', 'reconnecting'])
})

test('however often it is told to connect, one promise waits', async () => {
  const waiting = client.connect()
  assert.equal(client.connect(), waiting)
  client.disconnect()
  await assert.rejects(waiting, { code: 'disconnected' })
  const again = client.connect()
  assert.notEqual(again, waiting)
  await settle()
  FakeSocket.last.welcomes()
  assert.equal((await again).userId, 'A')
})

for (const when of ['connecting', 'connected', 'reconnecting']) {
  test(`a listener that disconnects on ${when} has the last word`, async () => {
    client.on('status', ({ current }) => current === when && client.disconnect())
    client.connect().catch(() => {})
    await settle()
    FakeSocket.last?.welcomes()
    FakeSocket.last?.lost()
    mock.timers.tick(120_000)
    await settle()
    assert.equal(client.status, 'disconnected')
    assert.ok(FakeSocket.all.length <= 1)
  })
}

test('a listener that throws stops nothing', async () => {
  const thrown = []
  const listeners = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  process.on('uncaughtException', (error) => thrown.push(error.message))
  try {
    client.on('status', ({ current }) => {
      throw new Error(current)
    })
    await connect(client)
    FakeSocket.last.lost()
    mock.timers.tick(500)
    await settle()
  } finally {
    process.removeAllListeners('uncaughtException')
    listeners.forEach((listener) => process.on('uncaughtException', listener))
  }
  assert.equal(FakeSocket.all.length, 2)
  assert.deepEqual(thrown, ['connecting', 'connected', 'reconnecting'])
})

test('what is no frame is passed over', async () => {
  await connect(client)
  for (const data of ['null', '[]', 'nonsense', '{"type":1}']) FakeSocket.last.says(data)
  FakeSocket.last.onmessage({ data: new ArrayBuffer(4) })
  assert.equal(client.status, 'connected')
})

test('waits that make no sense are no haste', async () => {
  client.connect()
  await settle()
  FakeSocket.last.welcomes({ heartbeatMs: 'soon' })
  mock.timers.tick(24_999)
  assert.deepEqual(FakeSocket.last.sent, [])
  for (const retryAfterMs of [0, -1, null, 'soon', 1e12]) {
    const asked = client.request('history', { channel: 'lobby' })
    FakeSocket.last.says({ type: 'error', id: FakeSocket.last.asked('history').id, code: 'busy', message: 'no', retryAfterMs })
    await assert.rejects(asked, (error) => error.retryAfterMs >= 1000 && error.retryAfterMs < 2 ** 31)
  }
})
