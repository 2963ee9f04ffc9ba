// How the page looks, and to whom: colours, widths, and what axe-core finds.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { connected, dropImage, enter, launch, online, openRoom, openWindow, sayOn, skip, speaker, stored } from './browser.js'
import { startServer } from './server.js'

const DOCS = fileURLToPath(new URL('../../docs/', import.meta.url))
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

const keep = (page, name) => (process.env.UPDATE_SCREENSHOTS ? page.screenshot({ path: `${DOCS}page-${name}.png` }) : undefined)

const DESKTOP = { width: 1200, height: 760 }
const PHONE = { width: 360, height: 720 }

/** What is serious for people who cannot see, hear or point well. */
async function troubles(page) {
  await page.evaluate(axe)
  const { violations } = await page.evaluate(() => window.axe.run())
  const grave = violations.filter(({ impact }) => ['serious', 'critical'].includes(impact))
  return grave.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html}: ${failureSummary}`))
}

/** The page as it is now, at a width and in both colours: nothing is wider than it, and axe-core finds nothing serious. */
async function looksWell(page, viewport, name) {
  await page.setViewportSize(viewport)
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name} is too wide`)
    assert.deepEqual(await troubles(page), [], `${name}, ${colorScheme}`)
    if (name) await keep(page, `${name}-${colorScheme}`)
  }
}

test('the page is good to look at and to hear, wide and narrow, light and dark', { skip }, async (t) => {
  const server = await startServer(t, '--limits.messages.rate=0', '--demo')
  const page = await openWindow(await launch(t), server.origin)
  await looksWell(page, PHONE)
  await looksWell(page, DESKTOP)

  await enter(page, 'alice')
  await connected(page)
  for (const name of ['Trà đá', 'Design', 'Book club']) {
    await openRoom(page, name)
    await page.getByRole('heading', { name: /tra-da|design|book-club/ }).waitFor()
  }
  await page.locator('#joined').getByRole('button', { name: 'lobby' }).click()
  const carol = await speaker(t, server, 'carol')
  await carol.say('Did anyone bring the lantern?')
  const [bob, tea, minh] = [await speaker(t, server, 'bob'), await speaker(t, server, 'dung', 'room:tra-da'), await speaker(t, server, 'minh')]
  await tea.say('Trà đá?', 'Ở góc phố nhé.', '5 phút nữa!')
  await sayOn(page, 'It is by the gate.')
  await stored(page, 'It is by the gate.')
  await bob.say('Found it, thank you!')
  await dropImage(page, { width: 1600, height: 900 })
  await page.locator('#messages .mine:not(.pending) .picture').waitFor()
  await minh.say('What a view!', 'I will be there before sunset, with tea for everybody who comes.')
  await sayOn(page, 'See you at six.')
  await stored(page, 'See you at six.')
  await carol.client.disconnect()
  await page.locator('#away li', { hasText: 'carol' }).waitFor()
  bob.client.send('typing', { isTyping: true })
  await page.getByText('bob is typing…').waitFor()
  await online(page, 'minh').waitFor()
  await looksWell(page, DESKTOP, 'desktop')
  bob.client.send('typing', { isTyping: true })
  await page.getByText('bob is typing…').waitFor()
  await looksWell(page, PHONE, 'phone')

  await page.getByRole('button', { name: 'Channels' }).click()
  await looksWell(page, PHONE)
  await page.keyboard.press('Escape')
  await page.getByRole('button', { name: /People, \d online/ }).click()
  await looksWell(page, PHONE)
  await page.keyboard.press('Escape')
  await page.getByRole('button', { name: 'Account of alice' }).click()
  await page.getByRole('button', { name: 'Sessions' }).click()
  await page.getByRole('dialog', { name: 'Sessions' }).getByText('This one').waitFor()
  await looksWell(page, PHONE)
  await looksWell(page, DESKTOP)
  await page.keyboard.press('Escape')
  assert.equal(await page.evaluate(() => document.activeElement.id), 'account')

  await page.getByRole('tab', { name: 'Live' }).click()
  await looksWell(page, PHONE)
  await looksWell(page, DESKTOP)
  await page.getByRole('tab', { name: 'Chat' }).click()

  // What is failed, and what waits.
  await server.stop()
  await page.getByText(/^Connection lost/).waitFor()
  await sayOn(page, 'Anyone?')
  await looksWell(page, PHONE)
  await server.start()
  await stored(page, 'Anyone?')
  const away = /ERR_CONNECTION_REFUSED|WebSocket connection/ // the browser's word on the server that was stopped
  assert.deepEqual(page.troubles.filter((trouble) => !away.test(trouble)), [])
})
