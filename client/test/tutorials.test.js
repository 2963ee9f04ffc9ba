// The tutorials' own clients work with only the URL changed.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import WebSocket from 'ws'

import { first, startServer } from './server.js'
import { createWs, missing, webSocketClient } from './tutorials.js'

const quiet = { log() {}, error() {} }
const FLAGS = ['--auth.allow-query-token', '--http.origins=http://localhost:8080']

test("the first tutorial's WebSocketClient", { skip: missing }, async (t) => {
  const server = await startServer(t, ...FLAGS)
  const Client = webSocketClient(WebSocket, quiet)
  const open = async (name) => {
    const client = new Client(`${server.socket}?access_token=${await server.token(name)}`)
    const welcome = first((fn) => client.on('welcome', fn))
    client.connect()
    assert.match((await welcome).message, new RegExp(name))
    return client
  }
  const alice = await open('alice')
  const joined = first((fn) => alice.on('user_joined', fn))
  const bob = await open('bob')
  assert.match((await joined).message, /bob/)

  const chat = first((fn) => alice.on('chat', fn))
  bob.sendChatMessage('Xin chào từ client!', 'TestUser')
  const { message, username } = await chat
  assert.equal(message, 'Xin chào từ client!')
  assert.equal(username, 'bob', 'the name comes from the token')

  const typing = first((fn) => alice.on('typing', fn))
  bob.sendTyping(true, 'TestUser')
  assert.equal((await typing).isTyping, true)

  const pong = first((fn) => bob.on('pong', fn))
  bob.sendPing()
  await pong

  // It comes back after a restart, by its own rules.
  const dropped = first((fn) => bob.on('disconnected', fn))
  const restored = first((fn) => bob.on('welcome', fn))
  await server.stop()
  assert.equal((await dropped).code, 1012)
  await server.start()
  await restored

  const left = first((fn) => alice.on('user_left', fn), ({ username }) => username === 'bob')
  if (!alice.isConnected) await first((fn) => alice.on('welcome', fn))
  const answered = first((fn) => alice.on('pong', fn)) // which comes after she has joined the lobby
  alice.sendPing()
  await answered
  const closed = first((fn) => bob.on('disconnected', fn))
  bob.disconnect()
  assert.equal((await closed).code, 1000)
  await left
  alice.maxReconnectAttempts = 0
  alice.disconnect()
})

test("the second tutorial's createWs", { skip: missing }, async (t) => {
  const server = await startServer(t, ...FLAGS)
  const codes = []
  const frames = []
  const listeners = []
  class Watched extends WebSocket {
    constructor(url) {
      super(url)
      this.addEventListener('close', ({ code }) => codes.push(code))
      this.addEventListener('message', ({ data }) => {
        const frame = JSON.parse(data)
        frames.push(frame)
        listeners.forEach((fn) => fn(frame))
      })
    }
  }
  const on = (fn) => listeners.push(fn)
  // Time runs faster for its timers, so that its pings pile up within the test:
  // each time it comes back it starts another interval and clears none.
  const intervals = new Set()
  let over = false // it would come back for ever
  const globals = {
    WebSocket: Watched,
    console: quiet,
    setTimeout: (fn, ms) => over || setTimeout(fn, ms / 50),
    setInterval: (fn, ms) => intervals.add(setInterval(fn, ms / 4000)),
    clearInterval() {},
  }
  t.after(() => {
    over = true
    intervals.forEach(clearInterval)
    ws.close()
  })
  let welcome = first(on, ({ type }) => type === 'welcome')
  const ws = createWs(globals)(`${server.socket}?access_token=${await server.token('alice')}`)
  await welcome

  const refused = first(on, ({ type }) => type === 'error')
  ws.send({ hello: 'world' })
  assert.equal((await refused).code, 'unknown_type')

  for (let round = 0; round < 3; round++) {
    welcome = first(on, ({ type }) => type === 'welcome')
    await server.stop()
    await server.start()
    await welcome
  }
  assert.equal(intervals.size, 4)
  const before = frames.length
  await first(on, () => frames.length > before + 1000) // pongs and refusals of a pile of pings
  assert.ok(frames.some(({ code }) => code === 'rate_limited'), 'the pile is over the limit')
  assert.ok(!codes.includes(4429), `closed with ${codes}`)
})
