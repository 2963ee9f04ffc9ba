// The conversation: lines in the order of their messages' numbers.

import { say } from '/words.js'

const KEPT_LINES = 2_000
const NEAR = 40 // pixels from an end of the list that count as being there

export class Talk {
  #list = document.getElementById('messages')
  #atEnd = true
  #undo

  /** @param {() => void} onTop called when the reader comes to the first line */
  constructor(onTop) {
    const list = this.#list
    const onScroll = () => {
      this.#atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < NEAR
      if (list.scrollTop < NEAR) onTop()
    }
    // A conversation that is read at its end stays there when its frame changes.
    const frame = new ResizeObserver(() => this.#follow())
    frame.observe(list)
    list.addEventListener('scroll', onScroll)
    this.#undo = () => {
      frame.disconnect()
      list.removeEventListener('scroll', onScroll)
    }
  }

  /** Stops listening, and leaves nothing for whoever logs in next. */
  close() {
    this.#undo()
    this.#list.replaceChildren()
  }

  get isFull() {
    return this.#list.children.length >= KEPT_LINES
  }

  /** Tells whether everything is in sight, so that nobody can scroll. */
  get isShort() {
    return this.#list.scrollHeight <= this.#list.clientHeight
  }

  /** Adds a line behind all others; shown tells to go there wherever the reader is. */
  add(item, shown = false) {
    this.#list.append(item)
    if (shown) this.#atEnd = true
    this.#settle()
  }

  /**
   * Puts a line where its number belongs, unless a line with that number is
   * there; then the new one goes. Lines without a number stay where they are.
   */
  put(item, seq) {
    let next = null
    let stands = false
    for (let other = this.#list.lastElementChild; other; other = other.previousElementSibling) {
      const number = Number(other.dataset.seq) // NaN where it has none
      if (number === seq) {
        if (other !== item) item.remove()
        return
      }
      if (number < seq) break
      if (number > seq) [next, stands] = [other, false]
      else if (other === item) stands = true
    }
    item.dataset.seq = seq
    if (!stands) this.#list.insertBefore(item, next)
    this.#settle()
  }

  /** Lets fill put lines above, while the reader goes on seeing the same. */
  above(fill) {
    const below = this.#list.scrollHeight - this.#list.scrollTop
    fill()
    this.#list.scrollTop = this.#list.scrollHeight - below
  }

  /** Forgets the numbers: what comes next counts anew. */
  renumber() {
    for (const item of this.#list.children) delete item.dataset.seq
  }

  #settle() {
    while (this.#list.children.length > KEPT_LINES) this.#list.firstElementChild.remove()
    this.#follow()
  }

  #follow() {
    if (this.#atEnd) this.#list.scrollTop = this.#list.scrollHeight
  }
}

/** A line that nobody said. */
export function note(text) {
  const item = element('div', '', 'note')
  item.append(element('span', text, 'text'))
  return item
}

/** A line for a message. Text from people is only ever text, never markup. */
export function line(kind, { type, userId, username, message, timestamp }) {
  const item = element('div', '', kind)
  const gone = type === 'removed'
  if (!gone) item.append(userId ? element('b', username) : worded('b', 'deletedAccount'))
  item.append(gone ? worded('span', 'removed') : element('span', message, 'text'), element('small', '', 'state'))
  item.querySelector('.state').ariaLive = 'off' // the line itself has been read out
  mark(item, '', timestamp)
  return item
}

/** Writes the state of a line, or else its time, behind it. */
export function mark(item, state, timestamp) {
  item.querySelector('.state').textContent = state || (timestamp ? clock(new Date(timestamp)) : '')
}

/** A time of today, or a day and a time. */
function clock(date) {
  const day = date.toDateString() === new Date().toDateString() ? {} : { day: 'numeric', month: 'short' }
  return date.toLocaleString(document.documentElement.lang, { ...day, hour: 'numeric', minute: '2-digit' })
}

/** An element that says words of ours, in whatever language is spoken. */
function worded(tag, word) {
  const item = element(tag, say(word), 'gone')
  item.dataset.word = word
  return item
}

function element(tag, text, className = '') {
  const made = document.createElement(tag)
  made.textContent = text
  made.className = className
  return made
}
