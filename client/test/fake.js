// A socket and a clock of the test's own.

import { beforeEach, mock } from 'node:test'

/** A socket that does what the test tells it to. */
export class FakeSocket {
  static all = []
  static get last() {
    return FakeSocket.all.at(-1)
  }
  sent = []
  closed = false

  constructor(url, protocols, options) {
    this.url = url
    this.protocols = protocols
    this.options = options
    FakeSocket.all.push(this)
  }
  send(text) {
    this.sent.push(JSON.parse(text))
  }
  close() {
    this.closed = true
    queueMicrotask(() => this.onclose?.({ code: 1000, reason: '' }))
  }
  says(frame) {
    this.onmessage({ data: typeof frame === 'string' ? frame : JSON.stringify(frame) })
  }
  welcomes() {
    this.says({ type: 'welcome', username: 'alice', heartbeatMs: 25_000 })
  }
  lost(code = 1006) {
    this.onclose({ code, reason: '' })
  }
}

/** Lets promises run; the clock stands still. */
export const settle = () => new Promise((resolve) => setImmediate(resolve))

/** Connects a client to a FakeSocket. */
export async function connect(client) {
  const done = client.connect()
  await settle()
  FakeSocket.last.welcomes()
  await done
}

/** Stops the clock before each test, and makes every back-off the longest. */
export function stopTheClock() {
  beforeEach(() => {
    mock.timers.reset()
    mock.timers.enable({ apis: ['setTimeout'] })
    mock.method(Math, 'random', () => 1)
    FakeSocket.all = []
  })
}
