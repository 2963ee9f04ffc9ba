// What is said in a channel, as a list that loses nothing.
//
//   const talk = new Conversation(client.channel('room:42'))
//   talk.on('change', () => draw(talk.messages))
//   await talk.open()
//
// It is what a page shows: what is stored in the order of its numbers, each
// message once, and own ones that are not stored yet at the end.

import { Emitter } from './emitter.js'

/** How long to wait before the first page is asked for again where the server does not say, in ms. */
const ASK_AGAIN = 2000

/**
 * A message. With `gapBefore` some that came before it may be missing.
 *
 * @template {import('./message.js').EventMap} [E=any]
 * @typedef {import('./message.js').Message<E> & {gapBefore?: boolean}} Line
 */

/**
 * @template {import('./message.js').EventMap} [E=any]
 * @extends {Emitter<{change: undefined}>}
 */
export class Conversation extends Emitter {
  #room
  #last
  #keep

  /** How many have opened it and not closed it. */
  #openings = 0
  /** @type {Promise<void>} of the one who came first */
  #opening = Promise.resolve()
  /** @type {(() => void)[]} */
  #undo = []

  /** @type {Line<any>[]} what is stored */
  #stored = []
  /** Where the messages behind the last gap begin in #stored: numbers are in order, and without a hole, from there on. */
  #base = 0
  /** @type {Set<string>} marks of what is in #stored */
  #known = new Set()
  /** @type {Map<string, Line<any>>} own ones that are stored, and come in their turn, by id */
  #early = new Map()
  /** How many messages loadOlder has brought: they are kept on top of #keep. */
  #loaded = 0

  /** A gap has come, and no message behind it. */
  #isGap = false
  /** Counts what makes a page that is under way worthless: gaps, and being closed. */
  #era = 0
  #hasOlder = false
  #mayRead = true
  /** The first page has come, or does not come. */
  #isBegun = false
  /** @type {Promise<void> | undefined} of the page that is under way */
  #loading
  /** @type {any} */
  #retry

  /** @type {readonly Line<E>[] | undefined} until something changes */
  #messages
  #isTelling = false

  /**
   * @param {import('./channel.js').Channel<E>} room
   * @param {{last?: number, keep?: number}} [options] how many messages are loaded at a time, 100 at most, and how
   *   many stored ones are kept, besides those that loadOlder brought: the oldest go
   */
  constructor(room, { last = 50, keep = 1000 } = {}) {
    super()
    this.#room = room
    this.#last = last
    this.#keep = Math.max(keep, last)
  }

  /** Whether it listens. */
  get isOpen() {
    return this.#openings > 0
  }

  /**
   * What is stored, in the order of its numbers, then what is pending or has
   * failed. It is the same array until something changes.
   *
   * @returns {readonly Line<E>[]}
   */
  get messages() {
    return (this.#messages ??= [...this.#stored, ...this.#early.values(), ...this.#room.outgoing.filter((message) => !this.#known.has(mark(message)))])
  }

  /** Whether the server has, or may have, messages to put in front. */
  get hasOlder() {
    return this.#mayRead && this.#hasOlder && this.#stored[this.#base]?.seq !== 1
  }

  /**
   * Subscribes and loads the newest messages. It is counted: as many close calls
   * end it. Where it rejects, with the error of the subscribe, there is nothing
   * to close. The channel's `status` tells of that too: the promise may be left
   * alone. A page that cannot be had now comes later by itself.
   */
  open() {
    if (this.#openings++ === 0) {
      this.#opening = this.#begin()
      this.#opening.catch(() => {})
    }
    return this.#opening
  }

  /** Unsubscribes, with the last of those who opened it, and stops listening. What is there stays until it is opened again. */
  async close() {
    if (this.#openings === 0 || --this.#openings > 0) return
    this.#end()
    await this.#room.unsubscribe()
  }

  /**
   * Puts a page of older messages in front. Rejects with the error of the request,
   * and may then be called again.
   *
   * @returns {Promise<void>}
   */
  async loadOlder() {
    if (this.isOpen && this.hasOlder) await this.#load()
  }

  async #begin() {
    this.#clear()
    this.#listen()
    const era = this.#era
    try {
      await this.#room.subscribe()
    } catch (error) {
      if (era === this.#era) {
        this.#openings = 0
        this.#end()
      }
      throw error
    }
    await this.#loadFirst()
  }

  #clear() {
    this.#stored = []
    this.#base = 0
    this.#loaded = 0
    this.#known.clear()
    this.#early.clear()
    this.#isGap = false
    this.#hasOlder = this.#last === 0
    this.#mayRead = true
    this.#isBegun = this.#last === 0
    this.#changed()
  }

  #listen() {
    const room = this.#room
    this.#undo = [
      room.on('message', (message) => this.#hear(message)),
      room.on('outgoing', (message) => this.#follow(message)),
      room.on('gap', (gap) => this.#part((gap.to?.seq ?? 0) > 0)),
      room.on('status', ({ current }) => current === 'subscribed' && this.#loadFirst()),
    ]
  }

  #end() {
    this.#era++
    this.#loading = undefined
    this.#undo.forEach((off) => off())
    this.#undo = []
    clearTimeout(this.#retry)
  }

  /**
   * Whatever comes from now on is behind a gap, and may have numbers that count
   * anew.
   *
   * @param {boolean} hasOlder
   */
  #part(hasOlder) {
    this.#era++
    this.#early.clear() // they are behind the gap, or in it
    for (let at = this.#base + 1; at < this.#stored.length; at++) {
      const { seq } = this.#stored[at]
      // A page may be ahead of what comes: what was to come in between does not.
      if (seq !== undefined && !this.#isNext(at)) this.#stored[at] = { ...this.#stored[at], gapBefore: true }
    }
    this.#loading = undefined
    this.#base = this.#stored.length
    this.#isGap = true
    this.#hasOlder = hasOlder
    this.#changed()
  }

  /** @param {Line<any>} message */
  #hear(message) {
    const newest = this.#base < this.#stored.length ? this.#stored.at(-1) : undefined
    if (message.epoch && newest?.epoch && message.epoch !== newest.epoch) this.#part(true)
    this.#put(message)
    this.#bound()
    this.#changed()
  }

  /** @param {Line<any>} message an own one */
  #follow(message) {
    if (message.state === 'sent' && !this.#known.has(mark(message))) this.#early.set(message.id, message)
    this.#changed()
  }

  /** The newest messages, unless they are there. */
  async #loadFirst() {
    clearTimeout(this.#retry)
    if (this.#isBegun || !this.isOpen) return
    try {
      await this.#load()
    } catch (error) {
      return this.#retryFirst(/** @type {any} */ (error))
    }
    await this.#loadFirst() // for where a gap made the page worthless
  }

  /** @param {{code?: string, retryAfterMs?: number}} error */
  #retryFirst({ code, retryAfterMs }) {
    const isForLater = retryAfterMs !== undefined || code === 'timeout' || code === 'unavailable'
    if (this.isOpen && isForLater) this.#retry = setTimeout(() => this.#loadFirst(), retryAfterMs ?? ASK_AGAIN)
    // When the connection was lost, it is asked for when the channel is in again.
  }

  /** The page in front of what is there. There is one under way at most. */
  #load() {
    if (!this.#loading) {
      const loading = this.#ask().finally(() => {
        if (this.#loading === loading) this.#loading = undefined
      })
      this.#loading = loading
    }
    return this.#loading
  }

  async #ask() {
    const era = this.#era
    const before = this.#stored[this.#base]?.seq
    try {
      const page = await this.#room.history({ before, limit: this.#last || undefined })
      if (era === this.#era) this.#prepend(page, before)
    } catch (/** @type {any} */ error) {
      if (era !== this.#era) return
      this.#mayRead = error.code !== 'forbidden'
      this.#isBegun ||= !this.#mayRead
      this.#hasOlder = true
      this.#changed()
      if (this.#mayRead) throw error
    }
  }

  /**
   * @param {{messages: Line<any>[], more: boolean}} page
   * @param {number} [before] what it was asked to end before
   */
  #prepend({ messages, more }, before = 1) {
    const first = this.#stored[this.#base]?.seq ?? 0
    const end = messages.at(-1)?.seq ?? before - 1
    const leavesHole = end + 1 < first // what it was to be in front of has gone meanwhile
    if (!leavesHole) {
      const count = this.#stored.length
      if (messages.some((message) => this.#reaches(message))) this.#join()
      messages.forEach((message) => this.#put(message))
      if (this.#isBegun) this.#loaded += this.#stored.length - count
    }
    this.#hasOlder = more || leavesHole
    this.#isBegun = true
    this.#bound()
    this.#changed()
  }

  /**
   * Whether a message shows that nothing is missing at the last gap: it is the one
   * before it, or follows that.
   *
   * @param {Line<any>} message
   */
  #reaches(message) {
    const end = this.#stored[this.#base - 1]
    if (end?.seq === undefined || end.epoch !== message.epoch) return false
    return message.seq === end.seq + 1 || (message.seq === end.seq && this.#isKnown(message))
  }

  /** Makes one of what is before and behind the last gap. */
  #join() {
    this.#isGap = false
    if (this.#base < this.#stored.length) this.#stored[this.#base] = unmarked(this.#stored[this.#base])
    this.#base--
    while (this.#isNext(this.#base)) this.#base--
  }

  /**
   * Whether nothing can be between a message and the one before it.
   *
   * @param {number} at
   */
  #isNext(at) {
    const [before, message] = [this.#stored[at - 1], this.#stored[at]]
    return message?.seq !== undefined && message.epoch === before?.epoch && message.seq - 1 === before.seq
  }

  /**
   * Puts a message where it belongs. One that is there is not put again, but
   * takes the place of the other where its sender's account has gone.
   *
   * @param {Line<any>} message
   */
  #put(message) {
    if (message.isOwn) this.#early.delete(message.id)
    const at = this.#placeOf(message.seq)
    const there = this.#stored[at]
    if (message.seq !== undefined && there?.seq === message.seq) {
      if (message.isRemoved || message.userId !== there.userId) this.#replace(at, message)
    } else if (!this.#isKnown(message)) {
      this.#insert(at, message)
    }
  }

  /**
   * Whether a message is there, under whatever number. A number of nobody knows
   * which life of the channel tells nothing.
   *
   * @param {Line<any>} message
   */
  #isKnown(message) {
    const isVague = message.seq !== undefined && message.epoch === undefined && !message.isOwn
    return !isVague && this.#known.has(mark(message))
  }

  /**
   * Where a message with this number is or would be; at the end without one.
   *
   * @param {number} [seq]
   */
  #placeOf(seq) {
    let from = this.#base
    let to = this.#stored.length
    if (seq === undefined || (this.#stored.at(-1)?.seq ?? 0) < seq) return to // nearly always
    while (from < to) {
      const middle = (from + to) >> 1
      if (/** @type {number} */ (this.#stored[middle].seq) < seq) from = middle + 1
      else to = middle
    }
    return from
  }

  /**
   * @param {number} at
   * @param {Line<any>} message
   */
  #replace(at, message) {
    const there = this.#stored[at]
    this.#known.delete(mark(there))
    this.#known.add(mark(message))
    this.#stored[at] = there.gapBefore ? { ...message, gapBefore: true } : message
  }

  /**
   * @param {number} at
   * @param {Line<any>} message
   */
  #insert(at, message) {
    const follower = this.#stored[at]
    const isBehindGap = at === this.#base && (this.#isGap || follower?.gapBefore === true)
    if (isBehindGap && follower) this.#stored[at] = unmarked(follower)
    this.#isGap &&= !isBehindGap
    this.#stored.splice(at, 0, isBehindGap ? { ...message, gapBefore: true } : message)
    this.#known.add(mark(message))
  }

  /** Lets the oldest go where there are too many. */
  #bound() {
    const over = this.#stored.length - this.#keep - this.#loaded
    if (over <= 0) return
    const gone = this.#stored.splice(0, over)
    gone.forEach((message) => this.#known.delete(mark(message)))
    if (over > this.#base && gone.at(-1)?.seq !== undefined) this.#hasOlder = true
    this.#base = Math.max(0, this.#base - over)
  }

  /** Tells of changes: once of all that come together. */
  #changed() {
    this.#messages = undefined
    if (this.#isTelling) return
    this.#isTelling = true
    queueMicrotask(() => {
      this.#isTelling = false
      this.emit('change', undefined)
    })
  }
}

/**
 * What tells a message from all others that are not stored under its number. A
 * sender's ids are their own: nobody hides a message of someone else.
 *
 * @param {Line<any>} message
 */
function mark({ id, isOwn, userId }) {
  return isOwn ? id : `${userId}\n${id}`
}

/**
 * @param {Line<any>} line
 * @returns {Line<any>}
 */
function unmarked({ gapBefore, ...message }) {
  return message
}
