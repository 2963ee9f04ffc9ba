// The lobby: who is online, what they say, and who is typing.

import { Roster } from '/client/roster.js'
import { line, mark, note, Talk } from '/talk.js'
import { say, sayError } from '/words.js'

const CHANNEL = 'lobby'
const PAGE = 50 // messages that are loaded at a time
const NAMES = 200 // users that are listed at most
// In milliseconds.
const TYPING_REPEAT = 3_000 // while someone types, others are told this often
const TYPING_EXPIRES = 6_000 // and forget it when they are not
const NOTICE_STAYS = 5_000
const JOIN_AGAIN = 2_000 // where the server could not tell what was said
const LIST_WITHIN = 30_000 // a list is asked for at any time until then: all of a crowd want one at once

const byId = (id) => document.getElementById(id)

export class Room {
  #client
  #showNotice
  #talk = new Talk(() => this.#loadOlder())
  #me = { userId: '', clientId: '' }
  #online = new Roster(NAMES)
  #named = 0 // users in the last list that came; 0 for whom none comes
  /** @type {Map<string, {username: string, timer: number}>} by user ID */
  #typing = new Map()
  #typingTold = 0
  #timers = {}
  #undo = []
  #closed = false

  // docs/protocol.md, "How to never miss or double a message".
  /** @type {{epoch: string, seq: number} | undefined} up to where nothing is missing */
  #at
  #live = false // the server has answered where it goes on from
  #epoch // of the numbers in the conversation
  #oldest = 0 // number of the first message that was loaded; 0 before any was, 1 where none is older
  #loading = false
  /** @type {Map<string, {key: string, message: string, item: HTMLElement}>} own messages that are not known to be stored, by key */
  #open = new Map()
  #lost = [] // those of them whose connection was lost

  constructor(client, showNotice) {
    this.#client = client
    this.#showNotice = showNotice
    this.#listen()
    this.draw()
  }

  /** Stops listening, and leaves nothing for whoever logs in next. */
  close() {
    this.#closed = true
    this.#undo.forEach((off) => off())
    this.#typing.forEach(({ timer }) => clearTimeout(timer))
    Object.values(this.#timers).forEach(clearTimeout)
    this.#talk.close()
    this.#showNotice()
    for (const id of ['online', 'typing', 'online-count']) byId(id).replaceChildren()
    byId('message').value = ''
  }

  /** Draws what depends on the language. */
  draw() {
    this.#drawOnline()
    this.#drawTyping()
  }

  /** Says for a while that something did not work. */
  tell(error) {
    this.#showNotice(sayError(error))
    clearTimeout(this.#timers.notice)
    this.#timers.notice = setTimeout(() => this.#showNotice(), Math.max(NOTICE_STAYS, error.retryAfterMs ?? 0))
  }

  #listen() {
    const inLobby = (fn) => (frame) => frame.channel === CHANNEL && fn(frame)
    const composer = byId('composer')
    const onSubmit = (event) => this.#submit(event)
    const onInput = () => this.#tellTyping(byId('message').value !== '')
    composer.addEventListener('submit', onSubmit)
    composer.addEventListener('input', onInput)
    this.#undo = [
      () => composer.removeEventListener('submit', onSubmit),
      () => composer.removeEventListener('input', onInput),
      this.#client.on('welcome', (frame) => this.#welcome(frame)),
      this.#client.on('subscribed', inLobby((frame) => this.#goOn(frame))),
      this.#client.on('user_joined', inLobby((frame) => this.#cross(frame, 'joined'))),
      this.#client.on('user_left', inLobby((frame) => this.#cross(frame, 'left'))),
      this.#client.on('presence', inLobby((frame) => this.#crowd(frame))),
      ...['chat', 'message', 'removed'].map((type) => this.#client.on(type, inLobby((frame) => this.#hear(frame)))),
      this.#client.on('typing', inLobby((frame) => this.#setTyping(frame))),
      this.#client.on('error', (frame) => frame.id === undefined && this.tell(frame)),
    ]
  }

  #welcome(frame) {
    if (this.#live && !this.#at) this.#talk.add(note(say('missing'))) // a channel that keeps nothing
    this.#live = false
    this.#me = frame
    this.#join()
  }

  /** Goes on from where the page is, or from the newest messages. */
  async #join() {
    clearTimeout(this.#timers.join)
    try {
      await this.#client.request('subscribe', { channel: CHANNEL, ...(this.#at ? { since: this.#at } : { last: PAGE }) })
    } catch (error) {
      if (this.#closed || error.code === 'disconnected') return
      if (error.code === 'forbidden') return this.#goOnWithout()
      this.tell(error)
      this.#timers.join = setTimeout(() => this.#join(), error.retryAfterMs ?? JOIN_AGAIN)
    }
  }

  /**
   * The server says where it goes on from: in answer to #join, or unasked, and
   * then without recovered when the socket was made to join, with false when
   * messages are lost for good.
   */
  #goOn({ id, epoch, seq, recovered, messages = [], presence }) {
    if (presence) this.#list(presence)
    if (epoch !== this.#epoch) {
      this.#epoch = epoch
      this.#oldest = 0
      this.#talk.renumber()
    }
    if (recovered === false) this.#talk.add(note(say('missing')))
    messages.forEach((message) => this.#show(message, !recovered))
    const answer = id !== undefined
    if (answer) this.#live = true
    if (this.#live) this.#at = epoch && { epoch, seq }
    if (!answer) return
    this.#oldest ||= messages[0]?.seq ?? 1
    if (this.#talk.isShort) this.#loadOlder()
    this.#sendLost()
  }

  /** Who may not read what was said still hears what is said. */
  #goOnWithout() {
    this.#live = true
    this.#talk.renumber() // nobody tells when the channel begins anew
    this.#sendLost()
  }

  async #loadOlder() {
    if (this.#oldest <= 1 || this.#loading || this.#talk.isFull) return
    this.#loading = true
    try {
      const { messages, more } = await this.#client.request('history', { channel: CHANNEL, before: this.#oldest, limit: PAGE })
      if (this.#closed) return
      this.#talk.above(() => messages.forEach((message) => this.#show(message, true)))
      this.#oldest = more ? messages[0].seq : 1
    } catch (error) {
      if (!this.#closed && error.code !== 'disconnected') this.tell(error)
      return
    } finally {
      this.#loading = false
    }
    if (this.#talk.isShort) this.#loadOlder()
  }

  #submit(event) {
    event.preventDefault()
    const input = byId('message')
    const message = input.value.trim()
    if (!message) return
    if (this.#client.status !== 'connected') return this.tell({ code: 'disconnected' }) // what is typed stays
    input.value = ''
    this.#typingTold = 0
    const failed = [...this.#open.values()].find((mine) => mine.message === message && mine.item.classList.contains('failed'))
    const mine = failed ?? { key: newKey(), message, item: line('mine', { ...this.#me, message }) }
    mine.item.classList.remove('failed')
    mark(mine.item, say('sending'))
    this.#talk.add(mine.item, true)
    this.#open.set(mine.key, mine)
    this.#send(mine)
  }

  /** Sends a message until it is answered. By its key it is stored once. */
  async #send(mine) {
    try {
      const ack = await this.#client.request('chat', { channel: CHANNEL, message: mine.message, key: mine.key })
      if (this.#at?.seq === ack.seq - 1 && this.#live) this.#at.seq = ack.seq
      this.#stored(mine, ack)
    } catch (error) {
      if (this.#closed || !this.#open.has(mine.key)) return // a frame has told that it is stored
      if (error.code === 'disconnected') return this.#lost.push(mine)
      if (error.code === 'timeout') return this.#send(mine)
      mark(mine.item, say('notSent'))
      mine.item.classList.add('failed')
      const input = byId('message')
      if (!input.value) input.value = mine.message // nothing that was typed is lost
      this.tell(error)
    }
  }

  /** Sends again what may not have arrived. */
  #sendLost() {
    for (const mine of this.#lost.splice(0)) if (this.#open.has(mine.key)) this.#send(mine)
  }

  #stored(mine, { seq, timestamp }) {
    this.#open.delete(mine.key)
    mine.item.classList.remove('failed')
    mark(mine.item, '', timestamp)
    if (seq) this.#talk.put(mine.item, seq)
  }

  /** A message as it comes; its number is above all before, but for own ones that are acked instead. */
  #hear(message) {
    if (this.#live && this.#at) this.#at.seq = Math.max(this.#at.seq, message.seq)
    if (message.userId) this.#setTyping({ userId: message.userId, isTyping: false })
    this.#show(message)
  }

  /** Shows a message, unless it is there; a quiet one is not read out to who listens to the page. */
  #show(message, quiet = false) {
    const isMine = message.userId === this.#me.userId
    const mine = isMine && this.#open.get(message.key)
    if (mine) return this.#stored(mine, message)
    if (message.type === 'message') return // another program's
    const item = line(isMine ? 'mine' : 'theirs', message)
    if (quiet) item.ariaLive = 'off'
    if (message.seq) this.#talk.put(item, message.seq)
    else this.#talk.add(item)
  }

  #cross(frame, how) {
    this.#online.take(frame)
    this.#setTyping({ userId: frame.userId, isTyping: false })
    this.#talk.add(note(say(how, { name: frame.username })))
    this.#drawOnline()
  }

  /** In a crowd nobody is told of one by one. */
  #crowd(frame) {
    if (frame.id !== undefined) return // asked for, and taken there
    if (frame.users) return this.#list(frame)
    this.#online.take(frame)
    frame.left.forEach(({ userId }) => this.#setTyping({ userId, isTyping: false }))
    this.#drawOnline()
    const { isStale, users, count } = this.#online
    const isThin = users.size < Math.min(count, this.#named / 2) // who was named has left
    if (this.#named && (isStale || isThin)) this.#timers.list ??= setTimeout(() => this.#askWho(), Math.random() * LIST_WITHIN)
  }

  async #askWho() {
    try {
      const list = await this.#client.request('presence', { channel: CHANNEL })
      if (!this.#closed) this.#list(list)
    } catch {
      // the next summary asks again
    } finally {
      this.#timers.list = undefined
    }
  }

  #list(list) {
    this.#online.begin(list)
    this.#named = list.users.length
    this.#drawOnline()
  }

  #tellTyping(isTyping) {
    const now = Date.now()
    if (isTyping && now - this.#typingTold < TYPING_REPEAT) return
    this.#typingTold = isTyping ? now : 0
    this.#client.send('typing', { isTyping })
  }

  #setTyping({ userId, username, isTyping }) {
    if (userId === this.#me.userId) return
    clearTimeout(this.#typing.get(userId)?.timer)
    this.#typing.delete(userId)
    if (isTyping) {
      const timer = setTimeout(() => this.#setTyping({ userId, isTyping: false }), TYPING_EXPIRES)
      this.#typing.set(userId, { username, timer })
    }
    this.#drawTyping()
  }

  #drawOnline() {
    const { users, count } = this.#online
    const entry = (text, className) => Object.assign(document.createElement('li'), { textContent: text, className })
    const named = [...users]
      .sort((a, b) => a[1].localeCompare(b[1]))
      .map(([userId, username]) => entry(userId === this.#me.userId ? `${username} (${say('you')})` : username, ''))
    const others = count > users.size ? [entry(say('others', { n: count - users.size }), 'more')] : []
    byId('online-count').textContent = count
    byId('online').replaceChildren(...named, ...others)
  }

  #drawTyping() {
    const names = [...this.#typing.values()].map(({ username }) => username)
    const shown = names.length > 3 ? [...names.slice(0, 2), say('others', { n: names.length - 2 })] : names
    byId('typing').textContent = names.length === 0 ? '' : say(names.length === 1 ? 'typingOne' : 'typingMany', { name: new Intl.ListFormat(document.documentElement.lang).format(shown) })
  }
}

/** A mark that no other message has. randomUUID is only there under https. */
function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('')
}
