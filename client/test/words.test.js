// What the page says, in each of its languages, and how it names rooms.

import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { test } from 'node:test'

import { nameOf, roomOf } from '../../static/names.js'
import { english } from '../../static/words-en.js'
import * as live from '../../static/words-live.js'
import { vietnamese } from '../../static/words-vi.js'

const STATIC = new URL('../../static/', import.meta.url)

test('everything is said in both languages, with the same gaps to fill in', () => {
  const gaps = (words) => Object.entries(words).map(([key, text]) => [key, text.match(/\{\w+\}/g)?.sort()])
  assert.deepEqual(gaps(vietnamese), gaps(english))
  assert.deepEqual(gaps(live.vietnamese), gaps(live.english))
})

test('nothing has words that are never said', async () => {
  const files = (await readdir(STATIC)).filter((name) => /\.(js|html)$/.test(name) && !name.startsWith('words-'))
  const page = (await Promise.all(files.map((name) => readFile(new URL(name, STATIC), 'utf8')))).join('\n')
  const isSaid = (key) => /^(error|status)\./.test(key) || page.includes(`'${key}'`) || page.includes(`"${key}"`)
  assert.deepEqual(Object.keys(english).filter((key) => !isSaid(key)), [])
})

test('rooms are named as people write them', () => {
  const names = { 'Trà đá': 'room:tra-da', '#Đêm  Hà Nội!': 'room:dem-ha-noi', 'room:x_1': 'room:x-1', Lobby: 'lobby', ' 日本 ': '', '--': '' }
  for (const [name, channel] of Object.entries(names)) assert.equal(roomOf(name), channel, name)
  assert.ok(roomOf('ờ'.repeat(500)).length < 100)
  assert.deepEqual(['lobby', 'room:tra-da'].map(nameOf), ['lobby', 'tra-da'])
})
