// Whatever has happened, once the line is well and the server answers, all is well:
// nothing waits for ever, and nothing is left behind. The server is the test's own,
// and chance says what happens, CLIENT_RUNS times; CLIENT_SEED=… does again what a
// run did that failed.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'

import { ChannelStore } from '../channel-store.js'
import { Conversation, createClient, UnauthorizedError } from '../gatecast.js'
import { FakeSocket, settle } from './fake.js'
import { SEED, seeded } from './random.js'

const RUNS = Number(process.env.CLIENT_RUNS ?? 40)
const STEPS = 150
/** In ms. The longest that a client is away once all is well: a token that never comes, and a back-off. */
const SOON = 60_000
const ROOMS = ['a', 'b']
const TALK = 'talk'
const STORE = 'store'
const CLOSE_CODES = [1006, 1006, 1006, 1001, 1008, 1012, 1013, 4400, 4401, 4401, 4408]
const FAULTS = ['silence', 'rate_limited', 'busy', 'unknown', 'unavailable']

/** What the server has stored. */
class Log {
  epoch = 0
  #messages = new Map()

  /** Forgets everything, and counts anew. */
  begin() {
    this.epoch++
    this.#messages.clear()
  }

  of(channel) {
    return this.#messages.get(channel) ?? this.#messages.set(channel, []).get(channel)
  }

  put(channel, { userId = 'B', key, data }) {
    const messages = this.of(channel)
    const known = key && messages.find((message) => message.key === key)
    const message = { type: 'message', channel, seq: messages.length + 1, event: 'message', userId, username: userId, key, data }
    if (!known) messages.push(message)
    return known ?? message
  }
}

/** The server's side of a socket. In both directions frames lie on the line until they are carried. */
class Session {
  rooms = new Set()
  isRefreshed = false
  #out = []
  #log
  #socket
  #userId

  constructor(log, socket, userId) {
    this.#log = log
    this.#socket = socket
    this.#userId = userId
    socket.welcomes({ userId, limits: { messageBytes: 4096, messages: { rate: 20, burst: 20 } } })
  }

  get isOpen() {
    return !this.#socket.closed && !this.#socket.isLost
  }

  tell(frame) {
    this.#out.push(frame)
  }

  begin() {
    for (const channel of this.rooms) this.tell({ type: 'subscribed', channel, epoch: `${this.#log.epoch}`, seq: 0, recovered: false })
  }

  hear(message) {
    if (this.rooms.has(message.channel)) this.tell(message)
  }

  lose(code) {
    this.#socket.isLost = true
    this.#socket.lost(code)
  }

  carry(count) {
    for (const frame of this.#out.splice(0, count)) if (this.isOpen) this.#socket.says(frame)
  }

  take(fault) {
    const frame = this.#socket.sent.shift()
    if (!frame || fault === 'silence') return
    if (fault === 'unknown' && frame.type !== 'publish') fault = 'unavailable'
    if (fault === 'forbidden' && frame.type === 'history') fault = undefined
    if (fault && frame.id) return this.tell({ type: 'error', id: frame.id, code: fault, message: 'no', ...(/busy|rate/.test(fault) && { retryAfterMs: 700 }) })
    this[`on_${frame.type}`]?.(frame)
  }

  on_ping() {
    this.tell({ type: 'pong' })
  }

  on_refresh({ id }) {
    this.isRefreshed = true
    this.tell({ type: 'refreshed', id })
  }

  on_subscribe({ id, channel, since }) {
    this.rooms.add(channel)
    const messages = this.#log.of(channel)
    const epoch = `${this.#log.epoch}`
    const recovered = since?.epoch === epoch
    this.tell({ type: 'subscribed', channel, id, epoch, seq: messages.length, presence: PRESENT, ...(since && { recovered, messages: messages.slice(recovered ? since.seq : -3) }) })
  }

  on_unsubscribe({ id, channel }) {
    this.tell(this.rooms.delete(channel) ? { type: 'unsubscribed', channel, id } : { type: 'error', id, code: 'not_subscribed', message: 'no' })
  }

  on_publish({ id, channel, key, data }) {
    const { seq } = this.#log.put(channel, { userId: this.#userId, key, data })
    this.tell({ type: 'ack', channel, id, seq, timestamp: '2026-11-25T20:00:00Z' })
  }

  on_history({ id, channel, before = Infinity, limit = 50 }) {
    const messages = this.#log.of(channel).filter(({ seq }) => seq < before)
    this.tell({ type: 'history', channel, id, epoch: `${this.#log.epoch}`, messages: messages.slice(-limit), more: messages.length > limit })
  }

  on_presence({ id, channel }) {
    this.tell({ type: 'presence', channel, id, ...PRESENT })
  }
}

const PRESENT = { count: 2, users: [{ userId: 'A', username: 'A' }, { userId: 'B', username: 'B' }] }

const restores = []
after(() => restores.forEach((restore) => restore()))

/** Puts something in place of what is there, until the end; a mock would remember each call. */
function replace(object, name, value) {
  const before = object[name]
  restores.push(() => (object[name] = before))
  object[name] = value
}

/** A clock that tells which timers are set, as that of node:test does not. */
class Clock {
  #now = 0
  #set = new Set()

  constructor() {
    replace(performance, 'now', () => this.#now)
    replace(globalThis, 'setTimeout', (fn, ms = 0) => {
      const timer = { fn, due: this.#now + Math.max(1, ms || 0), unref() {} }
      this.#set.add(timer)
      return timer
    })
    replace(globalThis, 'clearTimeout', (timer) => void this.#set.delete(timer))
  }

  /** How many ms are left of each timer. */
  get left() {
    return [...this.#set].map(({ due }) => due - this.#now)
  }

  clear() {
    this.#set.clear()
  }

  /** Lets time go by, and promises run. */
  async pass(ms) {
    await settle()
    const end = this.#now + ms
    for (let next; (next = this.#next(end)); await settle()) {
      this.#now = Math.max(this.#now, next.due)
      this.#set.delete(next)
      next.fn()
    }
    this.#now = end
  }

  #next(end) {
    let first
    for (const timer of this.#set) if (timer.due <= end && !(first?.due <= timer.due)) first = timer
    return first
  }
}

/** What happens to one client. */
class Run {
  log = new Log()
  heard = new Set()
  wrong = []
  #open = new Map() // what is promised and not settled
  #random
  #clock
  #isInListener = false
  #texts = 0

  // What has been asked for.
  /** @type {Map<string, {isIn: boolean}[]>} subscribe calls that hold, by channel */
  #holds = new Map(ROOMS.map((name) => [name, []]))
  /** @type {(() => void)[]} what undoes them */
  #looks = []

  // How it goes.
  #refusing // the chance that the server says no
  #isCalm = false
  #calmSince = Infinity
  #tokens = 0
  /** @type {(() => void)[]} tokens that come late */
  #late = []
  #refusals = 0 // of tokens, one after the other
  #mayFail = false // what ends the trying has happened

  constructor(random, clock) {
    this.#random = random
    this.#refusing = this.#is(0.3) ? 0.04 : 0
    this.#clock = clock
    const run = this
    class Socket extends FakeSocket {
      constructor(...args) {
        if (!run.#isCalm && run.#is(0.03)) throw new Error('no socket')
        super(...args)
        if (!run.#isCalm && run.#is(0.1)) this.close = () => void (this.closed = true)
      }
    }
    Object.assign(globalThis, { WebSocket: Socket, fetch: (url) => this.#fetch(new URL(url).pathname) })
    this.client = createClient({
      url: 'ws://test/ws',
      ...(this.#is(0.5) ? { getToken: () => this.#getToken() } : { login: { username: 'A', password: 'secret' } }),
      ...(this.#is(0.5) && { WebSocket: class extends Socket {} }), // else it comes in with tickets
      queue: { count: this.#is(0.3) ? 5 : 1000, ageMs: this.#is(0.3) ? 20_000 : 120_000 },
    })
    this.rooms = ROOMS.map((name) => this.client.channel(name))
    this.talk = new Conversation(this.client.channel(TALK))
    this.store = new ChannelStore(this.client, STORE, { begun() {}, ended() {} })
    this.#listen()
  }

  #is(chance) {
    return this.#random() < chance
  }

  #any(list) {
    return list[Math.floor(this.#random() * list.length)]
  }

  #listen() {
    const { client } = this
    client.on('status', () => client.status === 'failed' && !this.#mayFail && this.wrong.push('it has failed'))
    for (const event of ['status', 'welcome', 'ack', 'subscribed', 'error', 'lost-connection']) client.on(event, () => this.#reenter())
    for (const room of [...this.rooms, client.channel(TALK), client.channel(STORE)]) {
      room.on('message', ({ data }) => this.heard.add(`${room.name} ${data}`))
      for (const event of ['status', 'outgoing', 'message', 'gap', 'presence']) room.on(event, () => this.#reenter())
    }
  }

  /** A listener does something, now and then. */
  #reenter() {
    if (this.#isCalm || this.#isInListener || !this.#is(0.08)) return
    if (this.#is(0.2)) return queueMicrotask(() => (this.#is(0.5) ? this.#act() : this.#lose(this.#any(CLOSE_CODES))))
    this.#isInListener = true
    this.#act()
    if (this.#is(0.3)) this.#act()
    this.#isInListener = false
  }

  #expect(what, promise) {
    const key = {}
    this.#open.set(key, what)
    promise.then(
      () => this.#open.delete(key),
      ({ code }) => {
        this.#open.delete(key)
        if (code === 'expired' && performance.now() > this.#calmSince + SOON) this.wrong.push(`${what} has expired`)
      },
    )
  }

  #getToken() {
    const what = this.#isCalm ? 1 : this.#random()
    const token = `token ${++this.#tokens}`
    if (what < 0.04) return new Promise(() => {})
    if (what < 0.1) return new Promise((resolve, reject) => this.#late.push(() => (this.#is(0.7) ? resolve(token) : reject(new Error('late')))))
    if (what < 0.14) throw new Error('no token')
    if (what < 0.16) throw Object.assign(new Error('later'), { retryAfterMs: this.#any([3000, NaN]) })
    if (what < 0.165) {
      this.#mayFail = true
      throw new UnauthorizedError('over')
    }
    return token
  }

  /** Answers as the API does. */
  async #fetch(path) {
    const what = this.#isCalm ? 1 : this.#random()
    if (what < 0.04) return new Promise(() => {})
    if (what < 0.08) throw new TypeError('no network')
    if (what < 0.12) return new Response('<p>a proxy', { status: this.#any([200, 502]) })
    if (what < 0.15) return new Response('{}', { status: 429, headers: { 'Retry-After': '2' } })
    if (what < 0.19 && path === '/refresh') return new Response('{}', { status: 401 })
    if (what < 0.19 && path === '/ws/ticket') return this.#refused(401)
    if (what < 0.195 && path !== '/refresh') return this.#refused(path === '/login' ? 401 : 403, true)
    const token = `token ${++this.#tokens}`
    return Response.json(path === '/ws/ticket' ? { ticket: 'ticket' } : { access_token: token, refresh_token: token })
  }

  #refused(status, isForGood = ++this.#refusals > 1) {
    this.#mayFail ||= isForGood
    return new Response('{}', { status })
  }

  async play() {
    this.#connect()
    for (let n = 0; n < STEPS; n++) await this.#step()
    await this.#calm()
  }

  async #step() {
    const what = this.#random()
    const { session } = this
    if (what < 0.35) this.#act()
    else if (what < 0.6) session?.take(this.#is(0.2) ? this.#any(FAULTS) : this.#is(this.#refusing) ? 'forbidden' : undefined)
    else if (what < 0.8) session?.carry(1 + Math.floor(this.#random() * 4))
    else if (what < 0.84) this.#lose(this.#any(CLOSE_CODES))
    else if (what < 0.845) this.#lose(4403)
    else if (what < 0.86) session?.tell({ type: 'expiring' })
    else if (what < 0.88) this.#say(this.#any([...ROOMS, TALK, STORE]))
    else if (what < 0.9) session?.hear({ type: 'presence', channel: this.#any([...ROOMS, TALK, STORE]), joined: [], left: [], count: 2, more: true })
    else if (what < 0.905) this.#begin()
    else if (what < 0.92) this.#late.shift()?.()
    else if (what < 0.98) await this.#clock.pass(this.#random() * 1500)
    else if (what < 0.995) await this.#clock.pass(this.#random() * 15_000)
    else await this.#clock.pass(this.#random() * 130_000)
    if (this.#is(0.6)) await settle()
    if (this.#is(0.8)) this.#accept()
  }

  /** Something that an application may do at any time. */
  #act() {
    const what = this.#random()
    const room = this.#any(this.rooms)
    if (what < 0.2) this.#subscribe(room)
    else if (what < 0.32) this.#unsubscribe(room)
    else if (what < 0.55) this.#expect('a publish', this.#any([...this.rooms, this.client.channel(TALK)]).publish(`own ${this.#texts++}`, { volatile: this.#is(0.1) }))
    else if (what < 0.62) this.#expect('a history', room.history())
    else if (what < 0.64) this.#expect('a request', this.client.request('nonsense'))
    else if (what < 0.68) room.outgoing.filter(({ state }) => state === 'failed').forEach(({ id }) => (this.#is(0.5) ? this.#expect('a resend', room.resend(id)) : room.discard(id)))
    else if (what < 0.74) this.#expect('an open', this.talk.open())
    else if (what < 0.77) this.#expect('a close', this.talk.close())
    else if (what < 0.79) this.#expect('a page', this.talk.loadOlder())
    else if (what < 0.84) this.#looks.push(this.store[this.#is(0.5) ? 'open' : 'join'](() => {}))
    else if (what < 0.88) this.#looks.splice(0, 1).forEach((undo) => undo())
    else if (what < 0.9) room.typing.keystroke()
    else if (what < 0.95) this.#connect()
    else if (what < 0.97) this.#expect('a disconnect', this.client.disconnect())
  }

  #connect() {
    if (this.#isOver) [this.#mayFail, this.#refusals] = [false, 0]
    this.#expect('a connect', this.client.connect())
  }

  #subscribe(room) {
    const holds = this.#holds.get(room.name)
    const hold = { isIn: false }
    holds.push(hold)
    const promise = room.subscribe()
    this.#expect('a subscribe', promise)
    promise.then(
      () => (hold.isIn = true),
      () => holds.includes(hold) && holds.splice(holds.indexOf(hold), 1),
    )
  }

  /** Where some are in and some wait to be, who has left is a guess. */
  #unsubscribe(room) {
    const holds = this.#holds.get(room.name)
    if (holds.every(({ isIn }) => isIn === holds[0].isIn) && holds.pop()) this.#expect('an unsubscribe', room.unsubscribe())
  }

  #begin() {
    this.log.begin()
    this.session?.begin()
  }

  #say(channel) {
    const message = this.log.put(channel, { data: `said ${this.#texts++}` })
    this.session?.hear(message)
    return `${channel} ${message.data}`
  }

  #lose(code) {
    const socket = FakeSocket.last
    if (!socket?.onclose || socket.closed || socket.isLost) return
    if (code === 4403) this.#mayFail = true
    if (code === 4401) this.#refusals = socket.session ? 1 : this.#refusals + 1
    if (this.#refusals > 1) this.#mayFail = true
    socket.isLost = true
    socket.lost(code)
  }

  /** The session of the newest socket, where there is one. */
  get session() {
    return FakeSocket.last?.session
  }

  /** Lets the client's newest socket in, where it is not yet. */
  #accept() {
    const socket = FakeSocket.last
    if (!socket?.onmessage || socket.session || socket.closed || socket.isLost) return
    this.#refusals = 0
    socket.session = new Session(this.log, socket, !this.#isCalm && this.#is(0.03) ? 'C' : 'A')
  }

  async #serve(ms) {
    for (; ms > 0; ms -= 500) {
      this.#accept()
      for (let n = 0; n < 50; n++) this.session?.take()
      this.session?.carry(Infinity)
      await this.#clock.pass(500)
    }
  }

  /** From now on all goes well. */
  async #calm() {
    this.#isCalm = true
    await settle()
    if (this.#isOver) await this.#stayAway()
    if (this.#isOver) this.#connect()
    this.#calmSince = performance.now()
    await this.#serve(SOON)
    assert.deepEqual([...this.#open.values()], [], 'all promises are settled')
    if (this.#refusing) this.#lose(1006) // what was refused on a connection is asked for on the next
    if (this.#refusing) await this.#serve(SOON)
    await this.#expire()
    await this.#serve(300_000)
    await this.#check()
  }

  get #isOver() {
    return ['failed', 'disconnected'].includes(this.client.status)
  }

  /** Without a connection, and none to come, all are told but those who wait to be in. */
  async #stayAway() {
    await this.#clock.pass(300_000)
    assert.deepEqual([...this.#open.values()].filter((what) => what !== 'a subscribe' && what !== 'an open'), [])
    assert.deepEqual(this.#clock.left, [])
  }

  /** The token comes to its end. */
  async #expire() {
    const { session } = this
    assert.ok(session?.isOpen, 'it has a connection')
    session.tell({ type: 'expiring' })
    await this.#serve(30_000)
    if (session === this.session && !session.isRefreshed) this.#lose(4401)
  }

  async #check() {
    const { client } = this
    assert.deepEqual(this.wrong, [])
    assert.equal(client.status, 'connected')
    assert.deepEqual([...this.#open.values()], [], 'all promises are settled')
    for (const room of this.rooms) this.#checkRoom(room, this.#holds.get(room.name).length > 0)
    this.#checkRoom(client.channel(TALK), this.talk.isOpen)
    this.#checkRoom(client.channel(STORE), this.#looks.length > 0)
    const held = [...ROOMS, TALK, STORE].filter((name) => client.channel(name).status === 'subscribed')
    const said = held.map((name) => this.#say(name))
    for (let n = 0; n < 9; n++) this.#expect('a page at the end', client.channel('a').history())
    const own = Promise.all(this.rooms.map((room) => room.publish('the last')))
    this.#expect('a publish at the end', own)
    await this.#serve(5000)
    assert.deepEqual([...this.#open.values()], [], 'what is asked for at the end is answered')
    await own
    for (const text of said) assert.ok(this.heard.has(text), `${text} is heard`)
    if (this.talk.isOpen) assert.equal(`${TALK} ${this.talk.messages.findLast(({ isOwn }) => !isOwn).data}`, said[held.indexOf(TALK)])
    if (this.talk.isOpen && this.log.epoch === 0 && !this.#refusing) { // else there may be a gap
      const shown = this.talk.messages.map(({ data }) => data)
      for (const { data } of this.log.of(TALK).slice(-50)) assert.ok(shown.includes(data), `${data} is shown`)
    }
  }

  #checkRoom(room, isHeld) {
    assert.equal(room.status === 'subscribed', isHeld, `${room.name} is ${room.status}, held: ${isHeld}`)
    if (isHeld) assert.ok(this.session.rooms.has(room.name), `the server knows of ${room.name}`)
    assert.ok(room.outgoing.every(({ state }) => state === 'failed'), `${room.name} holds nothing back`)
    if (isHeld) assert.ok(room.presence.isWhole, `who is in ${room.name} is known`)
  }
}

test('once all is well, nothing waits, and nothing is left behind', async (t) => {
  const clock = new Clock()
  let random
  replace(Math, 'random', () => random())
  for (const name of ['WebSocket', 'fetch']) replace(globalThis, name) // each run has its own
  for (let n = 0; n < RUNS; n++) {
    const seed = SEED + n
    random = seeded(seed)
    FakeSocket.all = []
    const run = new Run(random, clock)
    try {
      await run.play()
      assert.equal(clock.left.length, 1, `it listens for silence only: ${clock.left}`)
      run.client.disconnect()
      await clock.pass(5_000)
      assert.deepEqual(clock.left, [])
    } catch (error) {
      t.diagnostic(`CLIENT_SEED=${seed}`)
      throw error
    } finally {
      run.client.disconnect()
      await settle()
      clock.clear()
    }
  }
})
