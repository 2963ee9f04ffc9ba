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
  send(frame) {
    this.sent.push(typeof frame === 'string' ? JSON.parse(frame) : frame)
  }
  close() {
    this.closed = true
    queueMicrotask(() => this.onclose?.({ code: 1000, reason: '' }))
  }
  says(frame) {
    this.onmessage({ data: typeof frame === 'string' ? frame : JSON.stringify(frame) })
  }
  welcomes(fields) {
    this.says({ type: 'welcome', userId: 'A', username: 'alice', clientId: 'a1', heartbeatMs: 25_000, ...fields })
  }
  /** The last frame of a type that it was sent. */
  asked(type) {
    return this.sent.findLast((frame) => frame.type === type)
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

let now = 0

/** Lets time go by, and promises run. */
export async function pass(ms) {
  await settle()
  for (let step; ms > 0; ms -= step) {
    step = Math.min(ms, 100)
    now += step
    mock.timers.tick(step)
    await settle()
  }
}

/** Loses the connection, and lets the client come back. */
export async function comeBack(fields) {
  const before = FakeSocket.last
  before.lost()
  while (FakeSocket.last === before) await pass(100)
  FakeSocket.last.welcomes(fields)
  await settle()
}

/** Stops the clock before each test, and makes every back-off the longest. */
export function stopTheClock() {
  beforeEach(() => {
    mock.timers.reset()
    mock.timers.enable({ apis: ['setTimeout'] })
    mock.method(Math, 'random', () => 1)
    mock.method(performance, 'now', () => now)
    FakeSocket.all = []
  })
}
