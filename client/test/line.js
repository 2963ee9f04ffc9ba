// A line between clients and a server, which the test breaks.

import { connect, createServer } from 'node:net'
import { once } from 'node:events'

/** How long a break that waits for bytes to be under way waits, in ms. */
const IMPATIENCE = 50

/**
 * @param {import('node:test').TestContext} t
 * @param {() => number} port of the server
 */
export async function layLine(t, port) {
  const line = new Line(port)
  await line.open()
  t.after(() => line.close())
  return line
}

class Line {
  port = 0
  #toPort
  #server
  /** @type {Set<Pair>} */
  #pairs = new Set()

  constructor(port) {
    this.#toPort = port
  }

  get url() {
    return `ws://localhost:${this.port}/ws`
  }

  /** Lets clients through from now on. */
  async open() {
    this.#server = createServer((near) => this.#join(near))
    this.#server.listen(this.port, 'localhost')
    await once(this.#server, 'listening')
    this.port = this.#server.address().port
  }

  /** Breaks everything, and lets nobody through. */
  async close() {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.#pairs.forEach((pair) => pair.cut())
    await closed
  }

  /**
   * Breaks one connection. Answers whether it was a socket that was open, and not
   * a request, or a handshake.
   *
   * @param {() => number} random
   */
  break(random) {
    const whole = [...this.#pairs].filter(({ isDoomed }) => !isDoomed)
    const pair = whole[Math.floor(random() * whole.length)]
    pair?.doom(random)
    return pair?.isSocket === true
  }

  #join(near) {
    const pair = new Pair(near, connect(this.#toPort(), 'localhost'))
    this.#pairs.add(pair)
    pair.whenCut = () => this.#pairs.delete(pair)
  }
}

/** Both halves of a connection. */
class Pair {
  isSocket = false
  isDoomed = false
  whenCut = () => {}
  #halves

  constructor(near, far) {
    this.#halves = [near, far]
    this.#carry(near, far)
    this.#carry(far, near)
    near.once('data', (bytes) => bytes.subarray(0, 7).toString() === 'GET /ws' && far.once('data', () => (this.isSocket = true)))
  }

  /** Breaks it now, or in the middle of what comes next from one side. */
  doom(random) {
    this.isDoomed = true
    const way = Math.floor(random() * 4)
    if (way === 0) return this.cut()
    if (way === 1) return this.cut('resetAndDestroy')
    const share = random() < 0.3 ? 0 : random() // nothing of it, or a part
    const [from, to] = way === 2 ? this.#halves : this.#halves.toReversed()
    const timer = setTimeout(() => this.cut(), IMPATIENCE)
    from.removeAllListeners('data').once('data', (bytes) => {
      clearTimeout(timer)
      to.write(bytes.subarray(0, Math.floor(bytes.length * share)), () => this.cut('destroy'))
    })
  }

  cut(how = 'destroy') {
    this.isDoomed = true
    this.whenCut()
    this.#halves.forEach((half) => half[how]())
  }

  #carry(from, to) {
    from.on('data', (bytes) => to.write(bytes))
    from.on('error', () => {})
    from.on('close', () => {
      this.whenCut()
      if (!this.isDoomed) to.destroySoon()
      else to.destroy()
    })
  }
}
