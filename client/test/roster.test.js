// A roster knows who is there, in small channels and in large ones.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { connected, enter, launch, openWindow, skip, speaker } from './browser.js'
import { Roster } from '../roster.js'
import { first, startServer } from './server.js'

const user = (name) => ({ userId: `ID-${name}`, username: name })
const users = (...names) => names.map(user)
const named = (roster) => [...roster.users.values()].sort().join(' ')

test('each who comes and goes', () => {
  const roster = new Roster()
  roster.begin({ count: 2, users: users('alice', 'bob') })
  roster.take({ type: 'user_joined', ...user('carol') })
  roster.take({ type: 'user_left', ...user('alice') })
  assert.equal(named(roster), 'bob carol')
  assert.deepEqual([roster.count, roster.isWhole], [2, true])
})

test('pages and summaries', () => {
  const roster = new Roster()
  roster.begin({ count: 4, users: users('alice', 'bob'), next: 'n' })
  assert.deepEqual([roster.next, roster.isWhole], ['n', false])
  roster.take({ type: 'presence', count: 4, joined: users('eve'), left: users('alice') })
  roster.add({ count: 4, users: users('carol', 'dave', 'eve') }) // eve stands behind where the page began
  assert.equal(named(roster), 'bob carol dave eve')
  assert.deepEqual([roster.count, roster.next, roster.isWhole], [4, undefined, true])

  // A summary that does not name all says so; the list of all mends it.
  roster.take({ type: 'presence', count: 3, joined: [], left: users('bob'), more: true })
  assert.deepEqual([roster.count, roster.isStale, roster.isWhole], [3, true, false])
  roster.take({ type: 'presence', id: 1, count: 9, users: [] }) // a reply goes to whoever asked
  roster.take({ type: 'presence', count: 2, users: users('carol', 'eve') })
  assert.equal(named(roster), 'carol eve')
  assert.deepEqual([roster.count, roster.isStale, roster.isWhole], [2, false, true])
})

test('a bounded one names no more than its limit, and counts all', () => {
  const roster = new Roster(2)
  roster.begin({ count: 3, users: users('alice', 'bob', 'carol') })
  roster.take({ type: 'presence', count: 5, joined: users('dave', 'eve'), left: [] })
  assert.equal(named(roster), 'alice bob')
  roster.take({ type: 'presence', count: 4, joined: [], left: users('alice') })
  roster.take({ type: 'presence', count: 5, joined: users('frank'), left: [] })
  assert.equal(named(roster), 'bob frank')
  assert.deepEqual([roster.count, roster.isWhole], [5, false])
})

test('who may not see presence is told no count', () => {
  const roster = new Roster()
  roster.take({ type: 'presence', joined: users('alice', 'bob'), left: [] })
  roster.take({ type: 'presence', joined: [], left: users('alice') })
  assert.equal(named(roster), 'bob')
  assert.equal(roster.count, 1)
})

/** Has so many more people come into the lobby. */
const crowd = (t, server, from, to) => Promise.all(Array.from({ length: to - from + 1 }, (_, i) => speaker(t, server, `user${from + i}`)))

test('a channel that grows over detail_max and shrinks again', async (t) => {
  const server = await startServer(t, '--presence.detail-max=5')
  const { client } = await speaker(t, server, 'watcher')
  client.disconnect()
  const roster = new Roster()
  client.on('subscribed', ({ presence }) => roster.begin(presence))
  for (const type of ['user_joined', 'user_left', 'presence']) client.on(type, (frame) => roster.take(frame))
  const until = (fn) => new Promise((resolve) => {
    const look = () => fn() && resolve()
    for (const type of ['subscribed', 'user_joined', 'user_left', 'presence']) client.on(type, look)
    look()
  })
  const few = await crowd(t, server, 1, 3)
  await client.connect()
  await until(() => named(roster) === 'user1 user2 user3 watcher')
  const many = await crowd(t, server, 4, 12)
  await until(() => roster.count === 13)
  assert.ok(roster.isWhole)

  // Who comes later goes through the pages.
  client.disconnect()
  const isIn = first((fn) => client.on('subscribed', fn))
  await client.connect()
  await isIn
  await until(() => roster.count === 13)
  while (roster.next) roster.add(await client.request('presence', { channel: 'lobby', after: roster.next, limit: 2 }))
  await until(() => roster.isWhole)
  assert.equal(roster.users.size, 13)

  for (const { client } of [...many, few[0]]) client.disconnect()
  await until(() => named(roster) === 'user2 user3 watcher')
  few[1].client.disconnect()
  await until(() => named(roster) === 'user3 watcher')
  assert.ok(roster.isWhole)
})

/** Who the page names as being here. */
const here = (page) => page.locator('#online .person-name').allTextContents()

test('the page counts a crowd, names it page by page, and sees it go', { skip }, async (t) => {
  const server = await startServer(t, '--presence.detail-max=5')
  const page = await openWindow(await launch(t), server.origin)
  const early = await crowd(t, server, 1, 3)
  await enter(page, 'alice')
  await connected(page)
  await page.locator('#online').getByText('user1', { exact: true }).waitFor()
  const late = await crowd(t, server, 4, 9)
  await page.locator('#online-count').getByText('10', { exact: true }).waitFor()
  assert.equal((await here(page)).length, 10)

  // Whoever comes now is given a page, and asks for the others.
  const bob = await openWindow(page.context().browser(), server.origin)
  await enter(bob, 'bob')
  await bob.locator('#online-count').getByText('11', { exact: true }).waitFor()
  await bob.locator('#online .person-name').nth(10).waitFor()
  assert.ok((await here(bob)).includes('bob (you)'))

  for (const { client } of [...early, ...late.slice(0, 5)]) client.disconnect()
  for (const [window, names] of [[page, ['alice (you)', 'bob', 'user9']], [bob, ['alice', 'bob (you)', 'user9']]]) {
    await window.locator('#online-count').getByText('3', { exact: true }).waitFor()
    assert.deepEqual(await here(window), names)
  }
  late[5].client.disconnect()
  await page.locator('#away').getByText('user9', { exact: true }).waitFor()
  assert.equal((await here(page)).length, 2)
  assert.deepEqual([...page.troubles, ...bob.troubles], [])
})

test('the page says how many there are whom it does not name', { skip }, async (t) => {
  const server = await startServer(t)
  const page = await openWindow(await launch(t), 'about:blank')
  await page.addInitScript(() => { Math.random = () => 0.99 }) // it asks for names at a random time, and here late
  let toPage
  await page.routeWebSocket(/\/ws\?ticket=/, (socket) => {
    socket.connectToServer()
    toPage = (frame) => socket.send(JSON.stringify({ type: 'presence', channel: 'lobby', ...frame }))
  })
  await page.goto(server.origin)
  await enter(page, 'alice')
  await connected(page)
  await page.locator('#online').getByText('alice (you)').waitFor()
  toPage({ count: 900, joined: users('bob', 'carol'), left: [] })
  await page.locator('#online').getByText('897 more').waitFor()
  await page.getByRole('combobox').selectOption('vi')
  await page.locator('#online').getByText('897 người khác').waitFor()
})
