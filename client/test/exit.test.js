// A program whose client has disconnected ends by itself.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'

import { startServer } from './server.js'

const HERE = new URL('.', import.meta.url)
const PATIENCE = 8_000 // ms from the disconnect to the end: much less than a message waits, or a request

const ways = {
  'in the middle of everything': `
    await client.connect()
    await room.subscribe()
    await room.publish('hello')
    room.publish('on its way')
    room.typing.keystroke()
    room.history().catch(() => {})
    await client.disconnect()`,
  'before it was let in': `
    client.connect()
    room.subscribe()
    room.publish('waits')
    client.disconnect()`,
  'while it waits to come back': `
    await client.connect()
    await room.subscribe()
    const lost = new Promise((resolve) => client.on('status', ({ current }) => current === 'reconnecting' && resolve()))
    socket.terminate()
    room.publish('waits')
    await lost
    room.subscribe()
    client.disconnect()`,
  'and then used': `
    await client.connect()
    await client.disconnect()
    room.subscribe()
    room.publish('waits')`,
  'because it was not let in': `
    refused = true
    room.subscribe()
    room.publish('waits')
    client.connect()`,
}

for (const [when, script] of Object.entries(ways)) {
  test(`disconnected ${when}`, async (t) => {
    const server = await startServer(t)
    const token = await server.token('alice')
    const program = `
      import WebSocket from 'ws'
      import { createClient, UnauthorizedError } from '../gatecast.js'
      let socket, refused = false
      class Kept extends WebSocket {
        constructor(...args) {
          super(...args)
          socket = this
        }
      }
      const getToken = () => {
        if (refused) throw new UnauthorizedError('log in again')
        return ${JSON.stringify(token)}
      }
      const client = createClient({ url: ${JSON.stringify(server.socket)}, WebSocket: Kept, getToken })
      const room = client.channel('room:1')
      ${script}
      const since = performance.now()
      process.on('exit', () => console.log(performance.now() - since))`
    // What goes unhandled would end it with an error.
    const { stdout, stderr } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], { cwd: HERE, timeout: 60_000 })
    assert.equal(stderr, '')
    assert.ok(Number(stdout) < PATIENCE, `${stdout} ms`)
  })
}
