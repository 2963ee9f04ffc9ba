// A real browser, and people who use the page in it or talk without one.

import { execFileSync } from 'node:child_process'
import { chromium } from 'playwright-core'
import WebSocket from 'ws'

import { createClient } from '../gatecast.js'
import { first } from './server.js'

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

/** Someone who talks in a channel without a page. */
export async function speaker(t, server, username, channel = 'lobby') {
  const token = await server.token(username)
  const client = createClient({ url: server.socket, getToken: () => token, WebSocket })
  t.after(() => client.disconnect())
  await client.connect()
  const say = (...messages) => Promise.all(messages.map((message) => client.request('chat', { message, channel })))
  return { token, client, say }
}

/** Someone without a page who is in a channel, and can tell when others are: ask for one at a time. */
export async function usher(t, server, channel) {
  const { client } = await speaker(t, server, 'usher')
  const seen = new Set()
  let tell = () => {}
  client.on('user_joined', (frame) => frame.channel === channel && tell(seen.add(frame.username)))
  await client.request('subscribe', { channel })
  const joined = async (name) => {
    while (!seen.has(name)) await first((fn) => (tell = fn))
  }
  return { client, joined }
}

export const numbered = (name, from, to) => Array.from({ length: to - from + 1 }, (_, i) => `${name} ${from + i}`)

export async function logOut(page) {
  await page.getByRole('button', { name: 'Account of' }).click()
  await page.getByRole('button', { name: 'Log out' }).click()
}

/** What people have said, as the page shows it. */
export const said = (page) => page.locator('#messages :is(.mine, .theirs) .text').allTextContents()

export const connected = (page) => page.getByText('Connected', { exact: true }).waitFor()

export const lost = (page) => page.getByText(/^Connection lost|^You are offline/).waitFor()

export async function sayOn(page, message) {
  await page.getByLabel('Message', { exact: true }).fill(message)
  await page.keyboard.press('Enter')
}

/** An own message that is stored: it has a time. */
export const stored = (page, text) => page.locator('#messages .mine', { hasText: text }).locator('.state', { hasText: /\d/ }).waitFor()

/** Who is in the channel that is open, as the page lists them. */
export const online = (page, name) => page.locator('#online li', { hasText: name })

/** An entry of the list of channels. */
export const channel = (page, name) => page.getByRole('navigation', { name: 'Channels' }).getByRole('button', { name: new RegExp(`^${name}\\b`) })

/** Creates or joins a room. */
export async function openRoom(page, name) {
  await page.getByLabel('New room').fill(name)
  await page.keyboard.press('Enter')
}

/**
 * Drops an image on the page: one that is drawn there, or any file.
 *
 * @param {{width?: number, height?: number, name?: string, type?: string, bytes?: number}} file `bytes` where it is none
 */
export const dropImage = (page, file) =>
  page.evaluate(async ({ width, height, name = 'hills.png', type = 'image/png', bytes }) => {
    const hills = async () => {
      const canvas = Object.assign(document.createElement('canvas'), { width, height })
      const pen = canvas.getContext('2d')
      const sky = pen.createLinearGradient(0, 0, 0, height)
      sky.addColorStop(0, '#f7b267')
      sky.addColorStop(0.6, '#f4845f')
      sky.addColorStop(1, '#355070')
      pen.fillStyle = sky
      pen.fillRect(0, 0, width, height)
      for (const [n, colour] of ['#6d597a', '#4a4e69', '#22334a'].entries()) {
        pen.fillStyle = colour
        pen.beginPath()
        pen.moveTo(0, height)
        for (let x = 0; x <= width; x += 4) pen.lineTo(x, height * (0.55 + 0.14 * n + 0.06 * Math.sin(x / (90 + 40 * n) + n * 2)))
        pen.lineTo(width, height)
        pen.fill()
      }
      return new Promise((resolve) => canvas.toBlob(resolve, type))
    }
    const content = bytes === undefined ? await hills() : new Uint8Array(bytes)
    const data = new DataTransfer()
    data.items.add(new File([content], name, { type }))
    const room = document.getElementById('room')
    for (const event of ['dragenter', 'dragover', 'drop']) room.dispatchEvent(new DragEvent(event, { dataTransfer: data, bubbles: true, cancelable: true }))
  }, file)
