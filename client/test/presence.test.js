// Presence: who is there, in small channels and in crowds, and when it asks.

import assert from 'node:assert/strict'
import { mock, test } from 'node:test'

import { speaker } from './browser.js'
import { settle } from './fake.js'
import { Presence } from '../presence.js'
import { startServer } from './server.js'

const user = (name) => ({ userId: `ID-${name}`, username: name })
const users = (...names) => names.map(user)
const many = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => user(`user${from + i}`))
const names = (presence) => presence.users.map(({ username }) => username).join(' ')
const summary = (fields) => ({ type: 'presence', channel: 'lobby', joined: [], left: [], ...fields })

/** A presence whose requests the test answers, on a clock of the test's own. */
function make(t, { random = 1, ...options } = {}) {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  t.mock.method(Math, 'random', () => random)
  const made = { asked: [], changes: 0 }
  made.presence = new Presence({
    ask: (fields) => new Promise((resolve, reject) => made.asked.push({ fields, resolve, reject })),
    changed: () => made.changes++,
    ...options,
  })
  return made
}

test('each who comes and goes, by name', (t) => {
  const { presence } = make(t)
  assert.deepEqual([presence.count, presence.users, presence.isWhole], [0, [], false])
  presence.begin({ count: 2, users: users('bob', 'Éva') })
  presence.take({ type: 'user_joined', ...user('frank'), clientId: 'c', message: 'frank joined' })
  presence.take({ type: 'user_joined', ...user('alice') })
  assert.deepEqual(presence.users, users('alice', 'bob', 'Éva', 'frank'))
  presence.take({ type: 'user_left', ...user('bob') })
  assert.equal(names(presence), 'alice Éva frank')
  assert.deepEqual([presence.count, presence.isWhole], [3, true])
})

test('two of one name stand in one order', (t) => {
  const { presence } = make(t)
  const both = [{ userId: '1', username: 'sam' }, { userId: '2', username: 'sam' }]
  presence.begin({ count: 2, users: both.toReversed() })
  assert.deepEqual(presence.users, both)
})

test('each change is told, when it can be read', () => {
  const seen = []
  const presence = new Presence({ ask: async () => ({}), changed: () => seen.push([presence.count, names(presence)]) })
  presence.begin({ count: 1, users: users('alice') })
  presence.take({ type: 'user_joined', ...user('bob') })
  presence.take(summary({ count: 2, joined: users('carol'), left: users('alice') }))
  presence.pause()
  presence.close()
  presence.close()
  assert.deepEqual(seen, [[1, 'alice'], [2, 'alice bob'], [2, 'bob carol'], [0, '']])
})

test('the list is the same until it changes, and cannot be changed', (t) => {
  const { presence } = make(t)
  assert.equal(presence.users, presence.users)
  presence.begin({ count: 2, users: users('alice', 'bob') })
  const before = presence.users
  assert.equal(presence.users, before)
  presence.take(summary({ count: 900 })) // only the count changes
  presence.begin({ count: 2, users: users('bob', 'alice') }) // the connection was lost and is back
  assert.equal(presence.users, before)
  presence.take({ type: 'user_joined', ...user('carol') })
  assert.notEqual(presence.users, before)
  assert.equal(before.length, 2)
  assert.throws(() => before.push({}), TypeError)
  assert.throws(() => { before[0].username = 'eve' }, TypeError)
})

test('who may not see presence hears of some, and asks nothing', (t) => {
  const { presence, asked } = make(t)
  presence.begin()
  presence.take({ type: 'user_left', ...user('alice') })
  presence.take(summary({ joined: users('bob', 'carol') }))
  presence.take(summary({ left: users('bob'), more: true }))
  t.mock.timers.tick(60_000)
  assert.deepEqual([names(presence), presence.count, presence.isWhole, asked.length], ['carol', 1, false, 0])
})

test('a first page is followed by others, up to a limit', async (t) => {
  const { presence, asked } = make(t, { limit: 50 })
  presence.begin({ count: 300, users: many(1, 20), next: 'n20' })
  t.mock.timers.tick(1499) // 300 users, 5 ms each
  assert.equal(asked.length, 0)
  t.mock.timers.tick(1)
  assert.deepEqual(asked[0].fields, { after: 'n20', limit: 30 })
  presence.take(summary({ count: 301, joined: users('eve') }))
  asked[0].resolve({ count: 300, users: many(21, 30), next: 'n30' })
  await settle()
  assert.equal(presence.users.length, 31)
  assert.equal(presence.count, 301)
  t.mock.timers.tick(2000)
  assert.deepEqual(asked[1].fields, { after: 'n30', limit: 19 })
  asked[1].resolve({ count: 301, users: many(31, 49), next: 'n49' })
  await settle()
  assert.deepEqual([presence.users.length, presence.isWhole], [50, false])

  // It is as full as it may be, and some who leave are not missed.
  presence.take(summary({ count: 281, left: many(1, 20) }))
  t.mock.timers.tick(60_000)
  assert.deepEqual([presence.users.length, presence.count, asked.length], [30, 281, 2])
})

test('pages make it whole', async (t) => {
  const { presence, asked } = make(t)
  presence.begin({ count: 25, users: many(1, 20), next: 'n' })
  assert.equal(presence.isWhole, false)
  t.mock.timers.tick(125)
  asked[0].resolve({ count: 25, users: many(21, 25) })
  await settle()
  assert.deepEqual([presence.users.length, presence.isWhole], [25, true])
  t.mock.timers.tick(60_000)
  assert.equal(asked.length, 1)
})

test('after a summary that does not name all it asks for a new list within 30 s, once', async (t) => {
  const { presence, asked } = make(t)
  presence.begin({ count: 3, users: users('alice', 'bob', 'carol') })
  presence.take(summary({ count: 900, joined: users('dave'), more: true }))
  presence.take(summary({ count: 800, left: users('bob'), more: true }))
  assert.deepEqual([names(presence), presence.count, presence.isWhole], ['alice carol dave', 800, false])
  t.mock.timers.tick(29_999)
  assert.equal(asked.length, 0)
  t.mock.timers.tick(1)
  assert.deepEqual(asked.map(({ fields }) => fields), [{ limit: 200 }])
  asked[0].resolve({ count: 2, users: users('carol', 'dave') })
  await settle()
  assert.deepEqual([names(presence), presence.count, presence.isWhole], ['carol dave', 2, true])
  t.mock.timers.tick(60_000)
  assert.equal(asked.length, 1)
})

test('clients ask at different times', (t) => {
  const { presence, asked } = make(t, { random: 0.25 })
  presence.begin({ count: 1, users: users('alice') })
  presence.take(summary({ count: 900, more: true }))
  t.mock.timers.tick(7500)
  assert.equal(asked.length, 1)
})

test('when half of those who were named have left, it asks who is there now', (t) => {
  const { presence, asked } = make(t, { limit: 20 })
  presence.begin({ count: 5000, users: many(1, 20), next: 'n' })
  presence.take(summary({ count: 4990, left: many(1, 10) }))
  t.mock.timers.tick(30_000)
  assert.equal(asked.length, 0)
  presence.take(summary({ count: 4989, left: many(11, 11) }))
  t.mock.timers.tick(30_000)
  assert.deepEqual(asked[0].fields, { limit: 20 })
})

test('an unasked list takes the place of asking', async (t) => {
  const { presence, asked } = make(t)
  const list = { type: 'presence', channel: 'lobby', count: 1, users: users('eve') }
  presence.begin({ count: 1, users: users('alice') })
  presence.take(summary({ count: 900, more: true }))
  presence.take(list)
  t.mock.timers.tick(60_000)
  assert.equal(asked.length, 0)
  presence.take(summary({ count: 900, more: true }))
  t.mock.timers.tick(30_000)
  presence.take(list)
  asked[0].resolve({ count: 9, users: users('old') })
  await settle()
  assert.deepEqual([names(presence), presence.count, presence.isWhole], ['eve', 1, true])
})

test('replies of others are not taken', (t) => {
  const made = make(t)
  made.presence.take({ type: 'presence', id: 7, count: 1, users: users('alice') })
  assert.deepEqual([made.presence.count, made.changes], [0, 0])
})

// One piece of what a socket gets may hold several frames, and a promise tells later than they come.
for (const [name, early] of [['before', true], ['after', false]]) {
  test(`who came and went ${name} the list that was asked for`, async (t) => {
    const { presence, asked } = make(t)
    presence.begin({ count: 3, users: users('alice', 'bob', 'carol') })
    presence.take(summary({ count: 300, more: true }))
    t.mock.timers.tick(30_000)
    const frames = () => {
      presence.take({ type: 'user_left', ...user('alice') })
      presence.take({ type: 'user_joined', ...user('dave') })
      presence.take({ type: 'user_joined', ...user('eve') })
      presence.take({ type: 'user_left', ...user('dave') })
    }
    if (early) frames()
    asked[0].resolve(early ? { count: 300, users: users('carol', 'eve') } : { count: 300, users: users('alice', 'carol') })
    if (!early) frames()
    await settle()
    assert.equal(names(presence), 'carol eve')
    assert.equal(presence.count, 300)
  })
}

test('what fails is asked again, no sooner than it may be', async (t) => {
  const { presence, asked } = make(t)
  presence.begin({ count: 25, users: many(1, 20), next: 'n' })
  t.mock.timers.tick(125)
  asked[0].reject(Object.assign(new Error('too much'), { code: 'rate_limited', retryAfterMs: 2000 }))
  await settle()
  t.mock.timers.tick(2000)
  assert.equal(asked.length, 1)
  t.mock.timers.tick(125)
  asked[1].reject(new Error('timeout'))
  await settle()
  t.mock.timers.tick(30_000)
  assert.equal(asked.length, 2)
  t.mock.timers.tick(125)
  assert.deepEqual(asked[2].fields, { after: 'n', limit: 180 })
  asked[2].resolve({}) // no list
  await settle()
  t.mock.timers.tick(30_125)
  asked[3].resolve({ count: 25, users: many(21, 25) })
  await settle()
  assert.ok(presence.isWhole)
})

test('a lost connection stops asking, and keeps who was there', async (t) => {
  const { presence, asked } = make(t)
  presence.begin({ count: 2, users: users('alice', 'bob') })
  presence.take(summary({ count: 900, more: true }))
  const before = presence.users
  presence.pause()
  t.mock.timers.tick(60_000)
  assert.equal(asked.length, 0)
  assert.deepEqual([presence.users, presence.count], [before, 900])
  presence.begin({ count: 1, users: users('bob') })
  assert.deepEqual([names(presence), presence.count, presence.isWhole], ['bob', 1, true])

  // What was asked for on the old connection, and what became of it, counts no more.
  for (const settleIt of [({ resolve }) => resolve({ count: 9, users: users('old') }), ({ reject }) => reject(new Error('disconnected'))]) {
    presence.take(summary({ count: 900, more: true }))
    t.mock.timers.tick(30_000)
    presence.pause()
    settleIt(asked.at(-1))
    await settle()
    t.mock.timers.tick(60_000)
    assert.equal(names(presence), 'bob')
    presence.begin({ count: 1, users: users('bob') })
  }
  assert.equal(asked.length, 2)
})

test('what was left is empty, and can be entered again', async (t) => {
  const { presence, asked } = make(t)
  presence.begin({ count: 900, users: users('alice'), next: 'n' })
  t.mock.timers.tick(30_000)
  presence.close()
  asked[0].resolve({ count: 900, users: users('bob') })
  await settle()
  t.mock.timers.tick(60_000)
  assert.deepEqual([presence.users, presence.count, presence.isWhole, asked.length], [[], 0, false, 1])
  presence.begin({ count: 1, users: users('carol') })
  assert.deepEqual([names(presence), presence.isWhole], ['carol', true])
})

test('no program waits for its timer', () => {
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  const presence = new Presence({ ask: async () => ({}), changed() {} })
  const before = timers()
  presence.begin({ count: 900, users: users('alice'), next: 'n' })
  assert.equal(timers(), before)
  presence.pause()
})

/** Numbers from 0 to 1 that are the same in each run (mulberry32). */
function randomness(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    t ^= t + Math.imul(t ^ (t >>> 7), 61 | t)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/**
 * A channel as docs/protocol.md has it: told one by one up to so many users, in
 * summaries over it, which name few and are drawn up when it says.
 */
class Model {
  out = [] // what the socket is to get: frames, and replies with their requests
  #there = new Map() // by user ID, in the order in which they came: who is there
  #told = [] // as of the last frame, with the number of each arrival
  #arrivals = 0
  #isCrowd = false
  #detailMax
  #named

  constructor(detailMax, named) {
    this.#detailMax = detailMax
    this.#named = named
  }
  get told() {
    return this.#told
  }
  toggle(who) {
    const isThere = this.#there.delete(who.userId)
    if (!isThere) this.#there.set(who.userId, { ...who, arrival: ++this.#arrivals })
    if (this.#isCrowd) return
    if (this.#there.size > this.#detailMax) return void (this.#isCrowd = true)
    this.#tell({ type: isThere ? 'user_left' : 'user_joined', ...who })
  }
  summarise() {
    if (!this.#isCrowd) return
    const now = [...this.#there.values()]
    if (now.length <= this.#detailMax) {
      this.#isCrowd = false
      return this.#tell({ type: 'presence', ...this.#list(now, now.length) })
    }
    const ids = (list) => new Set(list.map(({ userId }) => userId))
    const before = ids(this.#told)
    const joined = now.filter(({ userId }) => !before.has(userId))
    const left = this.#told.filter(({ userId }) => !this.#there.has(userId))
    const more = joined.length > this.#named || left.length > this.#named
    this.#tell({ type: 'presence', count: now.length, joined: joined.slice(0, this.#named), left: left.slice(0, this.#named), ...(more && { more }) })
  }
  page({ after = '0', limit = this.#isCrowd ? 3 : Infinity }) {
    return this.#list(this.#told.filter(({ arrival }) => arrival > Number(after)), Math.min(limit, this.#detailMax), this.#told.length)
  }
  #list(from, limit, count = from.length) {
    const page = from.slice(0, limit)
    const users = page.map(({ userId, username }) => ({ userId, username })).reverse()
    return { count, users, ...(from.length > page.length && { next: String(page.at(-1).arrival) }) }
  }
  #tell(frame) {
    this.#told = [...this.#there.values()]
    this.out.push({ frame, told: this.#told })
  }
}

for (let seed = 1; seed <= 60; seed++) {
  test(`whoever comes and goes, it is right: seed ${seed}`, async (t) => {
    const random = randomness(seed)
    const upTo = (n) => Math.floor(random() * n)
    t.mock.timers.enable({ apis: ['setTimeout'] })
    t.mock.method(Math, 'random', random)
    const model = new Model(2 + upTo(12), 1 + upTo(4))
    const limit = seed % 3 === 0 ? 1 + upTo(10) : 100
    let isFailing = true
    const presence = new Presence({
      ask: (fields) => new Promise((resolve, reject) => {
        if (isFailing && upTo(5) === 0) return reject(new Error('busy'))
        model.out.push({ resolve, reply: model.page(fields) })
      }),
      changed() {},
      limit,
    })
    const people = many(1, 5 + upTo(30))
    let told = model.told

    /** Has the socket get up to so many frames in one piece. */
    const get = async (most) => {
      for (const { frame, resolve, reply, told: now } of model.out.splice(0, most)) {
        if (resolve) {
          resolve(reply)
          continue
        }
        told = now
        presence.take(frame)
        if (upTo(3) === 0) check()
      }
      await settle()
      check()
    }
    const check = () => {
      const list = presence.users
      assert.equal(presence.count, told.length)
      assert.equal(presence.users, list)
      assert.ok(list.length <= limit)
      assert.deepEqual(list, list.toSorted((a, b) => a.username.localeCompare(b.username)))
      if (!presence.isWhole) return
      assert.deepEqual(list.map(({ userId }) => userId).sort(), told.map(({ userId }) => userId).sort())
    }

    presence.begin(model.page({}))
    for (let i = 0; i < 400; i++) {
      if (upTo(100) === 0) {
        presence.pause() // the connection is lost: nothing on its way arrives
        model.out = []
        for (let n = upTo(20); n > 0; n--) model.toggle(people[upTo(people.length)])
        model.out = []
        model.summarise()
        model.out = []
        told = model.told
        presence.begin(model.page({}))
      }
      // A channel is left at times by most, so that it becomes small again.
      const some = i % 100 < 50 ? people : people.slice(0, 4)
      model.toggle(some[upTo(some.length)])
      if (upTo(3) === 0) model.summarise()
      if (upTo(3) === 0) await get(1 + upTo(6))
      if (upTo(5) === 0) t.mock.timers.tick(upTo(20_000))
    }

    // When nobody comes or goes any more it knows everyone, or as many as it may.
    isFailing = false
    for (let i = 0; i < 60 && (i < 3 || !presence.isWhole); i++) {
      model.summarise()
      await get(Infinity)
      t.mock.timers.tick(60_000)
      await get(Infinity)
    }
    if (told.length > limit) return
    assert.ok(presence.isWhole || limit < 100, `${names(presence)} of ${told.length}`)
  })
}

test('a channel of a server that grows over detail_max and shrinks again', async (t) => {
  const server = await startServer(t, '--presence.detail-max=5')
  const { client } = await speaker(t, server, 'watcher')
  client.disconnect()
  const looks = new Set()
  const presence = new Presence({
    ask: (fields) => client.request('presence', { channel: 'lobby', ...fields }),
    changed: () => looks.forEach((look) => look()),
  })
  client.on('subscribed', (frame) => presence.begin(frame.presence))
  for (const type of ['user_joined', 'user_left', 'presence']) client.on(type, (frame) => presence.take(frame))
  const until = (isSo) => new Promise((resolve) => {
    const look = () => isSo() && looks.delete(look) && resolve()
    looks.add(look)
    look()
  })
  const crowd = await Promise.all(many(1, 12).map(({ username }) => speaker(t, server, username)))
  await client.connect()
  await until(() => presence.isWhole && presence.count === 13) // through the pages
  assert.equal(presence.users.length, 13)
  for (const { client } of crowd.slice(2)) client.disconnect()
  await until(() => names(presence) === 'user1 user2 watcher')
  crowd[1].client.disconnect()
  await until(() => names(presence) === 'user1 watcher')
  assert.ok(presence.isWhole)
  client.disconnect()
  presence.close()
})
