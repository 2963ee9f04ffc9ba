// When to come back, by why the connection was lost.

// Close codes, as ws/closecode.go has them.
export const CLOSE_NORMAL = 1000
const CLOSE_PROTOCOL = 1002
const CLOSE_INVALID_TEXT = 1007
const CLOSE_TRY_LATER = 1013
export const CLOSE_UNAUTHORIZED = 4401
export const CLOSE_FORBIDDEN = 4403

// In ms.
const BACKOFF_MIN = 500
const BACKOFF_MAX = 20_000
/** Where the back-off begins when coming back at once would make it worse: up to 8 s. */
const SLOW_ATTEMPT = 4

/** Codes outside of the range of policies that ask to come back slowly. */
const SLOW_CODES = [CLOSE_PROTOCOL, CLOSE_INVALID_TEXT, CLOSE_TRY_LATER]

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

/** Counts attempts, and makes of a close code what to do. */
export class Backoff {
  #attempt = 0
  #mayRenew = true // at once

  reset() {
    this.#attempt = 0
    this.#mayRenew = true
  }

  /**
   * What a close code asks for (docs/protocol.md, "Staying and leaving"): 4401 a
   * new token, 4403 to stay away, others of the server's policy, 4400 to 4499,
   * to come back slowly, as some of the standard's do.
   *
   * @param {number | undefined} code
   * @returns {'renew' | 'stop' | 'slow' | 'retry'}
   */
  static meaning(code = 0) {
    if (code === CLOSE_UNAUTHORIZED) return 'renew'
    if (code === CLOSE_FORBIDDEN) return 'stop'
    return (code >= 4400 && code <= 4499) || SLOW_CODES.includes(code) ? 'slow' : 'retry'
  }

  /**
   * The next wait, in ms. A new token is tried at once, but where they come to their
   * end as soon as they are let in.
   *
   * @param {ReturnType<typeof Backoff.meaning>} meaning
   */
  next(meaning) {
    if (meaning === 'renew' && this.#mayRenew) {
      this.#mayRenew = false
      return 0
    }
    if (meaning === 'slow') this.#attempt = Math.max(this.#attempt, SLOW_ATTEMPT)
    return backoff(this.#attempt++)
  }
}
