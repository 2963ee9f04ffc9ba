// Stored messages of a channel in the order of their numbers, each once. A gap
// parts them into segments, of which only the last one grows: behind a gap
// numbers may count anew.

/**
 * A message. With `gapBefore` some that came before it may be missing.
 *
 * @template {import('./message.js').EventMap} [E=any]
 * @typedef {import('./message.js').Message<E> & {gapBefore?: boolean}} Line
 */

export class Timeline {
  /** @type {Line<any>[]} */
  #lines = []
  /** Where the last segment begins in #lines: numbers are in order, and without a hole, from there on. */
  #base = 0
  /** @type {Set<string>} marks of what is in #lines */
  #known = new Set()
  /** A gap has come, and no message behind it. */
  #isGap = false

  /**
   * All of them, oldest first; the array changes as the timeline does.
   *
   * @returns {readonly Line<any>[]}
   */
  get messages() {
    return this.#lines
  }

  /**
   * The oldest message behind the last gap.
   *
   * @returns {Line<any> | undefined}
   */
  get first() {
    return this.#lines[this.#base]
  }

  /**
   * The newest message behind the last gap.
   *
   * @returns {Line<any> | undefined}
   */
  get newest() {
    return this.#base < this.#lines.length ? this.#lines.at(-1) : undefined
  }

  /**
   * Whether a message is there, under whatever number. A number of nobody knows
   * which life of the channel tells nothing.
   *
   * @param {Line<any>} message
   */
  has(message) {
    const isVague = message.seq !== undefined && message.epoch === undefined && !message.isOwn
    return !isVague && this.#known.has(mark(message))
  }

  /**
   * Puts a message where it belongs. One that is there is not put again, but
   * takes the place of the other where its sender's account has gone.
   *
   * @param {Line<any>} message
   */
  put(message) {
    const at = this.#placeOf(message.seq)
    const there = this.#lines[at]
    if (message.seq !== undefined && there?.seq === message.seq) {
      if (message.isRemoved || message.userId !== there.userId) this.#replace(at, message)
    } else if (!this.has(message)) {
      this.#insert(at, message)
    }
  }

  /**
   * Puts a page in front of the last segment: it follows the one before where the
   * page shows that nothing is missing. Answers how many messages are new.
   *
   * @param {Line<any>[]} page in ascending order, up to what is there
   */
  prepend(page) {
    const count = this.#lines.length
    if (page.some((message) => this.#reaches(message))) this.#join()
    page.forEach((message) => this.put(message))
    return this.#lines.length - count
  }

  /** Begins a segment: whatever comes from now on is behind a gap. */
  part() {
    for (let at = this.#base + 1; at < this.#lines.length; at++) {
      const { seq } = this.#lines[at]
      // A page may be ahead of what comes: what was to come in between does not.
      if (seq !== undefined && !this.#isNext(at)) this.#lines[at] = { ...this.#lines[at], gapBefore: true }
    }
    this.#base = this.#lines.length
    this.#isGap = true
  }

  /**
   * Lets the oldest go where there are too many. Answers whether
   * they were behind the last gap and have numbers: then they can be had again.
   *
   * @param {number} max
   */
  bound(max) {
    const over = this.#lines.length - max
    if (over <= 0) return false
    const gone = this.#lines.splice(0, over)
    gone.forEach((message) => this.#known.delete(mark(message)))
    const isLastCut = over > this.#base
    this.#base = Math.max(0, this.#base - over)
    return isLastCut && gone.at(-1)?.seq !== undefined
  }

  /**
   * Whether a message shows that nothing is missing at the last gap: it is the one
   * before it, or follows that.
   *
   * @param {Line<any>} message
   */
  #reaches(message) {
    const end = this.#lines[this.#base - 1]
    if (end?.seq === undefined || end.epoch !== message.epoch) return false
    return message.seq === end.seq + 1 || (message.seq === end.seq && this.has(message))
  }

  /** Makes one of the last two segments. */
  #join() {
    this.#isGap = false
    if (this.#base < this.#lines.length) this.#lines[this.#base] = unmarked(this.#lines[this.#base])
    this.#base--
    while (this.#isNext(this.#base)) this.#base--
  }

  /**
   * Whether nothing can be between a message and the one before it.
   *
   * @param {number} at
   */
  #isNext(at) {
    const [before, message] = [this.#lines[at - 1], this.#lines[at]]
    return message?.seq !== undefined && message.epoch === before?.epoch && message.seq - 1 === before.seq
  }

  /**
   * Where a message with this number is or would be; at the end without one.
   *
   * @param {number} [seq]
   */
  #placeOf(seq) {
    let from = this.#base
    let to = this.#lines.length
    if (seq === undefined || (this.#lines.at(-1)?.seq ?? 0) < seq) return to // nearly always
    while (from < to) {
      const middle = (from + to) >> 1
      if (/** @type {number} */ (this.#lines[middle].seq) < seq) from = middle + 1
      else to = middle
    }
    return from
  }

  /**
   * @param {number} at
   * @param {Line<any>} message
   */
  #replace(at, message) {
    const there = this.#lines[at]
    this.#known.delete(mark(there))
    this.#known.add(mark(message))
    this.#lines[at] = there.gapBefore ? { ...message, gapBefore: true } : message
  }

  /**
   * @param {number} at
   * @param {Line<any>} message
   */
  #insert(at, message) {
    const follower = this.#lines[at]
    const isBehindGap = at === this.#base && (this.#isGap || follower?.gapBefore === true)
    if (isBehindGap && follower) this.#lines[at] = unmarked(follower)
    this.#isGap &&= !isBehindGap
    this.#lines.splice(at, 0, isBehindGap ? { ...message, gapBefore: true } : message)
    this.#known.add(mark(message))
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
