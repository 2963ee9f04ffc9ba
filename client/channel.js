// A channel, as the application sees it.

import { isBinary, toBytes } from './binary.js'
import { Emitter } from './emitter.js'
import { messageOf, newKey } from './message.js'
import { Outbox } from './outbox.js'
import { Presence } from './presence.js'
import { Subscription } from './subscription.js'
import { Typing } from './typing.js'

/** More bytes than this that wait to be sent, and what is volatile is dropped. */
const BACKLOG_MAX = 64 << 10

/** What frames of these types say is for the application in order. */
const MESSAGES = ['chat', 'message', 'removed']
const CROSSINGS = ['user_joined', 'user_left', 'presence']

/**
 * @typedef {import('./client.js').Encoded} Encoded
 * @typedef {import('./outbox.js').Receipt} Receipt
 * @typedef {import('./requests.js').Ack} Ack
 * @typedef {import('./requests.js').Frame} Frame
 */
/**
 * @template {import('./message.js').EventMap} [E=any]
 * @typedef {import('./message.js').Message<E>} Message
 */

/**
 * What a channel tells:
 * - `message`: every message, in order and once; own ones when they are stored;
 * - `outgoing`: an own message that became pending, sent or failed, or was discarded;
 * - `gap`: messages may be missing before what comes next;
 * - `presence`, `typing`: who is there, who types, has changed;
 * - `status`: whether one is in.
 *
 * @template {import('./message.js').EventMap} E
 * @typedef {{
 *   message: Message<E>,
 *   outgoing: Message<E>,
 *   gap: import('./subscription.js').Gap,
 *   presence: Presence,
 *   typing: readonly import('./roster.js').Person[],
 *   status: import('./subscription.js').SubscriptionChange,
 * }} ChannelEvents
 */

/**
 * Of one name there is one, for as long as anyone has it. Its messages are typed
 * by event: `client.channel<{price: Price, chat: string}>('prices:btc')`.
 *
 * @template {import('./message.js').EventMap} [E=any]
 * @extends {Emitter<ChannelEvents<E>>}
 */
export class Channel extends Emitter {
  #link
  #subscription
  #outbox

  /**
   * @param {string} name
   * @param {import('./client.js').Link} link
   * @internal
   */
  constructor(name, link) {
    super()
    this.name = name
    this.#link = link
    this.#subscription = new Subscription(name, link, {
      deliver: (frame) => this.#deliver(frame),
      gap: (gap) => this.emit('gap', gap),
      present: (list) => this.presence.begin(list),
      changed: (change) => this.#changed(change),
    })
    this.#outbox = new Outbox(link, () => this.#mayPublish(), {
      state: (message) => this.emit('outgoing', message),
      stored: (message) => this.#stored(message),
    })
    /** Who is in the channel, while one is in oneself. */
    this.presence = new Presence({
      ask: (fields) => link.request('presence', { channel: name, ...fields }),
      changed: () => this.emit('presence', this.presence),
    })
    /** Who is typing, and telling others that one does. */
    this.typing = new Typing({
      tell: (isTyping) => link.send('typing', { channel: name, isTyping }),
      changed: () => this.emit('typing', this.typing.users),
    })
  }

  /**
   * Calls fn with whatever an event tells from now on. It answers the function that undoes it.
   *
   * @template {keyof ChannelEvents<E>} T
   * @param {T} event
   * @param {(value: ChannelEvents<E>[T]) => void} fn
   */
  on(event, fn) {
    const undo = super.on(event, fn)
    this.#link.keep(this, true)
    return () => {
      undo()
      this.#link.keep(this, this.isBusy)
    }
  }

  /** Whether one is in. */
  get status() {
    return this.#subscription.status
  }

  /** Own messages that are pending or failed, in order: another array after each change. */
  get outgoing() {
    return /** @type {readonly Message<E>[]} */ (this.#outbox.messages)
  }

  /**
   * Joins, and joins again whenever the connection was lost, until unsubscribe was
   * called as often. It resolves once one is in, before which the newest `last`
   * messages were told; `recovered` is there after a lost connection, and false
   * where messages are missing. It rejects with a GatecastError, which `status`
   * tells too: the promise may be left alone.
   *
   * @param {{last?: number}} [options] last: 100 at most
   * @returns {Promise<{recovered?: boolean}>}
   */
  subscribe({ last = 0 } = {}) {
    const entry = this.#subscription.hold(last)
    this.#link.keep(this, this.isBusy)
    entry.catch(() => this.#link.keep(this, this.isBusy))
    return entry
  }

  /** Leaves, when everyone who subscribed has. */
  async unsubscribe() {
    if (!this.#subscription.release()) return
    this.typing.stop()
    this.presence.close()
    this.typing.close()
    this.#link.keep(this, this.isBusy)
    await this.#leave().catch(() => {}) // without a connection, or where the server knows of none, one is out
  }

  /** Tells the server when its turn comes, unless someone has joined again by then. */
  #leave() {
    return this.#link.lane.run(async () => this.#subscription.isHeld || this.#link.request('unsubscribe', { channel: this.name }))
  }

  /**
   * Sends data that JSON can hold, or bytes, to all who are in the channel. It
   * resolves when that is stored, with `seq` where the channel keeps messages.
   * While there is no connection the message waits, for `queue.ageMs` at most.
   * Sent again with the same id it is stored once. It rejects with a GatecastError,
   * which `outgoing` tells too: the promise may be left alone. Data that JSON cannot
   * hold throws a TypeError.
   *
   * What is `volatile` is sent now or never, and nothing is heard of it: for
   * cursors and the like.
   *
   * @template {keyof E & string} [K=Extract<'message', keyof E & string>]
   * @param {import('./message.js').Publishable<E[K]>} data
   * @param {{event?: K, volatile?: boolean, id?: string}} [options]
   * @returns {Promise<Receipt>}
   */
  publish(data, { event, volatile = false, id = newKey() } = {}) {
    const content = isBinary(data) ? { bytes: toBytes(data).slice() } : { json: JSON.stringify(data) ?? 'null' }
    const message = this.#own(id, event ?? 'message', content)
    if (volatile) return this.#sendNow(message, content)
    const receipt = this.#outbox.add(message, content)
    this.#link.keep(this, this.isBusy)
    receipt.catch(() => {})
    return receipt
  }

  /**
   * Sends a text, as people do: a publish of the event `chat`.
   *
   * @param {string} text
   */
  send(text) {
    return this.publish(/** @type {any} */ (text), { event: 'chat' })
  }

  /**
   * Sends a message again that failed.
   *
   * @param {string} id
   * @returns {Promise<Receipt>}
   */
  resend(id) {
    const receipt = this.#outbox.resend(id)
    receipt.catch(() => {})
    return receipt
  }

  /**
   * Forgets a message that failed.
   *
   * @param {string} id
   */
  discard(id) {
    this.#outbox.discard(id)
    this.#link.keep(this, this.isBusy)
  }

  /**
   * A page of what was said: the newest messages, or those right before or after a
   * number, in ascending order. `more` tells that there are others on the far side.
   *
   * @param {{before?: number, after?: number, limit?: number}} [options] limit: 100 at most
   * @returns {Promise<{messages: Message<E>[], more: boolean}>}
   */
  async history(options = {}) {
    const { epoch, messages, more } = await this.#link.lane.run(() => this.#link.request('history', { channel: this.name, ...options }))
    return { messages: messages.map((/** @type {Frame} */ frame) => this.#messageOf(frame, epoch)), more }
  }

  /**
   * There is a new connection.
   *
   * @internal
   */
  opened() {
    this.#subscription.opened()
    this.#outbox.pump()
  }

  /**
   * The connection is lost.
   *
   * @internal
   */
  closed() {
    this.#subscription.closed()
    this.#outbox.closed()
    this.presence.pause()
    this.typing.close()
  }

  /**
   * There will be no other connection unless the application asks for one.
   *
   * @param {import('./errors.js').GatecastError} error
   * @internal
   */
  ended(error) {
    this.#subscription.ended(error)
    this.#outbox.failAll(error)
    this.#link.keep(this, this.isBusy)
  }

  /**
   * The connection is another user's.
   *
   * @param {import('./errors.js').GatecastError} error
   * @internal
   */
  disowned(error) {
    this.#outbox.failAll(error)
  }

  /**
   * Whether anything is going on that the client has to know of.
   *
   * @internal
   */
  get isBusy() {
    return this.isHeard || this.#subscription.isHeld || !this.#outbox.isEmpty
  }

  /**
   * @param {Frame} frame
   * @internal
   */
  take(frame) {
    if (!this.#subscription.isHeld) return
    if (CROSSINGS.includes(frame.type)) this.#cross(frame)
    else if (frame.type === 'typing') this.#type(frame)
    else if (frame.type === 'subscribed' || MESSAGES.includes(frame.type)) this.#subscription.take(frame)
  }

  /** @param {import('./subscription.js').SubscriptionChange} change */
  #changed(change) {
    if (change.error) this.#link.logger?.warn?.(`gatecast: ${this.name} cannot be subscribed to`, change.error)
    this.emit('status', change)
    this.#outbox.pump()
  }

  /** What was lost comes first, so that nothing is stored twice and all is in order. */
  #mayPublish() {
    return this.#link.isOpen() && this.status !== 'subscribing'
  }

  /** @param {Frame} frame */
  #cross(frame) {
    this.presence.take(frame)
    const left = frame.type === 'user_left' ? [frame] : (frame.left ?? [])
    left.forEach((/** @type {import('./roster.js').Person} */ { userId }) => this.typing.forget(userId))
  }

  /** @param {Frame} frame */
  #type(frame) {
    this.typing.setOwn(this.#link.user()?.userId ?? '') // other tabs' typing is not told to oneself
    this.typing.take(/** @type {import('./typing.js').TypingFrame} */ (frame))
  }

  /** @param {Frame} frame */
  #deliver(frame) {
    const message = this.#messageOf(frame, this.#subscription.at?.epoch)
    const { stay } = this.#subscription
    if (message.isOwn) this.#outbox.found(message)
    this.typing.forget(message.userId)
    if (stay === this.#subscription.stay) this.emit('message', message) // else a listener has left
  }

  /** @param {Message<any>} message an own one */
  #stored(message) {
    this.#link.keep(this, this.isBusy)
    if (this.#subscription.isNext(message.seq)) this.emit('message', this.#numbered(message))
  }

  /** @param {Message<any>} message */
  #numbered(message) {
    return message.seq ? { ...message, epoch: this.#subscription.at?.epoch } : message
  }

  /**
   * @param {Frame} frame
   * @param {string | undefined} epoch of its number
   * @returns {Message<any>}
   */
  #messageOf(frame, epoch) {
    return messageOf({ channel: this.name, ...frame }, epoch, this.#link.user()?.userId)
  }

  /**
   * @param {string} id
   * @param {string} event
   * @param {Encoded} content
   * @returns {Message<any>}
   */
  #own(id, event, { json, bytes }) {
    const { userId = '', username = '', clientId } = this.#link.user() ?? {}
    const data = bytes ?? JSON.parse(/** @type {string} */ (json)) // as others get it
    return { id, channel: this.name, event, data, userId, username, clientId, timestamp: new Date().toISOString(), isOwn: true, state: 'pending' }
  }

  /**
   * @param {Message<any>} message
   * @param {Encoded} content
   */
  async #sendNow(message, content) {
    const isPossible = this.#link.isOpen() && this.#link.backlog() <= BACKLOG_MAX
    // Where messages have numbers it has one, which has to be known.
    /** @type {import('./requests.js').Settle<Ack>} */
    const stored = (_, ack) => ack && this.#stored({ ...message, state: 'sent', seq: ack.seq, timestamp: ack.timestamp })
    if (isPossible) this.#link.publish(message, content, this.#subscription.at && stored)
    return { id: message.id }
  }
}
