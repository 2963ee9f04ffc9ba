// Being in a channel: who holds it, what is told of it, and in which order.

import assert from 'node:assert/strict'
import { beforeEach, mock, test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

import { ChannelStore } from '../channel-store.js'
import { createClient } from '../gatecast.js'
import { comeBack, connect, FakeSocket, pass, settle, stopTheClock } from './fake.js'

const ROOM = 'room:1'
let client
let room
/** What the room has told, in order. */
let told

/** The names of what is told, or what a message or a gap says. */
const short = { message: ({ data }) => data, gap: ({ reason }) => `gap: ${reason}`, status: ({ current }) => current }

/** Lets go of what nobody has. */
async function collectGarbage() {
  setFlagsFromString('--expose-gc')
  await settle()
  runInNewContext('gc')()
}

stopTheClock()
beforeEach(() => {
  client = createClient({ url: 'ws://test/ws', getToken: () => 'token', WebSocket: FakeSocket })
  room = client.channel(ROOM)
  told = []
  for (const event of ['message', 'gap']) room.on(event, (value) => told.push(short[event](value)))
})

const sent = (type) => FakeSocket.last.sent.filter((frame) => frame.type === type)
const says = (frame) => FakeSocket.last.says({ channel: ROOM, ...frame })
const message = (seq, fields) => ({ type: 'message', channel: ROOM, seq, event: 'message', userId: 'B', username: 'bob', data: seq, ...fields })
const messages = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => message(from + i))

/** Answers the last subscribe. */
const admits = (fields) => says({ type: 'subscribed', id: FakeSocket.last.asked('subscribe').id, epoch: 'one', seq: 10, ...fields })
const refuses = (code, fields) => says({ type: 'error', id: FakeSocket.last.asked('subscribe').id, code, message: 'no', ...fields })

/** Is connected, and in, at number 10. */
async function enter() {
  await connect(client)
  const entered = room.subscribe()
  await settle()
  admits()
  await entered
}

test('of one name there is one channel', () => {
  assert.equal(client.channel(ROOM), room)
  assert.notEqual(client.channel('room:2'), room)
})

test('a channel that someone listens to stays, though nobody holds on to it', async () => {
  const heard = []
  client.channel('room:2').on('message', ({ data }) => heard.push(data))
  await collectGarbage()
  await connect(client)
  client.channel('room:2').subscribe()
  admits({ channel: 'room:2' })
  FakeSocket.last.says(message(11, { channel: 'room:2' }))
  assert.deepEqual(heard, [11])
})

test('it is joined once and left once, however many hold it', async () => {
  await connect(client)
  const both = [room.subscribe(), room.subscribe()]
  assert.deepEqual(sent('subscribe').map(({ channel }) => channel), [ROOM])
  admits()
  assert.deepEqual(await Promise.all(both), [{}, {}])
  await room.subscribe()
  assert.equal(sent('subscribe').length, 1)
  await room.unsubscribe()
  await room.unsubscribe()
  assert.deepEqual([sent('unsubscribe').length, room.status], [0, 'subscribed'])
  const left = room.unsubscribe()
  assert.deepEqual([sent('unsubscribe').length, room.status], [1, 'unsubscribed'])
  says({ type: 'unsubscribed', id: FakeSocket.last.asked('unsubscribe').id })
  await left
  await room.unsubscribe()
  assert.equal(sent('unsubscribe').length, 1)
  says(message(11))
  assert.deepEqual(told, [])
})

test('it may be subscribed to before there is a connection', async () => {
  const entered = room.subscribe({ last: 3 })
  assert.equal(room.status, 'unsubscribed')
  await connect(client)
  assert.equal(room.status, 'subscribing')
  assert.equal(FakeSocket.last.asked('subscribe').last, 3)
  admits({ messages: messages(8, 10) })
  await entered
  assert.deepEqual(told, [8, 9, 10])
})

test('what was refused is not held', async () => {
  await connect(client)
  const changes = []
  room.on('status', ({ previous, current, error }) => changes.push([previous, current, error?.code]))
  const entered = [room.subscribe(), room.subscribe()]
  refuses('forbidden')
  for (const one of entered) await assert.rejects(one, { code: 'forbidden' })
  assert.deepEqual(changes, [['unsubscribed', 'subscribing', undefined], ['subscribing', 'failed', 'forbidden']])
  await comeBack()
  assert.deepEqual(FakeSocket.last.sent, [])
  const again = room.subscribe()
  admits()
  await again
  assert.equal(room.status, 'subscribed')
})

test('who has left before the answer is not let down twice', async () => {
  await connect(client)
  const entered = [room.subscribe(), room.subscribe()]
  room.unsubscribe()
  refuses('forbidden')
  for (const one of entered) await assert.rejects(one, { code: 'forbidden' })
  const again = room.subscribe()
  admits()
  await again
})

test('who leaves while others wait takes nobody else along', async () => {
  await enter()
  FakeSocket.last.lost()
  const second = room.subscribe()
  room.unsubscribe()
  client.disconnect()
  await assert.rejects(second, { code: 'disconnected' })
  await connect(client)
  admits({ recovered: true })
  assert.equal(room.status, 'subscribed')
})

test('who leaves before the answer is told so, and may come again at once', async () => {
  await connect(client)
  const first = room.subscribe({ last: 2 })
  room.unsubscribe()
  await assert.rejects(first, { code: 'not_subscribed' })
  const second = room.subscribe({ last: 2 })
  const ids = sent('subscribe').map(({ id }) => id)
  assert.equal(ids.length, 2)
  says({ type: 'subscribed', id: ids[0], epoch: 'one', seq: 10, messages: messages(9, 10) })
  says({ type: 'unsubscribed', id: FakeSocket.last.asked('unsubscribe').id })
  assert.deepEqual([told, room.status], [[], 'subscribing'], 'that answer was to the one who left')
  admits({ messages: messages(9, 10) })
  await second
  assert.deepEqual(told, [9, 10])
})

test('leaving waits where the server asks to, and not where one has come again', async () => {
  for (const comesAgain of [false, true]) {
    await enter()
    const left = room.unsubscribe()
    says({ type: 'error', id: FakeSocket.last.asked('unsubscribe').id, code: 'rate_limited', message: 'slow', retryAfterMs: 3000 })
    await settle()
    if (comesAgain) room.subscribe()
    await pass(2900)
    assert.equal(sent('unsubscribe').length, 1)
    await pass(100)
    assert.equal(sent('unsubscribe').length, comesAgain ? 1 : 2)
    if (!comesAgain) says({ type: 'unsubscribed', id: FakeSocket.last.asked('unsubscribe').id })
    await left
    client.disconnect()
  }
})

test('a subscribe over the rate limit waits and goes through', async () => {
  await connect(client)
  const entered = room.subscribe()
  refuses('rate_limited', { retryAfterMs: 3000 })
  await pass(2900)
  assert.equal(sent('subscribe').length, 1)
  await pass(100)
  assert.equal(sent('subscribe').length, 2)
  admits()
  await entered
})

for (const [what, fail] of [['unavailable', () => refuses('unavailable')], ['no answer', () => pass(10_000)]]) {
  test(`${what} is asked again`, async () => {
    await connect(client)
    const entered = room.subscribe()
    await fail()
    assert.equal(room.status, 'subscribing')
    await pass(2000)
    assert.equal(sent('subscribe').length, 2)
    admits()
    await entered
  })
}

test('of two waits that the server asks for the longer one counts', async () => {
  await connect(client)
  for (const name of ['room:1', 'room:2']) client.channel(name).subscribe()
  await settle()
  const [one, two] = sent('subscribe')
  says({ type: 'error', id: one.id, code: 'rate_limited', message: 'no', retryAfterMs: 3000 })
  says({ type: 'error', id: two.id, code: 'busy', message: 'no', retryAfterMs: 100 })
  await pass(2999)
  assert.equal(sent('subscribe').length, 2)
  await pass(1)
  assert.deepEqual(sent('subscribe').slice(2).map(({ channel }) => channel).sort(), ['room:1', 'room:2'])
})

test('an answer that comes after the next was asked for does not count', async () => {
  await enter()
  await comeBack()
  await pass(12_000)
  const [late, good] = sent('subscribe')
  says({ type: 'subscribed', id: late.id, epoch: 'one', seq: 12, recovered: true, messages: messages(11, 12) })
  says(message(13))
  says({ type: 'subscribed', id: good.id, epoch: 'one', seq: 12, recovered: true, messages: messages(11, 12) })
  says(message(13))
  says(message(14))
  assert.deepEqual(told, [11, 12, 13, 14])
})

test('who may not read what was missed hears what comes, and that something may be missing', async () => {
  await enter()
  await comeBack()
  assert.deepEqual(FakeSocket.last.asked('subscribe').since, { epoch: 'one', seq: 10 })
  refuses('forbidden')
  await settle()
  assert.equal(FakeSocket.last.asked('subscribe').since, undefined)
  admits({ epoch: undefined, seq: undefined })
  says(message(15))
  assert.deepEqual(told, ['gap: not_kept', 15])

  const other = client.channel('room:2')
  const entered = other.subscribe({ last: 5 })
  says({ type: 'error', channel: 'room:2', id: FakeSocket.last.asked('subscribe').id, code: 'forbidden', message: 'no' })
  await settle()
  assert.equal(FakeSocket.last.asked('subscribe').last, undefined)
  admits({ channel: 'room:2', epoch: undefined, seq: undefined })
  assert.deepEqual(await entered, {})
})

test('rights that have gone are told, and asked for again with the next connection', async () => {
  await enter()
  await comeBack()
  for (let n = 0; n < 2; n++) {
    refuses('forbidden')
    await settle()
  }
  assert.equal(room.status, 'failed')
  await comeBack()
  admits({ recovered: false })
  assert.equal(room.status, 'subscribed')
})

// What was missed.

test('what was missed comes before what is new, each once', async () => {
  await enter()
  says(message(11))
  await comeBack()
  assert.deepEqual(FakeSocket.last.asked('subscribe').since, { epoch: 'one', seq: 11 })
  says({ type: 'subscribed', epoch: 'one', seq: 13 }) // the server has joined it for us
  says(message(14))
  assert.equal(room.status, 'subscribing')
  admits({ recovered: true, seq: 13, messages: messages(12, 13) })
  for (const each of [14, 14, 13, 15]) says(message(each))
  assert.deepEqual(told, [11, 12, 13, 14, 15])
})

test('recovered is told to who subscribes', async () => {
  await enter()
  FakeSocket.last.lost()
  const second = room.subscribe()
  await pass(500)
  FakeSocket.last.welcomes()
  admits({ recovered: true })
  assert.deepEqual(await second, { recovered: true })
})

for (const [reason, answer, after] of [
  ['trimmed', { seq: 200, messages: messages(150, 151) }, [150, 151]],
  ['trimmed', { seq: 12, messages: messages(9, 12) }, [11, 12]],
  ['trimmed', { seq: 200 }, []],
  ['new_epoch', { epoch: 'two', seq: 2, messages: messages(1, 2) }, [1, 2]],
  ['new_epoch', { epoch: 'two', seq: 0 }, []],
  ['not_kept', { epoch: undefined, seq: undefined }, []],
]) {
  test(`a gap comes before what is behind it: ${reason} with ${after}`, async () => {
    await enter()
    const gaps = []
    room.on('gap', (gap) => gaps.push(gap))
    await comeBack()
    admits({ recovered: false, ...answer })
    assert.deepEqual(told, [`gap: ${reason}`, ...after])
    const { epoch, seq } = { epoch: 'one', ...answer }
    assert.deepEqual(gaps, [{ channel: ROOM, reason, from: { epoch: 'one', seq: 10 }, ...(epoch && { to: { epoch, seq } }) }])
    says(message(epoch ? seq + 1 : undefined, { data: 'next' }))
    assert.equal(told.at(-1), 'next')
  })
}

test('a gap that nobody asked about, on a connection that is open', async () => {
  await enter()
  says({ type: 'subscribed', epoch: 'one', seq: 200, recovered: false, messages: messages(199, 200) })
  says(message(201))
  says({ type: 'subscribed', epoch: 'two', seq: 0, recovered: false })
  says(message(1))
  assert.deepEqual(told, ['gap: trimmed', 199, 200, 201, 'gap: new_epoch', 1])
  assert.equal(sent('subscribe').length, 1)
})

test('a number that is skipped is asked for', async () => {
  await enter()
  says(message(11))
  says(message(13))
  says(message(14))
  assert.deepEqual(FakeSocket.last.asked('subscribe').since, { epoch: 'one', seq: 11 })
  admits({ recovered: true, seq: 14, messages: messages(12, 14) })
  says(message(15))
  assert.deepEqual(told, [11, 12, 13, 14, 15])
})

test('an ack and frames that come at the same time are taken in their order', async () => {
  await enter()
  const receipt = room.publish('mine')
  const { id } = FakeSocket.last.asked('publish')
  says({ type: 'ack', id, seq: 11 })
  says(message(12))
  says(message(11, { userId: 'A', key: 'x', data: 'again' }))
  assert.deepEqual(told, ['mine', 12])
  assert.equal((await receipt).seq, 11)
})

test('an own message whose ack is not the next comes with the frames', async () => {
  await enter()
  const receipt = room.publish('mine')
  const { id, key } = FakeSocket.last.asked('publish')
  says({ type: 'ack', id, seq: 12 })
  assert.equal((await receipt).seq, 12)
  says(message(11))
  says(message(12, { userId: 'A', key, data: 'mine' }))
  says(message(13))
  assert.deepEqual(told, [11, 'mine', 13])
})

test('a message that was acked to someone else is asked for, when own ones show that it is there', async () => {
  await enter()
  client.request('publish', { channel: ROOM, data: 'from beside' })
  says({ type: 'ack', id: FakeSocket.last.asked('publish').id, seq: 11 })
  room.publish('mine')
  const { id, key } = FakeSocket.last.asked('publish')
  says({ type: 'ack', id, seq: 12 })
  await pass(4900)
  assert.equal(sent('subscribe').length, 1, 'it may come')
  await pass(100)
  assert.deepEqual(FakeSocket.last.asked('subscribe').since, { epoch: 'one', seq: 10 })
  admits({ recovered: true, seq: 12, messages: [message(11, { data: 'from beside' }), message(12, { userId: 'A', key, data: 'mine' })] })
  assert.deepEqual(told, ['from beside', 'mine'])
})

test('a long list that is on its way is not asked for again', async () => {
  await enter()
  room.publish('mine')
  says({ type: 'ack', id: FakeSocket.last.asked('publish').id, seq: 20 })
  for (let seq = 11; seq <= 20; seq++) {
    await pass(3000)
    says(message(seq))
  }
  await pass(20_000)
  assert.equal(sent('subscribe').length, 1)
})

test('a message has the same id wherever it comes from', async () => {
  await enter()
  const ids = []
  room.on('message', ({ id, isOwn, state, epoch, seq }) => ids.push([id, isOwn, state, epoch, seq]))
  says(message(11, { key: 'of another' }))
  const { id: key } = await Promise.all([room.publish('mine', { id: 'k1' }), says({ type: 'ack', id: FakeSocket.last.asked('publish').id, seq: 12 })]).then(([receipt]) => receipt)
  const page = room.history({ limit: 2 })
  says({ type: 'history', id: FakeSocket.last.asked('history').id, epoch: 'one', more: true, messages: [message(11, { key: 'of another' }), message(12, { userId: 'A', key })] })
  const { messages: list, more } = await page
  assert.deepEqual(list.map(({ id, isOwn, state, epoch, seq }) => [id, isOwn, state, epoch, seq]), ids)
  assert.deepEqual([ids, more], [[['one:11', false, 'sent', 'one', 11], ['k1', true, 'sent', 'one', 12]], true])
})

test('messages of all kinds look alike', async () => {
  await enter()
  const all = []
  room.on('message', ({ event, data, isRemoved, userId }) => all.push({ event, data, userId, ...(isRemoved && { isRemoved }) }))
  says({ type: 'chat', seq: 11, userId: 'B', username: 'bob', message: 'Xin chào' })
  says(message(12, { event: 'price', data: { at: 1 } }))
  says({ type: 'removed', seq: 13 })
  const page = room.history()
  says({ type: 'history', id: FakeSocket.last.asked('history').id, epoch: 'one', more: false, messages: [message(14, { data: 'AQID', encoding: 'base64' })] })
  assert.deepEqual((await page).messages[0].data, new Uint8Array([1, 2, 3]))
  assert.deepEqual(all, [
    { event: 'chat', data: 'Xin chào', userId: 'B' },
    { event: 'price', data: { at: 1 }, userId: 'B' },
    { event: 'message', data: null, userId: '', isRemoved: true },
  ])
})

// Listeners.

test('what a listener does in the middle of a list is heeded', async () => {
  await enter()
  room.on('message', ({ data }) => data === 12 && room.unsubscribe())
  await comeBack()
  admits({ recovered: true, seq: 14, messages: messages(11, 14) })
  assert.deepEqual([told, room.status], [[11, 12], 'unsubscribed'])
  const again = room.subscribe()
  assert.equal(FakeSocket.last.asked('subscribe').since, undefined)
  admits({ seq: 20 })
  await again
  says(message(21))
  assert.deepEqual(told, [11, 12, 21])
})

test('a listener may leave and come again in the middle of a list', async () => {
  await enter()
  const undo = room.on('message', () => {
    undo()
    room.unsubscribe()
    room.subscribe()
  })
  await comeBack()
  admits({ recovered: true, seq: 14, messages: messages(11, 14) })
  assert.deepEqual([told, room.status], [[11], 'subscribing'])
  admits({ seq: 14 })
  says(message(15))
  assert.deepEqual(told, [11, 15])
})

test('who leaves when an own message is found hears it no more, and once where they come again', async () => {
  for (const comesAgain of [false, true]) {
    await enter()
    room.publish('mine', { id: 'k' })
    await comeBack()
    told = []
    const undo = room.on('outgoing', ({ state }) => {
      if (state !== 'sent') return
      room.unsubscribe()
      if (comesAgain) room.subscribe({ last: 1 })
    })
    const mine = message(11, { userId: 'A', username: 'alice', key: 'k', data: 'mine' })
    admits({ recovered: true, seq: 11, messages: [mine] })
    await settle()
    assert.deepEqual(told, [])
    if (comesAgain) admits({ seq: 11, messages: [mine] })
    assert.deepEqual(told, comesAgain ? ['mine'] : [])
    undo()
    client.disconnect()
  }
})

test('a listener that disconnects in the middle of a list misses nothing later', async () => {
  await enter()
  const undo = room.on('message', () => {
    undo()
    client.disconnect()
  })
  await comeBack()
  admits({ recovered: true, seq: 13, messages: messages(11, 13) })
  assert.deepEqual([told, client.status], [[11], 'disconnected'])
  await connect(client)
  assert.deepEqual(FakeSocket.last.asked('subscribe').since, { epoch: 'one', seq: 11 })
  admits({ recovered: true, seq: 13, messages: messages(12, 13) })
  assert.deepEqual(told, [11, 12, 13])
})

test('a listener that throws stops nothing, and on() can be undone', async (t) => {
  const thrown = []
  t.mock.method(globalThis, 'queueMicrotask', (fn) => {
    try {
      fn()
    } catch (error) {
      thrown.push(error.message)
    }
  })
  room = client.channel('room:thrower')
  const undo = room.on('message', () => {
    throw new Error('mistake')
  })
  const heard = []
  room.on('message', ({ data }) => heard.push(data))
  await connect(client)
  room.subscribe()
  admits({ channel: 'room:thrower' })
  FakeSocket.last.says(message(11, { channel: 'room:thrower' }))
  undo()
  FakeSocket.last.says(message(12, { channel: 'room:thrower' }))
  assert.deepEqual([heard, thrown], [[11, 12], ['mistake']])
})

// Who is there, and who types.

test('frames that make no sense stop nothing', async () => {
  await enter()
  const odd = [null, 5, 'x', {}, [null], [5]]
  for (const type of ['subscribed', 'message', 'chat', 'removed', 'presence', 'user_joined', 'user_left', 'typing', 'ack', 'history', 'expiring', 'error', '__proto__']) {
    for (const value of odd) {
      says({ type, messages: value, recovered: true, epoch: 'one', seq: 10 })
      says({ type, users: value, joined: value, left: value, isTyping: value, userId: value, username: value })
      says({ type, channel: value, id: value, code: value, encoding: 'base64', data: value })
    }
  }
  await settle()
  const frame = { type: 'subscribed', channel: ROOM, epoch: 'one', seq: 10, recovered: false }
  FakeSocket.last.says(frame)
  told = []
  FakeSocket.last.says(message(11))
  assert.deepEqual(told, [11])
  assert.equal(client.status, 'connected')
})

test('an answer that makes no sense is an error of who asked', async () => {
  await connect(client)
  const entered = room.subscribe()
  await settle()
  admits({ messages: 5 })
  await assert.rejects(entered, { name: 'RefusedError', code: 'bad_frame' })
  assert.equal(room.status, 'failed')
  const again = room.subscribe()
  await settle()
  admits()
  await again
})

test('presence and typing are told', async () => {
  await enter()
  const changes = []
  room.on('presence', ({ users }) => changes.push(users.map(({ username }) => username).join()))
  room.on('typing', (users) => changes.push(`typing: ${users.map(({ username }) => username)}`))
  await comeBack()
  admits({ recovered: true, presence: { count: 2, users: [{ userId: 'A', username: 'alice' }, { userId: 'B', username: 'bob' }] } })
  const bob = { userId: 'B', username: 'bob' }
  says({ type: 'typing', ...bob, isTyping: true })
  says({ type: 'typing', userId: 'A', username: 'alice', isTyping: true }) // in another tab
  says({ type: 'user_left', ...bob })
  says({ type: 'user_joined', ...bob })
  assert.deepEqual(changes, ['alice,bob', 'typing: bob', 'alice', 'typing: ', 'alice,bob'])
  assert.equal(room.presence.count, 2)

  room.typing.keystroke()
  room.typing.keystroke()
  assert.deepEqual(sent('typing').map(({ isTyping }) => isTyping), [true])
  await pass(5000)
  assert.deepEqual(sent('typing').map(({ isTyping }) => isTyping), [true, false])
})

// Connections.

test('disconnect lets down who waits to be in, and what is held is joined again', async () => {
  await connect(client)
  const waiting = room.subscribe()
  client.disconnect()
  await assert.rejects(waiting, { code: 'disconnected' })
  assert.equal(room.status, 'failed')
  await connect(client)
  assert.deepEqual(FakeSocket.last.sent, [])
  room.publish('hello')
  assert.equal(sent('publish').length, 1, 'nothing is waited for')

  room.subscribe()
  admits()
  await client.disconnect()
  await connect(client)
  admits({ recovered: true })
  assert.equal(room.status, 'subscribed')
})

test('a subscription that waits for a connection is let down with it', async () => {
  const waiting = room.subscribe()
  client.connect()
  client.disconnect()
  await assert.rejects(waiting, { code: 'disconnected' })
  assert.equal(room.status, 'failed')
})

test('components that come and go while the connection is away leave nobody in the channel', async () => {
  await connect(client)
  const store = new ChannelStore(client, ROOM, { begun() {}, ended() {} })
  const leave = store.join(() => {})
  admits()
  await settle()
  FakeSocket.last.lost()
  const close = store.open(() => {})
  leave()
  await pass(1)
  client.disconnect()
  await settle()
  await connect(client)
  admits()
  close()
  await pass(1)
  assert.equal(room.status, 'unsubscribed')
})

test('a channel that was left or lost leaves no timer behind', async () => {
  await enter()
  await comeBack()
  refuses('unavailable')
  await settle()
  await client.disconnect()
  await pass(60_000)
  assert.deepEqual([FakeSocket.all.length, client.status], [2, 'disconnected'])
  mock.timers.reset()
})
