// The list of channels: those one is in with what is unread, others to join,
// and a field to make one.

import { button, byId, element } from '/dom.js'
import { Keyed } from '/keyed.js'
import { nameOf, roomOf } from '/names.js'
import { say } from '/words.js'

const MANY = 99 // more unread messages than this are not counted out

export class Channels {
  #rooms
  #onOpen
  #open = '' // the channel that is open
  #joined
  #others

  /**
   * @param {import('/rooms.js').Rooms} rooms
   * @param {import('/scope.js').Scope} scope
   * @param {(name: string) => void} onOpen asks for a channel
   */
  constructor(rooms, scope, onOpen) {
    this.#rooms = rooms
    this.#onOpen = onOpen
    const entry = ({ name }) => new Entry(name, () => this.#ask(name))
    this.#joined = new Keyed(byId('joined'), ({ name }) => name, entry)
    this.#others = new Keyed(byId('others'), ({ name }) => name, entry)
    scope.add(rooms.on('change', () => this.draw()))
    scope.listen(byId('more-others'), 'click', () => rooms.list(true))
    scope.listen(byId('new-room'), 'submit', (event) => this.#make(event))
    scope.listen(byId('new-room-name'), 'input', () => this.#preview())
    scope.add(() => {
      byId('new-room').reset()
      this.#joined.clear()
      this.#others.clear()
      document.title = 'Gatecast'
    })
  }

  /** Marks the channel that is open. */
  mark(name) {
    this.#open = name
    this.draw()
  }

  draw() {
    const { joined, others, hasMore } = this.#rooms
    this.#joined.draw(joined.map((name) => ({ name, isOpen: name === this.#open, unread: this.#rooms.unread(name) })))
    this.#others.draw(others.map((name) => ({ name, isOpen: false, unread: 0 })))
    byId('no-others').hidden = others.length > 0
    byId('more-others').hidden = !hasMore
    this.#preview()
    const unread = joined.reduce((sum, name) => sum + this.#rooms.unread(name), 0)
    byId('unread-elsewhere').hidden = unread === this.#rooms.unread(this.#open)
    document.title = `${unread > 0 ? `(${counted(unread)}) ` : ''}#${nameOf(this.#open)} · Gatecast`
  }

  #ask(name) {
    if (byId('channels').matches(':popover-open')) byId('channels').hidePopover()
    this.#onOpen(name)
  }

  #make(event) {
    event.preventDefault()
    const name = roomOf(byId('new-room-name').value)
    if (!name) return this.#preview(true)
    byId('new-room').reset()
    this.#ask(name)
  }

  /** Says what a name will be, or that it cannot be one. */
  #preview(isWanted = false) {
    const text = byId('new-room-name').value.trim()
    const name = roomOf(text)
    const isBad = !name && (text !== '' || isWanted)
    const words = isBad ? say('newRoomBad') : name ? say('newRoomPreview', { name: nameOf(name) }) : say('newRoomHint')
    const hint = byId('new-room-hint')
    if (hint.textContent !== words) hint.textContent = words // or it would be read out again
    hint.classList.toggle('bad', isBad)
    byId('new-room-name').ariaInvalid = String(isBad)
  }
}

/** One channel in the list. */
class Entry {
  #button
  #badge = element('span', 'badge')
  #unread = element('span', 'hidden')

  constructor(name, onClick) {
    const hash = element('span', 'hash', '#')
    hash.ariaHidden = this.#badge.ariaHidden = 'true'
    this.#button = button('channel', '', onClick)
    this.#button.append(hash, element('span', 'channel-name', nameOf(name)), this.#badge, this.#unread)
    this.element = element('li', '', this.#button)
  }

  update({ isOpen, unread }) {
    if (isOpen) this.#button.setAttribute('aria-current', 'true')
    else this.#button.removeAttribute('aria-current')
    this.#badge.hidden = unread === 0
    this.#badge.textContent = unread > 0 ? counted(unread) : ''
    this.#unread.textContent = unread > 0 ? `, ${say('unread', { n: unread })}` : ''
  }
}

const counted = (n) => (n > MANY ? `${MANY}+` : String(n))
