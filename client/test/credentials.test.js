// What the client is let in with, and what it does when that comes to its end.

import assert from 'node:assert/strict'
import { mock, test } from 'node:test'

import { createClient, RateLimitError, UnauthorizedError } from '../gatecast.js'
import { connect, FakeSocket, pass, settle, stopTheClock } from './fake.js'

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

/** What the platform has in place of a given WebSocket, and answers of the API in turn. */
function platform(t, Socket, ...answers) {
  const asked = []
  const fetched = async (url, options) => {
    asked.push([url, options.headers.Authorization])
    const { status = 200, headers = {}, isCut = false, ...body } = answers.shift() ?? assert.fail('asked once too often')
    const text = JSON.stringify(body)
    return new Response(isCut ? text.slice(0, -1) : text, { status, headers })
  }
  for (const [name, value] of [['WebSocket', Socket], ['fetch', fetched]]) {
    const before = globalThis[name]
    globalThis[name] = value
    t.after(() => (globalThis[name] = before))
  }
  return asked
}

const authorization = ({ options }) => options.headers.Authorization

test('a token goes into a header, where a WebSocket was given that takes one', async () => {
  await connect(make({ getToken: () => 'token' }))
  const { url, protocols } = FakeSocket.last
  assert.deepEqual([url, protocols, authorization(FakeSocket.last)], ['ws://test/ws', ['gatecast.v1'], 'Bearer token'])
})

// T1, T2
test('in a browser a ticket goes into the URL, a new one for each attempt, and no token anywhere', async (t) => {
  const asked = platform(t, FakeSocket, { ticket: 'ticket&1' }, { ticket: 'ticket&2' })
  await connect(make({ WebSocket: undefined, getToken: giving('one', 'two') }))
  FakeSocket.last.lost()
  mock.timers.tick(500)
  await settle()
  assert.deepEqual(FakeSocket.all.map(({ url }) => url), ['ws://test/ws?ticket=ticket%261', 'ws://test/ws?ticket=ticket%262'])
  assert.deepEqual(FakeSocket.all.map(({ protocols, options }) => [protocols, options]), Array(2).fill([['gatecast.v1'], undefined]))
  assert.deepEqual(asked, ['one', 'two'].map((token) => ['http://test/ws/ticket', `Bearer ${token}`]))
})

test('a URL may have a query of its own', async (t) => {
  platform(t, FakeSocket, { ticket: 'ticket' })
  await connect(make({ url: 'ws://test/ws?a=b', WebSocket: undefined, getToken: () => 'token' }))
  assert.equal(FakeSocket.last.url, 'ws://test/ws?a=b&ticket=ticket')
})

for (const [status, current, retryInMs] of [[401, 'reconnecting', 0], [403, 'failed', undefined], [429, 'reconnecting', 7_500], [503, 'reconnecting', 7_500], [500, 'reconnecting', 500]]) {
  test(`a ticket that is refused with ${status} leads to ${current}`, async (t) => {
    const headers = status === 429 || status === 503 ? { 'Retry-After': '7' } : {}
    platform(t, FakeSocket, { status, detail: 'no', headers }, { ticket: 'ticket' })
    const client = make({ WebSocket: undefined, getToken: giving('one', 'two') })
    let last
    client.on('status', (change) => (last = change))
    client.connect()
    await settle()
    assert.deepEqual([last.current, last.retryInMs], [current, retryInMs])
  })
}

// What cannot stand in a header is quoted by platforms in their errors.
test('what is no token is sent nowhere and told to nobody', async (t) => {
  platform(t, FakeSocket)
  globalThis.fetch = (url, { headers }) => Promise.reject(new TypeError(`"${headers.Authorization}" is an invalid header value.`))
  for (const token of ['secret\nsecret', 'secret\n', 'secrét', '', undefined, 5]) {
    const told = []
    const logger = { debug: (...words) => told.push(words), warn: (...words) => told.push(words) }
    const client = make({ getToken: () => token, WebSocket: undefined, logger })
    client.on('status', (change) => told.push(change))
    await assert.rejects(client.connect(), { code: 'unauthorized', message: /^getToken gave no token/ })
    assert.equal(client.status, 'failed')
    assert.doesNotMatch(JSON.stringify(told), /secret/)
  }
})

test('without getToken and login no client is made', () => {
  assert.throws(() => make({}), TypeError)
})

test('a name and a password log in once, and keep the session', async (t) => {
  const grants = ['1', '2'].map((n) => ({ access_token: `access ${n}`, refresh_token: `refresh ${n}` }))
  const asked = platform(t, undefined, grants[0], grants[1], { status: 401, detail: 'it has ended' }, grants[0], { status: 401, detail: 'it has ended' }, { status: 401, detail: 'wrong password' })
  const client = make({ login: { username: 'alice', password: 'correct horse' } })
  await connect(client)
  for (const token of ['access 2', 'access 1']) {
    FakeSocket.last.lost()
    mock.timers.tick(500)
    await settle()
    assert.equal(authorization(FakeSocket.last), `Bearer ${token}`)
    FakeSocket.last.welcomes()
    mock.timers.tick(5_000)
  }
  FakeSocket.last.lost()
  mock.timers.tick(500)
  await settle()
  assert.equal(client.status, 'failed')
  assert.deepEqual(asked.map(([url]) => url.slice('http://test/'.length)), ['login', 'refresh', 'refresh', 'login', 'refresh', 'login'])
})

for (const [what, ...answers] of [
  ['login', { isCut: true, access_token: 'access' }, { access_token: 'access', refresh_token: 'refresh' }],
  ['refresh', { access_token: 'first', refresh_token: 'refresh 1' }, { isCut: true, access_token: 'lost' }, { access_token: 'access', refresh_token: 'refresh 2' }],
]) {
  test(`an answer to ${what} that is cut off is asked for again`, async (t) => {
    const asked = platform(t, undefined, ...answers)
    const client = make({ login: { username: 'alice', password: 'correct horse' } })
    client.connect()
    await settle()
    FakeSocket.last?.lost()
    for (const wait of [500, 1000]) {
      mock.timers.tick(wait)
      await settle()
    }
    assert.equal(authorization(FakeSocket.last), 'Bearer access')
    assert.deepEqual(asked.map(([url]) => url.slice('http://test/'.length)).slice(-2), [what, what])
  })
}

// T7: 4401 is "stop until there is a new token".
test('after 4401 it comes back at once with what getToken gives anew, and once only', async () => {
  const client = make({ getToken: giving('old', 'new') })
  await connect(client)
  await refuse()
  assert.deepEqual([FakeSocket.all.length, client.status], [2, 'reconnecting'])
  await refuse()
  mock.timers.tick(60_000)
  await settle()
  assert.deepEqual([FakeSocket.all.length, client.status], [2, 'failed'])
})

test('after 4401 an old token is not tried again', async () => {
  const client = make({ getToken: () => 'token' })
  await connect(client)
  await refuse()
  assert.deepEqual([FakeSocket.all.length, client.status], [1, 'failed'])
})

test('after 4401 the getter may say that it is over', async () => {
  const client = make({ getToken: giving('ticket', new UnauthorizedError('log in again')) })
  await connect(client)
  let last
  client.on('status', (change) => (last = change))
  await refuse()
  assert.equal(FakeSocket.all.length, 1)
  assert.deepEqual(last, { previous: 'reconnecting', current: 'failed', code: 4401, reason: 'log in again' })
})

test('a getter that is told to wait is asked again after that, and no sooner', async () => {
  const client = make({ getToken: giving(new RateLimitError('too many', 30_000), 'token') })
  client.connect()
  await pass(29_999)
  client.connect()
  await settle()
  assert.equal(FakeSocket.all.length, 0)
  await pass(501)
  assert.equal(FakeSocket.all.length, 1)
})

for (const retryAfterMs of [NaN, -60_000, 'soon', null]) {
  test(`a getter that is told to wait ${retryAfterMs} ms is asked again with back-off`, async () => {
    let asked = 0
    const client = make({
      getToken() {
        asked++
        throw Object.assign(new Error('no token'), { retryAfterMs })
      },
    })
    client.connect()
    await pass(3_400) // 500, 1000, 2000 ms
    assert.equal(asked, 3)
    client.connect()
    assert.equal(asked, 4, 'nobody asked to wait')
  })
}

test('after 4401 a getter that fails is asked again with back-off, and 4401 is then final', async () => {
  const client = make({ getToken: giving('old', new Error('no network'), 'new') })
  await connect(client)
  await refuse()
  assert.deepEqual([FakeSocket.all.length, client.status], [1, 'reconnecting'])
  mock.timers.tick(500)
  await settle()
  await refuse()
  assert.deepEqual([FakeSocket.all.length, client.status], [2, 'failed'])
})

test('a token that was let in and ends soon is followed by others, with back-off', async () => {
  const client = make({ getToken: giving('1', '2', '3', '4', '4') })
  await connect(client)
  const waits = []
  client.on('status', ({ retryInMs }) => retryInMs !== undefined && waits.push(retryInMs))
  for (let n = 2; n <= 4; n++) {
    await refuse()
    await pass(waits.at(-1))
    assert.equal(FakeSocket.all.length, n)
    FakeSocket.last.welcomes()
  }
  assert.deepEqual(waits, [0, 500, 1_000])
  await refuse()
  await pass(2_000)
  assert.equal(client.status, 'failed', 'there was no other token')
})

test('a connection that lasted may end with 4401 again', async () => {
  const client = make({ getToken: giving('1', '2', '3', '4') })
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
  const client = make({ getToken: giving('token', 'token1', 'token2') })
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
  assert.equal(authorization(FakeSocket.last), 'Bearer 3')
})

test('a token that comes after its connection is gone is not sent', async () => {
  const gives = []
  const client = make({ getToken: () => (gives.length === 0 ? (gives.push(undefined), 'first') : new Promise((give) => gives.push(give))) })
  await connect(client)
  FakeSocket.last.says(expiring)
  FakeSocket.last.lost()
  mock.timers.tick(500)
  await settle()
  assert.equal(gives.length, 2, 'a token that is being had is not asked for twice')
  gives[1]('late')
  await settle()
  assert.equal(authorization(FakeSocket.last), 'Bearer late')
  assert.deepEqual(FakeSocket.all.map(({ sent }) => sent), [[], []])
})
