// A client that has more to do when it comes back than the rate limit lets it do at
// a time: the server closes the connection of who is refused too often.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import WebSocket from 'ws'

import { createClient } from '../gatecast.js'
import { layLine } from './line.js'
import { startServer } from './server.js'

const CHANNELS = 60
const MESSAGES = 120

async function enter(t) {
  const server = await startServer(t, '--limits.messages.rate=50', '--limits.messages.burst=20')
  const line = await layLine(t, () => server.port)
  const token = await server.token('alice')
  const client = createClient({ url: line.url, WebSocket, getToken: () => token })
  t.after(() => client.disconnect())
  const told = { refusals: 0, codes: [] }
  client.on('status', ({ current, code }) => current === 'reconnecting' && told.codes.push(code))
  client.on('error', () => told.refusals++)
  client.connect()
  return { line, client, told }
}

test('many channels are joined, read and written in again', async (t) => {
  const { line, client, told } = await enter(t)
  const rooms = Array.from({ length: CHANNELS }, (_, n) => client.channel(`room:${n}`))
  await Promise.all(rooms.map((room) => room.subscribe()))
  await line.close()
  const receipts = rooms.map((room) => room.publish('said offline'))
  await line.open()
  await Promise.all(receipts)
  await Promise.all(rooms.map((room) => room.history()))
  assert.ok(!told.codes.includes(4429) && told.refusals < 40, `${told.codes}; ${told.refusals} refusals`)
})

test('a long queue goes out', async (t) => {
  const { line, client, told } = await enter(t)
  await client.connect()
  await line.close()
  const room = client.channel('room:1')
  const receipts = Array.from({ length: MESSAGES }, (_, n) => room.publish(n))
  await line.open()
  const seqs = (await Promise.all(receipts)).map(({ seq }) => seq)
  assert.deepEqual(seqs, Array.from({ length: MESSAGES }, (_, n) => n + 1))
  assert.ok(!told.codes.includes(4429) && told.refusals < 40, `${told.codes}; ${told.refusals} refusals`)
})
