// The pages in a real browser.

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

import { channel, connected, enter, launch, logOut, lost, online, openRoom, openTab, openWindow, said, sayOn, skip, speaker, stored, usher } from './browser.js'
import { startServer } from './server.js'
import { chatPage, missing } from './tutorials.js'

/** ms after which the page takes a line for dead that says nothing to a ping. */
const SILENCE = 11_000

test('two people sign up, talk in the lobby and in a room, and see what they have not read', { skip }, async (t) => {
  const server = await startServer(t)
  const browser = await launch(t)
  const alice = await openWindow(browser, server.origin)
  const bob = await openWindow(browser, server.origin, { viewport: { width: 360, height: 640 }, locale: 'vi-VN' })

  await enter(alice, 'alice')
  await connected(alice)
  assert.equal(await alice.locator('#status').getAttribute('data-status'), 'connected')
  await online(alice, 'alice (you)').waitFor()

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
  await online(alice, 'bob').waitFor()

  await bob.keyboard.type('Xin chào <b>Alice</b>') // the message has the focus
  await alice.getByText('bob is typing…').waitFor()
  await bob.keyboard.press('Enter')
  await alice.locator('#messages .theirs', { hasText: 'Xin chào <b>Alice</b>' }).waitFor()
  assert.equal(await alice.locator('#messages .theirs b').textContent(), 'bob')
  assert.equal(await alice.locator('#typing').textContent(), '')
  await alice.getByLabel('Message', { exact: true }).fill('Hello, Bob. The gate is open.')
  await bob.getByText('alice đang gõ…').waitFor()
  await alice.getByRole('button', { name: 'Send', exact: true }).click()
  await bob.locator('#messages .theirs', { hasText: 'The gate is open.' }).waitFor()
  await stored(alice, 'The gate is open.')

  // A room of their own. What is typed in one channel is not taken into another.
  await alice.getByLabel('Message', { exact: true }).fill('half a thou')
  await openRoom(alice, 'Trà đá')
  await alice.getByRole('heading', { name: 'tra-da' }).waitFor()
  assert.equal(new URL(alice.url()).hash, '#room:tra-da')
  assert.equal(await alice.getByLabel('Message', { exact: true }).inputValue(), '')
  await sayOn(alice, 'First here')
  await stored(alice, 'First here')
  await bob.getByRole('button', { name: 'Kênh' }).click() // which looks for new rooms
  await bob.getByRole('navigation').getByRole('button', { name: 'tra-da' }).click()
  await bob.getByText('First here', { exact: true }).waitFor()

  // What comes where one is not is counted until one looks.
  await channel(alice, 'lobby').click()
  assert.equal(await alice.getByLabel('Message', { exact: true }).inputValue(), 'half a thou')
  for (const text of ['one', 'two']) await bob.getByLabel('Tin nhắn', { exact: true }).fill(text).then(() => bob.keyboard.press('Enter'))
  await alice.getByRole('button', { name: /^tra-da ?, 2 unread$/ }).waitFor()
  assert.equal(await alice.title(), '(2) #lobby · Gatecast')
  await alice.reload()
  await alice.getByRole('button', { name: /^tra-da ?, 2 unread$/ }).waitFor()
  await channel(alice, 'tra-da').click()
  await alice.getByText('two', { exact: true }).waitFor()
  assert.deepEqual(await said(alice), ['First here', 'one', 'two'])
  assert.deepEqual(await alice.locator('#messages .line', { has: alice.getByText('New', { exact: true }) }).locator('.text').allTextContents(), ['one'])
  await channel(alice, 'lobby').click()
  assert.equal(await channel(alice, 'tra-da').textContent(), '#tra-da')
  await alice.goBack()
  await alice.getByRole('heading', { name: 'tra-da' }).waitFor()

  await bob.getByRole('combobox').selectOption('en')
  await logOut(bob)
  await alice.locator('#away li', { hasText: 'bob' }).getByText('last seen just now').waitFor()
  assert.equal(await alice.locator('#online li').count(), 1)
  await bob.getByRole('heading', { name: 'Come in' }).waitFor()
  assert.deepEqual([...alice.troubles, ...bob.troubles], [])
})

test('rooms: names that can be used, a link that leads into one, and out again', { skip }, async (t) => {
  const server = await startServer(t)
  const page = await openWindow(await launch(t), `${server.origin}/#room:tea`)
  await enter(page, 'alice')
  await page.getByRole('heading', { name: 'tea' }).waitFor()
  await openRoom(page, ' 日本 !')
  await page.getByText('This name cannot be used: it needs letters from A to Z or digits.').waitFor()
  await page.getByLabel('New room').fill('#Đêm Hà Nội 36')
  await page.getByText('It will be #dem-ha-noi-36.').waitFor()
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'dem-ha-noi-36' }).waitFor()
  await page.getByRole('button', { name: 'Leave room' }).click()
  await page.getByRole('heading', { name: 'lobby' }).waitFor()
  assert.deepEqual(await page.locator('#joined .channel-name').allTextContents(), ['lobby', 'tea'])
  assert.deepEqual(await page.locator('#others .channel-name').allTextContents(), ['dem-ha-noi-36'])

  // Arrows go from tab to tab.
  await page.getByRole('tab', { name: 'Chat' }).focus()
  await page.keyboard.press('ArrowRight')
  assert.equal(await page.evaluate(() => document.activeElement.id), 'tab-live')
  assert.equal(await page.locator('#chat').isHidden(), true)
  await page.keyboard.press('Home')
  await page.locator('#chat').waitFor()
  assert.deepEqual(page.troubles, [])
})

test('what others wrote where the page remembers things keeps nobody out', { skip }, async (t) => {
  const server = await startServer(t)
  const alice = await openWindow(await launch(t), server.origin)
  await enter(alice, 'alice')
  await openRoom(alice, 'first')
  await sayOn(alice, 'here')
  await stored(alice, 'here')
  for (const [language, joined, read] of [['constructor', '{"a":1}', '5'], ['xx', '[null,5,"user:1","room:first"]', '[]'], ['', '5', 'null']]) {
    await alice.evaluate(([language, joined, read]) => {
      for (const key of Object.keys(localStorage)) {
        if (key === 'language') localStorage[key] = language
        if (key.startsWith('joined:')) localStorage[key] = joined
        if (key.startsWith('read:')) localStorage[key] = read
      }
    }, [language, joined, read])
    await alice.reload()
    await connected(alice)
    await alice.getByText('here', { exact: true }).waitFor()
  }
  assert.deepEqual(alice.troubles, [])
})

test('who may not enter a room is told so, and stays where they are', { skip }, async (t) => {
  const server = await startServer(t, '--namespaces={"room:*": {}}')
  const page = await openWindow(await launch(t), server.origin)
  await page.clock.install()
  const carol = await speaker(t, server, 'carol')
  await carol.say('I will be back')
  await page.reload()
  await enter(page, 'alice')
  await connected(page)
  await openRoom(page, 'tea')
  await page.getByText('You may not do this here.', { exact: true }).waitFor()
  await page.getByRole('heading', { name: 'lobby' }).waitFor()
  assert.deepEqual(await page.locator('#joined .channel-name').allTextContents(), ['lobby'])

  // Who was here is still known of, and for how long they have been gone.
  await carol.client.disconnect()
  await page.locator('#away li', { hasText: 'carol' }).getByText('last seen just now').waitFor()
  await page.clock.fastForward('05:01')
  await page.locator('#away li', { hasText: 'carol' }).getByText('last seen 5 minutes ago').waitFor()
  assert.deepEqual(page.troubles, [])
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

test('messages that the page cannot show hide none that it can', { skip }, async (t) => {
  const server = await startServer(t)
  const alice = await openWindow(await launch(t), server.origin)
  await enter(alice, 'alice')
  await connected(alice)
  const { client, say } = await speaker(t, server, 'mallory')
  const lobby = client.channel('lobby')
  const odd = [{ toString: null, valueOf: null }, null, 5, ['<b>'], new Uint8Array([1])]
  for (const event of ['chat', 'image', 'x']) for (const data of odd) await lobby.publish(data, { event })
  for (const image of ['<svg xmlns="http://www.w3.org/2000/svg"/>', '<script>document.title = "mine"</script>', '']) {
    await lobby.publish(new TextEncoder().encode(image), { event: 'image' })
  }
  await say('still here')
  await alice.getByText('still here', { exact: true }).waitFor()
  assert.equal(await alice.locator('#messages img').count(), 0)
  assert.deepEqual(alice.troubles, [])
})

test('errors and limits are told in words, and nothing typed is lost', { skip }, async (t) => {
  // A notice stays for a second at least, and by then a token is there, whatever was told of typing since.
  const server = await startServer(t, '--limits.messages.rate=1', '--limits.messages.burst=8')
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
  await connected(page)

  // Too much at once: how long to wait is counted down, and then it can be sent again.
  const [failed, pending] = ['failed', 'pending'].map((state) => page.locator(`#messages .${state}`))
  const told = page.waitForFunction(() => {
    const notice = document.getElementById('notice')
    return notice.childElementCount > 0 && { words: notice.textContent, live: notice.querySelector('.seconds').ariaLive }
  })
  let sent = 0
  while ((await failed.count()) === 0) {
    await sayOn(page, `message ${++sent}`)
    await pending.first().waitFor({ state: 'detached' }) // it is answered
  }
  await failed.first().getByText('not sent').waitFor()
  const { words, live } = await (await told).jsonValue()
  assert.match(words, /^Too fast\. Try again in \d s\.$/)
  assert.equal(live, 'off')
  await page.locator('#notice:empty').waitFor({ state: 'attached' }) // it goes by itself
  const again = await failed.first().locator('.text').textContent()
  await failed.first().getByRole('button', { name: 'Send again' }).click()
  assert.equal(await page.evaluate(() => document.activeElement.id), 'message')
  await stored(page, again)
  while ((await failed.count()) > 0) await failed.first().getByRole('button', { name: 'Discard' }).click()
  assert.equal((await said(page)).filter((text) => text === again).length, 1)

  // The server goes away and comes back. What is written meanwhile waits.
  await server.stop()
  await lost(page)
  await sayOn(page, 'written while away')
  await pending.filter({ hasText: 'written while away' }).getByText('waits for the connection').waitFor()
  await page.getByText(/^Connection lost\. Next try in \d+ s\.$/).waitFor()
  await server.start()
  await page.getByRole('button', { name: 'Try now' }).click({ timeout: 2_000 }).catch(() => {}) // unless it has tried by itself
  await connected(page)
  await stored(page, 'written while away')
  assert.equal((await said(page)).filter((text) => text === 'message 1').length, 1)

  // Nothing of it is there for whoever comes next.
  await page.getByLabel('Message', { exact: true }).fill('not for others')
  await logOut(page)
  await enter(page, 'bob')
  await online(page, 'bob (you)').waitFor()
  assert.equal(await page.getByLabel('Message', { exact: true }).inputValue(), '')
  assert.equal(await page.locator('#messages .mine').count(), 0)

  // A token that the server no longer takes is replaced: the session goes on.
  await server.stop()
  await lost(page)
  await rm(join(server.dir, 'keys'), { recursive: true })
  await server.start()
  await connected(page)
})

test('who has to wait is not offered to try now', { skip }, async (t) => {
  const server = await startServer(t)
  const page = await openWindow(await launch(t), 'about:blank')
  await page.addInitScript(() => (Math.random = () => 0.5)) // it comes back after 4 s
  let close
  await page.routeWebSocket(/\/ws\?ticket=/, (socket) => {
    socket.connectToServer()
    close = () => socket.close({ code: 4429, reason: 'rate_limited' })
  })
  await page.goto(server.origin)
  await enter(page, 'alice')
  await connected(page)
  const offered = page.waitForFunction(() => {
    const isTold = /^Too much was sent at once\. Next try in \d s\.$/.test(document.getElementById('banner-text').textContent)
    return isTold && { isHidden: document.getElementById('try-now').hidden }
  })
  await close()
  assert.deepEqual(await (await offered).jsonValue(), { isHidden: true })
  await connected(page)
  await server.stop()
  await page.getByRole('button', { name: 'Try now' }).waitFor()
})

test('what is written offline is sent once, and a tab in the background counts what it did not show', { skip }, async (t) => {
  const server = await startServer(t)
  const browser = await launch(t)
  const [alice, bob] = [await openWindow(browser, 'about:blank'), await openWindow(browser, server.origin)]
  await alice.clock.install()
  await alice.goto(server.origin)
  await enter(alice, 'alice')
  await connected(alice)
  await enter(bob, 'bob')
  await connected(bob)

  const network = await alice.context().newCDPSession(alice)
  await network.send('Network.enable')
  const setOffline = (offline) => network.send('Network.emulateNetworkConditions', { offline, latency: 0, downloadThroughput: -1, uploadThroughput: -1 })
  await setOffline(true)
  await alice.clock.fastForward(SILENCE)
  await alice.locator('#banner-text', { hasText: 'You are offline' }).waitFor()
  for (const n of [1, 2, 3]) await sayOn(alice, `offline ${n}`)
  assert.equal(await alice.locator('#messages .pending').count(), 3)
  await sayOn(bob, 'where is alice?')
  await stored(bob, 'where is alice?')
  await setOffline(false)
  await alice.getByText('where is alice?', { exact: true }).waitFor()
  for (const n of [1, 2, 3]) await stored(alice, `offline ${n}`)
  await bob.getByText('offline 3', { exact: true }).waitFor()
  const all = ['where is alice?', 'offline 1', 'offline 2', 'offline 3']
  assert.deepEqual([await said(alice), await said(bob)], [all, all])

  await background(alice, true)
  for (const n of [1, 2]) await sayOn(bob, `unseen ${n}`)
  await stored(bob, 'unseen 2')
  await background(alice, false)
  await alice.getByText('unseen 2', { exact: true }).waitFor()
  assert.deepEqual(await said(alice), [...all, 'unseen 1', 'unseen 2'])
  assert.equal(await alice.title(), '#lobby · Gatecast')
  const offline = /net::ERR_INTERNET_DISCONNECTED|WebSocket connection/ // the browser's word on it
  assert.deepEqual(alice.troubles.filter((trouble) => !offline.test(trouble)), [])
})

test('two tabs of one user are in the same rooms', { skip }, async (t) => {
  const server = await startServer(t)
  const one = await openWindow(await launch(t), server.origin)
  await enter(one, 'alice')
  await connected(one)
  const two = await openTab(one.context(), server.origin)
  await connected(two)
  await openRoom(one, 'garden')
  await channel(two, 'garden').click()
  await sayOn(two, 'in the garden')
  await one.getByText('in the garden', { exact: true }).waitFor()
  await one.getByRole('button', { name: 'Leave room' }).click()
  for (const page of [one, two]) await page.waitForFunction(() => location.hash === '#lobby' && document.title === '#lobby · Gatecast')
  assert.deepEqual([...one.troubles, ...two.troubles], [])
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
  const { joined } = await usher(t, server, 'lobby')
  const [alice, bob] = await Promise.all(
    ['alice', 'bob'].map(async (name) => openWindow(browser, `${origin}/?access_token=${await server.token(name)}`)),
  )
  await Promise.all([alice, bob].map((page) => page.getByText('✅ Đã kết nối').waitFor()))
  for (const name of ['alice', 'bob']) await joined(name) // which is after that
  await bob.locator('#messageInput').fill('Xin chào')
  await bob.getByRole('button', { name: 'Gửi' }).click()
  await alice.getByText('bob: Xin chào').waitFor()
  await bob.close()
  await alice.getByText('bob left lobby').waitFor()
  pages.closeAllConnections()
})

/** Puts a page into the background, where it is hidden and stopped, or back. */
async function background(page, isHidden) {
  const session = await page.context().newCDPSession(page)
  const turn = () =>
    page.evaluate((hidden) => {
      Object.defineProperty(document, 'hidden', { configurable: true, value: hidden })
      Object.defineProperty(document, 'visibilityState', { configurable: true, value: hidden ? 'hidden' : 'visible' })
      document.dispatchEvent(new Event('visibilitychange'))
    }, isHidden)
  if (isHidden) await turn()
  await session.send('Page.setWebLifecycleState', { state: isHidden ? 'frozen' : 'active' })
  if (!isHidden) await turn()
}
