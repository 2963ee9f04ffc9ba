// The conversation of one channel: its messages, who types, and what is older.

import { Conversation } from '/client/gatecast.js'
import { byId, element, show } from '/dom.js'
import { Keyed } from '/keyed.js'
import { Line, isShown } from '/line.js'
import { LOBBY, nameOf } from '/names.js'
import { People } from '/people.js'
import { Scope } from '/scope.js'
import { Scroll } from '/scroll.js'
import { say, spoken } from '/words.js'

const PAGE = 50 // messages that are loaded at a time
const NAMED = 3 // who types is named up to here

export class Room {
  #client
  #room
  #talk
  #unread
  #tell
  #scope = new Scope()
  #people
  #scroll
  #lines
  #top = element('p', 'top note')
  #isQuiet = true // what is shown now was there before, and is not read out
  #isLoading = false
  #newest // ID of the newest message of others when the reader was last at the end

  /**
   * @param {import('/client/gatecast.js').Client} client
   * @param {string} name of the channel
   * @param {import('/rooms.js').Unread | null} unread what one has not read yet
   * @param {(error: any) => void} tell says what did not work
   */
  constructor(client, name, unread, tell) {
    this.#client = client
    this.#unread = unread
    this.#room = client.channel(name)
    this.#tell = tell
    this.#talk = new Conversation(this.#room, { last: PAGE })
    const list = element('div', 'lines')
    byId('messages').replaceChildren(this.#top, list)
    this.#lines = new Keyed(list, ({ id }) => id, () => new Line(this.#actions(), this.#isQuiet))
    this.#scroll = new Scroll(byId('messages'), list, this.#scope, () => this.#moved())
    this.#people = new People(client, this.#room, this.#talk, this.#scope)
    this.#listen()
    this.draw()
    this.#open()
  }

  get name() {
    return this.#room.name
  }

  /** Stops listening, and leaves nothing for whoever is here next. */
  close() {
    this.#scope.close()
    this.#talk.close().catch(() => {}) // gone with the connection
    this.#lines.clear()
    byId('messages').replaceChildren()
    byId('typing-text').textContent = ''
  }

  /** Sends what was typed, and shows it wherever the reader is. */
  send(text) {
    this.#sent(this.#room.send(text))
  }

  /** Sends an image, as bytes. */
  sendImage(bytes) {
    this.#sent(this.#room.publish(bytes, { event: 'image' }))
  }

  /** Tells others that something is being typed, or that it was taken back. */
  typed(text) {
    if (text) this.#room.typing.keystroke()
    else this.#room.typing.stop()
  }

  /** Draws what depends on the language, the day, or the connection. */
  draw() {
    byId('room-title').replaceChildren(Object.assign(element('span', 'hash', '#'), { ariaHidden: 'true' }), nameOf(this.name))
    byId('leave-room').hidden = this.name === LOBBY
    this.#people.draw()
    this.#drawMessages()
    this.#drawTyping()
  }

  #listen() {
    this.#scope.add(this.#talk.on('change', () => this.#drawMessages()))
    this.#scope.add(this.#room.on('typing', () => this.#drawTyping()))
    this.#scope.add(this.#client.on('status', () => this.#drawMessages()))
    this.#scope.listen(byId('to-latest'), 'click', () => {
      this.#scroll.toEnd()
      this.#moved()
      byId('message').focus()
    })
  }

  async #open() {
    await this.#talk.open().catch((error) => this.#refused(error))
    if (this.#scope.isClosed) return
    this.#drawMessages()
    this.#isQuiet = false
    this.#drawTop()
    this.#loadOlder()
  }

  async #loadOlder() {
    if (this.#isLoading || this.#isQuiet || !this.#talk.hasOlder || !this.#scroll.isNearTop) return
    this.#isLoading = this.#isQuiet = true
    this.#drawTop()
    const isLoaded = await this.#talk.loadOlder().then(() => true, (error) => this.#refused(error))
    if (this.#scope.isClosed) return
    this.#drawMessages()
    this.#isLoading = this.#isQuiet = false
    this.#drawTop()
    if (isLoaded) this.#loadOlder() // until there is enough to scroll
  }

  #refused(error) {
    if (!this.#scope.isClosed && error.code !== 'disconnected') this.#tell(error)
  }

  async #sent(promise) {
    this.#room.typing.stop()
    if (!this.#scope.isClosed) this.#scroll.toEnd() // an image may have taken its time
    await promise.catch((error) => this.#refused(error)) // its line says so too
  }

  #actions() {
    return {
      resend: (id) => {
        byId('message').focus() // the button goes
        this.#sent(this.#room.resend(id))
      },
      discard: (id) => {
        byId('message').focus()
        this.#room.discard(id)
      },
      isOffline: () => this.#client.status !== 'connected',
    }
  }

  #drawMessages() {
    const shown = this.#shown
    this.#scroll.around(() => {
      this.#lines.draw(shown)
      this.#drawTop()
    })
    this.#drawNew(shown)
  }

  /** Messages of other programs are left out, and what is missing before them is missing before the next. */
  get #shown() {
    const shown = []
    let isBehindGap = false
    let isBegun = false // the first unread message has come
    for (const message of this.#talk.messages) {
      isBehindGap ||= message.gapBefore === true
      if (!isShown(message)) continue
      const isFirstUnread = !isBegun && isUnread(message, this.#unread)
      isBegun ||= isFirstUnread
      shown.push({ id: message.id, message, isBehindGap, isFirstUnread })
      isBehindGap = false
    }
    return shown
  }

  #drawTop() {
    const isBegun = !this.#isQuiet && !this.#talk.hasOlder
    const isFirst = (this.#talk.messages[0]?.seq ?? 1) === 1
    const words = this.#isLoading ? say('loadingOlder') : isBegun ? say(isFirst ? 'beginning' : 'beginningKept', { name: nameOf(this.name) }) : ''
    if (this.#top.textContent !== words) this.#top.textContent = words
  }

  #moved() {
    this.#drawNew(this.#shown)
    this.#loadOlder()
  }

  /** Tells who reads further up how many messages have come since. */
  #drawNew(shown) {
    const others = shown.filter(({ message }) => !message.isOwn)
    if (this.#scroll.isAtEnd) this.#newest = others.at(-1)?.id
    const count = others.length - 1 - others.findIndex(({ id }) => id === this.#newest)
    byId('to-latest').hidden = this.#scroll.isAtEnd
    show(byId('new-count'), count > 0 ? say('newMessages', { n: count }) : '')
  }

  #drawTyping() {
    const names = this.#room.typing.users.map(({ username }) => username)
    const shown = names.length > NAMED ? [...names.slice(0, NAMED - 1), say('others', { n: names.length - NAMED + 1 })] : names
    const list = new Intl.ListFormat(spoken()).format(shown)
    byId('typing').classList.toggle('quiet', names.length === 0)
    byId('typing-text').textContent = names.length === 0 ? '' : say(names.length === 1 ? 'typingOne' : 'typingMany', { name: list })
  }
}

function isUnread({ epoch, seq, isOwn }, unread) {
  return unread !== null && !isOwn && epoch === unread.epoch && seq > unread.after && seq <= unread.upTo
}
