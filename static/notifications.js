// What is for this user alone: those that are kept, and those that come.

import { element } from '/dom.js'
import { Panel } from '/panel.js'
import { say, spoken } from '/words.js'

const SHOWN = 30 // at most
const KINDS = ['welcome', 'mention', 'order', 'price'] // that we have words for

export class Notifications extends Panel {
  /** @type {Map<string, {message: any, item: HTMLElement}>} by the message's ID, the newest last */
  #notes = new Map()
  #list = element('ol', 'notes')

  constructor(client) {
    super(client, 'notifications')
    this.#list.setAttribute('aria-labelledby', 'live-notifications')
    this.#list.tabIndex = 0 // it scrolls
    this.element.append(this.#list)
    this.#begin()
  }

  draw() {
    super.draw()
    for (const { message, item } of this.#notes.values()) fill(item, message)
  }

  get isPuzzling() {
    return super.isPuzzling && this.#notes.size === 0
  }

  async #begin() {
    const { userId } = this.client.user ?? (await this.#welcome())
    const mine = this.client.channel(`user:${userId}`)
    await this.join(mine, (message) => this.#take(message))
    try {
      const { messages } = await mine.history({ limit: SHOWN })
      messages.forEach((message) => this.#take(message))
    } catch {
      // what is kept is not shown; what comes is
    }
    this.#list.ariaLive = 'polite' // from here on it is news
    this.expect()
    await this.join(this.client.channel('live:notifications'), () => {}) // who is there gets some
  }

  #welcome() {
    return new Promise((resolve) => this.scope.add(this.client.on('welcome', resolve)))
  }

  /** Takes a message in once, however often it comes. */
  #take(message) {
    if (message.event !== 'notification' || message.isRemoved || this.#notes.has(message.id)) return
    this.heard()
    const item = element('li')
    fill(item, message)
    this.#notes.set(message.id, { message, item })
    const sorted = [...this.#notes].sort(([, a], [, b]) => (a.message.seq ?? 0) - (b.message.seq ?? 0))
    sorted.splice(0, sorted.length - SHOWN).forEach(([, { item }]) => item.remove())
    this.#notes = new Map(sorted)
    const at = sorted.findIndex(([, note]) => note.item === item)
    if (at >= 0) this.#list.insertBefore(item, sorted[at - 1]?.[1].item ?? null) // the newest is at the top
  }
}

function fill(item, { data, timestamp }) {
  const date = new Date(timestamp)
  const time = element('time', '', when(date))
  time.dateTime = timestamp
  item.replaceChildren(element('span', '', words(data ?? {})), ' ', time)
}

/** A notification in words. Its fields are what some backend says, so anything. */
function words({ kind, name, number, symbol, price }) {
  if (!KINDS.includes(kind)) return say('live.note.other', { kind: String(kind) })
  return say(`live.note.${kind}`, { name, number, symbol, price: Number(price).toLocaleString(spoken(), { minimumFractionDigits: 2 }) })
}

/** A time of today, or a day and a time. */
function when(date) {
  const day = date.toDateString() === new Date().toDateString() ? { second: '2-digit' } : { day: 'numeric', month: 'short' }
  return date.toLocaleString(spoken(), { ...day, hour: 'numeric', minute: '2-digit' })
}
