// A channel as components see it: snapshots that are the same until something
// changes.

import { Conversation } from './conversation.js'
import { Emitter } from './emitter.js'
import { Stay } from './stay.js'

/**
 * @typedef {import('./message.js').EventMap} EventMap
 * @typedef {import('./roster.js').Person} Person
 * @typedef {import('./subscription.js').SubscriptionStatus} SubscriptionStatus
 * @typedef {Readonly<{count: number, users: readonly Person[], isWhole: boolean}>} PresenceSnapshot who is there: `users` are those who are named, by name
 * @typedef {Readonly<{users: readonly Person[], keystroke: () => void, stop: () => void}>} TypingSnapshot who else is typing, and what tells others that one does oneself
 */

/**
 * What can be done in a channel. It is the same whatever changes. Promises may be
 * left alone: the state of a message tells what became of it.
 *
 * @template {EventMap} [E=any]
 * @typedef {{
 *   channel: import('./channel.js').Channel<E>,
 *   send: import('./channel.js').Channel<E>['send'],
 *   publish: import('./channel.js').Channel<E>['publish'],
 *   resend: import('./channel.js').Channel<E>['resend'],
 *   discard: import('./channel.js').Channel<E>['discard'],
 *   loadOlder: () => Promise<void>,
 * }} ChannelActions
 */

/**
 * `status` is that of the channel, and `error` tells why one is not in. `messages`
 * is as in Conversation.
 *
 * @template {EventMap} [E=any]
 * @typedef {Readonly<ChannelActions<E> & {
 *   status: SubscriptionStatus,
 *   error: import('./errors.js').GatecastError | undefined,
 *   messages: readonly import('./timeline.js').Line<E>[],
 *   hasOlder: boolean,
 *   presence: PresenceSnapshot,
 *   typing: TypingSnapshot,
 * }>} ChannelSnapshot
 */

/** @extends {Emitter<{change: undefined}>} */
export class ChannelStore extends Emitter {
  /** @type {{last?: number, keep?: number} | undefined} of the conversation; they count until that is made */
  options

  #client
  #channel
  /** @type {Conversation<any> | undefined} made when it is looked at */
  #made
  /** @type {ChannelActions<any>} */
  #actions
  #told
  /** @type {import('./errors.js').GatecastError | undefined} */
  #error

  // Held while a component looks: the last one only while it looks at messages. Who
  // opens is a member too, so that of the two in the channel the later one leaves first.
  #watch = new Stay(async () => this.#listen(), async () => this.#unlisten())
  #membership
  #opening
  /** @type {(() => void)[]} */
  #undo = []

  /** @type {ChannelSnapshot<any> | undefined} */
  #whole
  /** @type {PresenceSnapshot} */
  #presence
  /** @type {TypingSnapshot} */
  #typing

  /**
   * @param {import('./client.js').Client} client
   * @param {string} name
   * @param {{begun: () => void, ended: () => void}} told whether a component looks
   */
  constructor(client, name, told) {
    super()
    const channel = client.channel(name)
    const refused = (/** @type {any} */ error) => this.#changed(error)
    this.#client = client
    this.#channel = channel
    this.#told = told
    this.#membership = new Stay(() => channel.subscribe(), () => channel.unsubscribe(), refused)
    this.#opening = new Stay(() => this.#talk.open(), () => this.#talk.close(), refused)
    this.#actions = {
      channel,
      send: (text) => channel.send(text),
      publish: (data, options) => channel.publish(data, options),
      resend: (id) => channel.resend(id),
      discard: (id) => channel.discard(id),
      loadOlder: () => unheeded(this.#talk.loadOlder()),
    }
    this.#presence = { count: 0, users: [], isWhole: false }
    this.#typing = { users: [], keystroke: () => channel.typing.keystroke(), stop: () => channel.typing.stop() }
    /** @type {ChannelSnapshot<any>} what is there before anything has come, on a server too */
    const blank = {
      ...this.#actions,
      status: 'unsubscribed',
      error: undefined,
      messages: [],
      hasOlder: false,
      presence: this.#presence,
      typing: this.#typing,
    }
    this.blank = () => blank
    this.blankPresence = () => blank.presence
    this.blankTyping = () => blank.typing
  }

  // These are handed to React, which tells new ones from old ones.

  /**
   * Has the messages, until the function that it answers is called.
   *
   * @param {() => void} fn is called after every change
   */
  open = (fn) => this.#look([this.#opening, this.#membership], fn)

  /**
   * Is in the channel, without its messages.
   *
   * @param {() => void} fn
   */
  join = (fn) => this.#look([this.#membership], fn)

  whole = () => (this.#whole ??= this.#snapshot())

  presence = () => {
    const { count, users, isWhole } = this.#channel.presence
    const { count: countBefore, users: usersBefore, isWhole: isWholeBefore } = this.#presence
    if (count !== countBefore || users !== usersBefore || isWhole !== isWholeBefore) this.#presence = { count, users, isWhole }
    return this.#presence
  }

  typing = () => {
    const { users } = this.#channel.typing
    if (users !== this.#typing.users) this.#typing = { ...this.#typing, users }
    return this.#typing
  }

  get #talk() {
    if (!this.#made) {
      this.#made = new Conversation(this.#channel, this.options)
      this.#made.on('change', () => this.#changed(this.#error))
    }
    return this.#made
  }

  /**
   * @param {Stay[]} stays
   * @param {() => void} fn
   */
  #look(stays, fn) {
    const undo = [this.on('change', fn), this.#watch.take(), ...stays.map((stay) => stay.take())]
    return () => undo.forEach((off) => off())
  }

  #listen() {
    const channel = this.#channel
    this.#told.begun()
    this.#undo = [
      channel.on('status', ({ error }) => this.#changed(error)),
      channel.on('presence', () => this.#changed(this.#error)),
      channel.on('typing', () => this.#changed(this.#error)),
      this.#client.on('status', ({ current }) => current === 'connecting' && this.#retry()),
      this.#client.on('welcome', () => this.#retry()),
    ]
    this.#whole = undefined // nobody told of what has changed
  }

  #unlisten() {
    this.#undo.forEach((off) => off())
    this.#undo = []
    this.#told.ended()
  }

  /** Whoever connects again, or with another token, may be let in again. */
  #retry() {
    this.#membership.retry()
    this.#opening.retry()
  }

  /** @param {any} error */
  #changed(error) {
    this.#error = error
    this.#whole = undefined
    this.emit('change', undefined)
  }

  /** @returns {ChannelSnapshot<any>} */
  #snapshot() {
    const { messages, hasOlder } = this.#talk
    return { ...this.#actions, status: this.#channel.status, error: this.#error, messages, hasOlder, presence: this.presence(), typing: this.typing() }
  }
}

/**
 * A promise that may be left alone.
 *
 * @template T
 * @param {Promise<T>} promise
 */
function unheeded(promise) {
  promise.catch(() => {})
  return promise
}
