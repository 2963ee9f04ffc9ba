// A real browser, and people who use the page in it or talk without one.

import { execFileSync } from 'node:child_process'
import { chromium } from 'playwright-core'
import WebSocket from 'ws'

import { createClient } from '../gatecast.js'

function findChromium() {
  for (const name of ['chromium', 'chromium-browser', 'google-chrome']) {
    try {
      return execFileSync('which', [name], { encoding: 'utf8' }).trim()
    } catch {
      // not that one
    }
  }
}

const executablePath = findChromium()
/** Why tests that need a browser cannot run, or false. */
export const skip = executablePath ? false : 'there is no Chromium on this machine'

export async function launch(t, ...flags) {
  const browser = await chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', ...flags],
  })
  t.after(() => browser.close())
  return browser
}

/** A window that shares nothing with others. */
export async function openWindow(browser, url, options = {}) {
  return openTab(await browser.newContext({ locale: 'en-US', ...options }), url)
}

/** A tab, which remembers everything that its console shows: breaches of its policy too (H4). */
export async function openTab(context, url) {
  const page = await context.newPage()
  page.troubles = []
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && page.troubles.push(message.text()))
  page.on('pageerror', (error) => page.troubles.push(String(error)))
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => console.error('CSP', event.violatedDirective, event.blockedURI))
  })
  await page.goto(url)
  return page
}

export async function enter(page, username, action = 'Sign up') {
  await page.getByLabel('Username').fill(username)
  await page.getByLabel('Password').fill('correct horse battery')
  await page.getByRole('button', { name: action }).click()
}

/** Someone who talks in the lobby without a page. */
export async function speaker(t, server, username) {
  const token = await server.token(username)
  const client = createClient({ url: server.socket, getToken: () => token, WebSocket })
  t.after(() => client.disconnect())
  await client.connect()
  const say = (...messages) => Promise.all(messages.map((message) => client.request('chat', { message })))
  return { token, client, say }
}

export const numbered = (name, from, to) => Array.from({ length: to - from + 1 }, (_, i) => `${name} ${from + i}`)

/** What people have said, as the page shows it. */
export const said = (page) => page.locator('#messages :is(.mine, .theirs) .text').allTextContents()

export const connected = (page) => page.getByText('Connected', { exact: true }).waitFor()

export async function sayOn(page, message) {
  await page.getByLabel('Message', { exact: true }).fill(message)
  await page.keyboard.press('Enter')
}
