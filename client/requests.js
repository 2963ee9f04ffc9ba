// Frames that wait for their reply.

import { ConnectionError, errorOf, RefusedError } from './errors.js'

/** How long a reply may take, in ms. */
const PATIENCE = 10_000

/**
 * What docs/protocol.md lists under "What the server sends", but for `welcome`.
 *
 * @typedef {'subscribed' | 'unsubscribed' | 'ack' | 'chat' | 'message' | 'removed' | 'history' | 'typing' | 'user_joined'
 *   | 'user_left' | 'presence' | 'expiring' | 'refreshed' | 'pong' | 'error'} FrameType
 */

/**
 * @typedef {import('./errors.js').GatecastError} GatecastError
 * @typedef {{type: string, id?: string | number, [field: string]: any}} Frame
 * @typedef {Frame & import('./client.js').User & {limits: import('./client.js').Limits, heartbeatMs: number, expiresAt: string}} Welcome
 * @typedef {Frame & {seq?: number, timestamp: string, duplicate?: boolean}} Ack
 */

/**
 * Takes one of the two.
 *
 * @template {Frame} [F=any]
 * @typedef {(error: GatecastError | undefined, reply?: F) => void} Settle
 */

export class Requests {
  #nextId = 1
  /** @type {Map<number, {settle: Settle, timer: ReturnType<typeof setTimeout>}>} by id */
  #open = new Map()

  /** An id that no other frame has. */
  newId() {
    return this.#nextId++
  }

  /**
   * Calls settle once, with the reply to the frame of an id, while that is being
   * told: before any frame that came behind it. Where it throws it is called again,
   * with an error: whoever waits does not wait on.
   *
   * @param {number} id
   * @param {Settle} settle
   */
  expect(id, settle) {
    const timer = setTimeout(() => this.#settle(id, new ConnectionError('timeout', 'the server has not answered in time')), PATIENCE)
    this.#open.set(id, { settle, timer })
  }

  /** @param {Frame} frame which may be a reply */
  answer(frame) {
    const id = /** @type {number} */ (frame.id)
    if (frame.type === 'error') this.#settle(id, errorOf(frame))
    else this.#settle(id, undefined, frame)
  }

  /** Nothing that is open will be answered. */
  drop() {
    for (const id of [...this.#open.keys()]) this.#settle(id, new ConnectionError('disconnected', 'the connection was lost'))
  }

  /**
   * @param {number} id
   * @param {GatecastError | undefined} error
   * @param {Frame} [reply]
   */
  #settle(id, error, reply) {
    const request = this.#open.get(id)
    if (!request) return
    this.#open.delete(id)
    clearTimeout(request.timer)
    try {
      request.settle(error, reply)
    } catch (mistake) {
      request.settle(new RefusedError('bad_frame', "the server's answer makes no sense"))
      throw mistake
    }
  }
}
