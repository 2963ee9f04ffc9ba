// examples/react-chat, built and used by people.

import assert from 'node:assert/strict'
import { readdir, readFile, rm, mkdtemp } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'

import { launch, openTab, openWindow, skip } from './browser.js'
import { startServer } from './server.js'

const FOLDER = fileURLToPath(new URL('../../examples/react-chat/', import.meta.url))

/** Builds the example and serves it, with the API on the same origin. Answers its address. */
async function serveExample(t, server, mode) {
  const { build, preview } = await import(pathToFileURL(createRequire(join(FOLDER, 'package.json')).resolve('vite')).href)
  const outDir = await mkdtemp(join(tmpdir(), 'react-chat-'))
  t.after(() => rm(outDir, { recursive: true }))
  Object.assign(process.env, { GATECAST: server.origin, NODE_ENV: mode }) // its configuration reads them
  const config = { root: FOLDER, mode, logLevel: 'silent', build: { outDir, emptyOutDir: true }, preview: { port: 0, host: 'localhost' } }
  await build(config)
  const pages = await preview(config)
  t.after(() => pages.close())
  return pages.resolvedUrls.local[0]
}

async function comeIn(page, username) {
  await page.getByLabel('Username').fill(username)
  await page.getByLabel('Password').fill('correct horse battery')
  await page.getByLabel('I am new here').check()
  await page.getByRole('button', { name: 'Come in' }).click()
  await connected(page)
}

const connected = (page) => page.getByText('Connection: connected').waitFor()
const texts = (page) => page.locator('[role=log] li span').allTextContents()
const shows = (page, text) => page.locator('[role=log] li.sent', { hasText: text }).waitFor()

async function say(page, text) {
  await page.getByLabel('Message').fill(text)
  await page.keyboard.press('Enter')
}

/** Counts the sockets of a page, and the frames that it sends, by type. */
function watchSockets(page) {
  const counts = { sockets: 0 }
  page.on('websocket', (socket) => {
    counts.sockets++
    socket.on('framesent', ({ payload }) => {
      const { type } = JSON.parse(payload)
      counts[type] = (counts[type] ?? 0) + 1
    })
  })
  return counts
}

test('the example has less than 120 lines', async () => {
  const files = (await readdir(join(FOLDER, 'src'))).filter((name) => !name.endsWith('.css'))
  const sources = await Promise.all(files.map((name) => readFile(join(FOLDER, 'src', name), 'utf8')))
  const lines = sources.join('').split('\n').length - 1
  assert.ok(lines > 50 && lines < 120, `${lines} lines`)
})

test('two people talk', { skip }, async (t) => {
  const server = await startServer(t)
  const url = await serveExample(t, server, 'production')
  const browser = await launch(t)
  const [alice, bob] = await Promise.all([openWindow(browser, url), openWindow(browser, url)])
  await comeIn(alice, 'alice')
  await comeIn(bob, 'bob')
  for (const page of [alice, bob]) await page.getByText('Online: alice, bob.').waitFor()

  await bob.getByLabel('Message').pressSequentially('Xin ch')
  await alice.getByText('bob typing…').waitFor()
  await say(bob, 'Xin chào <b>Alice</b>')
  await shows(alice, 'bob Xin chào <b>Alice</b>')
  await alice.getByText('bob typing…').waitFor({ state: 'detached' })
  await say(alice, 'Hello, Bob')
  for (const page of [alice, bob]) await shows(page, 'alice Hello, Bob')

  // Another program's message is not theirs to show.
  await fetch(`${server.origin}/channels/lobby/messages`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${await server.token('program')}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ event: 'chat', data: { text: 'Hello' } }),
  })
  await say(bob, 'Still here')
  for (const page of [alice, bob]) await shows(page, 'bob Still here')

  // The session outlives the page, and another tab has it too.
  await alice.reload()
  await connected(alice)
  await shows(alice, 'Hello, Bob')
  const tab = await openTab(alice.context(), url)
  await shows(tab, 'Hello, Bob')
  await say(tab, 'from another tab')
  for (const page of [alice, bob, tab]) await shows(page, 'from another tab')
  await tab.close()
  assert.deepEqual([...alice.troubles, ...bob.troubles, ...tab.troubles], [])

  // The server goes away and comes back: what is said meanwhile waits.
  await server.stop()
  for (const page of [alice, bob]) await page.getByText('Connection: reconnecting').waitFor()
  await say(alice, 'said while away 1')
  await say(alice, 'said while away 2')
  await say(bob, 'said by Bob')
  assert.deepEqual((await texts(alice)).slice(-2), ['said while away 1', 'said while away 2'])
  await alice.locator('li.pending', { hasText: 'away 2' }).waitFor()
  await server.start()
  for (const page of [alice, bob]) {
    for (const text of ['said while away 1', 'said while away 2', 'said by Bob']) await shows(page, text)
  }
  assert.deepEqual(await texts(alice), await texts(bob))
  assert.equal((await texts(alice)).length, 7)
  const isOfNetwork = (trouble) => /Failed to load resource|WebSocket connection/.test(trouble)
  assert.deepEqual([...alice.troubles, ...bob.troubles].filter((trouble) => !isOfNetwork(trouble)), [])

  await bob.getByRole('button', { name: 'Log out' }).click()
  await bob.getByRole('button', { name: 'Come in' }).waitFor()
  await alice.getByText('Online: alice.').waitFor()
})

test('with the checks of StrictMode there is one socket', { skip }, async (t) => {
  const server = await startServer(t)
  const url = await serveExample(t, server, 'development') // only there it does everything twice
  const page = await openWindow(await launch(t), url)
  const counts = watchSockets(page)
  await comeIn(page, 'alice')
  await say(page, 'one')
  await shows(page, 'one')
  assert.deepEqual({ sockets: counts.sockets, subscribe: counts.subscribe, history: counts.history, publish: counts.publish }, { sockets: 1, subscribe: 1, history: 1, publish: 1 })
  await page.getByRole('button', { name: 'Log out' }).click()
  await page.getByRole('button', { name: 'Come in' }).waitFor()
  assert.deepEqual(page.troubles, [])
})
