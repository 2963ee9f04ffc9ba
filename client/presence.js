// Who is in a channel, by user, kept up to date from the frames that tell of it.
// docs/protocol.md says under "Who is there" what is promised.

import { Roster } from './roster.js'

const NAMES = 200 // users who are named at most; the server names no more in one list
// In milliseconds.
const LIST_WITHIN = 30_000 // a new list is asked for at any time until then: all of a crowd want one at once
const PAGE_SPREAD = 5 // and a page within so much for each who is there, so that a crowd asks for 200 a second

/**
 * @typedef {import('./requests.js').Frame} Frame
 * @typedef {import('./roster.js').List} List
 * @typedef {import('./roster.js').Person} Person
 */

/** The presence of one channel. */
export class Presence {
  // Static after construction.
  #ask
  #changed
  #limit

  #roster
  #isTold = false // lists come: one may see them
  #named = 0 // users who were named after the last list or page
  #isFilling = false // further pages of the last list are wanted
  /** @type {any} */
  #timer
  /** @type {Frame[] | undefined} what came since a list was asked for, no longer than a request may take; undefined where none was */
  #since
  /** @type {readonly Person[]} */
  #users = Object.freeze([])
  #isSorted = true // #users is what the roster says

  /**
   * @param {object} options
   * @param {(fields: {after?: string, limit: number}) => Promise<any>} options.ask sends a presence frame, and answers the reply
   * @param {() => void} options.changed is called after each change
   * @param {number} [options.limit] how many users are named, 1 at least; all are counted
   * @internal
   */
  constructor({ ask, changed, limit = NAMES }) {
    this.#ask = ask
    this.#changed = changed
    this.#limit = limit
    this.#roster = new Roster(limit)
  }

  /** How many users are there. Who may not see presence gets those they have heard of. */
  get count() {
    return this.#isTold ? this.#roster.count : this.#roster.users.size
  }

  /** Those of them who are named, by name; the same array until that changes. */
  get users() {
    if (this.#isSorted) return this.#users
    this.#isSorted = true
    const users = sorted(this.#roster.users)
    if (!isSame(users, this.#users)) this.#users = Object.freeze(users)
    return this.#users
  }

  /** Whether `users` is everyone who is there, and nobody else. */
  get isWhole() {
    return this.#isTold && this.#roster.isWhole
  }

  /**
   * Takes the list of a `subscribed`, which has none where one may not see it.
   *
   * @param {List} [list]
   * @internal
   */
  begin(list) {
    this.pause()
    this.#isTold = list !== undefined
    this.#roster.begin(list ?? { count: 0, users: [] })
    this.#listed()
  }

  /**
   * Takes what the server tells unasked: `user_joined`, `user_left`, and `presence`
   * without an id.
   *
   * @param {Frame} frame
   * @internal
   */
  take(frame) {
    if (frame.id !== undefined) return // a reply, for whoever asked
    if (frame.users) return this.begin(/** @type {any} */ (frame))
    this.#since?.push(frame)
    this.#roster.take(frame)
    this.#update()
  }

  /**
   * Asks for nothing until the next begin: the connection is lost. What is known stays.
   *
   * @internal
   */
  pause() {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#since = undefined
  }

  /**
   * Forgets everyone: the channel was left.
   *
   * @internal
   */
  close() {
    this.pause()
    const wasEmpty = this.count === 0
    this.#isTold = false
    this.#roster = new Roster(this.#limit)
    this.#isSorted = false
    if (!wasEmpty) this.#changed()
  }

  #listed() {
    this.#named = this.#roster.users.size
    this.#isFilling = true
    this.#update()
  }

  #update() {
    this.#isSorted = false
    this.#isFilling &&= this.#roster.next !== undefined && this.#roster.users.size < this.#limit
    this.#plan()
    this.#changed()
  }

  /** Whether only a new list tells who is there: names were left out, or who was named has left. */
  get #isWorn() {
    const { isStale, users, count } = this.#roster
    return isStale || users.size < Math.min(count, this.#named / 2)
  }

  /**
   * Asks for what is wanted, at some time.
   *
   * @param {number} [wait] ms until then at least
   */
  #plan(wait = 0) {
    if (!this.#isTold || this.#timer !== undefined || this.#since) return
    if (!this.#isWorn && !this.#isFilling) return
    const within = this.#isWorn ? LIST_WITHIN : Math.min(LIST_WITHIN, this.count * PAGE_SPREAD)
    this.#timer = setTimeout(() => this.#request(), wait + Math.random() * within)
    this.#timer.unref?.() // it is the socket that keeps a program running
  }

  #request() {
    this.#timer = undefined
    const isPage = !this.#isWorn
    if (isPage && !this.#isFilling) return
    const since = (this.#since = /** @type {Frame[]} */ ([]))
    const fields = isPage ? { after: this.#roster.next, limit: this.#limit - this.#roster.users.size } : { limit: this.#limit }
    this.#ask(fields)
      .then((list) => this.#since === since && this.#answer(list, isPage, since))
      .catch((error) => this.#since === since && this.#fail(error))
  }

  /**
   * @param {List} list
   * @param {boolean} isPage
   * @param {Frame[]} since
   */
  #answer(list, isPage, since) {
    const { count } = this.#roster
    if (isPage) this.#roster.add(list)
    else this.#roster.begin(list)
    this.#since = undefined
    // A promise tells later than the frame came, so these came before the list or
    // after it. Of each user the last frame is right either way, and the count was.
    since.forEach((frame) => this.#roster.take(frame))
    if (since.length > 0) this.#roster.count = count
    this.#listed()
  }

  /** @param {{retryAfterMs?: number}} error */
  #fail(error) {
    this.#since = undefined
    this.#plan(error?.retryAfterMs ?? LIST_WITHIN)
  }
}

/**
 * @param {Map<string, string>} names by user ID
 * @returns {Person[]}
 */
function sorted(names) {
  return [...names]
    .sort((a, b) => a[1].localeCompare(b[1]) || (a[0] < b[0] ? -1 : 1))
    .map(([userId, username]) => Object.freeze({ userId, username }))
}

/**
 * @param {readonly Person[]} a
 * @param {readonly Person[]} b
 */
function isSame(a, b) {
  return a.length === b.length && a.every(({ userId, username }, i) => userId === b[i].userId && username === b[i].username)
}
