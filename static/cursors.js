// A board on which everyone sees everyone's cursor.

import { element, hueOf, worded } from '/dom.js'
import { Panel } from '/panel.js'
import { say, spoken } from '/words.js'

const CHANNEL = 'live:cursors'
const SHOWN = 50 // cursors of others at most
const SILENCE = 5_000 // ms after which a cursor goes
const PER_SECOND = 8 // positions that are sent at most
const SHARE = 0.8 // of the messages that a user may send, so that the rest of the page can speak too
const STEP = 0.03 // of the board, for an arrow key
const LEAP = 0.12 // with shift
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }

export class Cursors extends Panel {
  #board = element('div', 'board')
  #who = element('p', 'who')
  #mine = new Cursor()
  /** @type {Map<string, {cursor: Cursor, userId: string, username: string, timer: number}>} others', by connection */
  #others = new Map()
  /** @type {{x: number, y: number} | null} what is sent next: where one's own is, or null where it is nowhere */
  #news = null
  #channel
  #notBefore = 0 // when the next position may be sent, by performance.now()
  #timer = 0
  #frame = 0

  constructor(client) {
    super(client, 'cursors')
    this.#channel = client.channel(CHANNEL)
    const keys = worded('p', 'live.cursorsKeys', 'about')
    keys.id = 'live-cursors-keys'
    this.#board.tabIndex = 0
    this.#board.setAttribute('role', 'application') // or arrow keys would not get here
    this.#board.setAttribute('aria-labelledby', 'live-cursors')
    this.#board.setAttribute('aria-describedby', keys.id)
    this.#board.append(this.#mine.element)
    this.element.append(this.#board, this.#who, keys)
    this.#listen()
    this.draw()
    this.join(this.#channel, (message) => this.#take(message))
  }

  draw() {
    super.draw()
    this.#mine.name(say('you'))
    this.#drawWho()
  }

  #listen() {
    const { scope } = this
    scope.listen(this.#board, 'pointerdown', (event) => this.#point(event))
    scope.listen(this.#board, 'pointermove', (event) => this.#point(event))
    scope.listen(this.#board, 'pointerleave', () => this.#go(null))
    scope.listen(this.#board, 'blur', () => this.#go(null))
    scope.listen(this.#board, 'keydown', (event) => this.#press(event))
    scope.add(this.client.on('error', ({ code, retryAfterMs }) => code === 'rate_limited' && this.#wait(retryAfterMs)))
    scope.add(this.#channel.on('presence', ({ users, isWhole }) => isWhole && this.#keep(users)))
    scope.add(() => {
      if (this.#mine.at) this.#publish(null)
      clearTimeout(this.#timer)
      cancelAnimationFrame(this.#frame)
      this.#others.forEach(({ timer }) => clearTimeout(timer))
    })
  }

  #point({ clientX, clientY, pointerType }) {
    const { left, top, width, height } = this.#board.getBoundingClientRect()
    this.#go({ x: within((clientX - left) / width), y: within((clientY - top) / height) }, pointerType === 'mouse')
  }

  #press(event) {
    const arrow = ARROWS[event.key]
    if (!arrow || event.ctrlKey || event.altKey || event.metaKey) return
    event.preventDefault() // the page does not scroll
    const { x, y } = this.#mine.at ?? { x: 0.5, y: 0.5 }
    const step = event.shiftKey ? LEAP : STEP
    this.#go({ x: within(x + arrow[0] * step), y: within(y + arrow[1] * step) })
  }

  /** Moves one's own cursor. A mouse shows where it is by itself. */
  #go(at, isSeen = false) {
    if (at === null && this.#mine.at === null) return
    this.#mine.move(at, isSeen)
    this.#news = at
    this.#send()
  }

  /** Sends the last position there is, soon: in the next picture, and not too often. */
  #send() {
    if (this.#timer || this.#frame) return
    const wait = this.#notBefore - performance.now()
    if (wait > 0) {
      this.#timer = setTimeout(() => {
        this.#timer = 0
        this.#send()
      }, wait)
      return
    }
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0
      this.#wait(1000 / Math.min(PER_SECOND, SHARE * (this.client.limits?.messages.rate || Infinity)))
      this.#publish(this.#news)
    })
  }

  #publish(at) {
    this.#channel.publish(at, { event: 'cursor', volatile: true }).catch(() => {}) // the next one tells more
  }

  #wait(ms) {
    this.#notBefore = Math.max(this.#notBefore, performance.now() + ms)
  }

  #take({ event, data, clientId, userId, username }) {
    if (event !== 'cursor' || !clientId || clientId === this.client.user?.clientId) return
    if (data === null) return this.#drop(clientId)
    if (!isPlace(data)) return
    const other = this.#others.get(clientId) ?? this.#add(clientId, userId, username)
    if (!other) return
    other.cursor.move(data)
    clearTimeout(other.timer)
    other.timer = setTimeout(() => this.#drop(clientId), SILENCE)
  }

  #add(clientId, userId, username) {
    if (this.#others.size >= SHOWN) return
    const other = { cursor: new Cursor(userId), userId, username, timer: 0 }
    other.cursor.name(username)
    this.#others.set(clientId, other)
    this.#board.append(other.cursor.element)
    this.#drawWho()
    return other
  }

  #drop(clientId) {
    const other = this.#others.get(clientId)
    if (!other) return
    clearTimeout(other.timer)
    other.cursor.element.remove()
    this.#others.delete(clientId)
    this.#drawWho()
  }

  /** Drops who is not in the channel any more. */
  #keep(users) {
    const there = new Set(users.map(({ userId }) => userId))
    for (const [clientId, { userId }] of this.#others) if (!there.has(userId)) this.#drop(clientId)
  }

  #drawWho() {
    const names = [...new Set([...this.#others.values()].map(({ username }) => username))].sort()
    const list = new Intl.ListFormat(spoken()).format(names)
    this.#who.textContent = names.length > 0 ? say('live.cursorsWho', { names: list }) : say('live.cursorsNobody')
  }
}

/** An arrow with a name, in a colour of the user's own. */
class Cursor {
  element = element('div', 'cursor', element('span', 'name'))
  /** @type {{x: number, y: number} | null} */
  at = null

  /** @param {string} [userId] whose it is; one's own has no colour */
  constructor(userId) {
    this.element.ariaHidden = 'true' // names are said below the board
    this.element.hidden = true
    if (userId !== undefined) this.element.dataset.hue = hueOf(userId)
  }

  name(text) {
    this.element.firstChild.textContent = text
  }

  move(at, isSeen = false) {
    this.at = at
    this.element.hidden = at === null || isSeen
    if (at === null) return
    this.element.style.left = `${at.x * 100}%`
    this.element.style.top = `${at.y * 100}%`
    this.element.classList.toggle('left', at.x > 0.7) // the name stands where there is room
  }
}

const within = (part) => Math.round(1000 * Math.min(1, Math.max(0, part))) / 1000

const isPlace = (data) => [data?.x, data?.y].every((part) => typeof part === 'number' && part >= 0 && part <= 1)
