// The hooks, in a document without a browser and against a socket of the test's own.

import assert from 'node:assert/strict'
import { after, afterEach, beforeEach, mock, test } from 'node:test'
import { Window } from 'happy-dom'

const window = new Window()
Object.assign(globalThis, { window, document: window.document, IS_REACT_ACT_ENVIRONMENT: true })
globalThis.navigator ??= window.navigator // Node has one from 21 on
after(() => window.close())

const { act, Activity, createElement: h, memo, StrictMode, useState } = await import('react')
const { createRoot, hydrateRoot } = await import('react-dom/client')
const { renderToString } = await import('react-dom/server')
const { createClient } = await import('../gatecast.js')
const { GatecastProvider, useChannel, useClient, useLostConnection, usePresence, useStatus, useTyping } = await import('../react.js')
const { FakeSocket, settle } = await import('./fake.js')

const EPOCH = 'one'
const said = (seq, channel = 'lobby') => ({ type: 'chat', channel, seq, userId: 'B', username: 'bob', timestamp: '2026-11-25T12:00:00Z', message: `message ${seq}` })

/** A socket whose server answers at once. */
class Served extends FakeSocket {
  static logs = {}
  static refused = new Set()
  send(text) {
    super.send(text)
    const { type, id, channel } = this.sent.at(-1)
    const messages = Served.logs[channel] ?? []
    const answer = {
      subscribe: () => ({ type: 'subscribed', channel, epoch: EPOCH, seq: messages.length, presence: { count: 1, users: [{ userId: 'A', username: 'alice' }] } }),
      unsubscribe: () => ({ type: 'unsubscribed', channel }),
      history: () => ({ type: 'history', channel, messages, more: false }),
    }[type]
    if (Served.refused.has(channel)) queueMicrotask(() => this.says({ type: 'error', code: 'forbidden', message: 'not for you', id }))
    else if (answer) queueMicrotask(() => this.says({ ...answer(), id }))
  }
  welcomes() {
    this.says({ type: 'welcome', userId: 'A', username: 'alice', clientId: 'c1', heartbeatMs: 25_000 })
  }
  /** How many frames of a type were sent, for a channel. */
  count(type, channel = 'lobby') {
    return this.sent.filter((frame) => frame.type === type && frame.channel === channel).length
  }
}

const unhandled = []
process.on('unhandledRejection', (error) => unhandled.push(error))
const complaints = []
mock.method(console, 'error', (...words) => {
  if (!words.join().includes('ExperimentalWarning')) complaints.push(words.join(' ')) // of the test's clock
})

let shown = []

beforeEach(() => {
  FakeSocket.all = []
  Served.logs = {}
  Served.refused.clear()
  complaints.length = 0
})

afterEach(async () => {
  for (const { root } of shown) await during(() => root.unmount())
  shown = []
  assert.deepEqual(unhandled, [])
  assert.deepEqual(complaints, [], 'React has nothing to complain of')
})

/** Lets promises and put-off leaves run. */
const later = () => new Promise((resolve) => wait(resolve, 1)).then(settle)
const wait = setTimeout // of the real clock

/** Does something, and lets what follows from it happen; React draws, and leaves, behind the first wait. */
const during = async (fn = () => {}) => {
  await act(async () => {
    await fn()
    await later()
  })
  await act(later)
}

const newClient = () => createClient({ url: 'ws://test/ws', getToken: () => 'token', WebSocket: Served })

async function show(client, ...children) {
  const element = document.createElement('div')
  const root = createRoot(element)
  const draw = (...nodes) => during(() => root.render(h(StrictMode, null, h(GatecastProvider, { client }, ...nodes))))
  shown.push({ root })
  await draw(...children)
  return { element, draw, unmount: () => during(() => root.unmount()), text: () => element.textContent }
}

async function connect() {
  await during(() => FakeSocket.last.welcomes())
  return FakeSocket.last
}

/** Shows what a channel says, and hands out what the hook gave. */
function Talk({ name = 'lobby', options, seen = {} }) {
  seen.channel = useChannel(name, options)
  seen.first ??= seen.channel
  seen.draws = (seen.draws ?? 0) + 1
  return h('p', null, seen.channel.messages.map(({ data, state }) => `${data} ${state}`).join(', '))
}

test('on a server there is nothing yet, and no socket', async () => {
  const client = newClient()
  function All() {
    const status = useStatus()
    const { status: there, messages, presence } = useChannel('lobby')
    return h('p', null, `${status} ${there} ${messages.length} ${presence.count} ${usePresence('lobby').count} ${useTyping('lobby').users.length} ${useLostConnection()}`)
  }
  const html = renderToString(h(GatecastProvider, { client }, h(All)))
  assert.equal(html, '<p>initial unsubscribed 0 0 0 0 undefined</p>')
  await later()
  assert.equal(FakeSocket.all.length, 0)

  // The browser goes on from it.
  Served.logs.lobby = [said(1)]
  const element = document.createElement('div')
  element.innerHTML = html
  await during(() => shown.push({ root: hydrateRoot(element, h(GatecastProvider, { client }, h(All))) }))
  await connect()
  assert.equal(element.textContent, 'connected subscribed 1 1 1 0 undefined')
})

test('StrictMode opens one socket and subscribes once; unmounting everything disconnects', async () => {
  Served.logs.lobby = [said(1), said(2)]
  const client = newClient()
  const page = await show(client, h(Talk), h(Talk))
  assert.equal(FakeSocket.all.length, 1)
  const socket = await connect()
  assert.equal(page.text(), 'message 1 sent, message 2 sent'.repeat(2))
  assert.deepEqual([socket.count('subscribe'), socket.count('history'), socket.count('unsubscribe')], [1, 1, 0])

  await page.unmount()
  assert.equal(FakeSocket.all.length, 1)
  assert.equal(socket.closed, true)
  assert.equal(client.status, 'disconnected')
})

test('options make a client', async () => {
  const seen = {}
  function Mine() {
    seen.client = useClient()
    return useStatus()
  }
  const element = document.createElement('div')
  const root = createRoot(element)
  const options = { url: 'ws://test/ws', getToken: () => 'token', WebSocket: Served }
  shown.push({ root })
  await during(() => root.render(h(StrictMode, null, h(GatecastProvider, { options }, h(Mine)))))
  await connect()
  assert.equal(element.textContent, 'connected')
  assert.equal(seen.client.user.username, 'alice')
  assert.equal(FakeSocket.all.length, 1)
})

test('snapshots are the same until something changes', async () => {
  const seen = {}
  const page = await show(newClient(), h(Talk, { seen }))
  const socket = await connect()
  const { draws, channel } = seen
  await page.draw(h(Talk, { seen }))
  assert.equal(seen.channel, channel)
  await during(() => socket.says(said(1, 'another')))
  assert.equal(seen.channel, channel)
  assert.ok(seen.draws <= draws + 2, 'only the test drew it, twice in StrictMode')

  await during(async () => {
    for (let seq = 1; seq <= 50; seq++) socket.says(said(seq))
  })
  assert.equal(seen.channel.messages.length, 50)
  assert.ok(seen.draws <= draws + 4, 'a burst is drawn once')
  assert.notEqual(seen.channel, channel)
  for (const name of ['channel', 'send', 'publish', 'resend', 'discard', 'loadOlder', 'presence', 'typing']) {
    assert.equal(seen.channel[name], channel[name], name)
  }
})

test('another name is another channel', async () => {
  Served.logs = { 'room:1': [said(1, 'room:1')], 'room:2': [said(1, 'room:2'), said(2, 'room:2')] }
  const page = await show(newClient(), h(Talk, { name: 'room:1' }))
  const socket = await connect()
  assert.equal(page.text(), 'message 1 sent')
  const seen = {}
  await page.draw(h(Talk, { name: 'room:2', seen }))
  assert.equal(seen.first.messages.length, 0, 'nothing of the other is shown')
  assert.equal(page.text(), 'message 1 sent, message 2 sent')
  assert.deepEqual([socket.count('unsubscribe', 'room:1'), socket.count('subscribe', 'room:2')], [1, 1])
  assert.equal(FakeSocket.all.length, 1)

  // What was said meanwhile is there for whoever comes back.
  Served.logs['room:1'].push(said(2, 'room:1'))
  await page.draw(h(Talk, { name: 'room:1' }))
  assert.equal(page.text(), 'message 1 sent, message 2 sent')
})

test('what is hidden leaves, and what is shown again comes back', { skip: !Activity && 'this React has no Activity' }, async () => {
  Served.logs.lobby = [said(1)]
  const seen = {}
  const half = (mode) => h(Activity, { mode }, h(Talk, { seen }))
  const page = await show(newClient(), half('visible'))
  const socket = await connect()
  await page.draw(half('hidden'))
  await during()
  assert.equal(socket.count('unsubscribe'), 1)
  Served.logs.lobby.push(said(2))
  await page.draw(half('visible'), h(Talk))
  await during()
  assert.equal(seen.channel.messages.length, 2)
  assert.equal(socket.count('subscribe'), 2)
})

test('another client takes the place of the one before', async () => {
  Served.logs.lobby = [said(1)]
  const [one, two] = [newClient(), newClient()]
  const element = document.createElement('div')
  const root = createRoot(element)
  shown.push({ root })
  for (const client of [one, two]) {
    await during(() => root.render(h(StrictMode, null, h(GatecastProvider, { client }, h(Talk)))))
    await connect()
    assert.equal(element.textContent, 'message 1 sent')
  }
  assert.deepEqual([one.status, two.status, FakeSocket.all.length], ['disconnected', 'connected', 2])
})

test('a provider may give way to another one of the same client', async () => {
  Served.logs = { lobby: [said(1)] }
  const client = newClient()
  const element = document.createElement('div')
  const root = createRoot(element)
  shown.push({ root })
  for (const key of ['one', 'two']) {
    await during(() => root.render(h(GatecastProvider, { key, client }, h(Talk))))
    await during()
    if (key === 'one') await connect()
    assert.equal(client.status, 'connected')
    assert.equal(element.textContent, 'message 1 sent')
  }
  assert.equal(FakeSocket.all.length, 1)
  await during(() => root.render(null))
  await during()
  assert.equal(client.status, 'disconnected')
})

test('who looks at presence or typing alone loads no messages, and is drawn for nothing else', async () => {
  let draws = 0
  const Users = memo(function Users() {
    draws++
    return usePresence('lobby').users.map(({ username }) => username).join()
  })
  const Typing = memo(function Typing() {
    return useTyping('lobby').users.map(({ username }) => ` ${username}…`).join()
  })
  const page = await show(newClient(), h(Users), h(Typing))
  const socket = await connect()
  assert.equal(page.text(), 'alice')
  assert.deepEqual([socket.count('subscribe'), socket.count('history')], [1, 0])
  await during(() => socket.says({ type: 'user_joined', channel: 'lobby', userId: 'B', username: 'bob', clientId: 'c2' }))
  const before = draws
  await during(() => socket.says({ type: 'typing', channel: 'lobby', userId: 'B', username: 'bob', isTyping: true }))
  assert.equal(page.text(), 'alice,bob bob…')
  await during(() => socket.says(said(1)))
  assert.equal(page.text(), 'alice,bob', 'who has said it types no more')
  assert.equal(draws, before)

  // The messages come with the first who looks at them, and with their options.
  Served.logs.lobby = [said(1)]
  const seen = {}
  await page.draw(h(Users), h(Typing), h(Talk, { seen, options: { last: 7 } }))
  assert.equal(seen.channel.messages.length, 1)
  assert.equal(socket.sent.find(({ type }) => type === 'history').limit, 7)
  assert.equal(socket.count('subscribe'), 1)
})

test('own messages are pending, then sent or failed; promises may be left alone', async () => {
  const seen = {}
  const page = await show(newClient(), h(Talk, { seen }))
  const socket = await connect()
  await during(() => void seen.channel.send('one'))
  assert.equal(page.text(), 'one pending')
  await during(async () => socket.says({ type: 'ack', channel: 'lobby', seq: 1, timestamp: '2026-11-25T12:00:00Z', id: socket.sent.at(-1).id }))
  assert.equal(page.text(), 'one sent')
  await during(async () => {
    seen.channel.publish({ n: 2 }, { event: 'move' })
    socket.says({ type: 'error', code: 'forbidden', message: 'no', id: socket.sent.at(-1).id })
  })
  assert.equal(seen.channel.messages[1].state, 'failed')
  assert.equal(seen.channel.messages[1].error.code, 'forbidden')
  await during(() => void seen.channel.resend(seen.channel.messages[1].id))
  assert.equal(seen.channel.messages[1].state, 'pending')
  await during(async () => socket.says({ type: 'error', code: 'forbidden', message: 'no', id: socket.sent.at(-1).id }))
  await during(() => seen.channel.discard(seen.channel.messages[1].id))
  assert.equal(page.text(), 'one sent')
  await during(async () => {
    seen.channel.typing.keystroke()
    seen.channel.typing.stop()
  })
  assert.deepEqual(socket.sent.slice(-2).map(({ type, isTyping }) => [type, isTyping]), [['typing', true], ['typing', false]])
})

test('a channel that is refused says why, and is tried again with another connection', async () => {
  Served.refused.add('lobby')
  const seen = {}
  const client = newClient()
  await show(client, h(Talk, { seen }))
  const socket = await connect()
  assert.deepEqual([seen.channel.status, seen.channel.error.code], ['failed', 'forbidden'])

  Served.refused.clear()
  Served.logs.lobby = [said(1)]
  await during(() => {
    socket.lost()
    client.connect() // at once
  })
  await connect()
  assert.deepEqual([seen.channel.status, seen.channel.error, seen.channel.messages.length], ['subscribed', undefined, 1])
})

test('who may not come in can log in and connect again', async () => {
  const { UnauthorizedError } = await import('../gatecast.js')
  let isLoggedIn = false
  const client = createClient({
    url: 'ws://test/ws',
    getToken: () => (isLoggedIn ? 'token' : Promise.reject(new UnauthorizedError('log in'))),
    WebSocket: Served,
  })
  const seen = {}
  const Status = () => useStatus()
  const page = await show(client, h(Status), h(Talk, { seen }))
  assert.equal(page.text(), 'failed')
  assert.equal(seen.channel.error.code, 'unauthorized')
  isLoggedIn = true
  await during(() => void client.connect())
  await connect()
  assert.equal(page.text(), 'connected')
  assert.deepEqual([seen.channel.status, seen.channel.error], ['subscribed', undefined])
})

test('people are told of a lost connection once it lasts', async () => {
  mock.timers.enable({ apis: ['setTimeout'] })
  const told = []
  function Banner() {
    const [n] = useState(1)
    return String(useLostConnection((what) => told.push(`${what} ${n}`)))
  }
  const client = newClient()
  const page = await show(client, h(Banner))
  await connect()
  assert.equal(page.text(), 'undefined')
  await during(() => FakeSocket.last.lost())
  await during(() => mock.timers.tick(4_999))
  assert.equal(page.text(), 'undefined')
  await during(() => mock.timers.tick(1))
  assert.equal(page.text(), 'lost')

  // Who comes late knows.
  await page.draw(h(Banner), h(Banner))
  assert.equal(page.text(), 'lostlost')
  await during(() => void client.connect())
  await connect()
  assert.equal(page.text(), 'restoredrestored')
  assert.deepEqual(told, ['lost 1', 'restored 1', 'restored 1'])
  mock.timers.reset()
})

test('without a provider the hooks say what is missing', async () => {
  assert.throws(() => renderToString(h(Talk)), /no GatecastProvider/)
})
