// The list of a channel, against a channel of the test's own.

import assert from 'node:assert/strict'
import { beforeEach, mock, test } from 'node:test'

import { Conversation } from '../conversation.js'
import { Emitter } from '../emitter.js'
import { ConnectionError, RateLimitError, RefusedError } from '../errors.js'

const settle = () => new Promise((resolve) => setImmediate(resolve))

/** A channel whose server is an array. */
class FakeRoom extends Emitter {
  status = 'unsubscribed'
  epoch = 'one'
  log = []
  outgoing = []
  /** Requests for history that are not answered yet. */
  asked = []
  holds = 0
  isIn = Promise.resolve({})
  isSilent = false

  subscribe() {
    this.holds++
    return this.isIn.then((answer) => {
      this.status = 'subscribed'
      return answer
    })
  }
  async unsubscribe() {
    this.holds--
  }
  history({ before = Infinity, limit = 50 }) {
    const older = this.log.filter(({ seq }) => seq < before)
    const page = { messages: older.slice(-limit), more: older.length > limit }
    if (!this.isSilent) return Promise.resolve(page)
    return new Promise((resolve, reject) => this.asked.push({ before, answer: () => resolve(page), reject }))
  }

  tell(event, value) {
    this.emit(event, value)
  }
  message(seq, { isOwn = false, id = `${this.epoch}:${seq}`, ...more } = {}) {
    const [userId, username] = isOwn ? ['A', 'alice'] : ['B', 'bob']
    const place = seq === undefined ? {} : { seq, epoch: this.epoch }
    return { id, channel: 'room:1', event: 'chat', data: `${id}`, ...place, userId, username, timestamp: '2026-11-25T12:00:00Z', isOwn, state: 'sent', ...more }
  }
  /** Stores messages that nobody is told of. */
  store(count) {
    for (let i = 0; i < count; i++) this.log.push(this.message((this.log.at(-1)?.seq ?? 0) + 1))
  }
  /** Stores messages and tells of them. */
  says(count) {
    this.store(count)
    this.log.slice(-count).forEach((message) => this.emit('message', message))
  }
  setOutgoing(...messages) {
    const gone = this.outgoing.find(({ id }) => !messages.some((message) => message.id === id))
    this.outgoing = messages
    this.emit('outgoing', messages.at(-1) ?? { ...gone, state: 'discarded' })
  }
  /** An own message is stored as the server says, and comes in its turn. */
  acks(message) {
    this.outgoing = this.outgoing.filter(({ id }) => id !== message.id)
    this.emit('outgoing', { ...message, epoch: undefined })
  }
  beginsAnew() {
    const from = { epoch: this.epoch, seq: this.log.at(-1)?.seq ?? 0 }
    this.epoch += '+'
    this.log = []
    this.emit('gap', { channel: 'room:1', reason: 'new_epoch', from, to: { epoch: this.epoch, seq: 0 } })
  }
}

async function opened(room, options) {
  const talk = new Conversation(room, options)
  await talk.open()
  return talk
}

const ids = (talk) => talk.messages.map(({ id, gapBefore }) => (gapBefore ? `|${id}` : id))
const range = (from, to, epoch = 'one') => Array.from({ length: to - from + 1 }, (_, i) => `${epoch}:${from + i}`)

beforeEach(() => mock.timers.reset())

test('the newest messages come first, and older ones in front of them', async () => {
  const room = new FakeRoom()
  room.store(120)
  const talk = await opened(room)
  assert.deepEqual(ids(talk), range(71, 120))
  assert.equal(talk.hasOlder, true)
  await Promise.all([talk.loadOlder(), talk.loadOlder()]) // asked for once
  assert.deepEqual(ids(talk), range(21, 120))
  await talk.loadOlder()
  assert.deepEqual(ids(talk), range(1, 120))
  assert.equal(talk.hasOlder, false)
  await talk.loadOlder()
  assert.equal(talk.messages.length, 120)
})

test('messages that come while the first page is under way are there once', async () => {
  const room = new FakeRoom()
  room.store(3)
  room.isSilent = true
  const talk = new Conversation(room)
  const isOpen = talk.open()
  await settle()
  const [early] = room.asked
  room.says(2)
  assert.deepEqual(ids(talk), range(4, 5))
  early.answer()
  await isOpen
  assert.deepEqual(ids(talk), range(1, 5))
})

test('a page that is ahead of what comes is no gap, unless that does not come', async () => {
  const room = new FakeRoom()
  room.store(3)
  const talk = await opened(room, { last: 2 })
  const heard = room.log.length
  room.store(5)
  const [next, ...others] = room.log.slice(heard)
  await talk.close()
  await talk.open()
  assert.deepEqual(ids(talk), range(7, 8))
  room.tell('message', next)
  assert.deepEqual(ids(talk), ['one:4', ...range(7, 8)])
  room.tell('gap', { channel: 'room:1', reason: 'trimmed', from: { epoch: 'one', seq: 4 }, to: { epoch: 'one', seq: 8 } })
  assert.deepEqual(ids(talk), ['one:4', '|one:7', 'one:8'])

  const lucky = await opened(room, { last: 2 })
  others.forEach((message) => room.tell('message', message))
  assert.deepEqual(ids(lucky), range(5, 8))
})

test('the array is the same until something changes, and a burst is told once', async () => {
  const room = new FakeRoom()
  const talk = await opened(room)
  let told = 0
  const undo = talk.on('change', () => told++)
  await settle()
  told = 0
  const before = talk.messages
  assert.equal(talk.messages, before)
  room.says(1)
  assert.notEqual(talk.messages, before)
  assert.deepEqual(before, [], 'what was handed out stays as it was')
  const first = talk.messages[0]
  room.says(9)
  assert.equal(talk.messages.length, 10)
  assert.equal(talk.messages[0], first, 'a message that did not change is the same object')
  assert.equal(told, 0)
  await settle()
  assert.equal(told, 1)
  undo()
  room.says(1)
  await settle()
  assert.equal(told, 1)
})

test('own messages stand at the end until they are stored', async () => {
  const room = new FakeRoom()
  room.store(1)
  const talk = await opened(room)
  const mine = (id, state) => room.message(undefined, { isOwn: true, id, state })
  room.setOutgoing(mine('k1', 'pending'), mine('k2', 'pending'))
  room.says(1)
  assert.deepEqual(ids(talk), [...range(1, 2), 'k1', 'k2'])
  room.setOutgoing(mine('k1', 'failed'), mine('k2', 'pending'))
  assert.deepEqual(talk.messages.slice(2).map(({ state }) => state), ['failed', 'pending'])

  // The failed one was stored after all, as another connection of the server tells.
  room.tell('message', room.message(3, { isOwn: true, id: 'k1' }))
  assert.deepEqual(ids(talk), [...range(1, 2), 'k1', 'k2'])
  assert.equal(talk.messages[2].state, 'sent')
  room.setOutgoing()
  room.tell('message', room.message(4, { isOwn: true, id: 'k2' }))
  assert.deepEqual(talk.messages.map(({ seq }) => seq), [1, 2, 3, 4])
})

test('an own message that is stored ahead of its turn stays where it is until then', async () => {
  const room = new FakeRoom()
  room.store(1)
  const talk = await opened(room)
  room.setOutgoing(room.message(undefined, { isOwn: true, id: 'k', state: 'pending' }))
  room.store(1)
  room.acks(room.message(3, { isOwn: true, id: 'k' }))
  assert.deepEqual(talk.messages.map(({ id, state }) => [id, state]), [['one:1', 'sent'], ['k', 'sent']])
  room.tell('message', room.message(2))
  room.tell('message', room.message(3, { isOwn: true, id: 'k' }))
  assert.deepEqual(ids(talk), ['one:1', 'one:2', 'k'])
})

test('nobody hides a message of someone else by its id', async () => {
  const room = new FakeRoom()
  const talk = await opened(room)
  room.setOutgoing(room.message(undefined, { isOwn: true, id: 'k', state: 'pending' }))
  room.tell('message', room.message(1, { id: 'k' }))
  assert.deepEqual(talk.messages.map(({ state, isOwn }) => [state, isOwn]), [['sent', false], ['pending', true]])
})

test('a message that was removed takes the place of the one that is there', async () => {
  const room = new FakeRoom()
  room.store(3)
  const talk = await opened(room, { last: 2 })
  room.log[1] = { ...room.message(2), userId: '', username: '', data: null, isRemoved: true }
  room.tell('message', room.log[1])
  assert.deepEqual(talk.messages.map(({ seq, isRemoved }) => [seq, isRemoved === true]), [[2, true], [3, false]])
})

test('a gap marks the message behind it', async () => {
  const room = new FakeRoom()
  room.says(2)
  const talk = await opened(room)
  room.store(200)
  room.tell('gap', { channel: 'room:1', reason: 'trimmed', from: { epoch: 'one', seq: 2 }, to: { epoch: 'one', seq: 202 } })
  room.log = room.log.slice(100) // from 101 on
  room.log.slice(-50).forEach((message) => room.tell('message', message))
  room.says(1)
  assert.deepEqual(ids(talk), ['one:1', 'one:2', '|one:153', ...range(154, 203)])
  await talk.loadOlder() // what is kept of the gap
  assert.deepEqual(ids(talk).slice(0, 4), ['one:1', 'one:2', '|one:103', 'one:104'])
  assert.equal(talk.hasOlder, true)
  await talk.loadOlder()
  assert.deepEqual(ids(talk).slice(0, 4), ['one:1', 'one:2', '|one:101', 'one:102'])
  assert.equal(talk.hasOlder, false)
})

test('a gap that turns out to have kept everything is none', async () => {
  const room = new FakeRoom()
  room.store(60)
  const talk = await opened(room, { last: 20 })
  room.store(50)
  room.tell('gap', { channel: 'room:1', reason: 'trimmed', from: { epoch: 'one', seq: 60 }, to: { epoch: 'one', seq: 110 } })
  room.log.slice(-10).forEach((message) => room.tell('message', message))
  assert.deepEqual(ids(talk), [...range(41, 60), '|one:101', ...range(102, 110)])
  await talk.loadOlder()
  await talk.loadOlder()
  assert.deepEqual(ids(talk), range(41, 110))
  await talk.loadOlder()
  await talk.loadOlder()
  await talk.loadOlder()
  assert.deepEqual(ids(talk), range(1, 110))
  assert.equal(talk.hasOlder, false)
})

test('numbers that count anew stand behind the old ones', async () => {
  const room = new FakeRoom()
  room.store(3)
  const talk = await opened(room)
  room.beginsAnew()
  assert.deepEqual(ids(talk), range(1, 3))
  assert.equal(talk.hasOlder, false)
  room.says(2)
  assert.deepEqual(ids(talk), [...range(1, 3), '|one+:1', 'one+:2'])
})

test('a page that was asked for before a gap is not mixed with what is behind it', async () => {
  const room = new FakeRoom()
  room.store(30)
  const talk = await opened(room, { last: 10 })
  room.isSilent = true
  const loading = talk.loadOlder()
  room.beginsAnew()
  room.says(1)
  room.asked[0].answer()
  await loading
  assert.deepEqual(ids(talk), [...range(21, 30), '|one+:1'])

  // The first page is asked for again.
  const next = new Conversation(room)
  const isOpen = next.open()
  await settle()
  room.beginsAnew()
  room.says(1)
  room.isSilent = false
  room.asked.at(-1).answer()
  await isOpen
  assert.deepEqual(ids(next), ['|one++:1'])
})

test('channels without numbers are appended', async () => {
  const room = new FakeRoom()
  const talk = await opened(room, { last: 2, keep: 3 })
  const say = (id, more) => room.tell('message', room.message(undefined, { id, ...more }))
  say('a')
  say('b', { isOwn: true })
  say('b', { isOwn: true })
  room.tell('gap', { channel: 'room:1', reason: 'not_kept' })
  say('c')
  assert.deepEqual(ids(talk), ['a', 'b', '|c'])
  say('d')
  assert.deepEqual(ids(talk), ['b', '|c', 'd'])
  assert.equal(talk.hasOlder, false, 'what has gone cannot be had again')
})

test('who may not read what was said hears what is said', async () => {
  const room = new FakeRoom()
  room.history = () => Promise.reject(new RefusedError('forbidden', 'you may not read room:1'))
  const talk = await opened(room, { last: 1, keep: 2 })
  const say = (seq) => room.tell('message', { ...room.message(seq, { id: `:${seq}` }), epoch: undefined })
  say(7)
  say(8)
  room.tell('gap', { channel: 'room:1', reason: 'not_kept' })
  say(8) // of another life of the channel: nobody tells
  assert.deepEqual(ids(talk), [':8', '|:8'])
  assert.equal(talk.hasOlder, false)
})

test('the oldest go, and can be loaded again', async () => {
  const room = new FakeRoom()
  room.store(10)
  const talk = await opened(room, { last: 10, keep: 20 })
  assert.equal(talk.hasOlder, false)
  room.setOutgoing(room.message(undefined, { isOwn: true, id: 'k', state: 'pending' }))
  room.says(15)
  assert.deepEqual(ids(talk), [...range(6, 25), 'k'])
  assert.equal(talk.hasOlder, true)
  await talk.loadOlder()
  assert.deepEqual(ids(talk), [...range(1, 25), 'k'], 'what was asked for is kept as well')
  room.says(1)
  assert.deepEqual(ids(talk), [...range(2, 26), 'k'])

  // A page that would leave a hole is not put in front.
  room.isSilent = true
  const loading = talk.loadOlder()
  room.says(30)
  room.asked[0].answer()
  await loading
  assert.deepEqual(ids(talk), [...range(32, 56), 'k'])
  assert.equal(talk.hasOlder, true)
})

test('it waits to be in, and is opened and closed as often', async () => {
  const room = new FakeRoom()
  room.store(1)
  let letIn
  room.isIn = new Promise((resolve) => (letIn = resolve))
  const talk = new Conversation(room)
  assert.equal(talk.isOpen, false)
  await talk.loadOlder() // nothing to do
  const both = Promise.all([talk.open(), talk.open()])
  assert.equal(talk.isOpen, true)
  assert.equal(room.holds, 1)
  await settle()
  assert.deepEqual(ids(talk), [])
  letIn({})
  await both
  assert.deepEqual(ids(talk), range(1, 1))
  await talk.close()
  assert.deepEqual([talk.isOpen, room.holds], [true, 1])
  await talk.close()
  await talk.close()
  assert.deepEqual([talk.isOpen, room.holds, room.isHeard], [false, 0, false])
  room.says(1)
  assert.deepEqual(ids(talk), range(1, 1), 'it has stopped listening')
  await talk.open()
  assert.deepEqual(ids(talk), range(1, 2))
})

test('where the channel is refused, so is the conversation', async () => {
  const room = new FakeRoom()
  room.isIn = Promise.reject(new RefusedError('forbidden', 'not yours'))
  const talk = new Conversation(room)
  await assert.rejects(talk.open(), { code: 'forbidden' })
  assert.deepEqual([talk.isOpen, room.isHeard], [false, false])
  room.isIn = Promise.resolve({})
  room.holds = 0
  await talk.open()
  assert.deepEqual([talk.isOpen, room.holds], [true, 1])
})

test('a first page that was lost comes when the channel is in again', async () => {
  const room = new FakeRoom()
  room.store(2)
  room.isSilent = true
  const talk = new Conversation(room)
  const isOpen = talk.open()
  await settle()
  room.asked[0].reject(new ConnectionError('disconnected', 'lost'))
  await isOpen
  assert.deepEqual([ids(talk), talk.hasOlder], [[], true])
  room.isSilent = false
  room.tell('status', { previous: 'subscribing', current: 'subscribed' })
  await settle()
  assert.deepEqual([ids(talk), talk.hasOlder], [range(1, 2), false])

  // An older page is for the application to ask for again.
  room.says(100)
  const other = await opened(room, { last: 5 })
  room.isSilent = true
  const loading = other.loadOlder()
  room.asked.at(-1).reject(new ConnectionError('disconnected', 'lost'))
  await assert.rejects(loading, { code: 'disconnected' })
  room.isSilent = false
  await other.loadOlder()
  assert.deepEqual(ids(other), range(93, 102))
})

test('a first page that was too much comes later', async () => {
  mock.timers.enable({ apis: ['setTimeout'] })
  const room = new FakeRoom()
  room.store(2)
  const history = room.history
  room.history = () => Promise.reject(new RateLimitError('too fast', 3000))
  const talk = await opened(room)
  assert.deepEqual(ids(talk), [])
  room.history = history
  mock.timers.tick(3000)
  await settle()
  assert.deepEqual(ids(talk), range(1, 2))
})

/** Numbers that look random and are the same for the same seed. */
function randomOf(seed) {
  return (below) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
    return Math.floor((seed / 2 ** 32) * below)
  }
}

/** What must be true at any time. */
function check(talk, room, { keep, heard, delivered, early }) {
  const stored = talk.messages.filter(({ epoch }) => epoch !== undefined)
  assert.equal(new Set(talk.messages.map(({ id, isOwn }) => `${isOwn} ${id}`)).size, talk.messages.length, 'each is there once')
  stored.forEach(({ id }) => early.delete(id))
  const tail = [...early, ...room.outgoing.map(({ id }) => id)].filter((id) => !stored.some((message) => message.isOwn && message.id === id))
  assert.deepEqual(talk.messages.slice(stored.length).map(({ id }) => id), tail, 'what is not stored is at the end')
  stored.forEach((message, i) => {
    const before = stored[i - 1]
    const isUnderWay = message.epoch === room.epoch && before?.seq >= delivered // a page is ahead of what comes
    if (!before || message.gapBefore || isUnderWay) return
    assert.deepEqual([message.epoch, message.seq], [before.epoch, before.seq + 1], 'numbers have no hole')
  })
  const places = stored.map(placeOf)
  assert.ok(places.length >= Math.min(keep, heard.length), 'as many are there as are to be kept')
  const inside = heard.map(placeOf).filter((place) => place >= places[0])
  assert.deepEqual(places.filter((place) => inside.includes(place)), inside, 'all that came is there, in its order')
}

/** Numbers of messages as texts that sort as they do. */
const placeOf = ({ epoch, seq }) => `${epoch.padEnd(20, ' ')} ${String(seq).padStart(5, '0')}`

test('whatever happens in whatever order, nothing is lost, doubled or out of place', async () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = randomOf(seed)
    const [last, keep] = [1 + random(6), 8 + random(20)]
    const room = new FakeRoom()
    room.store(random(30))
    room.isSilent = true
    const talk = new Conversation(room, { last, keep })
    const heard = [] // in order
    room.on('message', (message) => heard.push(message))
    talk.open()
    await settle()
    let delivered = room.log.at(-1)?.seq ?? 0
    const deliver = (count) => {
      for (const message of room.log.filter(({ seq }) => seq > delivered).slice(0, count)) {
        delivered = message.seq
        if (room.outgoing.some(({ id }) => message.isOwn && id === message.id)) room.acks(message)
        if (message.isOwn) early.delete(message.id)
        room.tell('message', message)
      }
    }
    let keys = 0
    const storedKeys = new Set()
    const early = new Set() // keys that are acked ahead of their turn
    const actions = [
      () => room.store(1 + random(4)),
      () => deliver(1 + random(4)),
      () => deliver(1 + random(4)),
      () => talk.loadOlder().catch(() => {}),
      () => room.asked.splice(random(2), 1)[0]?.answer(),
      () => room.asked.splice(0, 1)[0]?.reject(new ConnectionError('disconnected', 'lost')),
      () => room.tell('status', { current: 'subscribed' }),
      () => room.setOutgoing(...room.outgoing, room.message(undefined, { isOwn: true, id: `k${keys++}`, state: 'pending' })),
      () => { // an own one is stored
        const mine = room.outgoing.find(({ id }) => !storedKeys.has(id))
        if (mine) room.log.push(room.message((room.log.at(-1)?.seq ?? 0) + 1, { isOwn: true, id: mine.id }))
        storedKeys.add(mine?.id) // the server stores a key once
        if (!mine || random(2)) return
        early.add(mine.id)
        room.acks(room.log.at(-1))
      },
      () => room.setOutgoing(...room.outgoing.map((message) => ({ ...message, state: random(2) ? 'failed' : 'pending' }))),
      () => { // the sender of a message is gone
        const at = random(room.log.length)
        if (room.log[at]) room.log[at] = { ...room.message(room.log[at].seq), userId: '', data: null, isRemoved: true }
      },
      () => { // more was missed than is kept
        room.store(10)
        const from = { epoch: room.epoch, seq: delivered }
        room.log = room.log.filter(({ seq }) => seq > delivered + 2)
        room.tell('gap', { reason: 'trimmed', from, to: { epoch: room.epoch, seq: room.log.at(-1).seq } })
        delivered = room.log.at(-1).seq - 3
        early.clear()
        deliver(3)
      },
      () => {
        room.beginsAnew()
        delivered = 0
        early.clear()
      },
    ]
    for (let step = 0; step < 60; step++) {
      actions[random(random(4) ? actions.length - 2 : actions.length)]()
      if (random(3) === 0) await settle()
      check(talk, room, { keep, heard, delivered, early })
    }

    // In the end all that the server has can be had.
    room.isSilent = false
    room.asked.splice(0).forEach(({ answer }) => answer())
    room.tell('status', { current: 'subscribed' })
    deliver(Infinity)
    if (random(2)) room.log.splice(0, random(room.log.length)) // what is too old is not kept
    await settle()
    for (let page = 0; talk.hasOlder; page++) {
      assert.ok(page < 300, `seed ${seed}: there is no end`)
      await talk.loadOlder()
      check(talk, room, { keep, heard, delivered, early })
    }
    const seqs = talk.messages.filter(({ epoch }) => epoch === room.epoch).map(({ seq }) => seq)
    const missing = room.log.filter(({ seq }) => !seqs.includes(seq))
    assert.deepEqual(missing.map(({ seq }) => seq), [], `seed ${seed}`)
  }
})
