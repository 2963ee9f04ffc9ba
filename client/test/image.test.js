// Images on the page: made to fit, sent as they are dropped, and refused in words.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { connected, dropImage, enter, launch, numbered, openWindow, sayOn, skip } from './browser.js'
import { startServer } from './server.js'

/** What an image shows: its size in pixels. */
const sizeOf = (image) => image.evaluate(async (image) => (await image.decode(), [image.naturalWidth, image.naturalHeight]))

/** How much of the conversation is out of sight below, once what has changed is drawn. */
const pixelsBelow = (page) =>
  page.evaluate(async () => {
    for (let i = 0; i < 2; i++) await new Promise(requestAnimationFrame)
    const { scrollHeight, scrollTop, clientHeight } = document.getElementById('messages')
    return Math.floor(scrollHeight - scrollTop - clientHeight)
  })

test('an image is made to fit, and seen by others; what cannot be one is refused in words', { skip }, async (t) => {
  const server = await startServer(t, '--limits.message-bytes=20000', '--limits.messages.rate=0')
  const browser = await launch(t)
  const [alice, bob] = [await openWindow(browser, server.origin), await openWindow(browser, server.origin)]
  await enter(alice, 'alice')
  await connected(alice)
  await enter(bob, 'bob')
  await connected(bob)

  alice.on('websocket', () => assert.fail('the socket was opened anew'))
  for (const words of numbered('a line', 1, 15)) await sayOn(alice, words)
  const seen = bob.locator('#messages .theirs').getByRole('img', { name: 'Image from alice' })
  await dropImage(alice, { width: 2400, height: 1200 })
  await seen.waitFor()
  const [width, height] = await sizeOf(seen)
  assert.ok(width <= 1600 && Math.abs(width - 2 * height) <= 1, `${width} × ${height}`)
  const sent = alice.locator('#messages .mine:not(.pending)').getByRole('img', { name: 'Image from alice' })
  assert.deepEqual(await sizeOf(sent), [width, height])
  assert.equal(await pixelsBelow(alice), 0) // who sent it sees all of it

  // It can be looked at as large as the window.
  await seen.click()
  assert.deepEqual(await sizeOf(bob.getByRole('dialog', { name: 'Image' }).getByRole('img', { name: 'Image from alice' })), [width, height])
  await bob.keyboard.press('Escape')
  assert.equal(await bob.evaluate(() => document.activeElement.className), 'picture')

  // It is history, too, and goes with its line.
  await bob.reload()
  await seen.waitFor()
  assert.deepEqual(await sizeOf(seen), [width, height])
  const url = await seen.getAttribute('src') // of the line that goes
  await bob.getByLabel('New room').fill('elsewhere')
  await bob.keyboard.press('Enter')
  await bob.getByRole('heading', { name: 'elsewhere' }).waitFor()
  assert.equal(await bob.evaluate((url) => new Promise((resolve) => Object.assign(new Image(), { src: url, onload: () => resolve('there'), onerror: () => resolve('gone') })), url), 'gone')

  // Chosen and pasted ones go the same way.
  const png = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64')
  await alice.locator('#file').setInputFiles({ name: 'dot.png', mimeType: 'image/png', buffer: png })
  await alice.locator('#messages .mine:not(.pending) .picture').nth(1).waitFor()
  await alice.evaluate((base64) => {
    const data = new DataTransfer()
    data.items.add(new File([Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))], 'dot.png', { type: 'image/png' }))
    document.getElementById('message').dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }))
  }, png.toString('base64'))
  await alice.locator('#messages .mine:not(.pending) .picture').nth(2).waitFor()

  const lines = await alice.locator('#messages .line').count()
  for (const [file, words] of [
    [{ name: 'film.png', bytes: 21_000_000 }, 'film.png is too large: 21 MB. Images of up to 20 MB can be sent.'],
    [{ name: 'notes.txt', type: 'text/plain', bytes: 10 }, 'notes.txt is not an image. Only images can be sent here.'],
    [{ name: 'broken.png', bytes: 10 }, 'broken.png cannot be read as an image.'],
  ]) {
    await dropImage(alice, file)
    await alice.getByText(words, { exact: true }).waitFor()
  }
  assert.equal(await alice.locator('#messages .line').count(), lines)
  assert.equal(await alice.locator('#drop-here').isHidden(), true)
  assert.deepEqual([...alice.troubles, ...bob.troubles.filter((trouble) => !trouble.includes('ERR_FILE_NOT_FOUND'))], [])
})
