// Whatever a connection does, and however a server that keeps its promises
// answers, each message is told once and in order, and what was lost is told as a
// gap. The server is the test's own, and chance says what happens next, CLIENT_RUNS
// times; CLIENT_SEED=… does again what a run did that failed.

import assert from 'node:assert/strict'
import { mock, test } from 'node:test'

import { createClient } from '../gatecast.js'
import { FakeSocket, pass, settle, stopTheClock } from './fake.js'
import { SEED, seeded } from './random.js'

const RUNS = Number(process.env.CLIENT_RUNS ?? 50)
const STEPS = 500
const ROOM = 'room:1'
const ME = 'A'
const OTHER = 'B'
/** Messages that one answer holds; the rest follows. */
const ANSWER = 3

/** A channel, as docs/protocol.md promises it, and those who are connected to it. */
class World {
  epoch = 0
  seq = 0
  kept = []
  /** What was ever stored, by epoch and number. */
  all = new Map()
  /** @type {Session[]} the last one is the client's; those before it are lost, though the server may not know yet */
  sessions = []
  #keys = new Map()

  /** @returns {any} the message, which may be there already */
  store(userId, key, data, from) {
    const known = this.#keys.get(key)
    if (known) return known
    const message = { type: 'message', channel: ROOM, seq: ++this.seq, event: 'message', userId, username: userId, key, data }
    this.kept.push(message)
    this.all.set(`${this.epoch}:${this.seq}`, data)
    if (key) this.#keys.set(key, message)
    for (const session of this.sessions) if (session !== from) session.hear(message)
    return message
  }

  /** Lets the oldest messages go. */
  trim(count) {
    this.kept.splice(0, count)
  }

  /** Begins another life of the channel. */
  begin() {
    this.epoch++
    this.seq = 0
    this.kept = []
    this.#keys.clear()
    for (const session of this.sessions) session.hear({ type: 'subscribed', channel: ROOM, epoch: `${this.epoch}`, seq: 0, recovered: false })
  }

  after(seq) {
    return this.kept.filter((message) => message.seq > seq)
  }

  has({ epoch, seq }) {
    return epoch === `${this.epoch}` && seq >= (this.kept[0]?.seq ?? this.seq + 1) - 1
  }
}

/** The server's side of a socket. In both directions frames lie on the line until they are carried. */
class Session {
  /** @type {any[]} */
  #out = []
  #isIn = false
  #world
  #socket

  constructor(world, socket) {
    this.#world = world
    this.#socket = socket
  }

  get isOpen() {
    return !this.#socket.closed && !this.#socket.isLost
  }

  get isIdle() {
    return this.#out.length === 0 && this.#socket.sent.length === 0
  }

  lose() {
    this.#socket.isLost = true
    this.#socket.lost()
  }

  hear(frame) {
    if (this.#isIn) this.#out.push(frame)
  }

  /** Carries frames to the client, at the same time. */
  carry(count) {
    for (const frame of this.#out.splice(0, count)) if (this.isOpen) this.#socket.says(frame)
  }

  /**
   * Takes a frame of the client. `fault` says how that may go wrong.
   *
   * @param {() => string | undefined} fault
   */
  take(fault) {
    const frame = this.#socket.sent.shift()
    if (frame?.type === 'ping') this.#out.push({ type: 'pong' })
    if (frame?.type === 'unsubscribe') this.#unsubscribe(frame)
    if (frame?.type === 'subscribe') this.#subscribe(frame, fault())
    if (frame?.type === 'publish') this.#publish(frame, fault())
  }

  #subscribe({ id, since }, fault) {
    if (fault === 'silence') return
    if (fault) return this.#refuse(id, fault === 'busy' ? 'rate_limited' : 'unavailable')
    const world = this.#world
    this.#isIn = true
    const recovered = since && world.has(since)
    const rest = since ? world.after(recovered ? since.seq : world.seq - ANSWER) : []
    const messages = rest.splice(0, ANSWER)
    const seq = messages.at(-1)?.seq ?? (recovered ? since.seq : world.seq)
    this.#out.push({ type: 'subscribed', channel: ROOM, id, epoch: `${world.epoch}`, seq, ...(since && { recovered }), messages }, ...rest)
  }

  #unsubscribe({ id }) {
    this.#out.push(this.#isIn ? { type: 'unsubscribed', channel: ROOM, id } : { type: 'error', id, code: 'not_subscribed', message: 'no' })
    this.#isIn = false
  }

  #publish({ id, key, data }, fault) {
    if (fault === 'silence') return
    if (fault === 'rate_limited' || fault === 'busy' || fault === 'unknown') return this.#refuse(id, fault)
    const { seq } = this.#world.store(ME, key, data, this)
    if (fault === 'stored all the same') this.#refuse(id, 'unknown')
    else this.#out.push({ type: 'ack', channel: ROOM, id, seq, timestamp: '2026-11-25T20:00:00Z' })
  }

  #refuse(id, code) {
    this.#out.push({ type: 'error', channel: ROOM, id, code, message: 'no', ...(/busy|rate/.test(code) && { retryAfterMs: 100 }) })
  }
}

/** What happens to one client, and what it is told. */
class Run {
  world = new World()
  told = []
  /** @type {{data: string, receipt: Promise<any>}[]} */
  own = []
  #random
  #options
  #others = 0
  #isHere = false

  constructor(random, options) {
    this.#random = random
    this.#options = options
    this.client = createClient({ url: 'ws://test/ws', getToken: () => 'token', WebSocket: FakeSocket, queue: { count: Infinity, ageMs: Infinity } })
    this.room = this.client.channel(ROOM)
    this.room.on('message', ({ epoch, seq, data, isOwn, id }) => this.told.push({ epoch: Number(epoch), seq, data, isOwn, id }))
    this.room.on('gap', (gap) => this.told.push({ gap }))
  }

  async play() {
    this.#come()
    await this.calm()
    for (let n = 0; n < STEPS; n++) {
      await this.#step()
      this.#accept()
    }
    this.#come()
    await this.calm()
  }

  /** Is there from now on. Who comes again to a channel that was left has missed what was said meanwhile. */
  #come() {
    this.client.connect()
    if (this.#isHere) return
    this.#isHere = true
    this.told.push({ isAnew: true })
    this.room.subscribe().catch(() => (this.#isHere = false)) // it was disconnected before it was in
  }

  #go() {
    if (this.#random() < 0.5) return this.client.disconnect()
    this.room.unsubscribe()
    this.#isHere = false
  }

  /** Lets all that is under way come to its end, and nothing else happen. */
  async calm() {
    for (let idle = 0; idle < 12; ) {
      await pass(500)
      this.#accept()
      const session = this.world.sessions.at(-1)
      if (!this.#isHere) this.#come()
      const isIdle = session?.isOpen && session.isIdle && this.room.status === 'subscribed' && this.room.outgoing.every(({ state }) => state === 'failed')
      idle = isIdle ? idle + 1 : 0
      for (const each of this.world.sessions) for (let n = 0; n < 50; n++) each.take(() => undefined)
      session?.carry(Infinity)
      await settle()
    }
  }

  /** Lets the client's newest socket in, where it is not yet. */
  #accept() {
    const socket = FakeSocket.last
    if (!socket?.onmessage || socket.session || socket.closed) return
    socket.session = new Session(this.world, socket)
    this.world.sessions.push(socket.session)
    socket.says({ type: 'welcome', userId: ME, username: ME, clientId: 'c', heartbeatMs: 25_000 })
  }

  async #step() {
    const random = this.#random
    const { world } = this
    const session = world.sessions.at(-1)
    const any = world.sessions[Math.floor(random() * world.sessions.length)]
    const what = random()
    if (what < 0.2) this.#say()
    else if (what < 0.35) world.store(OTHER, undefined, `other ${this.#others++}`)
    else if (what < 0.65) (random() < 0.8 ? session : any).take(() => this.#fault())
    else if (what < 0.85) session.carry(1 + Math.floor(random() * 4))
    else if (what < 0.88) session.isOpen && session.lose()
    else if (what < 0.96) await pass(random() * 1000)
    else if (what < 0.97) await pass(random() * 12_000)
    else if (what < 0.985) this.#options.forgets && world.trim(Math.floor(random() * 10))
    else if (what < 0.99) this.#options.forgets && world.begin()
    else if (this.#options.comesAndGoes) this.#random() < 0.3 ? this.#go() : this.#come()
    if (random() < 0.5) await settle()
  }

  #say() {
    const data = `own ${this.own.length}`
    this.own.push({ data, receipt: this.room.publish(data) })
  }

  #fault() {
    const { faults } = this.#options
    return this.#random() < 0.2 ? faults[Math.floor(this.#random() * faults.length)] : undefined
  }
}

/** Looks at what was told. */
async function check({ world, told, own }, { forgets, isOrdered, comesAndGoes }) {
  let [epoch, seq, isGap] = [0, 0, false]
  for (const each of told) {
    if (each.gap || each.isAnew) {
      isGap = true
      continue
    }
    assert.equal(each.data, world.all.get(`${each.epoch}:${each.seq}`))
    const isNext = each.epoch === epoch && each.seq === seq + 1
    assert.ok(isNext || (isGap && (each.epoch > epoch || each.seq > seq)), `${each.epoch}:${each.seq} after ${epoch}:${seq}`)
    ;({ epoch, seq } = each)
    isGap = false
  }
  if (!isGap && world.seq > 0) assert.deepEqual([epoch, seq], [world.epoch, world.seq], 'the last one was told')
  if (!forgets) assert.ok(told.every(({ gap }) => !gap), 'nothing was lost')

  const data = told.map(({ data }) => data)
  const stored = new Set(world.all.values())
  for (const { data, receipt } of own) {
    await receipt.then(
      ({ seq }) => assert.ok([...world.all].some(([place, at]) => at === data && place.endsWith(`:${seq}`)), `${data} is at ${seq}`),
      ({ code }) => assert.ok((code === 'rate_limited' && !stored.has(data)) || (code === 'disconnected' && comesAndGoes), `${data}: ${code}`),
    )
  }
  const mine = told.filter(({ isOwn }) => isOwn)
  // In another life of the channel the server knows no keys of the one before.
  if (world.epoch === 0) assert.equal(new Set(mine.map(({ id }) => id)).size, mine.length, 'own ones were told once')
  if (isOrdered) assert.deepEqual(data.filter((text) => text?.startsWith('own')), own.map(({ data }) => data))
}

stopTheClock()

for (const [what, options] of [
  ['connections are lost', { faults: [undefined], isOrdered: true }],
  ['the server does not answer, or refuses', { faults: ['silence', 'busy', 'unknown', 'stored all the same', 'rate_limited'] }],
  ['the application comes and goes, too', { faults: ['silence', 'busy', 'unknown', 'stored all the same', 'rate_limited'], comesAndGoes: true }],
  ['the server forgets, too', { faults: ['silence', 'busy', 'unknown', 'stored all the same', 'rate_limited'], forgets: true }],
]) {
  test(`each message is told once and in order where ${what}`, async (t) => {
    mock.method(Math, 'random', () => 0.02) // it comes back soon
    for (let n = 0; n < RUNS; n++) {
      const seed = SEED + n
      FakeSocket.all = []
      const run = new Run(seeded(seed), options)
      try {
        await run.play()
        await check(run, options)
      } catch (error) {
        t.diagnostic(`CLIENT_SEED=${seed}`)
        throw error
      } finally {
        run.client.disconnect()
      }
    }
  })
}
