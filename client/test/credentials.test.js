// What the client is let in with, and what it does when that comes to its end.

import assert from 'node:assert/strict'
import { mock, test } from 'node:test'

import { createClient, UnauthorizedError } from '../gatecast.js'
import { connect, FakeSocket, settle, stopTheClock } from './fake.js'

const make = (options) => createClient({ url: 'ws://test/ws', WebSocket: FakeSocket, ...options })

/** A getter that gives these in turn; an Error among them is thrown. */
const giving = (...answers) => async () => {
  const answer = answers.shift() ?? assert.fail('asked once too often')
  if (answer instanceof Error) throw answer
  return answer
}

/** The server ends the connection, and a retry at once has had its time. */
async function refuse() {
  FakeSocket.last.lost(4401)
  mock.timers.tick(1)
  await settle()
}

stopTheClock()

test('a token goes into a subprotocol', async () => {
  await connect(make({ getToken: () => 'token' }))
  assert.deepEqual([FakeSocket.last.url, FakeSocket.last.protocols], ['ws://test/ws', ['gatecast.v1', 'bearer.token']])
})

test('a ticket goes into the URL, a new one for each attempt, and no token anywhere', async () => {
  await connect(make({ getTicket: giving('ticket&1', 'ticket&2'), getToken: giving() }))
  FakeSocket.last.lost()
  mock.timers.tick(500)
  await settle()
  assert.deepEqual(FakeSocket.all.map(({ url }) => url), ['ws://test/ws?ticket=ticket%261', 'ws://test/ws?ticket=ticket%262'])
  assert.deepEqual(FakeSocket.all.map(({ protocols }) => protocols), [['gatecast.v1'], ['gatecast.v1']])
})

test('without getTicket and getToken no client is made', () => {
  assert.throws(() => make({}), TypeError)
})

// T7: 4401 is "stop until there is a new token".
for (const getter of ['getToken', 'getTicket']) {
  test(`after 4401 it comes back at once with what ${getter} gives anew, and once only`, async () => {
    const client = make({ [getter]: giving('old', 'new') })
    await connect(client)
    await refuse()
    assert.deepEqual([FakeSocket.all.length, client.status], [2, 'reconnecting'])
    FakeSocket.last.welcomes()
    await refuse()
    mock.timers.tick(60_000)
    await settle()
    assert.deepEqual([FakeSocket.all.length, client.status], [2, 'failed'])
  })
}

test('after 4401 an old token is not tried again', async () => {
  const client = make({ getToken: () => 'token' })
  await connect(client)
  await refuse()
  assert.deepEqual([FakeSocket.all.length, client.status], [1, 'failed'])
})

test('after 4401 the getter may say that it is over', async () => {
  const client = make({ getTicket: giving('ticket', new UnauthorizedError('log in again')) })
  await connect(client)
  let last
  client.on('status', (change) => (last = change))
  await refuse()
  assert.equal(FakeSocket.all.length, 1)
  assert.deepEqual(last, { previous: 'reconnecting', current: 'failed', code: 4401, reason: 'log in again' })
})

test('after 4401 a getter that fails is asked again with back-off, and 4401 is then final', async () => {
  const client = make({ getTicket: giving('old', new Error('no network'), 'new') })
  await connect(client)
  await refuse()
  assert.deepEqual([FakeSocket.all.length, client.status], [1, 'reconnecting'])
  mock.timers.tick(500)
  await settle()
  FakeSocket.last.welcomes()
  await refuse()
  assert.deepEqual([FakeSocket.all.length, client.status], [2, 'failed'])
})

test('a connection that lasted may end with 4401 again', async () => {
  const client = make({ getTicket: giving('1', '2', '3', '4') })
  await connect(client)
  for (let n = 2; n <= 4; n++) {
    mock.timers.tick(5_000)
    await refuse()
    FakeSocket.last.welcomes()
    assert.deepEqual([FakeSocket.all.length, client.status], [n, 'connected'])
  }
})

const expiring = { type: 'expiring', expiresAt: '2026-11-22T20:09:26.295Z' }

// T6
test('a token that comes to its end is replaced on the open socket', async () => {
  const client = make({ getTicket: giving('ticket'), getToken: giving('token1', 'token2') })
  const told = []
  client.on('expiring', ({ expiresAt }) => told.push(expiresAt))
  await connect(client)
  for (const [i, token] of ['token1', 'token2'].entries()) {
    FakeSocket.last.says(expiring)
    FakeSocket.last.says(expiring) // while it is being replaced
    await settle()
    assert.deepEqual(FakeSocket.last.sent.slice(i), [{ token, type: 'refresh', id: i + 1 }])
    FakeSocket.last.says({ type: 'refreshed', id: i + 1, expiresAt: '2026-11-22T20:24:26.295Z' })
    await settle()
  }
  assert.deepEqual(told, Array(4).fill(expiring.expiresAt))
  assert.deepEqual([FakeSocket.all.length, client.status], [1, 'connected'])
})

test('where no longer token can be had, the connection lasts until the server ends it', async () => {
  const client = make({ getToken: giving('1', new Error('no network'), new UnauthorizedError('log in again'), '2', '3') })
  await connect(client)
  for (let n = 0; n < 3; n++) {
    FakeSocket.last.says(expiring)
    await settle()
  }
  assert.deepEqual(FakeSocket.last.sent, [{ token: '2', type: 'refresh', id: 1 }])
  FakeSocket.last.says({ type: 'error', code: 'invalid_token', message: 'not valid here', id: 1 })
  await settle()
  assert.equal(client.status, 'connected')
  await refuse()
  assert.deepEqual(FakeSocket.last.protocols, ['gatecast.v1', 'bearer.3'])
})

test('without getToken a connection lasts until its token ends', async () => {
  const client = make({ getTicket: giving('ticket') })
  await connect(client)
  FakeSocket.last.says(expiring)
  await settle()
  assert.deepEqual([FakeSocket.last.sent, client.status], [[], 'connected'])
})

test('a token that comes after its connection is gone is not sent', async () => {
  const gives = []
  const client = make({ getTicket: giving('1', '2'), getToken: () => new Promise((give) => gives.push(give)) })
  await connect(client)
  FakeSocket.last.says(expiring)
  FakeSocket.last.lost()
  mock.timers.tick(500)
  await settle()
  FakeSocket.last.welcomes()
  FakeSocket.last.says(expiring)
  assert.equal(gives.length, 2, 'the new connection asks for itself')
  gives[0]('late')
  await settle()
  assert.deepEqual(FakeSocket.all.map(({ sent }) => sent), [[], []])
  gives[1]('in time')
  await settle()
  assert.deepEqual(FakeSocket.last.sent, [{ token: 'in time', type: 'refresh', id: 1 }])
})
