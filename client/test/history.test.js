// What the page shows of what was said before, and of what was missed.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { connected, enter, launch, logOut, lost, numbered, openWindow, said, sayOn, skip, speaker, stored } from './browser.js'
import { first, startServer } from './server.js'

const NO_LIMITS = ['--limits.messages.rate=0', '--limits.bytes.rate=0']

test('whoever comes sees what was said, and older messages at the top', { skip }, async (t) => {
  const server = await startServer(t, ...NO_LIMITS)
  const bob = await speaker(t, server, 'bob')
  await bob.say(...numbered('older', 1, 130))
  const page = await openWindow(await launch(t), server.origin)
  await enter(page, 'alice')
  await page.getByText('older 130', { exact: true }).waitFor()
  assert.deepEqual(await said(page), numbered('older', 81, 130))
  const list = page.locator('#messages')
  assert.ok(await list.evaluate((list) => list.scrollHeight - list.scrollTop - list.clientHeight < 2), 'the end is shown')

  for (const first of [31, 1]) {
    const before = await page.locator('#messages .line').first().elementHandle()
    await list.evaluate((list) => (list.scrollTop = 0))
    const top = (await before.boundingBox()).y
    await page.getByText(`older ${first}`, { exact: true }).waitFor()
    assert.deepEqual(await said(page), numbered('older', first, 130))
    assert.ok(Math.abs((await before.boundingBox()).y - top) < 45, 'the reader goes on seeing the same')
  }
  // Nothing is older; what comes does not take the reader away.
  await list.evaluate((list) => (list.scrollTop = 0))
  await bob.say('newest')
  await page.getByText('newest', { exact: true }).waitFor({ state: 'attached' })
  assert.deepEqual(await said(page), [...numbered('older', 1, 130), 'newest'])
  assert.equal(await list.evaluate((list) => list.scrollTop), 0)
  assert.deepEqual(page.troubles, [])
})

for (const [what, words] of [['anonymise', /^Deleted accountI was here/], ['remove', /^This message was removed/]]) {
  test(`messages of a deleted account: ${what}`, { skip }, async (t) => {
    const server = await startServer(t, `--auth.deleted-messages=${what}`)
    const carol = await speaker(t, server, 'carol')
    await carol.say('I was here')
    const response = await fetch(`${server.origin}/me`, { method: 'DELETE', headers: { Authorization: `Bearer ${carol.token}` } })
    assert.equal(response.status, 204)
    const page = await openWindow(await launch(t), server.origin)
    await enter(page, 'alice')
    await page.locator('#messages .theirs').waitFor()
    for (let i = 0; i < 20 && !words.test(await page.locator('#messages .theirs .bubble').textContent()); i++) { // they are gone through within a second or two
      await logOut(page)
      await enter(page, 'alice', 'Log in')
      await page.locator('#messages .theirs').waitFor()
    }
    assert.match(await page.locator('#messages .theirs .bubble').textContent(), words)
    await page.getByRole('combobox').selectOption('vi')
    assert.match(await page.locator('#messages .theirs .bubble').textContent(), /^(Tài khoản đã xóaI was here|Tin nhắn này đã bị xóa)/)
  })
}

test('what was missed is shown once and in order, after a restart and after being offline', { skip }, async (t) => {
  const server = await startServer(t, ...NO_LIMITS)
  const page = await openWindow(await launch(t), 'about:blank')
  await page.clock.install()
  await page.goto(server.origin)
  await enter(page, 'alice')
  await connected(page)
  const bob = await speaker(t, server, 'bob')
  await bob.say('before')
  await sayOn(page, 'mine')
  await stored(page, 'mine')

  // More is missed than one page of the server's holds.
  await server.stop()
  await lost(page)
  await page.context().setOffline(true)
  await server.start()
  await bob.client.connect()
  await bob.say(...numbered('restart', 1, 120))
  await page.context().setOffline(false)
  await page.getByText('restart 120', { exact: true }).waitFor()
  await bob.say('live')
  await page.getByText('live', { exact: true }).waitFor()
  const sofar = ['before', 'mine', ...numbered('restart', 1, 120), 'live']
  assert.deepEqual(await said(page), sofar)

  // A line that died without a word: the page finds out by the silence.
  await page.context().setOffline(true)
  await bob.say(...numbered('offline', 1, 3))
  await page.clock.fastForward(11_000) // it has asked for a sign of life by then, and had none
  await lost(page)
  await page.context().setOffline(false)
  await page.getByText('offline 3', { exact: true }).waitFor()
  assert.deepEqual(await said(page), [...sofar, ...numbered('offline', 1, 3)])
  assert.equal(await page.getByText('may be missing').count(), 0)
})

/**
 * Puts itself on the line between a page and the server. Each frame goes on where
 * `pass` says so; cut() breaks the line, and a new one waits for `open`.
 */
async function tap(page, pass) {
  const tapped = { open: Promise.resolve(), cut() {}, toPage() {} }
  await page.routeWebSocket(/\/ws\?ticket=/, async (socket) => {
    await tapped.open
    const line = socket.connectToServer()
    tapped.cut = () => {
      socket.close({ code: 3000 })
      line.close()
    }
    tapped.toPage = (frame) => socket.send(JSON.stringify(frame))
    socket.onMessage((text) => pass(JSON.parse(text)) && line.send(text))
    line.onMessage((text) => pass(JSON.parse(text)) && socket.send(text))
  })
  return tapped
}

test('an own message whose frame or ack was lost is there once', { skip }, async (t) => {
  const server = await startServer(t)
  const bob = await speaker(t, server, 'bob')
  const page = await openWindow(await launch(t), 'about:blank')
  let lose = '' // the type of a frame with which the line breaks
  let twice = false // an own message comes before its ack
  let asked, me, sent
  const line = await tap(page, (frame) => {
    if (frame.type === 'subscribe') asked = frame.since?.seq
    if (frame.type === 'welcome') me = frame
    if (frame.type === 'publish') sent = frame
    if (frame.type === 'ack' && twice) line.toPage({ ...me, ...sent, seq: frame.seq, timestamp: frame.timestamp, id: undefined })
    if (frame.type !== lose) return true
    lose = ''
    line.cut()
  })
  await page.goto(server.origin)
  await enter(page, 'alice')
  await connected(page)
  await bob.say('from bob')
  await page.getByText('from bob', { exact: true }).waitFor()
  // It goes on from every frame and every ack that it has.
  for (const [n, type] of ['publish', 'ack', 'publish'].entries()) {
    lose = type
    await sayOn(page, `${n} without ${type}`)
    await stored(page, `${n} without ${type}`)
    assert.equal(asked, n + 1)
  }
  twice = true // as where the server fills a gap
  await sayOn(page, 'with both')
  await stored(page, 'with both')
  await bob.say('the end')
  await page.getByText('the end', { exact: true }).waitFor()
  const all = ['from bob', '0 without publish', '1 without ack', '2 without publish', 'with both', 'the end']
  assert.deepEqual(await said(page), all)
  const other = await openWindow(page.context().browser(), server.origin)
  await enter(other, 'carol')
  await other.getByText('the end', { exact: true }).waitFor()
  assert.deepEqual(await said(other), all)
})

test('what comes before the server has answered where it goes on from is shown once and in order', { skip }, async (t) => {
  const server = await startServer(t)
  const bob = await speaker(t, server, 'bob')
  const page = await openWindow(await launch(t), 'about:blank')
  let deaf = false // no subscribe reaches the server
  let told, joined
  const asked = []
  const line = await tap(page, (frame) => {
    if (frame.message === 'three') told?.()
    if (frame.type === 'subscribed') joined?.()
    if (frame.type !== 'subscribe') return true
    asked.push(frame.since?.seq)
    return !deaf
  })
  await page.goto(server.origin)
  await enter(page, 'alice')
  await connected(page)
  await bob.say('one')
  await page.getByText('one', { exact: true }).waitFor()

  deaf = true
  let open
  line.open = new Promise((resolve) => (open = resolve))
  line.cut()
  await bob.say('two')
  const isIn = first((fn) => (joined = fn)) // the server has joined the lobby for it
  open()
  await isIn
  await connected(page)
  const toldThree = first((fn) => (told = fn))
  await bob.say('three')
  await toldThree
  assert.deepEqual(await said(page), ['one'])
  deaf = false
  line.cut()
  await page.getByText('three', { exact: true }).waitFor()
  assert.deepEqual(await said(page), ['one', 'two', 'three'])
  assert.deepEqual(asked, [undefined, 1, 1])
})

test('messages that are lost for good are told', { skip }, async (t) => {
  const everyone = '[user, service, admin]'
  const lobby = `{subscribe: ${everyone}, publish: ${everyone}, presence: ${everyone}, read: ${everyone}, history: {count: 10}}`
  const server = await startServer(t, ...NO_LIMITS, `--namespaces={lobby: ${lobby}}`, '--log.dedupe-window=1ms')
  const page = await openWindow(await launch(t), server.origin)
  await enter(page, 'alice')
  await connected(page)
  const bob = await speaker(t, server, 'bob')
  await bob.say('before')
  await page.getByText('before', { exact: true }).waitFor()
  await server.stop()
  await lost(page)
  await page.context().setOffline(true)
  await server.start()
  await bob.client.connect()
  await bob.say(...numbered('lost', 1, 150))
  for (let more = true; more; ) more = (await bob.client.request('history', { channel: 'lobby', after: 0, limit: 1 })).messages[0].message === 'before'
  await page.context().setOffline(false)
  await page.getByText('lost 150', { exact: true }).waitFor()
  const lines = await page.locator('#messages :is(.text, .line > .note)').allTextContents()
  const gap = lines.indexOf('Some messages may be missing here: they are no longer kept.')
  assert.equal(lines[gap - 1], 'before')
  assert.deepEqual(lines.slice(gap + 1), numbered('lost', 151 - (lines.length - gap - 1), 150))
})
