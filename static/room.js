// The lobby: who is online, what they say, and who is typing.

import { say, sayError } from '/words.js'

const CHANNEL = 'lobby'
const KEPT_LINES = 500
// In milliseconds.
const TYPING_REPEAT = 3_000 // while someone types, others are told this often
const TYPING_EXPIRES = 6_000 // and forget it when they are not
const NOTICE_STAYS = 5_000

const byId = (id) => document.getElementById(id)

export class Room {
  #client
  #showNotice
  #me = { userId: '', clientId: '' }
  /** @type {Map<string, string>} usernames by user ID */
  #online = new Map()
  /** @type {Map<string, {username: string, timer: number}>} by user ID */
  #typing = new Map()
  #typingTold = 0
  #noticeTimer = 0
  #undo = []
  #count = 0 // users online; the list may name fewer
  #closed = false
  #atEnd = true

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
    clearTimeout(this.#noticeTimer)
    this.#showNotice()
    for (const id of ['messages', 'online', 'typing', 'online-count']) byId(id).replaceChildren()
    byId('message').value = ''
  }

  /** Draws what depends on the language. */
  draw() {
    this.#drawOnline()
    this.#drawTyping()
  }

  /** A line that nobody said. */
  note(text) {
    this.#addLine(line('note', { text }))
  }

  #listen() {
    const inLobby = (fn) => (frame) => frame.channel === CHANNEL && fn(frame)
    const composer = byId('composer')
    const onSubmit = (event) => this.#submit(event)
    const onInput = () => this.#tellTyping(byId('message').value !== '')
    composer.addEventListener('submit', onSubmit)
    composer.addEventListener('input', onInput)
    // A conversation that is read at its end stays there when its frame changes.
    const list = byId('messages')
    const frame = new ResizeObserver(() => this.#atEnd && (list.scrollTop = list.scrollHeight))
    const onScroll = () => (this.#atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40)
    frame.observe(list)
    list.addEventListener('scroll', onScroll)
    this.#undo = [
      () => frame.disconnect(),
      () => list.removeEventListener('scroll', onScroll),
      () => composer.removeEventListener('submit', onSubmit),
      () => composer.removeEventListener('input', onInput),
      this.#client.on('welcome', (frame) => (this.#me = frame)),
      this.#client.on('subscribed', inLobby((frame) => this.#setOnline(frame.presence ?? { count: 0, users: [] }))),
      this.#client.on('user_joined', inLobby((frame) => this.#cross(frame, 'joined'))),
      this.#client.on('user_left', inLobby((frame) => this.#cross(frame, 'left'))),
      this.#client.on('chat', inLobby((frame) => this.#hear(frame))),
      this.#client.on('typing', inLobby((frame) => this.#setTyping(frame))),
      this.#client.on('error', (frame) => frame.id === undefined && this.#notice(frame)),
    ]
  }

  async #submit(event) {
    event.preventDefault()
    const input = byId('message')
    const message = input.value.trim()
    if (!message) return
    if (this.#client.status !== 'connected') return this.#notice({ code: 'disconnected' }) // what is typed stays
    input.value = ''
    this.#typingTold = 0
    const mine = line('mine', { username: this.#me.username, text: message, state: say('sending') })
    this.#addLine(mine)
    try {
      const ack = await this.#client.request('chat', { message })
      mark(mine, '', ack.timestamp)
    } catch (error) {
      if (this.#closed) return
      mark(mine, say('notSent'))
      mine.classList.add('failed')
      if (!input.value) input.value = message // nothing that was typed is lost
      this.#notice(error)
    }
  }

  #hear({ userId, username, message, timestamp }) {
    this.#setTyping({ userId, isTyping: false })
    this.#addLine(line(userId === this.#me.userId ? 'mine' : 'theirs', { username, text: message, timestamp }))
  }

  #cross({ userId, username }, how) {
    if (how === 'joined') this.#online.set(userId, username)
    else this.#online.delete(userId)
    this.#count += how === 'joined' ? 1 : -1
    this.#setTyping({ userId, isTyping: false })
    this.note(say(how, { name: username }))
    this.#drawOnline()
  }

  #setOnline({ count, users }) {
    this.#count = count
    this.#online = new Map(users.map(({ userId, username }) => [userId, username]))
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

  #notice(error) {
    this.#showNotice(sayError(error))
    clearTimeout(this.#noticeTimer)
    this.#noticeTimer = setTimeout(() => this.#showNotice(), Math.max(NOTICE_STAYS, error.retryAfterMs ?? 0))
  }

  #addLine(item) {
    const list = byId('messages')
    const follow = this.#atEnd || item.classList.contains('mine')
    list.append(item)
    while (list.children.length > KEPT_LINES) list.firstElementChild.remove()
    if (follow) list.scrollTop = list.scrollHeight
  }

  #drawOnline() {
    const users = [...this.#online].sort((a, b) => a[1].localeCompare(b[1]))
    byId('online-count').textContent = this.#count
    byId('online').replaceChildren(
      ...users.map(([userId, username]) => {
        const item = document.createElement('li')
        item.textContent = userId === this.#me.userId ? `${username} (${say('you')})` : username
        return item
      }),
    )
  }

  #drawTyping() {
    const names = [...this.#typing.values()].map(({ username }) => username)
    const shown = names.length > 3 ? [...names.slice(0, 2), say('others', { n: names.length - 2 })] : names
    byId('typing').textContent = names.length === 0 ? '' : say(names.length === 1 ? 'typingOne' : 'typingMany', { name: new Intl.ListFormat(document.documentElement.lang).format(shown) })
  }
}

/** A line of the conversation. Text from people is only ever text, never markup. */
function line(kind, { username, text, timestamp, state = '' }) {
  const item = document.createElement('div')
  item.className = kind
  if (username) item.append(part('b', username))
  item.append(part('span', text, 'text'), part('small', '', 'state'))
  item.querySelector('.state').ariaLive = 'off' // the line itself has been read out
  mark(item, state, timestamp)
  return item
}

function part(tag, text, className = '') {
  const element = document.createElement(tag)
  element.textContent = text
  element.className = className
  return element
}

/** Writes the state of a line, or else its time, behind it. */
function mark(item, state, timestamp) {
  const time = timestamp && new Date(timestamp).toLocaleTimeString(document.documentElement.lang, { hour: '2-digit', minute: '2-digit' })
  item.querySelector('.state').textContent = state || time || ''
}
