// What is said in a channel, as a list that loses nothing.
//
//   const talk = new Conversation(client.channel('room:42'))
//   talk.on('change', () => draw(talk.messages))
//   await talk.open()
//
// It is what a page shows: what is stored in the order of its numbers, each
// message once, and own ones that are not stored yet at the end.

import { Emitter } from './emitter.js'
import { Timeline } from './timeline.js'

/** How long to wait before the first page is asked for again where the server does not say, in ms. */
const ASK_AGAIN = 2000

/**
 * @template {import('./message.js').EventMap} [E=any]
 * @typedef {import('./timeline.js').Line<E>} Line
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

  /** What is stored. */
  #timeline = new Timeline()
  /** @type {Map<string, Line<any>>} own ones that are stored, and come in their turn, by id */
  #early = new Map()
  /** How many messages loadOlder has brought: they are kept on top of #keep. */
  #loaded = 0

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
    return (this.#messages ??= [...this.#timeline.messages, ...this.#early.values(), ...this.#room.outgoing.filter((message) => !this.#timeline.has(message))])
  }

  /** Whether the server has, or may have, messages to put in front. */
  get hasOlder() {
    return this.#mayRead && this.#hasOlder && this.#timeline.first?.seq !== 1
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
    this.#timeline = new Timeline()
    this.#early.clear()
    this.#loaded = 0
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
    this.#timeline.part()
    this.#loading = undefined
    this.#hasOlder = hasOlder
    this.#changed()
  }

  /** @param {Line<any>} message */
  #hear(message) {
    const { newest } = this.#timeline
    if (message.epoch && newest?.epoch && message.epoch !== newest.epoch) this.#part(true)
    this.#arrived(message)
    this.#timeline.put(message)
    this.#bound()
    this.#changed()
  }

  /** @param {Line<any>} message has come in its turn */
  #arrived(message) {
    if (message.isOwn) this.#early.delete(message.id)
  }

  /** @param {Line<any>} message an own one */
  #follow(message) {
    if (message.state === 'sent' && !this.#timeline.has(message)) this.#early.set(message.id, message)
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
    const before = this.#timeline.first?.seq
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
    const first = this.#timeline.first?.seq ?? 0
    const end = messages.at(-1)?.seq ?? before - 1
    const leavesHole = end + 1 < first // what it was to be in front of has gone meanwhile
    if (!leavesHole) {
      messages.forEach((message) => this.#arrived(message))
      const count = this.#timeline.prepend(messages)
      if (this.#isBegun) this.#loaded += count
    }
    this.#hasOlder = more || leavesHole
    this.#isBegun = true
    this.#bound()
    this.#changed()
  }

  /** Lets the oldest go where there are too many. */
  #bound() {
    if (this.#timeline.bound(this.#keep + this.#loaded)) this.#hasOlder = true
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
