// Twenty clients talk in one channel while whatever can break does. In the end
// all have the same list, with every message in it once.
//
// CLIENT_DROPS=2000 lets the lines break that often; CLIENT_SEED=… does again what
// a run did that failed.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import WebSocket from 'ws'

import { createClient } from '../gatecast.js'
import { layLine } from './line.js'
import { SEED, seeded } from './random.js'
import { startServer } from './server.js'

const CLIENTS = 20
const EACH = 50 // messages of a client
const DROPS = Number(process.env.CLIENT_DROPS ?? 200)
/** The clients come back this many times as fast as they would: they are lost more often than people are. */
const HASTE = 20
const PATIENCE = 20_000
const HOUR = 3_600_000

const NO_LIMITS = ['--limits.messages.rate=0', '--limits.bytes.rate=0', '--limits.refresh.rate=0', '--limits.connections-per-address=0']
const PASSWORD = 'correct horse battery'
const NAMES = Array.from({ length: CLIENTS }, (_, i) => `talker${i}`)

/** A client that writes down what it hears. */
class Talker {
  heard = []
  gaps = []
  receipts = []
  #said = 0

  constructor(name, room, options) {
    this.name = name
    this.client = createClient({ WebSocket, ...options })
    this.room = this.client.channel(room)
    this.room.on('message', (message) => this.heard.push(message))
    this.room.on('gap', (gap) => this.gaps.push(gap))
    this.end = this.#failure()
    this.end.catch(() => {}) // whoever waits is told
  }

  /** Rejects when the client has given up. */
  #failure() {
    return new Promise((_, reject) =>
      this.client.on('status', ({ current, code, reason }) => current === 'failed' && reject(new Error(`${this.name} has failed: ${code} ${reason}`))),
    )
  }

  async enter() {
    await this.client.connect()
    await this.room.subscribe()
  }

  say() {
    this.receipts.push(this.room.publish(`${this.name} ${this.#said++}`))
  }
}

/**
 * Everyone says all they have to, in turns as chance has them, while connections
 * break so many times.
 *
 * @param {number} drops
 * @param {{meanwhile?: (dropped: number) => any, upTo?: number}} [options] meanwhile is called after each; upTo is the longest time between two, in ms
 */
async function storm({ talkers, line, random }, drops, { meanwhile = () => {}, upTo = 20 } = {}) {
  const turns = shuffled(talkers.flatMap((talker) => Array(EACH).fill(talker)), random)
  const total = turns.length
  for (let dropped = 0; dropped < drops; ) {
    if (line.break(random)) await meanwhile(++dropped)
    while (total - turns.length < (dropped / drops) * total) turns.pop().say()
    await pause(random() * upTo)
  }
}

function shuffled(list, random) {
  for (let i = list.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    ;[list[i], list[j]] = [list[j], list[i]]
  }
  return list
}

/** Waits until everyone has heard everything, and looks at what that was. */
async function sameForAll({ talkers }) {
  const count = talkers.length * EACH
  await Promise.race([Promise.all(talkers.flatMap(({ receipts }) => receipts)), ...talkers.map(({ end }) => end)])
  const deadline = performance.now() + PATIENCE
  while (talkers.some(({ heard }) => heard.length < count) && performance.now() < deadline) await pause(10)

  const list = talkers[0].heard.map(words)
  for (const { name, heard, gaps, receipts, room } of talkers) {
    assert.deepEqual(heard.map(({ seq }) => seq), Array.from({ length: count }, (_, i) => i + 1), `the numbers that ${name} has heard`)
    assert.deepEqual(heard.map(words), list, `what ${name} has heard`)
    assert.equal(new Set(heard.map(({ id }) => id)).size, count)
    const own = heard.filter(({ isOwn }) => isOwn)
    assert.deepEqual(own.map(({ data }) => data), Array.from({ length: EACH }, (_, n) => `${name} ${n}`), 'in the order in which it was said')
    assert.deepEqual(await Promise.all(receipts), own.map(({ id, seq }) => ({ id, seq })), `what ${name} was told of where its messages are`)
    assert.deepEqual([gaps, room.outgoing], [[], []])
  }
}

const words = ({ seq, epoch, userId, data }) => `${epoch} ${seq} ${userId} ${data}`

test('what was said is heard once by all, and in one order, whatever breaks', { timeout: 30 * 60_000 }, async (t) => {
  const server = await startServer(t, ...NO_LIMITS)
  const tokens = new Map(await Promise.all(NAMES.map(async (name) => [name, await server.token(name)])))

  /**
   * A test with the clients in a room, the server run with these flags. The seed of
   * one that fails is told.
   */
  async function underFire(what, { flags = [], credentials = (name) => ({ getToken: () => tokens.get(name) }), count = CLIENTS }, fn) {
    await t.test(what, async (t) => {
      const random = seeded(SEED)
      t.mock.method(Math, 'random', () => random() / HASTE)
      await server.stop()
      server.flags = [...NO_LIMITS, ...flags]
      await server.start()
      const line = await layLine(t, () => server.port)
      const room = `room:${what.replaceAll(' ', '-')}`
      const talkers = NAMES.slice(0, count).map((name) => new Talker(name, room, { url: line.url, ...credentials(name) }))
      t.after(() => Promise.all(talkers.map(({ client }) => client.disconnect())))
      try {
        for (const talker of talkers) await talker.enter() // some log in, and passwords are hard to hash
        await fn({ server, line, talkers, random }, t)
      } catch (error) {
        t.diagnostic(`CLIENT_SEED=${SEED}`)
        throw error
      }
    })
  }

  await underFire('dropped connections', {}, async (fire) => {
    await storm(fire, DROPS)
    await sameForAll(fire)
  })

  await underFire('a server that is restarted and killed', {}, async (fire) => {
    const { server } = fire
    const drops = DROPS / 4
    const meanwhile = async (dropped) => {
      if (dropped === Math.floor(drops / 3)) await server.stop()
      else if (dropped === Math.floor((drops * 2) / 3)) await server.kill()
      else return
      await server.start()
    }
    await storm(fire, drops, { meanwhile })
    await sameForAll(fire)
  })

  // They log in, so their tokens are had over the line that breaks.
  const login = (username) => ({ login: { username, password: PASSWORD } })
  await underFire('tokens that end', { flags: ['--auth.access-ttl=5s', '--socket.expiry-notice=2s'], credentials: login }, async (fire) => {
    let renewed = 0
    fire.talkers.forEach(({ client }) => client.on('refreshed', () => renewed++))
    await storm(fire, DROPS / 4, { upTo: 160 })
    await sameForAll(fire)
    assert.ok(renewed > 0)
  })

  await underFire('a clock that jumps', {}, async (fire, t) => {
    const clock = jumpingClock(t)
    await storm(fire, DROPS / 4, { meanwhile: () => clock.jump((fire.random() - 0.5) * 48 * HOUR) })
    await sameForAll(fire)
  })

  await underFire('a rate limit', { flags: ['--limits.messages.rate=20', '--limits.messages.burst=10'], count: 5 }, async (fire) => {
    const { line, talkers } = fire
    await line.close()
    for (let n = 0; n < EACH; n++) talkers.forEach((talker) => talker.say())
    await line.open()
    await sameForAll(fire)
  })
})

/** Puts a clock in the place of the wall's that can be set. Timers run as they did. */
function jumpingClock(t) {
  const RealDate = Date
  let off = 0
  globalThis.Date = class extends RealDate {
    constructor(...args) {
      super(...(args.length > 0 ? args : [Date.now()]))
    }
    static now() {
      return RealDate.now() + off
    }
  }
  t.after(() => (globalThis.Date = RealDate))
  return { jump: (ms) => (off = ms) }
}
