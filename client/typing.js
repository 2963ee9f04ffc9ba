// Who is typing: what is told of one's own keys, and who else was heard of.

// In milliseconds.
const REPEAT = 3_000 // while keys are pressed, others are told this often at most
const IDLE = 5_000 // without a key, after which they are told that it stopped
const EXPIRES = 6_000 // without a word from someone, after which they are taken to have stopped
const MOST = 50 // users who are listed; a crowd of typists says no more than that

/**
 * @typedef {import('./roster.js').Person} Person
 * @typedef {import('./requests.js').Frame & Person & {isTyping: boolean}} TypingFrame
 */

/** The typing of one channel. */
export class Typing {
  // Static after construction.
  #tell
  #changed
  #now

  // Own typing.
  /** @type {number | undefined} when others were told, until they were told that it stopped */
  #toldAt
  #idle = noTimer
  #own = '' // user ID

  // Others, by user ID, in the order in which they began.
  /** @type {Map<string, {typist: Person, expiry: Timer}>} */
  #heard = new Map()
  /** @type {readonly Person[] | undefined} made when it is read */
  #users

  /**
   * @param {object} options
   * @param {(isTyping: boolean) => void} options.tell sends a typing frame, if that is possible
   * @param {() => void} options.changed is called after each change of `users`
   * @param {() => number} [options.now] a clock in ms that does not jump
   * @internal
   */
  constructor({ tell, changed, now = () => performance.now() }) {
    this.#tell = tell
    this.#changed = changed
    this.#now = now
  }

  /** Who else types now, in the order in which they began; the same array until that changes. */
  get users() {
    return (this.#users ??= Object.freeze([...this.#heard.values()].map(({ typist }) => typist)))
  }

  /** Call it at each key: it tells others, though not each time, and tells them too when no more keys come. */
  keystroke() {
    this.#idle.cancel()
    this.#idle = after(IDLE, () => this.stop())
    const now = this.#now()
    if (this.#toldAt !== undefined && now - this.#toldAt < REPEAT) return
    this.#toldAt = now
    this.#tell(true)
  }

  /** Tells others at once that it stopped, if they were told that it began. */
  stop() {
    this.#idle.cancel()
    if (this.#toldAt === undefined) return
    this.#toldAt = undefined
    this.#tell(false)
  }

  /**
   * Says whose typing is one's own, to leave out what is typed in another tab.
   *
   * @param {string} userId
   * @internal
   */
  setOwn(userId) {
    this.#own = userId
    this.forget(userId)
  }

  /**
   * Takes a typing frame.
   *
   * @param {TypingFrame} frame
   * @internal
   */
  take({ userId, username, isTyping }) {
    if (!isTyping) return this.forget(userId)
    if (userId === this.#own) return
    const known = this.#heard.get(userId)
    if (!known && this.#heard.size >= MOST) return
    known?.expiry.cancel()
    const isSame = known?.typist.username === username
    const typist = isSame ? known.typist : Object.freeze({ userId, username })
    this.#heard.set(userId, { typist, expiry: after(EXPIRES, () => this.forget(userId)) })
    if (!isSame) this.#change()
  }

  /**
   * Takes someone out: they have sent what they typed, or left.
   *
   * @param {string} userId
   * @internal
   */
  forget(userId) {
    const known = this.#heard.get(userId)
    if (!known) return
    known.expiry.cancel()
    this.#heard.delete(userId)
    this.#change()
  }

  /**
   * Forgets everything and tells nobody: the channel was left, or the connection lost.
   *
   * @internal
   */
  close() {
    this.#idle.cancel()
    this.#toldAt = undefined
    if (this.#heard.size === 0) return
    this.#heard.forEach(({ expiry }) => expiry.cancel())
    this.#heard.clear()
    this.#change()
  }

  #change() {
    this.#users = undefined
    this.#changed()
  }
}

/**
 * @typedef {{cancel: () => void}} Timer
 */

const noTimer = { cancel() {} }

/**
 * @param {number} ms
 * @param {() => void} fn
 * @returns {Timer}
 */
function after(ms, fn) {
  const timer = /** @type {any} */ (setTimeout(fn, ms))
  timer.unref?.() // no program waits for the end of someone's typing
  return { cancel: () => clearTimeout(timer) }
}
