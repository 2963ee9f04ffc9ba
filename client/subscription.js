// Being in a channel, across connections: docs/protocol.md, "How to never miss
// or double a message".

import { ConnectionError, RefusedError } from './errors.js'
import { Recent } from './recent.js'

/** How long to wait where the server could not tell, in ms. */
const JOIN_AGAIN = 2_000
/** How long a stored message and those before it may take to come one nearer, in ms. */
const COMES_WITHIN = 5_000

/**
 * @typedef {import('./errors.js').GatecastError} GatecastError
 * @typedef {import('./requests.js').Frame} Frame
 * @typedef {import('./roster.js').List} List
 *
 * @typedef {{epoch: string, seq: number}} Place
 * @typedef {Frame & {recovered?: boolean, messages?: Frame[], presence?: List}} Subscribed with a Place where the channel has one
 * @typedef {'unsubscribed' | 'subscribing' | 'subscribed' | 'failed'} SubscriptionStatus
 * @typedef {{previous: SubscriptionStatus, current: SubscriptionStatus, error?: GatecastError}} SubscriptionChange
 * @typedef {{
 *   deliver: (frame: Frame) => void,
 *   gap: (gap: Gap) => void,
 *   present: (list: List | undefined) => void,
 *   changed: (change: SubscriptionChange) => void,
 * }} Told what is told as it happens
 */

/**
 * Messages may be missing.
 *
 * @typedef {object} Gap
 * @property {string} channel
 * @property {'trimmed' | 'new_epoch' | 'not_kept'} reason the server keeps those messages no more, the channel has begun
 *   anew, or it keeps none
 * @property {Place} [from] the last place that was known
 * @property {Place} [to] where it goes on
 */

export class Subscription {
  /** @type {SubscriptionStatus} */
  status = 'unsubscribed'
  /** @type {Place | undefined} up to where nothing is missing; none where the channel has no numbers, or may not be read */
  at
  /** Another one whenever it was left: what was to be told before is not told any more. */
  stay = {}

  #channel
  #link
  #told
  #holds = 0
  #last = 0
  #wasLive = false // since it was first held
  #recent = new Recent() // messages without a number: their sender may have sent one again
  /** @type {Entry | undefined} of who waits to be in */
  #entry
  /** @type {{recovered?: boolean}} how it came in the last time */
  #how = {}
  /** @type {object | undefined} the asking that counts */
  #attempt
  /** @type {ReturnType<typeof setTimeout> | undefined} until it asks again, or for what should have come */
  #timer

  /**
   * @param {string} channel
   * @param {import('./client.js').Link} link
   * @param {Told} told
   */
  constructor(channel, link, told) {
    this.#channel = channel
    this.#link = link
    this.#told = told
  }

  get isHeld() {
    return this.#holds > 0
  }

  /**
   * Is in from now on, until it is released as often.
   *
   * @param {number} last how many of the newest messages come first, for the first who holds it
   */
  hold(last) {
    this.#holds++
    if (this.#holds === 1) this.#last = last
    if (this.status === 'subscribed') return Promise.resolve(this.#how)
    const entry = (this.#entry ??= new Entry())
    entry.waiting++
    this.opened()
    return entry.promise
  }

  /** Answers whether nobody holds it any more. */
  release() {
    if (this.#holds === 0) return false
    if (this.#entry?.waiting) this.#entry.waiting-- // who leaves while others wait has most likely waited too
    if (--this.#holds > 0) return false
    this.#entry?.refuse(new RefusedError('not_subscribed', `${this.#channel} was unsubscribed meanwhile`))
    this.#forget()
    this.#become('unsubscribed')
    return true
  }

  /** There may be a connection to join with. */
  opened() {
    if (this.isHeld && this.#link.isOpen() && !this.#attempt && this.status !== 'subscribed') this.#join()
  }

  /** The connection is lost. */
  closed() {
    this.#stop()
    if (this.isHeld) this.#become('subscribing')
  }

  /**
   * There will be no other connection, until the application says so.
   *
   * @param {GatecastError} error
   */
  ended(error) {
    if (this.#letDown(error)) this.#become('failed', error)
  }

  /**
   * A frame of the channel that tells where it goes on, or holds a message. Until
   * the server has answered they are passed over: it may have joined the channel
   * for us.
   *
   * @param {Frame} frame
   */
  take(frame) {
    if (this.status !== 'subscribed') return
    if (frame.type !== 'subscribed') this.#hear(frame)
    else if (frame.id === undefined && frame.recovered !== undefined) this.#goOn(frame)
  }

  /**
   * An own message was stored. Answers whether it is the next of the channel;
   * otherwise a frame has brought it, or will.
   *
   * @param {number | undefined} seq
   */
  isNext(seq) {
    if (this.status !== 'subscribed') return false
    if (seq === undefined || !this.at) return true
    if (seq !== this.at.seq + 1) {
      this.#expect(seq)
      return false
    }
    this.at = { ...this.at, seq }
    return true
  }

  /**
   * A number that is ahead will come, and those before it. Where nothing does, they
   * were acked to someone else of this program: the log has them.
   *
   * @param {number} seq
   */
  #expect(seq) {
    const { at } = this
    if (!at || seq <= at.seq || this.#timer !== undefined) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      if (this.at === at) this.#join()
      else this.#expect(seq)
    }, COMES_WITHIN)
  }

  async #join() {
    this.#stop()
    const attempt = (this.#attempt = {})
    this.#become('subscribing')
    try {
      await this.#link.lane.run(async () => attempt === this.#attempt && this.#ask(attempt))
    } catch (error) {
      if (attempt === this.#attempt) this.#refused(/** @type {GatecastError} */ (error))
    }
  }

  /**
   * The answer is taken as it comes, before what is behind it, and only where it
   * still counts.
   *
   * @param {object} attempt
   */
  #ask(attempt) {
    const from = this.at ? { since: this.at } : this.#last && !this.#wasLive ? { last: this.#last } : {}
    return new Promise((resolve, reject) => {
      this.#link.ask('subscribe', { channel: this.#channel, ...from }, (error, answer) => {
        if (error) return reject(error)
        if (attempt === this.#attempt) this.#admit(answer)
        resolve(answer)
      })
    })
  }

  /** @param {GatecastError} error */
  #refused(error) {
    this.#attempt = undefined
    if (error instanceof ConnectionError || error.code === 'unavailable') {
      if (this.#link.isOpen()) this.#timer = setTimeout(() => this.#join(), JOIN_AGAIN)
    } else if (error.code === 'forbidden' && (this.at || this.#last)) { // who may not read may still hear
      this.at = undefined
      this.#last = 0
      this.#join()
    } else {
      this.#letDown(error)
      this.#become('failed', error)
    }
  }

  /**
   * Who waits to be in will not be, and so does not hold it. Answers whether that
   * leaves nobody.
   *
   * @param {GatecastError} error
   */
  #letDown(error) {
    const entry = this.#entry
    if (!entry) return false
    entry.refuse(error)
    this.#entry = undefined
    this.#holds -= entry.waiting
    if (!this.isHeld) this.#forget()
    return !this.isHeld
  }

  /** @param {Subscribed} answer */
  #admit(answer) {
    const attempt = this.#attempt
    this.#told.present(answer.presence) // who may not see it gets none
    if (attempt !== this.#attempt || !this.#goOn(answer)) return
    this.#attempt = undefined
    this.#wasLive = true
    this.#how = answer.recovered === undefined ? {} : { recovered: answer.recovered }
    this.#entry?.admit(this.#how)
    this.#entry = undefined
    this.#become('subscribed')
  }

  /**
   * The server says where it goes on from: in answer to what was asked, or unasked
   * when messages are lost for good. Answers whether all of it was told: a listener
   * may leave.
   *
   * @param {Subscribed} frame
   */
  #goOn({ epoch, seq, recovered, messages = [] }) {
    const { stay } = this
    const attempt = this.#attempt
    const to = epoch === undefined ? undefined : { epoch, seq }
    if (!this.at || !recovered) this.#begin(to, messages[0]?.seq)
    const isLeft = () => attempt !== this.#attempt || stay !== this.stay
    for (const message of messages) {
      if (isLeft()) return false
      this.#hear(message)
    }
    if (isLeft()) return false
    this.at = to
    return true
  }

  /**
   * @param {Place | undefined} to
   * @param {number} [first] the number of the first message that comes along
   */
  #begin(to, first = 1) {
    const from = this.at
    const isAnew = !from || !to || from.epoch !== to.epoch || to.seq < from.seq
    this.at = to && { ...to, seq: Math.max(isAnew ? 0 : from.seq, first - 1) }
    if (this.#wasLive) this.#told.gap({ channel: this.#channel, reason: reasonOf(from, to), ...(from && { from }), ...(to && { to }) })
  }

  /** @param {Frame} message */
  #hear(message) {
    if (!this.at || message.seq === undefined) this.#hearUnnumbered(message)
    else if (message.seq === this.at.seq + 1) this.#deliver(message)
    else if (message.seq > this.at.seq) this.#join() // never seen; the log has what is between
  }

  /** @param {Frame} message */
  #hearUnnumbered(message) {
    const { userId, key } = message
    if (!key || this.#recent.isNew(`${userId} ${key}`)) this.#deliver(message)
  }

  /** @param {Frame} message */
  #deliver(message) {
    if (this.at && message.seq !== undefined) this.at = { ...this.at, seq: message.seq }
    this.#told.deliver(message)
  }

  #stop() {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#attempt = undefined
  }

  #forget() {
    this.#stop()
    this.#entry = undefined
    this.#wasLive = false
    this.at = undefined
    this.stay = {}
  }

  /**
   * @param {SubscriptionStatus} current
   * @param {GatecastError} [error]
   */
  #become(current, error) {
    const previous = this.status
    this.status = current
    if (previous !== current) this.#told.changed({ previous, current, ...(error && { error }) })
  }
}

/**
 * @param {Place | undefined} from
 * @param {Place | undefined} to
 */
function reasonOf(from, to) {
  if (!from || !to) return 'not_kept'
  return from.epoch === to.epoch ? 'trimmed' : 'new_epoch'
}

/** Being let into the channel, once. */
class Entry {
  waiting = 0
  #settle = { resolve: (/** @type {{recovered?: boolean}} */ _) => {}, reject: (/** @type {GatecastError} */ _) => {} }
  /** @type {Promise<{recovered?: boolean}>} */
  promise = new Promise((resolve, reject) => Object.assign(this.#settle, { resolve, reject }))

  constructor() {
    this.promise.catch(() => {}) // whoever waits is told
  }

  /** @param {{recovered?: boolean}} how */
  admit(how) {
    this.#settle.resolve(how)
  }

  /** @param {GatecastError} error */
  refuse(error) {
    this.#settle.reject(error)
  }
}
