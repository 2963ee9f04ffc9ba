// The Gatecast client: one socket that comes back by itself.
//
//   const client = createClient({ url: 'ws://localhost:3000/ws', getTicket: async () => ticket })
//   client.on('chat', (frame) => console.log(frame.username, frame.message))
//   await client.connect()
//   await client.request('chat', { message: 'Xin chào' })
//
// It runs as it is in browsers, which show a ticket of POST /ws/ticket, and in
// Node, where `WebSocket` is the constructor of the package ws and getToken
// gives an access token. docs/protocol.md lists the frames.

/**
 * @typedef {'initial' | 'connecting' | 'connected' | 'reconnecting' | 'disconnected' | 'failed'} Status
 * @typedef {{type: string, id?: string | number, [field: string]: any}} Frame
 * @typedef {{previous: Status, current: Status, code?: number, reason?: string, retryInMs?: number}} StatusChange
 * @typedef {{
 *   url: string,
 *   getTicket?: () => Promise<string> | string,
 *   getToken?: () => Promise<string> | string,
 *   WebSocket?: any,
 * }} Options
 */

const PROTOCOL = 'gatecast.v1'
const BEARER = 'bearer.'

// Close codes, as ws/closecode.go has them.
const CLOSE_NORMAL = 1000
const CLOSE_TRY_LATER = 1013
const CLOSE_UNAUTHORIZED = 4401
const CLOSE_FORBIDDEN = 4403
const CLOSE_TOO_SLOW = 4408
const CLOSE_OVER_LIMIT = 4429
const SLOW_CODES = [CLOSE_TRY_LATER, CLOSE_TOO_SLOW, CLOSE_OVER_LIMIT] // coming back at once would make it worse

// All times are in milliseconds.
const BACKOFF_MIN = 500
const BACKOFF_MAX = 20_000
const SLOW_ATTEMPT = 4 // where the back-off begins after SLOW_CODES: up to 8 s
const STABLE_AFTER = 5_000 // a connection this old starts the back-off anew
const OPEN_TIMEOUT = 15_000 // from asking for a token to the welcome
const HEARTBEAT_DEFAULT = 25_000
const PONG_TIMEOUT = 10_000
const REQUEST_TIMEOUT = 10_000
const TIMER_MAX = 2 ** 31 - 1 // a longer one would fire at once

/** Thrown by getTicket and getToken to say that trying again is of no use. */
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
 * Makes a client, which connects when it is told to.
 *
 * - getTicket is asked for a ticket before each attempt, since a ticket is good
 *   for one.
 * - getToken is asked for an access token, before each attempt where there is
 *   no getTicket, and for one that lasts longer when the server says that the
 *   token of the connection comes to its end.
 *
 * Either may throw an UnauthorizedError: a browser does not see why it was not
 * let in, so only they can tell that there is nothing to wait for.
 *
 * @param {Options} options
 */
export function createClient(options) {
  return new Client(options)
}

class Client {
  /** @type {Status} */
  status = 'initial'

  /** @type {any} the socket that is open or opening, or what stands for it until there is one */
  #socket = null
  #attempt = 0
  #nextId = 1
  #wanted = false
  /** @type {Frame | undefined} of the connection that is open */
  #welcome
  /** @type {string | undefined} the ticket or token of the connection */
  #credential
  /** @type {string | undefined} the last one that was refused with 4401, until a connection lasts */
  #refused
  /** @type {any} the socket that a new token is being had for */
  #renewing = null
  /** @type {Map<string, Set<Function>>} by event */
  #listeners = new Map()
  /** @type {Map<number, {resolve: Function, reject: Function, timer: any}>} by id */
  #requests = new Map()
  /** @type {{open?: any, retry?: any, silence?: any, stable?: any}} */
  #timers = {}

  /** @param {Options} options */
  constructor(options) {
    if (!options.getTicket && !options.getToken) throw new TypeError('createClient needs getTicket or getToken')
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

  /** Opens the socket; resolves with the welcome, rejects when it failed for good. */
  connect() {
    if (this.#welcome) return Promise.resolve(this.#welcome)
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
      this.#refused = undefined
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
    const text = JSON.stringify({ ...fields, type, id })
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#requests.delete(id)
        reject(new RequestError('timeout', 'no answer came'))
      }, REQUEST_TIMEOUT)
      this.#requests.set(id, { resolve, reject, timer })
      this.#socket.send(text)
    })
  }

  // In what follows, whatever is to be cleared or kept is set before a listener
  // hears of it: listeners may call disconnect and connect.

  /** @param {Status} status */
  async #open(status) {
    const attempt = (this.#socket = { close() {} })
    this.#timers.open = setTimeout(() => this.#closed(undefined, 'no welcome came'), OPEN_TIMEOUT)
    this.#become(status)
    let credential
    try {
      credential = await this.#ask()
    } catch (error) {
      if (attempt !== this.#socket) return // disconnect was called meanwhile
      if (error instanceof UnauthorizedError) this.#fail(CLOSE_UNAUTHORIZED, error.message)
      else this.#closed(undefined, String(error))
      return
    }
    if (attempt !== this.#socket) return
    if (credential === this.#refused) return this.#fail(CLOSE_UNAUTHORIZED, 'there is no new token')
    try {
      this.#listen(this.#dial(credential))
    } catch (error) {
      this.#fail(undefined, String(error)) // a URL or token that no attempt can use
    }
  }

  #ask() {
    const options = /** @type {any} */ (this.options) // it has one of them
    return options.getTicket ? options.getTicket() : options.getToken()
  }

  /**
   * Opens a socket. A URL may be logged, so no token goes into one; a ticket is
   * spent before anyone reads the log.
   *
   * @param {string} credential
   */
  #dial(credential) {
    this.#credential = credential
    const { url, getTicket, WebSocket: Socket = WebSocket } = this.options
    if (getTicket) return new Socket(`${url}?ticket=${encodeURIComponent(credential)}`, [PROTOCOL])
    return new Socket(url, [PROTOCOL, BEARER + credential])
  }

  /** @param {any} socket */
  #listen(socket) {
    this.#socket = socket
    const ours = (/** @type {Function} */ fn) => (/** @type {any} */ event) => {
      if (socket === this.#socket) fn(event)
    }
    socket.onmessage = ours((/** @type {any} */ event) => this.#receive(parse(event.data)))
    socket.onclose = ours((/** @type {any} */ event) => this.#closed(event.code, event.reason))
    socket.onerror = () => {} // a close event follows
  }

  /** @param {Frame | undefined} frame */
  #receive(frame) {
    if (!frame) return // not for this version of the client
    if (frame.type === 'welcome') this.#welcomed(frame)
    if (!this.#welcome) return // a listener has disconnected
    this.#heard()
    this.#answer(frame)
    if (frame.type === 'expiring') this.#renew()
    if (frame.type !== 'status') this.#emit(frame.type, frame) // that name is ours
  }

  /** @param {Frame} frame */
  #welcomed(frame) {
    this.#welcome = frame
    clearTimeout(this.#timers.open)
    this.#timers.stable = setTimeout(() => {
      this.#attempt = 0
      this.#refused = undefined
    }, STABLE_AFTER)
    this.#become('connected')
  }

  // Gives the connection a new token before its own ends. Where that fails, the
  // server closes it with 4401 then, and no sooner.
  async #renew() {
    const socket = this.#socket
    if (!this.options.getToken || this.#renewing === socket) return
    this.#renewing = socket
    try {
      const token = await this.options.getToken()
      if (socket !== this.#socket) return
      await this.request('refresh', { token })
      this.#credential = token
    } catch {
      // the close tells
    } finally {
      if (this.#renewing === socket) this.#renewing = null
    }
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
        this.#closed(undefined, 'the server fell silent')
      }, PONG_TIMEOUT)
    }, Math.min(this.#welcome?.heartbeatMs ?? HEARTBEAT_DEFAULT, TIMER_MAX))
  }

  /**
   * The connection is lost, or could not be had.
   *
   * @param {number} [code]
   * @param {string} [reason]
   */
  #closed(code = 0, reason) {
    const isRefusedAgain = code === CLOSE_UNAUTHORIZED && this.#refused !== undefined
    if (code === CLOSE_FORBIDDEN || isRefusedAgain) this.#fail(code, reason)
    else this.#retry(code || undefined, reason)
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
    this.#drop(CLOSE_NORMAL)
    if (SLOW_CODES.includes(code ?? 0)) this.#attempt = Math.max(this.#attempt, SLOW_ATTEMPT)
    if (code === CLOSE_UNAUTHORIZED) this.#refused = this.#credential // a new one is tried at once, and then no other
    const retryInMs = code === CLOSE_UNAUTHORIZED ? 0 : backoff(this.#attempt++)
    this.#timers.retry = setTimeout(() => this.#open('reconnecting'), retryInMs)
    this.#become('reconnecting', { code, reason, retryInMs })
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
    this.#welcome = undefined
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
    const set = this.#listeners.get(event) ?? new Set()
    for (const fn of [...set]) {
      try {
        if (set.has(fn)) fn(data) // one before it may have undone it
      } catch (error) {
        // The listener's mistake is reported as its own, and stops nothing here.
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }
}

/**
 * The frame that a text holds, or undefined where it holds none.
 *
 * @param {any} data
 * @returns {Frame | undefined}
 */
function parse(data) {
  if (typeof data !== 'string') return undefined
  try {
    const frame = JSON.parse(data)
    return typeof frame?.type === 'string' ? frame : undefined
  } catch {
    return undefined
  }
}
