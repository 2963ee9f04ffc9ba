// The Gatecast client: one socket that comes back by itself.
//
//   const client = createClient({ url: 'ws://localhost:3000/ws', getToken: async () => token })
//   client.on('chat', (frame) => console.log(frame.username, frame.message))
//   await client.connect()
//   await client.request('chat', { message: 'Xin chào' })
//
// It runs as it is in browsers and in Node, where `WebSocket` is the
// constructor of the package ws. docs/protocol.md lists the frames.

/**
 * @typedef {'initial' | 'connecting' | 'connected' | 'reconnecting' | 'disconnected' | 'failed'} Status
 * @typedef {{type: string, id?: string | number, [field: string]: any}} Frame
 * @typedef {{previous: Status, current: Status, code?: number, reason?: string, retryInMs?: number}} StatusChange
 * @typedef {{
 *   url: string,
 *   getToken: () => Promise<string> | string,
 *   WebSocket?: any,
 * }} Options
 */

const PROTOCOL = 'gatecast.v1'
const BEARER = 'bearer.'

// Close codes, as ws/closecode.go has them: after these, coming back by itself
// would change nothing.
const CLOSE_NORMAL = 1000
const CLOSE_UNAUTHORIZED = 4401
const CLOSE_FORBIDDEN = 4403
const FINAL_CODES = [CLOSE_UNAUTHORIZED, CLOSE_FORBIDDEN]

// All times are in milliseconds.
const BACKOFF_MIN = 500
const BACKOFF_MAX = 20_000
const STABLE_AFTER = 5_000 // a connection this old starts the back-off anew
const PONG_TIMEOUT = 10_000
const REQUEST_TIMEOUT = 10_000

/** Thrown by getToken to say that trying again is of no use. */
export class UnauthorizedError extends Error {
  name = 'UnauthorizedError'
}

/** What the server refused, or what did not come back. */
export class RequestError extends Error {
  name = 'RequestError'

  /**
   * @param {string} code an error frame's code, or `disconnected`, `timeout`
   * @param {string} message
   * @param {number} [retryAfterMs]
   */
  constructor(code, message, retryAfterMs) {
    super(message)
    this.code = code
    this.retryAfterMs = retryAfterMs
  }
}

/**
 * How long to wait before an attempt: anything up to a bound that doubles, so
 * that clients that were lost together do not come back together.
 *
 * @param {number} attempt counted from 0
 * @param {() => number} [random]
 */
export function backoff(attempt, random = Math.random) {
  return random() * Math.min(BACKOFF_MAX, BACKOFF_MIN * 2 ** attempt)
}

/**
 * @param {Options} options
 */
export function createClient(options) {
  return new Client(options)
}

class Client {
  /** @type {Status} */
  status = 'initial'

  /** @type {any} the socket that is open or opening */
  #socket = null
  #attempt = 0
  #nextId = 1
  #heartbeatMs = 0
  #wanted = false
  /** @type {Map<string, Set<Function>>} by event */
  #listeners = new Map()
  /** @type {Map<number, {resolve: Function, reject: Function, timer: any}>} by id */
  #requests = new Map()
  /** @type {{retry?: any, silence?: any, stable?: any}} */
  #timers = {}

  /** @param {Options} options */
  constructor(options) {
    this.options = options
  }

  /**
   * Calls fn with every frame of a type, or with `status` changes. It answers
   * the function that undoes it.
   *
   * @param {string} event
   * @param {(data: any) => void} fn
   */
  on(event, fn) {
    const set = this.#listeners.get(event) ?? new Set()
    this.#listeners.set(event, set.add(fn))
    return () => void set.delete(fn)
  }

  /** Opens the socket; resolves with the first welcome, rejects when it failed for good. */
  connect() {
    const done = new Promise((resolve, reject) => {
      const undo = [
        this.on('welcome', (frame) => settle(resolve, frame)),
        this.on('status', ({ current, reason }) => {
          if (current === 'failed' || current === 'disconnected') settle(reject, new RequestError(current, reason ?? 'not connected'))
        }),
      ]
      const settle = (/** @type {Function} */ how, /** @type {any} */ value) => {
        undo.forEach((off) => off())
        how(value)
      }
    })
    if (!this.#wanted) {
      this.#wanted = true
      this.#attempt = 0
      this.#open('connecting')
    }
    return done
  }

  /** Says goodbye and stays away. */
  disconnect() {
    this.#wanted = false
    this.#drop(CLOSE_NORMAL, 'goodbye')
    this.#become('disconnected', { code: CLOSE_NORMAL })
  }

  /**
   * Sends a frame that nobody answers, if the socket is open.
   *
   * @param {string} type
   * @param {object} [fields]
   */
  send(type, fields) {
    if (this.status === 'connected') this.#socket.send(JSON.stringify({ ...fields, type }))
  }

  /**
   * Sends a frame and resolves with its reply; rejects with a RequestError.
   *
   * @param {string} type
   * @param {object} [fields]
   * @returns {Promise<Frame>}
   */
  request(type, fields) {
    if (this.status !== 'connected') return Promise.reject(new RequestError('disconnected', 'not connected'))
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#requests.delete(id)
        reject(new RequestError('timeout', 'no answer came'))
      }, REQUEST_TIMEOUT)
      this.#requests.set(id, { resolve, reject, timer })
      this.#socket.send(JSON.stringify({ ...fields, type, id }))
    })
  }

  /** @param {Status} status */
  async #open(status) {
    this.#become(status)
    const socket = (this.#socket = { close() {} }) // until there is a real one
    let token
    try {
      token = await this.options.getToken()
    } catch (error) {
      if (socket !== this.#socket) return
      if (error instanceof UnauthorizedError) return this.#fail(CLOSE_UNAUTHORIZED, error.message)
      return this.#retry(undefined, String(error))
    }
    if (socket !== this.#socket) return // disconnect was called meanwhile
    this.#listen(new (this.options.WebSocket ?? WebSocket)(this.options.url, [PROTOCOL, BEARER + token]))
  }

  /** @param {any} socket */
  #listen(socket) {
    this.#socket = socket
    const ours = (/** @type {Function} */ fn) => (/** @type {any} */ event) => {
      if (socket === this.#socket) fn(event)
    }
    socket.onmessage = ours((/** @type {any} */ event) => this.#receive(JSON.parse(event.data)))
    socket.onclose = ours((/** @type {any} */ event) => this.#closed(event.code, event.reason))
    socket.onerror = () => {} // a close event follows
  }

  /** @param {Frame} frame */
  #receive(frame) {
    if (frame.type === 'welcome') {
      this.#heartbeatMs = frame.heartbeatMs
      this.#timers.stable = setTimeout(() => (this.#attempt = 0), STABLE_AFTER)
      this.#become('connected')
    }
    this.#heard()
    this.#answer(frame)
    this.#emit(frame.type, frame)
  }

  /** @param {Frame} frame */
  #answer(frame) {
    const request = this.#requests.get(/** @type {number} */ (frame.id))
    if (!request) return
    this.#requests.delete(/** @type {number} */ (frame.id))
    clearTimeout(request.timer)
    if (frame.type === 'error') request.reject(new RequestError(frame.code, frame.message, frame.retryAfterMs))
    else request.resolve(frame)
  }

  // Browsers do not show control pings, so silence is what tells of a dead
  // line: ask once, and come back when nothing answers.
  #heard() {
    clearTimeout(this.#timers.silence)
    this.#timers.silence = setTimeout(() => {
      this.send('ping')
      this.#timers.silence = setTimeout(() => {
        this.#drop(CLOSE_NORMAL, 'silence')
        this.#closed(undefined, 'the server fell silent')
      }, PONG_TIMEOUT)
    }, this.#heartbeatMs || PONG_TIMEOUT)
  }

  /**
   * @param {number} [code]
   * @param {string} [reason]
   */
  #closed(code, reason) {
    this.#drop()
    if (code !== undefined && FINAL_CODES.includes(code)) this.#fail(code, reason)
    else this.#retry(code, reason)
  }

  /**
   * @param {number} [code]
   * @param {string} [reason]
   */
  #fail(code, reason) {
    this.#wanted = false
    this.#drop()
    this.#become('failed', { code, reason })
  }

  /**
   * @param {number} [code]
   * @param {string} [reason]
   */
  #retry(code, reason) {
    const retryInMs = backoff(this.#attempt++)
    this.#become('reconnecting', { code, reason, retryInMs })
    this.#timers.retry = setTimeout(() => this.#open('reconnecting'), retryInMs)
  }

  /**
   * Lets the socket, its timers and its requests go.
   *
   * @param {number} [code]
   * @param {string} [reason]
   */
  #drop(code, reason) {
    const socket = this.#socket
    this.#socket = null
    socket?.close(code, reason)
    Object.values(this.#timers).forEach(clearTimeout)
    const requests = [...this.#requests.values()]
    this.#requests.clear()
    for (const request of requests) {
      clearTimeout(request.timer)
      request.reject(new RequestError('disconnected', 'the connection was lost'))
    }
  }

  /**
   * @param {Status} current
   * @param {object} [details]
   */
  #become(current, details) {
    const previous = this.status
    this.status = current
    if (previous !== current || details) this.#emit('status', { ...details, previous, current })
  }

  /**
   * @param {string} event
   * @param {any} data
   */
  #emit(event, data) {
    for (const fn of [...(this.#listeners.get(event) ?? [])]) fn(data)
  }
}
