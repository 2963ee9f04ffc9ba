// The page's live tab in a real browser, beside the backend that --demo starts.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { enter, launch, openWindow, skip, usher } from './browser.js'
import { startServer } from './server.js'

const DOCS = fileURLToPath(new URL('../../docs/', import.meta.url))

/** Pictures for the docs, when there is something to see. */
async function keep(alice, bob) {
  if (!process.env.UPDATE_SCREENSHOTS) return
  await Promise.all([alice, bob].map((page) => page.waitForFunction(() => document.querySelector('.panel polyline').points.length > 20)))
  await bob.screenshot({ path: `${DOCS}live-phone-dark.png` })
  await board(bob).scrollIntoViewIfNeeded()
  await point(bob, 0.4, 0.3)
  await cursor(alice, 'bob').waitFor()
  await point(alice, 0.6, 0.5)
  await alice.screenshot({ path: `${DOCS}live-desktop-light.png` })
}

/** A window in which someone signs up and turns to the tab. */
async function watch(browser, server, username, options) {
  const page = await openWindow(browser, server.origin, options)
  await enter(page, username)
  await turnTo(page, 'Live')
  return page
}

const turnTo = (page, tab) => page.getByRole('tab', { name: tab }).click()
const panel = (page, name) => page.getByRole('region', { name })
const board = (page) => page.getByRole('application')
const cursor = (page, name) => page.locator('.cursor .name', { hasText: name })

/** Waits until the panels above the board have said that nothing comes. From then on the board stays where it is. */
async function settled(page) {
  await Promise.all(['Prices', 'Sensors'].map((name) => panel(page, name).locator('.silent').waitFor()))
}

/** Moves the mouse to a place on the board. */
async function point(page, x, y) {
  const box = await board(page).boundingBox()
  await page.mouse.move(box.x + box.width * x, box.y + box.height * y)
}

/** Waits until an element says something else. */
async function changes(locator) {
  const before = await locator.textContent()
  await locator.page().waitForFunction(([element, text]) => element.textContent !== text, [await locator.elementHandle(), before])
}

test('prices, sensors and one’s own notifications come in', { skip }, async (t) => {
  const server = await startServer(t, '--demo')
  const browser = await launch(t)
  const alice = await watch(browser, server, 'alice', { viewport: { width: 1100, height: 760 } })
  const bob = await watch(browser, server, 'bob', { viewport: { width: 360, height: 740 }, colorScheme: 'dark', reducedMotion: 'reduce' })
  await bob.locator('#language').selectOption('vi')

  const gate = panel(alice, 'Prices').getByRole('row', { name: 'GATE' })
  await changes(gate.locator('.number').first())
  assert.match(await gate.locator('.number').last().textContent(), /^(▲ \+\d+\.\d\d% up|▼ -\d+\.\d\d% down|0\.00% unchanged)$/)
  assert.equal(await panel(alice, 'Prices').locator('tbody tr').count(), 5)

  const meter = panel(alice, 'Sensors').getByRole('meter', { name: 'Temperature' })
  assert.equal(await meter.getAttribute('aria-valuemax'), '40')
  await panel(alice, 'Sensors').getByText(/^\d\d\.\d °C$/).waitFor()

  await panel(alice, 'Notifications').getByText('Welcome!').waitFor()
  await panel(bob, 'Thông báo').getByText('Chào mừng bạn!').waitFor()
  assert.equal(await panel(bob, 'Thông báo').getByRole('listitem').filter({ hasText: 'Chào mừng' }).count(), 1) // others may have come since
  assert.match(await panel(bob, 'Bảng giá').getByRole('row', { name: 'GATE' }).textContent(), /\d,\d\d/) // as Vietnamese writes numbers
  assert.ok(await bob.evaluate(() => document.documentElement.scrollWidth <= innerWidth))

  await keep(alice, bob)

  // What was told is kept, and said in the language that is spoken.
  await alice.reload()
  await turnTo(alice, 'Live')
  await panel(alice, 'Notifications').getByText('Welcome!').first().waitFor()
  await alice.locator('#language').selectOption('vi')
  await panel(alice, 'Thông báo').getByText('Chào mừng bạn!').first().waitFor()
  await panel(alice, 'Cảm biến').getByRole('meter', { name: 'Nhiệt độ' }).waitFor()

  // Nothing there is said aloud but what is for this user.
  assert.deepEqual(await alice.locator('#live [aria-live]').evaluateAll((all) => all.map((one) => one.className)), ['notes'])
  assert.deepEqual([...alice.troubles, ...bob.troubles], [])
})

test('cursors are shared, by mouse, finger and keyboard, and go', { skip }, async (t) => {
  const server = await startServer(t)
  const browser = await launch(t)
  const { joined } = await usher(t, server, 'live:cursors')
  const alice = await watch(browser, server, 'alice')
  const bob = await watch(browser, server, 'bob', { viewport: { width: 390, height: 760 }, hasTouch: true })
  await joined('alice')
  await joined('bob')
  await panel(alice, 'Shared board').getByText('Nobody else').waitFor()
  await Promise.all([alice, bob].map(settled))
  await Promise.all([alice, bob].map((page) => board(page).scrollIntoViewIfNeeded()))

  await point(alice, 0.25, 0.5)
  await cursor(bob, 'alice').waitFor()
  assert.deepEqual(await cursor(bob, 'alice').evaluate(({ parentElement: { style } }) => [style.left, style.top].map((text) => Math.round(parseFloat(text)))), [25, 50])
  await panel(bob, 'Shared board').getByText('On the board: alice.').waitFor()

  await board(bob).focus()
  for (const key of ['ArrowRight', 'Shift+ArrowUp']) await bob.keyboard.press(key)
  await cursor(bob, 'you').waitFor()
  await cursor(alice, 'bob').waitFor()
  await alice.waitForFunction(() => [...document.querySelectorAll('.cursor')].some(({ style }) => style.left === '53%' && style.top === '38%'))

  // Who leaves the board, or the tab, is gone at once.
  await alice.mouse.move(0, 0)
  await cursor(bob, 'alice').waitFor({ state: 'detached' })
  await turnTo(bob, 'Chat')
  await cursor(alice, 'bob').waitFor({ state: 'detached' })
  assert.equal(await bob.locator('#live > *').count(), 0)

  // A finger moves the cursor and not the page. Who is silent goes after a while.
  await turnTo(bob, 'Live')
  await settled(bob)
  await board(bob).scrollIntoViewIfNeeded()
  const box = await board(bob).boundingBox()
  const touch = await bob.context().newCDPSession(bob)
  const finger = (type, ...points) => touch.send('Input.dispatchTouchEvent', { type, touchPoints: points.map(([x, y]) => ({ x: box.x + box.width * x, y: box.y + box.height * y })) })
  await finger('touchStart', [0.5, 0.2])
  await finger('touchMove', [0.5, 0.8])
  await cursor(bob, 'you').waitFor()
  await cursor(alice, 'bob').waitFor()
  assert.equal((await board(bob).boundingBox()).y, box.y)
  await cursor(alice, 'bob').waitFor({ state: 'detached', timeout: 10_000 })
  await finger('touchEnd')
  assert.deepEqual([...alice.troubles, ...bob.troubles], [])
})

test('a cursor that moves all the time leaves room for the rest of the page', { skip }, async (t) => {
  const server = await startServer(t)
  const page = await openWindow(await launch(t), 'about:blank')
  await page.addInitScript(() => {
    window.sent = [] // when, by the page's own clock
    const { send } = WebSocket.prototype
    WebSocket.prototype.send = function (frame) {
      if (String(frame).includes('"cursor"')) window.sent.push(performance.now())
      return send.call(this, frame)
    }
  })
  await page.goto(server.origin)
  await enter(page, 'alice')
  await turnTo(page, 'Live')
  await board(page).scrollIntoViewIfNeeded()
  let sent = []
  while (sent.length < 20) {
    await point(page, Math.random(), Math.random())
    sent = await page.evaluate('sent')
  }
  const perSecond = (1000 * (sent.length - 1)) / (sent.at(-1) - sent[0])
  assert.ok(perSecond < 8.5, `${sent.map(Math.round)}`)
  assert.deepEqual(page.troubles, [])
})

test('where nothing comes, or nobody may look, the tab says why', { skip }, async (t) => {
  const server = await startServer(t, '--namespaces={"live:sensors": {}}')
  const page = await watch(await launch(t), server, 'alice')
  await panel(page, 'Prices').getByText('start the server with --demo').waitFor()
  await panel(page, 'Notifications').getByText('start the server with --demo').waitFor()
  await panel(page, 'Sensors').getByText('You may not do this here.').waitFor()
  assert.equal(await panel(page, 'Sensors').getByText('--demo').isVisible(), false)
  assert.deepEqual(page.troubles, [])
})

test('what others send is never more than text, and only a backend sets prices', { skip }, async (t) => {
  const server = await startServer(t)
  const { client, joined } = await usher(t, server, 'live:cursors')
  const page = await watch(await launch(t), server, 'alice')
  await joined('alice')
  const publish = (channel, event, data) => client.request('publish', { channel, event, data })
  await publish('live:prices', 'prices', [{ symbol: 'FREE', price: 0, change: -100 }])
  await publish('live:sensors', 'readings', [{ sensor: 'x', value: 1, unit: '', min: 0, max: 2 }])
  for (const data of [7, 'x', [], {}, { x: 2, y: 0 }, { x: '0', y: '0' }, { x: 0.5 }]) await publish('live:cursors', 'cursor', data)
  assert.equal(await page.locator('.cursor .name:visible').count(), 0)
  await publish('live:cursors', 'cursor', { x: 0.1, y: 0.1 })
  await cursor(page, 'usher').waitFor() // by now it has heard all before
  assert.equal(await panel(page, 'Prices').getByText('FREE').count(), 0)
  assert.equal(await panel(page, 'Sensors').getByRole('meter').count(), 0)
  assert.deepEqual(page.troubles, [])
})
