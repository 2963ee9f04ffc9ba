// Where a reader is in a list that grows at both ends: at its end, which they
// then go on seeing, or at a line, which then stays where it is.

// In pixels.
const NEAR_END = 40 // from the end that count as being there
const NEAR_TOP = 300

export class Scroll {
  #frame
  #lines
  #isAtEnd = true
  #noted = 0 // what was scrolled when this was noted, in pixels
  /** @type {{line: HTMLElement, top: number} | undefined} the first line in sight, and how far down it begins, in pixels */
  #anchor

  /**
   * @param {HTMLElement} frame what scrolls
   * @param {HTMLElement} lines what is in it: a line is a child
   * @param {import('/scope.js').Scope} scope
   * @param {() => void} onMove is told that the reader has moved
   */
  constructor(frame, lines, scope, onMove) {
    this.#frame = frame
    this.#lines = lines
    scope.listen(frame, 'scroll', () => {
      // Where this put the frame the reader has not moved, though an image may have grown since.
      if (frame.scrollTop !== this.#noted) this.#note()
      onMove()
    })
    const sizes = new ResizeObserver(() => this.#keep()) // an image that is there at last, a window that is turned
    sizes.observe(frame)
    sizes.observe(lines)
    scope.add(() => sizes.disconnect())
  }

  get isAtEnd() {
    return this.#isAtEnd
  }

  /** Whether the reader comes near what is older. */
  get isNearTop() {
    return this.#frame.clientHeight > 0 && this.#frame.scrollTop < NEAR_TOP
  }

  /** Goes to the end, and stays there. */
  toEnd() {
    this.#isAtEnd = true
    this.#keep()
  }

  /** Lets the lines change, and puts the reader back where they are. */
  around(change) {
    if (this.#frame.scrollTop !== this.#noted) this.#note() // the event is still to come
    change()
    this.#keep()
  }

  #keep() {
    if (this.#isAtEnd) this.#frame.scrollTop = this.#frame.scrollHeight
    else if (this.#anchor?.line.isConnected) this.#frame.scrollTop += topOf(this.#anchor.line, this.#frame) - this.#anchor.top
    this.#noted = this.#frame.scrollTop
  }

  #note() {
    const { scrollHeight, scrollTop, clientHeight } = this.#frame
    if (clientHeight === 0) return // another tab is shown: the reader comes back to where they are
    this.#noted = scrollTop
    this.#isAtEnd = scrollHeight - scrollTop - clientHeight < NEAR_END
    const line = this.#firstInSight()
    this.#anchor = line && { line, top: topOf(line, this.#frame) }
  }

  /** Lines stand one below the other: half of them are passed over at a time. */
  #firstInSight() {
    const lines = this.#lines.children
    let [from, to] = [0, lines.length - 1]
    while (from < to) {
      const middle = (from + to) >> 1
      if (bottomOf(lines[middle], this.#frame) > 0) to = middle
      else from = middle + 1
    }
    return lines[from]
  }
}

const topOf = (line, frame) => line.getBoundingClientRect().top - frame.getBoundingClientRect().top
const bottomOf = (line, frame) => line.getBoundingClientRect().bottom - frame.getBoundingClientRect().top
