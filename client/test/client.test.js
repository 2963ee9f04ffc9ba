import assert from 'node:assert/strict'
import { test } from 'node:test'
import WebSocket from 'ws'

import { backoff } from '../backoff.js'
import { createClient, RateLimitError, RefusedError, UnauthorizedError } from '../gatecast.js'
import { first, startServer } from './server.js'

function clientOf(t, server, getToken) {
  const client = createClient({ url: server.socket, getToken, WebSocket })
  t.after(() => client.disconnect())
  return client
}

test('two clients talk', async (t) => {
  const server = await startServer(t)
  const [a, b] = await Promise.all(['alice', 'bob'].map((name) => server.token(name)))
  const alice = clientOf(t, server, () => a)
  const bob = clientOf(t, server, async () => b)
  const statuses = []
  alice.on('status', ({ previous, current }) => statuses.push(`${previous}>${current}`))

  const inside = first((fn) => alice.on('subscribed', fn)) // the lobby, which comes behind the welcome
  const welcome = await alice.connect()
  assert.equal(welcome.username, 'alice')
  assert.equal(await alice.connect(), welcome, 'connected already')
  assert.deepEqual(statuses, ['initial>connecting', 'connecting>connected'])

  await inside
  const joined = first((fn) => alice.on('user_joined', fn))
  await bob.connect()
  assert.equal((await joined).username, 'bob')

  const heard = first((fn) => alice.on('chat', fn))
  const ack = await bob.request('chat', { message: 'Xin chào' })
  assert.equal(ack.type, 'ack')
  assert.equal((await heard).message, 'Xin chào')

  await assert.rejects(bob.request('subscribe', { channel: 'secret:1' }), (error) => error instanceof RefusedError && error.code === 'forbidden')

  const left = first((fn) => alice.on('user_left', fn))
  bob.disconnect()
  assert.equal((await left).username, 'bob')
  assert.equal(bob.status, 'disconnected')
  await assert.rejects(bob.request('chat', { message: 'x' }), { code: 'disconnected' })
})

test('a rate limit reaches the caller with its wait', async (t) => {
  const server = await startServer(t, '--limits.messages.burst=2', '--limits.messages.rate=0.5')
  const token = await server.token('alice')
  const alice = clientOf(t, server, () => token)
  await alice.connect()
  const results = await Promise.allSettled([1, 2, 3].map((n) => alice.request('chat', { message: `${n}` })))
  assert.deepEqual(results.map((r) => r.status), ['fulfilled', 'fulfilled', 'rejected'])
  assert.ok(results[2].reason instanceof RateLimitError)
  assert.ok(results[2].reason.retryAfterMs > 0)
})

test('comes back after a restart', async (t) => {
  const server = await startServer(t)
  const token = await server.token('alice')
  const alice = clientOf(t, server, () => token)
  await alice.connect()
  const lost = first((fn) => alice.on('status', fn), ({ current }) => current === 'reconnecting')
  await server.stop()
  const { code, retryInMs } = await lost
  assert.equal(code, 1012)
  assert.ok(retryInMs >= 0 && retryInMs <= 500)
  const back = first((fn) => alice.on('status', fn), ({ current }) => current === 'connected')
  await server.start()
  await back
  assert.equal((await alice.request('chat', { message: 'again' })).type, 'ack')
})

test('a message has one id, read before one joins or told afterwards', async (t) => {
  const server = await startServer(t)
  const [alice, bob] = await Promise.all(['alice', 'bob'].map(async (name) => clientOf(t, server, await server.token(name).then((token) => () => token))))
  await Promise.all([alice.connect(), bob.connect()])
  await alice.channel('room:1').send('Xin chào')
  const room = bob.channel('room:1')
  const told = []
  room.on('message', ({ id, epoch }) => told.push({ id, epoch }))
  const { messages } = await room.history()
  await room.subscribe({ last: 1 })
  assert.deepEqual(messages.map(({ id, epoch }) => ({ id, epoch })), told)
  assert.ok(told[0].epoch)
})

// T6, R7
test('outlives its token, and ends with its session', async (t) => {
  const server = await startServer(t, '--auth.access-ttl=21s', '--socket.expiry-notice=20s')
  let grant = await server.grant('alice')
  const refresh = () => server.post('/refresh', { refresh_token: grant.refresh_token })
  const alice = clientOf(t, server, async () => {
    grant = await refresh().catch((error) => {
      throw new UnauthorizedError(error.message)
    })
    return grant.access_token
  })
  const statuses = []
  alice.on('status', ({ current }) => statuses.push(current))
  const { expiresAt } = await alice.connect()
  let times = 0
  const last = await first((fn) => alice.on('refreshed', fn), () => ++times === 3)
  assert.ok(last.expiresAt > expiresAt)
  assert.equal((await alice.request('chat', { message: 'still here' })).type, 'ack')
  assert.deepEqual(statuses, ['connecting', 'connected'])

  const failed = first((fn) => alice.on('status', fn), ({ current }) => current === 'failed')
  await server.post('/logout', { refresh_token: grant.refresh_token })
  assert.equal((await failed).code, 4401)
  assert.deepEqual(statuses.slice(2), ['reconnecting', 'failed'])
})

test('getToken can end the trying', async (t) => {
  const server = await startServer(t)
  const client = clientOf(t, server, () => {
    throw new UnauthorizedError('log in again')
  })
  await assert.rejects(client.connect(), { code: 'unauthorized', message: 'log in again' })
  assert.equal(client.status, 'failed')
})

test('disconnect during getToken opens no socket', async (t) => {
  let opened = 0
  class Never {
    constructor() {
      opened++
    }
  }
  let give
  const client = createClient({ url: 'ws://localhost:1/ws', getToken: () => new Promise((resolve) => (give = resolve)), WebSocket: Never })
  const connecting = client.connect()
  client.disconnect()
  give('token')
  await assert.rejects(connecting, { code: 'disconnected' })
  assert.equal(opened, 0)
})

test('back-off is full jitter from 500 ms to 20 s', () => {
  assert.deepEqual([0, 1, 2, 5, 6, 50].map((n) => backoff(n, () => 1)), [500, 1000, 2000, 16_000, 20_000, 20_000])
  assert.equal(backoff(3, () => 0), 0)
})
