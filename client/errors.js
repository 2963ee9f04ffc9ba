// What can go wrong, told apart by `code`.

/**
 * @typedef {'forbidden' | 'bad_frame' | 'bad_channel' | 'unknown_type' | 'too_large' | 'not_subscribed' | 'subscription_limit'
 *   | 'invalid_token' | 'unavailable' | 'unknown'} RefusedCode
 * @typedef {'disconnected' | 'timeout' | 'failed'} ConnectionCode
 * @typedef {'queue_full' | 'expired' | 'discarded'} QueueCode
 * @typedef {UnauthorizedError | RateLimitError | BusyError | RefusedError | ConnectionError | QueueError} GatecastError
 */

/**
 * There is no credential to come in with. Thrown by getToken it says that trying
 * again is of no use.
 */
export class UnauthorizedError extends Error {
  name = 'UnauthorizedError'
  code = /** @type {const} */ ('unauthorized')
}

/** Too much at once: after retryAfterMs it goes through. */
export class RateLimitError extends Error {
  name = 'RateLimitError'
  code = /** @type {const} */ ('rate_limited')

  /**
   * @param {string} message
   * @param {number} retryAfterMs
   */
  constructor(message, retryAfterMs) {
    super(message)
    this.retryAfterMs = retryAfterMs
  }
}

/** The server has more to do than it can: after retryAfterMs try again. */
export class BusyError extends Error {
  name = 'BusyError'
  code = /** @type {const} */ ('busy')

  /**
   * @param {string} message
   * @param {number} retryAfterMs
   */
  constructor(message, retryAfterMs) {
    super(message)
    this.retryAfterMs = retryAfterMs
  }
}

/** The server will not, or the message cannot be sent as it is. */
export class RefusedError extends Error {
  name = 'RefusedError'

  /**
   * @param {RefusedCode} code of the protocol; programs on the server may have codes of their own
   * @param {string} message
   */
  constructor(code, message) {
    super(message)
    this.code = code
  }
}

/** The connection was lost, or nothing came back on it. */
export class ConnectionError extends Error {
  name = 'ConnectionError'

  /**
   * @param {ConnectionCode} code
   * @param {string} message
   */
  constructor(code, message) {
    super(message)
    this.code = code
  }
}

/** A message that waited to be sent waits no longer. */
export class QueueError extends Error {
  name = 'QueueError'

  /**
   * @param {QueueCode} code
   * @param {string} message
   */
  constructor(code, message) {
    super(message)
    this.code = code
  }
}

/**
 * Whether what was caught is an error of this client: its `code` then tells which.
 *
 * @param {unknown} error
 * @returns {error is GatecastError}
 */
export function isGatecastError(error) {
  return KINDS.some((Kind) => error instanceof Kind)
}

const KINDS = [UnauthorizedError, RateLimitError, BusyError, RefusedError, ConnectionError, QueueError]

/** How long to wait where the server asks to but does not say how long, in ms. */
const WAIT_DEFAULT = 1000
const TIMER_MAX = 2 ** 31 - 1 // a longer one would fire at once

/**
 * The error that an error frame tells of.
 *
 * @param {import('./requests.js').Frame} frame
 * @returns {GatecastError}
 */
export function errorOf({ code, message, retryAfterMs = 0 }) {
  const wait = retryAfterMs > 0 ? Math.min(retryAfterMs, TIMER_MAX) : WAIT_DEFAULT
  if (code === 'rate_limited') return new RateLimitError(message, wait)
  if (code === 'busy') return new BusyError(message, wait)
  return new RefusedError(code, message)
}
