// When clients come back: not together, no sooner than they were asked to, and
// soon where someone waits.

import assert from 'node:assert/strict'
import { mock, test } from 'node:test'

import { createClient } from '../gatecast.js'
import { connect, FakeSocket, pass, settle, stopTheClock } from './fake.js'
import { seeded } from './random.js'

const CROWD = 10_000

stopTheClock()

const make = (options) => createClient({ url: 'ws://test/ws', getToken: () => 'token', WebSocket: FakeSocket, ...options })

/** How many of these moments are in the fullest span of so many ms. */
function fullest(moments, span) {
  let most = 0
  for (let from = 0, to = 0; to < moments.length; to++) {
    while (moments[to] - moments[from] >= span) from++
    most = Math.max(most, to - from + 1)
  }
  return most
}

test('ten thousand clients that were lost at one moment do not come back at one moment', async (t) => {
  mock.method(Math, 'random', seeded(1)) // of a crowd some would be too many now and then
  let moments = []
  const clients = Array.from({ length: CROWD }, () => {
    let attempts = 0
    return make({
      getToken() {
        moments[attempts++]?.push(performance.now())
        return 'token'
      },
    })
  })
  t.after(() => clients.forEach((client) => client.disconnect()))
  clients.forEach((client) => client.connect())
  await settle()
  const sockets = FakeSocket.all.splice(0)
  sockets.forEach((socket) => socket.welcomes())
  moments = [[], [], [], []] // the first of which was the way in
  sockets.forEach((socket) => socket.lost())
  for (let ms = 0; ms < 500 + 1000 + 2000; ms++) {
    await pass(1)
    FakeSocket.all.splice(0).forEach((socket) => socket.lost())
  }
  moments.shift()
  assert.deepEqual(moments.map(({ length }) => length), [CROWD, CROWD, CROWD])
  const share = moments.map((of) => (fullest(of, 100) / CROWD) * 100)
  t.diagnostic(`most of them in 100 ms: ${share.map((percent) => percent.toFixed(1)).join(', ')} %`)
  assert.ok(share[0] <= 22 && share[1] <= 12 && share[2] <= 6, `${share}`)
})

// Which are asked for at once, and what else there is to know.

/** The attempts that were made up to now. */
const attempts = () => FakeSocket.all.length

for (const up of [4900, 5000]) {
  test(`the back-off ${up < 5000 ? 'goes on' : 'begins anew'} after ${up} ms of a connection`, async () => {
    const client = make()
    const waits = []
    client.on('status', ({ retryInMs }) => retryInMs !== undefined && waits.push(retryInMs))
    await connect(client)
    FakeSocket.last.lost()
    await pass(500)
    FakeSocket.last.welcomes()
    await pass(up)
    FakeSocket.last.lost()
    assert.deepEqual(waits, [500, up < 5000 ? 1000 : 500])
    client.disconnect()
  })
}

/** What a page has and Node has not; it counts who listens. */
function world(t) {
  const page = new EventTarget()
  const document = Object.assign(new EventTarget(), { visibilityState: 'visible' })
  const listening = new Set()
  const fakes = { document }
  for (const [of, target] of [[page, fakes], [document, document]]) {
    target.addEventListener = (event, fn) => {
      listening.add(event)
      EventTarget.prototype.addEventListener.call(of, event, fn)
    }
    target.removeEventListener = (event, fn) => {
      listening.delete(event)
      EventTarget.prototype.removeEventListener.call(of, event, fn)
    }
  }
  const before = Object.fromEntries(Object.keys(fakes).map((name) => [name, globalThis[name]]))
  Object.assign(globalThis, fakes)
  t.after(() => Object.assign(globalThis, before))
  return {
    listening,
    online: () => page.dispatchEvent(new Event('online')),
    offline: () => page.dispatchEvent(new Event('offline')),
    show(visibilityState = 'visible') {
      document.visibilityState = visibilityState
      document.dispatchEvent(new Event('visibilitychange'))
    },
  }
}

/** A client that has just waited for long, and waits for longer. */
async function waiting(options) {
  const client = make(options)
  await connect(client)
  for (const wait of [500, 1000, 2000, 4000]) {
    FakeSocket.last.lost()
    await pass(wait)
  }
  FakeSocket.last.lost()
  assert.equal(attempts(), 5)
  return client
}

for (const event of ['online', 'show']) {
  test(`${event} ends the waiting within 500 ms, by chance`, async (t) => {
    const { [event]: happens } = world(t)
    const client = await waiting()
    mock.method(Math, 'random', () => 0.5)
    let wait
    client.on('status', ({ retryInMs }) => (wait = retryInMs))
    happens()
    assert.equal(wait, 250)
    await pass(249)
    happens() // it goes no faster for being told twice
    assert.equal(attempts(), 5)
    await pass(1)
    assert.equal(attempts(), 6)
    client.disconnect()
  })
}

test('a tab that nobody looks at is in a hurry once it is online, and not for being hidden', async (t) => {
  const { online, show } = world(t)
  const client = await waiting()
  mock.method(Math, 'random', () => 0.5)
  show('hidden')
  await pass(500)
  assert.equal(attempts(), 5)
  online()
  await pass(250)
  assert.equal(attempts(), 6)
  client.disconnect()
})

test('who waits less than that is not put off', async (t) => {
  const { online } = world(t)
  const client = make()
  await connect(client)
  FakeSocket.last.lost()
  await pass(499)
  online()
  await pass(1)
  assert.equal(attempts(), 2)
  client.disconnect()
})

for (const code of [1013, 4408, 4429]) {
  test(`a wait after ${code} is not cut short`, async (t) => {
    const { online, show } = world(t)
    const client = make()
    await connect(client)
    FakeSocket.last.lost(code)
    online()
    show()
    await pass(7900)
    assert.equal(attempts(), 1)
    await pass(100)
    assert.equal(attempts(), 2)
    client.disconnect()
  })
}

test('a wait that the server asked for is not cut short', async (t) => {
  const { online, show } = world(t)
  let answers
  class Refused extends FakeSocket {
    on(event, fn) {
      assert.equal(event, 'unexpected-response')
      answers = fn
    }
  }
  const client = make({ WebSocket: Refused })
  let wait
  client.on('status', ({ retryInMs }) => (wait = retryInMs))
  client.connect()
  await settle()
  answers({ destroy() {} }, { statusCode: 503, headers: { 'retry-after': '7' } })
  assert.equal(wait, 7500, 'and then by chance')
  online()
  show()
  await pass(7400)
  assert.equal(attempts(), 1)
  await pass(100)
  assert.equal(attempts(), 2)
  client.disconnect()
})

test('an application that connects while it waits does not wait', async () => {
  const client = await waiting()
  client.connect()
  await settle()
  assert.equal(attempts(), 6)
  client.disconnect()
})

for (const event of ['online', 'offline', 'show']) {
  test(`${event} asks a connection whether it is there`, async (t) => {
    const { [event]: happens } = world(t)
    const client = make()
    await connect(client)
    happens()
    assert.deepEqual(FakeSocket.last.sent, [{ type: 'ping' }])
    FakeSocket.last.says({ type: 'pong' })
    await pass(20_000)
    assert.equal(client.status, 'connected')

    happens()
    await pass(6000)
    happens() // and again, which is no new question
    assert.equal(FakeSocket.last.sent.length, 2)
    await pass(3900)
    assert.equal(client.status, 'connected')
    await pass(100)
    assert.equal(client.status, 'reconnecting')
    client.disconnect()
  })
}

test('a page that is hidden asks nothing', async (t) => {
  const { show } = world(t)
  const client = make()
  await connect(client)
  show('hidden')
  assert.deepEqual(FakeSocket.last.sent, [])
  client.disconnect()
})

for (const [how, ends] of [['disconnect', (client) => client.disconnect()], ['4403', () => FakeSocket.last.lost(4403)]]) {
  test(`nothing is listened to after ${how}`, async (t) => {
    const { listening } = world(t)
    const client = make()
    assert.equal(listening.size, 0)
    await connect(client)
    assert.deepEqual([...listening].sort(), ['offline', 'online', 'visibilitychange'])
    ends(client)
    assert.equal(listening.size, 0)
  })
}
