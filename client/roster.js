// Who is in a channel, added up from the frames that tell of it.
// docs/protocol.md says under "Who is there" what is promised.

/**
 * @typedef {import('./requests.js').Frame} Frame
 * @typedef {Readonly<{userId: string, username: string}>} Person who is in a channel, or types there
 * @typedef {{count: number, users: Person[], next?: string}} List
 */

export class Roster {
  /** How many users are there, as far as that was told. */
  count = 0
  /** @type {Map<string, string>} usernames by user ID, of those who are named */
  users = new Map()
  /** @type {string | undefined} where the list goes on, for `after` of the next page */
  next
  /** Whether some of those who came or went were not named: only a new first page tells. */
  isStale = false
  #limit

  /** @param {number} [limit] how many users are named at most; the count is whole */
  constructor(limit = Infinity) {
    this.#limit = limit
  }

  /** Whether all who are there are named, and nobody else. */
  get isWhole() {
    return !this.isStale && this.users.size === this.count
  }

  /**
   * Takes a first page: of a `subscribed`, or of a `presence` that asked without `after`.
   *
   * @param {List} list
   */
  begin(list) {
    this.users.clear()
    this.isStale = false
    this.add(list)
  }

  /**
   * Takes the page that `next` was asked for.
   *
   * @param {List} list
   */
  add({ count, users, next }) {
    this.count = count
    this.next = next
    users.forEach((user) => this.#put(user))
  }

  /**
   * Takes what the server tells unasked: `user_joined`, `user_left`, and `presence`
   * without an id, which is a summary or the list of all. A reply is for begin
   * and add.
   *
   * @param {Frame} frame
   */
  take(frame) {
    if (frame.id !== undefined) return
    if (frame.type === 'user_joined') this.#cross([frame], [], this.count + 1)
    else if (frame.type === 'user_left') this.#cross([], [frame], this.count - 1)
    else if (frame.type === 'presence' && frame.users) this.begin(/** @type {any} */ (frame))
    else if (frame.type === 'presence') {
      const { joined, left, count = this.count + joined.length - left.length } = frame // who may see no list is told no count
      this.#cross(joined, left, count)
      this.isStale ||= frame.more === true
    }
  }

  /**
   * @param {any[]} joined
   * @param {any[]} left
   * @param {number} count
   */
  #cross(joined, left, count) {
    left.forEach(({ userId }) => this.users.delete(userId))
    joined.forEach((user) => this.#put(user))
    this.count = count
  }

  /** @param {Person} user */
  #put({ userId, username }) {
    if (this.users.size < this.#limit) this.users.set(userId, username)
  }
}
