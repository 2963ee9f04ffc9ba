// Own messages on their way out: each is stored once, in order, across
// connections.

import { BusyError, ConnectionError, QueueError, RateLimitError } from './errors.js'

/** Messages of a channel that may be without an answer; the server takes 256 of a connection. */
const WINDOW = 64
/** How long to wait where the server could not store a message or cannot tell, in ms. */
const AGAIN = 1_000
const TIMER_MAX = 2 ** 31 - 1 // a longer one would fire at once

/**
 * @typedef {import('./client.js').Encoded} Encoded
 * @typedef {import('./errors.js').GatecastError} GatecastError
 * @typedef {import('./message.js').Message<any>} Message
 * @typedef {import('./requests.js').Ack} Ack
 */

/**
 * A message, and how it is doing. One that is sent again goes alone, so that it
 * stays before what is behind it.
 *
 * @typedef {{
 *   message: Message,
 *   content: Encoded,
 *   isAgain: boolean,
 *   isInFlight: boolean,
 *   until: number,
 *   promise: Promise<Receipt>,
 *   resolve: (receipt: Receipt) => void,
 *   reject: (error: GatecastError) => void,
 * }} Entry
 *
 * @typedef {{id: string, seq?: number}} Receipt
 * @typedef {{state: (message: Message) => void, stored: (message: Message) => void}} Told state tells each change, stored what is in the channel now
 */

/** How many messages wait in all channels of a client, and for how long. */
export class Budget {
  held = 0

  /**
   * @param {number} count
   * @param {number} ageMs
   */
  constructor(count, ageMs) {
    this.count = count
    this.ageMs = ageMs
  }
}

export class Outbox {
  /** @type {Map<string, Entry>} pending and failed ones, in the order in which they came, by id */
  #entries = new Map()
  #pending = 0 // of them
  /** @type {readonly Message[] | undefined} */
  #snapshot
  #inFlight = 0
  /** @type {any} */
  #timer
  #link
  #isReady
  #told

  /**
   * @param {import('./client.js').Link} link
   * @param {() => boolean} isReady whether messages can be sent now
   * @param {Told} told
   */
  constructor(link, isReady, told) {
    this.#link = link
    this.#isReady = isReady
    this.#told = told
  }

  get isEmpty() {
    return this.#entries.size === 0
  }

  /** Messages that are not known to be stored, in order. */
  get messages() {
    return (this.#snapshot ??= Object.freeze([...this.#entries.values()].map(({ message }) => message)))
  }

  /**
   * Sends a message now or when that is possible.
   *
   * @param {Message} message
   * @param {Encoded} content
   * @returns {Promise<Receipt>}
   */
  add(message, content) {
    const known = this.#entries.get(message.id)
    if (known && isPending(known)) return known.promise
    const { budget } = this.#link
    if (budget.held >= budget.count) return Promise.reject(new QueueError('queue_full', `${budget.count} messages wait to be sent already`))
    this.#entries.delete(message.id)
    const entry = this.#enter(message, content)
    this.#told.state(message)
    this.pump()
    return entry.promise
  }

  /**
   * Sends a message again that failed.
   *
   * @param {string} id
   */
  resend(id) {
    const entry = this.#entries.get(id)
    if (!entry) return Promise.reject(new QueueError('discarded', 'there is no failed message of this id'))
    const { error, ...message } = entry.message
    return this.add({ ...message, state: 'pending' }, entry.content)
  }

  /**
   * Forgets a message that failed.
   *
   * @param {string} id
   */
  discard(id) {
    const entry = this.#entries.get(id)
    if (!entry || isPending(entry)) return
    this.#remove(entry)
    this.#told.state({ ...entry.message, state: 'discarded' })
  }

  /** Sends what may be sent. */
  pump() {
    for (const entry of this.#entries.values()) {
      if (!this.#isReady()) return
      if (!isPending(entry)) continue
      if (entry.isInFlight && entry.isAgain) return
      if (entry.isInFlight) continue
      if (this.#inFlight >= (entry.isAgain ? 1 : WINDOW)) return
      this.#send(entry)
    }
  }

  /** The connection is lost: whatever waits has waited for another one, and is no live message any more. */
  closed() {
    for (const entry of this.#entries.values()) entry.isAgain = true
  }

  /**
   * A frame of the channel has brought an own message.
   *
   * @param {Message} message
   */
  found(message) {
    const entry = this.#entries.get(message.id)
    if (entry) this.#sent(entry, message)
  }

  /**
   * Gives all up that is pending.
   *
   * @param {GatecastError} error
   */
  failAll(error) {
    for (const entry of [...this.#entries.values()]) if (isPending(entry)) this.#fail(entry, error)
  }

  /**
   * @param {Message} message
   * @param {Encoded} content
   * @returns {Entry}
   */
  #enter(message, content) {
    const { budget } = this.#link
    const isBehind = [...this.#entries.values()].some((other) => isPending(other) && other.isAgain)
    const entry = /** @type {Entry} */ ({ message, content, isAgain: isBehind || !this.#isReady(), isInFlight: false, until: performance.now() + budget.ageMs })
    entry.promise = new Promise((resolve, reject) => Object.assign(entry, { resolve, reject }))
    this.#entries.set(message.id, entry)
    this.#snapshot = undefined
    this.#pending++
    budget.held++
    if (this.#timer === undefined) this.#expireIn(budget.ageMs)
    return entry
  }

  /** @param {Entry} entry */
  async #send(entry) {
    entry.isInFlight = true
    this.#inFlight++
    try {
      if (entry.isAgain) await this.#link.lane.run(() => this.#try(entry))
      else await this.#try(entry)
    } catch (error) {
      this.#missed(entry, /** @type {GatecastError} */ (error))
    } finally {
      entry.isInFlight = false
      this.#inFlight--
      this.pump()
    }
  }

  /**
   * @param {Entry} entry
   * @returns {Promise<void>}
   */
  #try(entry) {
    if (!this.#has(entry)) return Promise.resolve() // given up, or found
    if (entry.isAgain && entry.until <= performance.now()) return Promise.reject(expired())
    return new Promise((resolve, reject) => {
      this.#link.publish(entry.message, entry.content, (error, ack) => {
        if (error) return reject(error)
        this.#acked(entry, /** @type {Ack} */ (ack))
        resolve()
      })
    })
  }

  /**
   * @param {Entry} entry
   * @param {Ack} ack
   */
  #acked(entry, { seq, timestamp }) {
    if (!this.#has(entry)) return
    /** @type {Message} */
    const message = { ...entry.message, ...this.#link.user(), state: 'sent', timestamp, ...(seq && { seq }) }
    this.#sent(entry, message)
    this.#told.stored(message)
  }

  /**
   * @param {Entry} entry
   * @param {Message} message
   */
  #sent(entry, message) {
    this.#remove(entry)
    this.#told.state(message)
    entry.resolve({ id: message.id, ...(message.seq && { seq: message.seq }) })
  }

  /**
   * @param {Entry} entry
   * @param {GatecastError & {retryAfterMs?: number}} error
   */
  #missed(entry, error) {
    if (!this.#has(entry)) return // given up, or found
    if (isFinal(entry, error)) return this.#fail(entry, error)
    entry.isAgain = true
    if (!(error instanceof ConnectionError)) this.#link.lane.wait(error.retryAfterMs ?? AGAIN)
    if (entry.until <= performance.now()) this.#fail(entry, expired())
  }

  /**
   * @param {Entry} entry
   * @param {GatecastError} error
   */
  #fail(entry, error) {
    this.#settle()
    entry.message = { ...entry.message, state: 'failed', error }
    this.#snapshot = undefined
    this.#told.state(entry.message)
    entry.reject(error)
    this.#bound()
  }

  /** Who never looks at what has failed does not gather it for ever: the oldest goes. */
  #bound() {
    const failed = this.#entries.size - this.#pending
    if (failed > this.#link.budget.count) this.discard(/** @type {Message} */ (this.messages.find(({ state }) => state === 'failed')).id)
  }

  /** @param {Entry} entry that is pending and not known to be stored */
  #has(entry) {
    return isPending(entry) && this.#entries.get(entry.message.id) === entry
  }

  /** @param {Entry} entry */
  #remove(entry) {
    this.#entries.delete(entry.message.id)
    this.#snapshot = undefined
    if (isPending(entry)) this.#settle()
  }

  /** One is pending no more. */
  #settle() {
    this.#link.budget.held--
    if (--this.#pending > 0) return
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  // What is in flight is looked at when its answer is late.
  #expire() {
    this.#timer = undefined
    const now = performance.now()
    for (const entry of [...this.#entries.values()]) {
      if (!isPending(entry)) continue
      if (entry.until > now) return this.#expireIn(entry.until - now)
      if (!entry.isInFlight) this.#fail(entry, expired())
    }
  }

  /** @param {number} ms */
  #expireIn(ms) {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#expire(), Math.min(ms, TIMER_MAX))
    this.#timer.unref?.() // it is the connection that keeps a program running
  }
}

const isPending = (/** @type {Entry} */ { message }) => message.state === 'pending'

/**
 * Whether sending a message again would not help, or is for the application to decide.
 *
 * @param {Entry} entry
 * @param {GatecastError} error
 */
function isFinal(entry, error) {
  if (error instanceof RateLimitError) return !entry.isAgain
  if (error instanceof ConnectionError || error instanceof BusyError) return false
  return error.code !== 'unknown' && error.code !== 'unavailable'
}

const expired = () => new QueueError('expired', 'the message could not be sent in time; it may have arrived all the same')
