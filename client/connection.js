// One socket that comes back by itself.

import { Backoff, backoff, CLOSE_FORBIDDEN, CLOSE_NORMAL, CLOSE_UNAUTHORIZED } from './backoff.js'
import { dial, RefusalError, retryAfterMs, Tokens } from './credentials.js'
import { Emitter } from './emitter.js'
import { UnauthorizedError } from './errors.js'

/**
 * @typedef {'initial' | 'connecting' | 'connected' | 'reconnecting' | 'disconnected' | 'failed'} Status
 * @typedef {import('./requests.js').Frame} Frame
 * @typedef {import('./requests.js').Welcome} Welcome
 * @typedef {{code?: number, reason?: string, retryAfterMs?: number}} Cause why a connection was lost, and how long the server asked to wait
 */

/**
 * @typedef {object} StatusChange
 * @property {Status} previous
 * @property {Status} current
 * @property {number} [code] with which the server closed the connection
 * @property {string} [reason] for logs, not for people
 * @property {number} [retryInMs] until it is tried again
 * @property {boolean} [mayHurry] with retryInMs: whether connect() tries again at once, or the server has asked to wait
 */

// In ms.
const STABLE_AFTER = 5_000 // a connection this old starts the back-off anew
const OPEN_TIMEOUT = 15_000 // from asking for a token to the welcome
const CLOSE_TIMEOUT = 3_000
const HEARTBEAT_DEFAULT = 25_000
const PONG_TIMEOUT = 10_000
const TIMER_MAX = 2 ** 31 - 1 // a longer one would fire at once

const OPEN = 1 // readyState of a socket

/** What the statuses of HTTP that end the trying are as close codes. */
const CODE_OF = new Map([[401, CLOSE_UNAUTHORIZED], [403, CLOSE_FORBIDDEN]])

/**
 * Tells `status`, and what comes: a frame of text as `frame`, the bytes of another
 * as `binary`.
 *
 * @extends {Emitter<{status: StatusChange, frame: Frame, binary: ArrayBuffer}>}
 */
export class Connection extends Emitter {
  /** @type {Status} */
  status = 'initial'
  /** @type {Welcome | undefined} of the connection that is open */
  welcome

  #options
  #tokens
  #backoff = new Backoff()
  /** @type {any} the socket that is open or opening, or what stands for it until there is one */
  #socket = null
  /** @type {any} the socket that a new token is being had for */
  #renewing = null
  #wanted = false
  /** @type {Promise<void>} resolves when the last socket that was told to close has done so */
  #goodbye = Promise.resolve()
  #isProbing = false // it has asked whether anyone is there
  /** @type {string | undefined} that the connection came in with */
  #token
  /** @type {string | undefined} the last one that was refused, until another is let in */
  #refused
  /** @type {{mayHurry: boolean, until: number} | undefined} while it waits to try again */
  #waiting
  /** @type {{open?: any, retry?: any, silence?: any, stable?: any}} */
  #timers = {}

  /** @param {{url: string, getToken: import('./credentials.js').GetToken, WebSocket?: any, logger?: import('./client.js').Logger}} options */
  constructor(options) {
    super()
    this.#options = options
    this.#tokens = new Tokens(options.getToken)
  }

  /** Opens the socket, or tries again at once where it waits to, unless the server has asked to wait. */
  connect() {
    if (this.#waiting?.mayHurry) this.#open('reconnecting')
    if (this.#wanted) return
    this.#wanted = true
    this.#backoff.reset()
    this.#refused = undefined
    watchWorld('addEventListener', this.#woken)
    this.#open('connecting')
  }

  /** Says goodbye and stays away; resolves when the socket is closed. */
  disconnect() {
    if (this.#socket?.onclose) this.#goodbye = closed(this.#socket)
    this.#end()
    this.#drop(CLOSE_NORMAL, 'goodbye')
    if (this.status !== 'disconnected') this.#become('disconnected', { code: CLOSE_NORMAL })
    return this.#goodbye
  }

  /**
   * Sends a frame, if the socket is open. One that closes already throws on some
   * platforms; what becomes of the frame is told when it has closed.
   *
   * @param {string | Uint8Array} frame
   */
  send(frame) {
    if (this.status === 'connected' && !(this.#socket.readyState > OPEN)) this.#socket.send(frame)
  }

  /** Bytes that wait to be sent. */
  get backlog() {
    return this.#socket?.bufferedAmount ?? 0
  }

  // In what follows, whatever is to be cleared or kept is set before a listener
  // hears of it: listeners may call disconnect and connect.

  /** @param {Status} status */
  async #open(status) {
    this.#unwait()
    const attempt = (this.#socket = { close() {} })
    this.#timers.open = setTimeout(() => this.#gaveUp(), OPEN_TIMEOUT)
    this.#become(status)
    try {
      const token = await this.#tokens.next()
      if (attempt !== this.#socket) return // it was told to disconnect meanwhile
      if (token === this.#refused) return this.#fail(CLOSE_UNAUTHORIZED, 'there is no new token')
      this.#token = token
      const socket = await dial(this.#options, token)
      if (attempt === this.#socket) this.#listen(socket)
      else discard(socket)
    } catch (error) {
      if (attempt === this.#socket) this.#refuse(error)
    }
  }

  #gaveUp() {
    this.#tokens.forget()
    this.#closed({ reason: 'no welcome came' })
  }

  /** @param {any} error */
  #refuse(error) {
    if (error instanceof UnauthorizedError) this.#fail(CLOSE_UNAUTHORIZED, error.message)
    else if (error instanceof RefusalError) this.#closed({ code: CODE_OF.get(error.status), reason: error.message, retryAfterMs: error.retryAfterMs })
    else this.#closed({ reason: String(error), retryAfterMs: waitOf(error) })
  }

  /** @param {any} socket */
  #listen(socket) {
    this.#socket = socket
    socket.binaryType = 'arraybuffer'
    const ours = (/** @type {(...args: any[]) => void} */ fn) => (/** @type {any[]} */ ...args) => {
      if (socket === this.#socket) fn(...args)
    }
    socket.onmessage = ours(({ data }) => this.#receive(data))
    socket.onclose = ours(({ code, reason }) => this.#closed({ code, reason }))
    socket.onerror = () => {} // a close event follows
    // The package ws tells why it was not let in, which browsers do not.
    const refused = ours(({ statusCode, headers }) => this.#refuse(new RefusalError(statusCode, `the server answered ${statusCode}`, retryAfterMs(headers['retry-after']))))
    socket.on?.('unexpected-response', (/** @type {any} */ request, /** @type {any} */ response) => {
      request.destroy()
      refused(response)
    })
  }

  /** @param {string | ArrayBuffer} data */
  #receive(data) {
    const frame = typeof data === 'string' ? parse(data) : undefined
    if (frame?.type === 'welcome') this.#welcomed(/** @type {Welcome} */ (frame))
    if (!this.welcome) return // a listener has disconnected
    this.#heard()
    if (frame) this.emit('frame', frame)
    else if (data instanceof ArrayBuffer) this.emit('binary', data)
    else this.#options.logger?.warn?.('gatecast: a frame that makes no sense was passed over')
  }

  /** @param {Welcome} frame */
  #welcomed(frame) {
    this.welcome = frame
    clearTimeout(this.#timers.open)
    this.#refused = undefined
    this.#timers.stable = setTimeout(() => this.#backoff.reset(), STABLE_AFTER)
    this.#become('connected')
  }

  /**
   * Gives the connection a new token before its own ends. Where that fails, the
   * server closes it with 4401 then, and no sooner.
   *
   * @param {(token: string) => Promise<any>} refresh sends it
   */
  async renew(refresh) {
    const socket = this.#socket
    if (this.#renewing === socket) return
    this.#renewing = socket
    try {
      const token = await this.#tokens.next()
      if (socket !== this.#socket) return
      await refresh(token)
      if (socket === this.#socket) this.#token = token
    } catch (error) {
      this.#options.logger?.warn?.('gatecast: the token could not be renewed', error)
    } finally {
      if (this.#renewing === socket) this.#renewing = null
    }
  }

  // Browsers do not show control pings, so silence is what tells of a dead
  // line: ask once, and come back when nothing answers.
  #heard() {
    this.#isProbing = false
    clearTimeout(this.#timers.silence)
    const { heartbeatMs = 0 } = this.welcome ?? {}
    this.#timers.silence = setTimeout(() => this.#probe(), heartbeatMs > 0 ? Math.min(heartbeatMs, TIMER_MAX) : HEARTBEAT_DEFAULT)
  }

  #probe() {
    if (this.#isProbing) return
    this.#isProbing = true
    clearTimeout(this.#timers.silence)
    this.#timers.silence = setTimeout(() => this.#closed({ reason: 'the server fell silent' }), PONG_TIMEOUT)
    this.send('{"type":"ping"}')
  }

  /** The network is there again, or someone looks at the page: timers may have stood still meanwhile. */
  #woken = (/** @type {Event} */ { type }) => {
    if (type === 'visibilitychange' && globalThis.document?.visibilityState === 'hidden') return
    if (this.status === 'connected') this.#probe()
    else if (globalThis.navigator?.onLine !== false) this.#hurry()
  }

  #hurry() {
    const soon = backoff(0)
    if (this.#waiting?.mayHurry && performance.now() + soon < this.#waiting.until) this.#wait(soon, true)
  }

  /**
   * The connection is lost, or could not be had.
   *
   * @param {Cause} cause
   */
  #closed(cause) {
    const meaning = Backoff.meaning(cause.code)
    const isRefusedAgain = meaning === 'renew' && this.#refused !== undefined
    if (meaning === 'stop' || isRefusedAgain) return this.#fail(cause.code, cause.reason)
    this.#drop(CLOSE_NORMAL)
    if (meaning === 'renew') this.#refused = this.#token // another one is tried, and then no more
    this.#wait(this.#backoff.next(meaning) + (cause.retryAfterMs ?? 0), cause.retryAfterMs === undefined && meaning !== 'slow', cause)
  }

  /**
   * @param {number} retryInMs
   * @param {boolean} mayHurry
   * @param {Cause} [cause]
   */
  #wait(retryInMs, mayHurry, { code, reason } = {}) {
    this.#unwait()
    this.#waiting = { mayHurry, until: performance.now() + retryInMs }
    this.#timers.retry = setTimeout(() => this.#open('reconnecting'), Math.min(retryInMs, TIMER_MAX))
    this.#become('reconnecting', { code: code || undefined, reason, retryInMs, mayHurry })
  }

  #unwait() {
    this.#waiting = undefined
    clearTimeout(this.#timers.retry)
  }

  /**
   * @param {number} [code]
   * @param {string} [reason]
   */
  #fail(code, reason) {
    this.#end()
    this.#drop()
    this.#become('failed', { code, reason })
  }

  #end() {
    this.#wanted = false
    this.#tokens.forget()
    watchWorld('removeEventListener', this.#woken)
  }

  /**
   * Lets the socket and its timers go.
   *
   * @param {number} [code]
   * @param {string} [reason]
   */
  #drop(code, reason) {
    const socket = this.#socket
    this.#socket = null
    this.welcome = undefined
    this.#waiting = undefined
    Object.values(this.#timers).forEach(clearTimeout)
    socket?.close(code, reason)
  }

  /**
   * @param {Status} current
   * @param {Omit<StatusChange, 'previous' | 'current'>} [details]
   */
  #become(current, details) {
    const previous = this.status
    this.status = current
    if (previous === current && !details) return
    this.#options.logger?.debug?.(`gatecast: ${current}`, details)
    this.emit('status', { ...details, previous, current })
  }
}

/**
 * The frame that a text holds, or undefined where it holds none.
 *
 * @param {string} text
 * @returns {Frame | undefined}
 */
function parse(text) {
  try {
    const frame = JSON.parse(text)
    return typeof frame?.type === 'string' ? frame : undefined
  } catch {
    return undefined
  }
}

/**
 * How long getToken was told to wait, where its error says that. What is no number
 * of ms counts for nothing: a timer that is set with it would fire at once.
 *
 * @param {any} error
 * @returns {number | undefined}
 */
function waitOf(error) {
  const ms = error?.retryAfterMs
  return typeof ms === 'number' && ms >= 0 ? ms : undefined
}

/**
 * Resolves when a socket that was told to close has done so, or takes too long.
 *
 * @param {any} socket
 * @returns {Promise<void>}
 */
function closed(socket) {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      socket.terminate?.() // that of the package ws would wait on, and the program with it
      resolve()
    }, CLOSE_TIMEOUT)
    socket.onclose = () => {
      clearTimeout(timer)
      resolve()
    }
  })
}

/** @param {any} socket that came too late */
function discard(socket) {
  socket.onerror = () => {}
  socket.close()
}

/**
 * What tells that trying again is worth it, where the platform knows.
 *
 * @param {'addEventListener' | 'removeEventListener'} how
 * @param {(event: Event) => void} fn
 */
function watchWorld(how, fn) {
  for (const event of ['online', 'offline']) globalThis[how]?.(event, fn)
  globalThis.document?.[how]('visibilitychange', fn)
}
