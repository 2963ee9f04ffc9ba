// The pages in a real browser.

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { connected, enter, launch, openWindow, said, sayOn, skip } from './browser.js'
import { startServer } from './server.js'
import { chatPage, missing } from './tutorials.js'

const DOCS = fileURLToPath(new URL('../../docs/', import.meta.url))

const keep = (page, name) => (process.env.UPDATE_SCREENSHOTS ? page.screenshot({ path: `${DOCS}${name}.png` }) : undefined)

test('two windows sign up, talk, see typing and each other leave', { skip }, async (t) => {
  const server = await startServer(t)
  const browser = await launch(t)
  const alice = await openWindow(browser, server.origin, { viewport: { width: 1000, height: 640 } })
  const bob = await openWindow(browser, server.origin, { viewport: { width: 390, height: 760 }, colorScheme: 'dark', locale: 'vi-VN' })

  await enter(alice, 'alice')
  await alice.getByText('Connected', { exact: true }).waitFor()
  assert.equal(await alice.locator('#status').getAttribute('data-status'), 'connected')
  await alice.locator('#online li', { hasText: 'alice (you)' }).waitFor()

  // The other one comes in Vietnamese, on a phone, by keyboard alone.
  assert.equal(await bob.locator('html').getAttribute('lang'), 'vi')
  await bob.keyboard.type('bob') // the name has the focus
  await bob.keyboard.press('Tab')
  await bob.keyboard.type('correct horse battery')
  await bob.keyboard.press('Tab')
  await bob.keyboard.press('Tab')
  assert.equal(await bob.evaluate(() => document.activeElement.textContent), 'Đăng ký')
  await bob.keyboard.press('Enter')
  await bob.getByText('Đã kết nối', { exact: true }).waitFor()
  await alice.getByText('bob joined').waitFor()
  await alice.locator('#online li', { hasText: 'bob' }).waitFor()

  await bob.keyboard.type('Xin chào <b>Alice</b>') // the message has the focus
  await alice.getByText('bob is typing…').waitFor()
  await bob.keyboard.press('Enter')
  await alice.locator('#messages .theirs', { hasText: 'Xin chào <b>Alice</b>' }).waitFor()
  assert.equal(await alice.locator('#messages .theirs b').textContent(), 'bob')
  assert.equal(await alice.locator('#typing').textContent(), '')
  await bob.locator('#messages .mine', { hasText: 'Xin chào' }).waitFor()

  await alice.getByLabel('Message', { exact: true }).fill('Hello, Bob. The gate is open.')
  await bob.getByText('alice đang gõ…').waitFor()
  await alice.getByRole('button', { name: 'Send' }).click()
  await bob.locator('#messages .theirs', { hasText: 'The gate is open.' }).waitFor()
  await alice.locator('#messages .mine .state', { hasText: /\d/ }).waitFor() // acked: it has a time
  await bob.getByRole('textbox').fill('…')
  await alice.getByText('bob is typing…').waitFor()
  await keep(alice, 'page-desktop-light')
  await keep(bob, 'page-phone-dark')

  // Nothing is wider than the phone.
  assert.ok(await bob.evaluate(() => document.documentElement.scrollWidth <= innerWidth))

  await bob.getByRole('combobox').selectOption('en')
  await bob.getByRole('button', { name: 'Log out' }).click()
  await alice.getByText('bob left').waitFor()
  assert.equal(await alice.locator('#online li').count(), 1)
  await bob.getByRole('heading', { name: 'Come in' }).waitFor()

  assert.deepEqual([...alice.troubles, ...bob.troubles], [])
})

test('H4: code that gets into the page does not run', { skip }, async (t) => {
  const server = await startServer(t)
  const page = await openWindow(await launch(t), server.origin)
  await enter(page, 'alice')
  await connected(page)
  assert.deepEqual(page.troubles, [])
  const directives = ['script-src-elem', 'script-src-attr', 'style-src-attr', 'connect-src']
  const told = Promise.all(directives.map((name) => page.waitForEvent('console', (message) => message.text().startsWith(`CSP ${name}`))))
  await page.evaluate(() => {
    const script = document.createElement('script')
    script.textContent = 'window.hacked = 1'
    document.body.append(script)
    document.body.insertAdjacentHTML('beforeend', '<img src="/nothing" onerror="window.hacked = 2"><p style="color: red"></p>')
    return fetch('https://evil.example/').catch(() => {})
  })
  await told
  assert.equal(await page.evaluate(() => window.hacked), undefined)
})

test('errors and limits are told in words, and nothing typed is lost', { skip }, async (t) => {
  const server = await startServer(t, '--limits.messages.rate=0.2', '--limits.messages.burst=3')
  const browser = await launch(t)
  const page = await openWindow(browser, server.origin)
  await server.token('alice')

  await enter(page, 'alice')
  await page.getByText('This username is taken.').waitFor()
  await page.getByLabel('Username').fill('two words')
  await page.getByRole('button', { name: 'Sign up' }).click()
  await page.getByText('This username cannot be used').waitFor()
  await page.getByLabel('Username').fill('alice')
  await page.getByLabel('Password').fill('wrong password')
  await page.getByRole('button', { name: 'Log in' }).click()
  await page.getByText('Wrong username or password.').waitFor()
  await enter(page, 'ALICE', 'Log in')
  await page.getByText('Connected', { exact: true }).waitFor()

  for (const n of [1, 2, 3, 4]) await sayOn(page, `message ${n}`)
  await page.getByText(/Too fast\. Try again in \d s\./).waitFor()
  await page.locator('#messages .failed', { hasText: 'message 4' }).getByText('not sent').waitFor()
  assert.match(await page.getByLabel('Message', { exact: true }).inputValue(), /message/)

  // The server goes away and comes back. What is typed meanwhile stays.
  await server.stop()
  await page.getByText('Connection lost, trying again…').waitFor()
  await page.getByLabel('Message', { exact: true }).fill('typed while away')
  const lines = await page.locator('#messages .mine').count()
  await page.keyboard.press('Enter')
  await page.getByText('The message was not sent').waitFor()
  assert.equal(await page.locator('#messages .mine').count(), lines)
  assert.equal(await page.getByLabel('Message', { exact: true }).inputValue(), 'typed while away')
  await server.start()
  await connected(page)
  await page.keyboard.press('Enter')
  await page.locator('#messages .mine', { hasText: 'typed while away' }).locator('.state', { hasText: /\d/ }).waitFor()
  assert.equal((await said(page)).filter((text) => text === 'message 1').length, 1)

  // Nothing of it is there for whoever comes next.
  await page.getByRole('button', { name: 'Log out' }).click()
  await enter(page, 'bob')
  await page.locator('#online li', { hasText: 'bob (you)' }).waitFor()
  assert.equal(await page.getByLabel('Message', { exact: true }).inputValue(), '')
  assert.equal(await page.locator('#messages .mine').count(), 0)

  // A token that the server no longer takes is replaced: the session goes on.
  await server.stop()
  await page.getByText('Connection lost, trying again…').waitFor()
  await rm(join(server.dir, 'keys'), { recursive: true })
  await server.start()
  await connected(page)
})

test("the first tutorial's chat page", { skip: skip || missing }, async (t) => {
  const pages = createServer((request, response) => {
    response.setHeader('Content-Type', 'text/html; charset=utf-8')
    response.end(chatPage(`ws://localhost:${server.port}/ws${new URL(request.url, 'http://x').search}`))
  }).listen(0, 'localhost')
  await once(pages, 'listening')
  t.after(() => pages.close())
  const origin = `http://localhost:${pages.address().port}`
  const server = await startServer(t, '--auth.allow-query-token', `--http.origins=${origin}`)
  const browser = await launch(t)
  const [alice, bob] = await Promise.all(
    ['alice', 'bob'].map(async (name) => openWindow(browser, `${origin}/?access_token=${await server.token(name)}`)),
  )
  await Promise.all([alice, bob].map((page) => page.getByText('✅ Đã kết nối').waitFor()))
  await bob.locator('#messageInput').fill('Xin chào')
  await bob.getByRole('button', { name: 'Gửi' }).click()
  await alice.getByText('bob: Xin chào').waitFor()
  await bob.close()
  await alice.getByText('bob left lobby').waitFor()
  pages.closeAllConnections()
})
