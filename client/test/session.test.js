// The page's login session: what keeps it, what is seen of it, and its end.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { connected, enter, launch, logOut, online, openTab, openWindow, said, sayOn, skip, stored } from './browser.js'
import { first, startServer } from './server.js'

const ENDED = 'This session has ended. Please log in again.'
/** Tokens that last so short a time that tests can wait for their end. */
const SHORT = ['--auth.access-ttl=4s', '--socket.expiry-notice=2s']
/** Tokens that are replaced when they are 2 s old. For a slow machine, there is time for it. */
const REPLACED = ['--auth.access-ttl=22s', '--socket.expiry-notice=20s']

const atTheDoor = (page) => page.getByRole('heading', { name: 'Come in' }).waitFor()

/** Writes down what a page asks for, and all tokens that it is given. */
function watch(page) {
  const grants = []
  const seen = { urls: [], sockets: [], tokens: async () => (await Promise.all(grants)).flatMap((grant) => [grant.access_token, grant.refresh_token].filter(Boolean)) }
  page.on('request', (request) => seen.urls.push(request.url()))
  page.on('response', (response) => {
    if (!/\/(login|refresh)$/.test(response.url()) || !response.ok()) return
    const grant = response.json()
    grant.catch(() => {}) // at the end of the test the page may go first
    grants.push(grant)
  })
  page.on('websocket', (socket) => seen.sockets.push(socket.url()))
  return seen
}

/** Resolves when the server has taken so many new tokens on sockets of a page. */
function refreshed(page, times) {
  let taken = 0
  return first((fn) => page.on('websocket', (socket) => socket.on('framereceived', fn)), ({ payload }) => JSON.parse(payload).type === 'refreshed' && ++taken === times)
}

/** What scripts of the page can find without having been told. */
const findable = (page) => page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href, history.state]))

async function sessionCookie(page) {
  const cookies = await page.context().cookies()
  assert.ok(cookies.length <= 1, JSON.stringify(cookies))
  return cookies[0]
}

// R5, T1, T2, H4
test('a session outlives the page, and no script or URL has its tokens', { skip }, async (t) => {
  const server = await startServer(t)
  const page = await openWindow(await launch(t), 'about:blank')
  await page.addInitScript(() => {
    const protocols = (window.protocols = [])
    window.WebSocket = class extends WebSocket {
      constructor(url, offered) {
        super(url, offered)
        protocols.push(offered)
      }
    }
  })
  const seen = watch(page)
  await page.goto(server.origin)
  await atTheDoor(page)
  await enter(page, 'alice')
  await connected(page)
  await sayOn(page, 'before')
  await stored(page, 'before')
  for (let n = 0; n < 2; n++) {
    await page.reload()
    await connected(page)
    await page.getByText('before', { exact: true }).waitFor()
    assert.deepEqual(await page.evaluate('protocols'), [['gatecast.v1']])
  }
  await online(page, 'alice (you)').waitFor()

  const { name, value, ...cookie } = await sessionCookie(page)
  assert.equal(name, 'gatecast')
  assert.deepEqual([cookie.httpOnly, cookie.sameSite, cookie.path, cookie.domain], [true, 'Strict', '/', 'localhost'])
  const tokens = await seen.tokens()
  assert.equal(new Set(tokens).size, 3, 'an access token of each page, and no refresh token')
  const found = await findable(page)
  for (const token of [value, ...tokens, 'eyJ']) {
    assert.ok(!found.includes(token), found)
    assert.deepEqual([...seen.urls, ...seen.sockets].filter((url) => url.includes(token)), [])
  }
  const tickets = seen.sockets.map((url) => url.match(/^ws:\/\/localhost:\d+\/ws\?ticket=([\w-]+)$/)[1])
  assert.equal(new Set(tickets).size, 3, 'a ticket of each page')
  assert.deepEqual(seen.urls.filter((url) => url.includes('?') && !url.endsWith('/channels?limit=100')), [])

  await logOut(page)
  await atTheDoor(page)
  assert.equal(await page.locator('#door-notice').isHidden(), true)
  assert.equal(await sessionCookie(page), undefined)
  await page.reload()
  await atTheDoor(page)
  assert.deepEqual(page.troubles, [])
})

// R7
test('who logs out is out in all tabs, and the tokens are worth nothing', { skip }, async (t) => {
  const server = await startServer(t)
  const page = await openWindow(await launch(t), 'about:blank')
  const seen = watch(page)
  await page.goto(server.origin)
  await enter(page, 'alice')
  await connected(page)
  const other = await openTab(page.context(), server.origin)
  await connected(other)
  await other.getByRole('combobox').selectOption('vi')
  const { value } = await sessionCookie(page)

  // The other tab is out before this one has its answer.
  const told = other.getByText('Phiên đăng nhập này đã kết thúc. Vui lòng đăng nhập lại.').waitFor()
  await page.route('**/logout', async (route) => {
    const response = await route.fetch()
    await told
    await route.fulfill({ response })
  })
  await logOut(page)
  await atTheDoor(page)
  assert.equal(await page.locator('#door-notice').isHidden(), true)
  await other.getByRole('heading', { name: 'Mời bạn vào' }).waitFor()
  await other.getByRole('combobox').selectOption('en')
  const me = await fetch(`${server.origin}/me`, { headers: { Authorization: `Bearer ${(await seen.tokens())[0]}` } })
  const refresh = await fetch(`${server.origin}/refresh`, { method: 'POST', headers: { Cookie: `gatecast=${value}`, 'X-Gatecast': '1' } })
  assert.deepEqual([me.status, refresh.status], [401, 401])

  // What is left is a page like any other.
  await enter(other, 'alice', 'Log in')
  await connected(other)
  assert.deepEqual(page.troubles, [])
  assert.deepEqual(other.troubles.filter((trouble) => !trouble.includes('401')), [])
})

// R7
test('sessions are listed and ended from another one', { skip }, async (t) => {
  const server = await startServer(t)
  const browser = await launch(t)
  const page = await openWindow(browser, server.origin)
  await enter(page, 'alice')
  await connected(page)
  const others = []
  for (const userAgent of ['Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Version/19.0 Safari/604.1', 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0']) {
    const other = await openWindow(browser, server.origin, { userAgent })
    await enter(other, 'alice', 'Log in')
    await connected(other)
    others.push(other)
  }
  await page.getByRole('button', { name: 'Account of alice' }).click()
  await page.getByRole('button', { name: 'Sessions' }).click()
  const dialog = page.getByRole('dialog', { name: 'Sessions' })
  await dialog.getByText('Firefox on Linux', { exact: true }).waitFor()
  assert.match(await dialog.getByRole('listitem').first().textContent(), /^Chrome on LinuxUsed just now, from (::1|127\.0\.0\.1)This one$/)
  await dialog.getByRole('button', { name: 'End the session on Safari on iPhone' }).click()
  await dialog.getByText('The session on Safari on iPhone has ended.').waitFor()
  await others[0].getByText(ENDED).waitFor()
  await page.locator('#close-sessions:focus').waitFor() // by now it has asked for the list again
  assert.equal(await dialog.getByRole('listitem').count(), 2)
  await others[1].getByText('Connected', { exact: true }).waitFor()
  await dialog.getByRole('button', { name: 'End all others' }).click()
  await dialog.getByText('All other sessions have ended.').waitFor()
  for (const other of others) await other.getByText(ENDED).waitFor()
  await page.keyboard.press('Escape')
  await sayOn(page, 'still here')
  await stored(page, 'still here')
  assert.deepEqual(page.troubles, [])
})

test('a session that ended while the page was away is told', { skip }, async (t) => {
  const server = await startServer(t)
  const page = await openWindow(await launch(t), server.origin)
  await enter(page, 'alice')
  await connected(page)
  const { value } = await sessionCookie(page)
  await page.goto('about:blank')
  const { status } = await fetch(`${server.origin}/logout`, { method: 'POST', headers: { Cookie: `gatecast=${value}`, 'X-Gatecast': '1' } })
  assert.equal(status, 204)
  await page.goto(server.origin)
  await page.getByText(ENDED).waitFor()
  await page.reload()
  await atTheDoor(page)
  assert.equal(await page.locator('#door-notice').isHidden(), true, 'it is told once')
})

// T6
test('a token that comes to its end is replaced without a reconnect', { skip }, async (t) => {
  const server = await startServer(t, ...REPLACED)
  const page = await openWindow(await launch(t), 'about:blank')
  const seen = watch(page)
  const thrice = refreshed(page, 3)
  await page.goto(server.origin)
  await enter(page, 'alice')
  await connected(page)
  await thrice
  await sayOn(page, 'still here')
  await stored(page, 'still here')
  assert.equal(seen.sockets.length, 1)
  assert.deepEqual(page.troubles, [])
})

// R2
test('tabs that refresh at the same moment stay logged in', { skip }, async (t) => {
  const server = await startServer(t)
  const page = await openWindow(await launch(t), server.origin)
  await enter(page, 'alice')
  await connected(page)
  const tabs = [page, await openTab(page.context(), server.origin), await openTab(page.context(), server.origin)]
  await Promise.all(tabs.map(connected))
  for (let round = 0; round < 3; round++) {
    const shown = []
    let go
    const all = new Promise((resolve) => (go = resolve))
    await page.context().route('**/refresh', async (route, request) => {
      shown.push((await sessionCookie(page)).value)
      if (shown.length === tabs.length) go()
      await all
      await route.continue()
    })
    await Promise.all(tabs.map((tab) => tab.reload()))
    await Promise.all(tabs.map(connected))
    assert.deepEqual(shown, Array(tabs.length).fill(shown[0]), 'all show the same cookie')
    await page.context().unroute('**/refresh')
  }
  await sayOn(page, 'all here')
  for (const tab of tabs) await tab.getByText('all here', { exact: true }).waitFor()
  for (const tab of tabs) assert.deepEqual(tab.troubles, [])
})

test('a tab does not become someone else when another tab logs in as them', { skip }, async (t) => {
  const server = await startServer(t, ...SHORT)
  const alice = await openWindow(await launch(t), server.origin)
  const bob = await openTab(alice.context(), server.origin)
  await enter(alice, 'alice')
  await connected(alice)
  await atTheDoor(bob)
  await enter(bob, 'bob')
  await connected(bob)
  await alice.getByText(ENDED).waitFor()
  await sayOn(bob, 'I am bob')
  await alice.reload()
  await alice.locator('#messages .mine', { hasText: 'I am bob' }).waitFor()
  assert.deepEqual(await said(alice), ['I am bob'])
  assert.deepEqual(bob.troubles, [])
})

test('who cannot be logged out is told, and stays', { skip }, async (t) => {
  const server = await startServer(t)
  const page = await openWindow(await launch(t), 'about:blank')
  let isDeaf = true // no subscribe reaches the server: nobody is in a channel yet
  await page.routeWebSocket(/\/ws\?ticket=/, (socket) => {
    const line = socket.connectToServer()
    socket.onMessage((text) => (isDeaf && JSON.parse(text).type === 'subscribe') || line.send(text))
  })
  await page.goto(server.origin)
  await enter(page, 'alice')
  await connected(page)
  await page.route('**/logout', (route) => route.abort())
  isDeaf = false
  await logOut(page)
  await page.getByText('The server cannot be reached. Is it running?').waitFor()
  await connected(page)
  await sayOn(page, 'still here')
  await stored(page, 'still here')
  await page.unroute('**/logout')
  await logOut(page)
  await atTheDoor(page)
  assert.equal(await sessionCookie(page), undefined)
})

// R5: over plain http from elsewhere there is no cookie.
test('where no cookie is to be had, a session lasts as long as the page', { skip }, async (t) => {
  const server = await startServer(t, ...REPLACED)
  const page = await openWindow(await launch(t, '--host-resolver-rules=MAP gatecast.test 127.0.0.1'), 'about:blank')
  const seen = watch(page)
  const twice = refreshed(page, 2)
  await page.goto(`http://gatecast.test:${server.port}`)
  await enter(page, 'alice')
  await connected(page)
  await twice
  await sayOn(page, 'still here')
  await stored(page, 'still here')
  assert.equal(await sessionCookie(page), undefined)
  assert.equal(seen.sockets.length, 1)
  const found = await findable(page)
  for (const token of await seen.tokens()) assert.ok(!found.includes(token), found)

  await logOut(page)
  await atTheDoor(page)
  const last = (await seen.tokens()).at(-1)
  await assert.rejects(server.post('/refresh', { refresh_token: last }), /401/)
  await enter(page, 'alice', 'Log in')
  await connected(page)
  await page.reload()
  await atTheDoor(page)
  const expected = /Cross-Origin-Opener-Policy header has been ignored/ // the browser's word on plain http
  assert.deepEqual(page.troubles.filter((trouble) => !expected.test(trouble)), [])
})
