// The channels that someone is in, and how much of each is unread. What was
// read is remembered by user; what comes is counted while one is in a channel.

import { Emitter } from '/client/emitter.js'
import { recallAll, rememberAll } from '/memory.js'
import { LOBBY, isOpenable, nameOf } from '/names.js'

const PAGE = 100 // channels that are asked for at a time

/**
 * @typedef {{epoch: string, seq: number}} Position in a channel
 * @typedef {{epoch: string, after: number, upTo: number}} Unread numbers of messages
 */

/**
 * `change` tells that anything here is another; `trouble` of an error.
 *
 * @extends {Emitter<{change: undefined, trouble: any}>}
 */
export class Rooms extends Emitter {
  #client
  #session
  #memory // the keys of what is remembered
  /** @type {Map<string, () => void>} what leaves a channel, by name */
  #leave = new Map()
  /** @type {Map<string, Position>} of the newest message that is known of */
  #newest = new Map()
  /** @type {Record<string, Position>} */
  #read
  #known = new Set() // all that the server has named
  #after = '' // the last name of those, where there are more
  #watched = '' // the channel that someone is looking at

  constructor(client, session, scope) {
    super()
    this.#client = client
    this.#session = session
    const { userId } = client.user
    this.#memory = { joined: `joined:${userId}`, read: `read:${userId}` }
    this.#read = recallAll(this.#memory.read, {})
    scope.add(client.on('subscribed', ({ channel, epoch, seq }) => this.#reach(channel, { epoch, seq })))
    scope.listen(window, 'storage', ({ key }) => {
      if (key === this.#memory.read) this.#readElsewhere()
      if (key === this.#memory.joined) this.#joinedElsewhere()
    })
    scope.add(() => this.#leave.forEach((leave) => leave()))
    this.#remembered.forEach((name) => this.#enter(name))
  }

  /** Names of channels that one is in, the lobby first. */
  get joined() {
    return [...this.#leave.keys()].sort((a, b) => (b === LOBBY) - (a === LOBBY) || nameOf(a).localeCompare(nameOf(b)))
  }

  /** Names of rooms that one could join. */
  get others() {
    return [...this.#known].filter((name) => !this.#leave.has(name)).sort((a, b) => nameOf(a).localeCompare(nameOf(b)))
  }

  get hasMore() {
    return this.#after !== ''
  }

  has(name) {
    return this.#leave.has(name)
  }

  /** How many messages have come since a channel was last read. */
  unread(name) {
    const { after, upTo } = this.range(name) ?? { after: 0, upTo: 0 }
    return upTo - after
  }

  /**
   * Which messages have come since then, or null where none have.
   *
   * @returns {Unread | null}
   */
  range(name) {
    const newest = this.#newest.get(name)
    const read = this.#read[name]
    if (!newest) return null
    const after = read?.epoch === newest.epoch ? read.seq : 0
    return newest.seq > after ? { epoch: newest.epoch, after, upTo: newest.seq } : null
  }

  join(name) {
    if (this.#leave.has(name)) return
    this.#enter(name)
    this.#remember()
  }

  leave(name) {
    this.#exit(name)
    delete this.#read[name]
    rememberAll(this.#memory.read, this.#read)
    this.#remember()
  }

  /** Joins the channels again that a disconnect came before. */
  enterAgain() {
    for (const name of this.#leave.keys()) if (this.#client.channel(name).status === 'failed') this.#subscribe(name)
  }

  /** Someone looks at a channel, or with '' at none: what comes there is read. */
  watch(name) {
    this.#watched = name
    if (name) this.#markRead(name)
  }

  /** Asks which channels there are; `more` for those behind the ones that are known. */
  async list(more = false) {
    const after = more && this.#after ? `&after=${encodeURIComponent(this.#after)}` : ''
    try {
      const { channels, more: isMore } = await this.#session.ask('GET', `/channels?limit=${PAGE}${after}`)
      for (const { channel, epoch, seq } of channels.filter(({ channel }) => isOpenable(channel))) {
        this.#known.add(channel)
        if (this.has(channel)) this.#reach(channel, { epoch, seq })
      }
      if (more || !this.#after) this.#after = isMore ? channels.at(-1).channel : ''
      this.emit('change', undefined)
    } catch {
      // the next time then
    }
  }

  #enter(name) {
    const room = this.#client.channel(name)
    const undo = room.on('message', ({ epoch, seq, isOwn }) => {
      if (seq === undefined) return // a channel that keeps nothing
      this.#reach(name, { epoch, seq })
      if (isOwn) this.#markRead(name) // who writes has read
    })
    this.#known.add(name)
    this.#subscribe(name)
    this.#leave.set(name, () => {
      undo()
      room.unsubscribe().catch(() => {}) // gone with the connection
    })
  }

  #subscribe(name) {
    this.#client.channel(name).subscribe().catch((error) => error.code !== 'disconnected' && this.#refused(name, error))
  }

  #exit(name) {
    this.#leave.get(name)?.()
    this.#leave.delete(name)
  }

  /** Who is not let in is not in. */
  #refused(name, error) {
    if (name !== LOBBY) this.leave(name)
    this.emit('trouble', error)
  }

  #reach(name, { epoch, seq }) {
    if (!epoch) return // one may not read it
    const newest = this.#newest.get(name)
    if (newest?.epoch === epoch && newest.seq >= seq) return
    this.#newest.set(name, { epoch, seq })
    if (name === this.#watched) this.#markRead(name)
    else this.emit('change', undefined)
  }

  #markRead(name) {
    const newest = this.#newest.get(name)
    if (newest && this.unread(name) > 0) {
      this.#read[name] = newest
      rememberAll(this.#memory.read, this.#read)
    }
    this.emit('change', undefined)
  }

  /** Another tab of the same user has read something. */
  #readElsewhere() {
    this.#read = recallAll(this.#memory.read, {})
    this.emit('change', undefined)
  }

  /** It has joined or left channels. */
  #joinedElsewhere() {
    const names = this.#remembered
    for (const name of names) if (!this.has(name)) this.#enter(name)
    for (const name of this.joined) if (!names.has(name)) this.#exit(name)
    this.emit('change', undefined)
  }

  /** @returns {Set<string>} */
  get #remembered() {
    return new Set([LOBBY, ...recallAll(this.#memory.joined, []).filter(isOpenable)])
  }

  #remember() {
    rememberAll(this.#memory.joined, [...this.#leave.keys()])
    this.emit('change', undefined)
  }
}
