// React hooks for Gatecast, for React 18 and later.
//
//   <GatecastProvider client={client}><Chat /></GatecastProvider>
//
//   function Chat() {
//     const { messages, send } = useChannel('lobby')
//     ...
//   }
//
// A client is connected while its provider is there, and one is in a channel
// while a component looks at it. Components that look at the same channel share
// its messages.

import { createContext, createElement, useContext, useEffect, useMemo, useRef, useState, useSyncExternalStore } from 'react'

import { createClient } from './client.js'
import { ChannelStore } from './channel-store.js'
import { Stay } from './stay.js'

/**
 * @typedef {import('./client.js').Client} Client
 * @typedef {import('./client.js').Options} Options
 * @typedef {import('./connection.js').Status} Status
 * @typedef {import('./loss.js').LostConnection} LostConnection
 * @typedef {import('./channel-store.js').PresenceSnapshot} PresenceSnapshot
 * @typedef {import('./channel-store.js').TypingSnapshot} TypingSnapshot
 */
/**
 * @template {import('./message.js').EventMap} [E=any]
 * @typedef {import('./channel-store.js').ChannelSnapshot<E>} ChannelSnapshot
 */

/** What the components of a provider share. */
class Store {
  /** @type {LostConnection | undefined} */
  loss
  /** @type {Map<string, ChannelStore>} by name of the channel */
  #channels = new Map()
  #connection

  /** @param {Client} client */
  constructor(client) {
    this.client = client
    this.#connection = new Stay(async () => void client.connect(), () => client.disconnect())
  }

  /** Connects, until the function that it answers was called. */
  stay = () => {
    const undo = [this.#connection.take(), this.onLoss(() => {})] // so that who comes late knows
    return () => undo.forEach((off) => off())
  }

  /** @param {() => void} fn */
  onStatus = (fn) => this.client.on('status', fn)
  status = () => this.client.status

  /** @param {(what: LostConnection) => void} fn */
  onLoss = (fn) => this.client.on('lost-connection', (what) => fn((this.loss = what)))
  lastLoss = () => this.loss

  /**
   * @param {string} name
   * @param {{last?: number, keep?: number}} [options]
   */
  channel(name, options) {
    const channel = this.#channels.get(name) ?? this.#makeChannel(name)
    this.#channels.set(name, channel)
    channel.options ??= options
    return channel
  }

  /** @param {string} name */
  #makeChannel(name) {
    const channel = new ChannelStore(this.client, name, {
      begun: () => this.#channels.set(name, channel),
      ended: () => this.#channels.get(name) === channel && this.#channels.delete(name),
    })
    return channel
  }
}

/**
 * A client has one store, whichever provider it has: one that comes as another
 * goes takes over its connection, and does not lose it to a late goodbye.
 *
 * @type {WeakMap<Client, Store>}
 */
const stores = new WeakMap()

/** @param {Client} client */
function storeOf(client) {
  const store = stores.get(client) ?? new Store(client)
  stores.set(client, store)
  return store
}

const Context = createContext(/** @type {Store | undefined} */ (undefined))

/**
 * Connects a client while it is there: `client`, or one that it makes of `options`,
 * those of createClient, when it comes. Providers of the same client share it.
 *
 * @param {{client?: Client, options?: Options, children?: import('react').ReactNode}} props
 * @returns {import('react').ReactElement}
 */
export function GatecastProvider({ client, options, children }) {
  const [made] = useState(() => client ?? createClient(/** @type {Options} */ (options)))
  const used = client ?? made
  const store = useMemo(() => storeOf(used), [used])
  useEffect(store.stay, [store])
  return createElement(Context.Provider, { value: store }, children)
}

function useStore() {
  const store = useContext(Context)
  if (!store) throw new Error('there is no GatecastProvider around this component')
  return store
}

/** The client of the provider. */
export function useClient() {
  return useStore().client
}

/**
 * The client's status; `initial` on a server.
 *
 * @returns {Status}
 */
export function useStatus() {
  const store = useStore()
  return useSyncExternalStore(store.onStatus, store.status, () => 'initial')
}

/**
 * What people are to be told of a connection that was lost for 5 s or longer:
 * `lost`, then `restored` or `failed`. The last of them is answered, undefined as
 * long as there was none, and fn is called with each.
 *
 * @param {(what: LostConnection) => void} [fn] may be another one at each render
 * @returns {LostConnection | undefined}
 */
export function useLostConnection(fn) {
  const store = useStore()
  const latest = useRef(fn)
  useEffect(() => {
    latest.current = fn
  })
  useEffect(() => store.onLoss((what) => latest.current?.(what)), [store])
  return useSyncExternalStore(store.onLoss, store.lastLoss, () => undefined)
}

/**
 * @param {string} name of a channel
 * @param {{last?: number, keep?: number}} [options] count for the first one who asks
 */
function useChannelStore(name, options) {
  const store = useStore()
  return useMemo(() => store.channel(name, options), [store, name])
}

/**
 * A channel, and what is said in it, while the component is there. Another object
 * comes with each change; what can be done stays the same.
 *
 * `last` and `keep` are those of Conversation. Where several components look at the
 * same channel, the options of the first one count.
 *
 * @template {import('./message.js').EventMap} [E=any]
 * @param {string} name
 * @param {{last?: number, keep?: number}} [options]
 * @returns {ChannelSnapshot<E>}
 */
export function useChannel(name, options) {
  const channel = useChannelStore(name, options)
  return useSyncExternalStore(channel.open, channel.whole, channel.blank)
}

/**
 * Who is in a channel, oneself included. The component is in it too, and is drawn
 * again only when that changes.
 *
 * @param {string} name
 * @returns {PresenceSnapshot}
 */
export function usePresence(name) {
  const channel = useChannelStore(name)
  return useSyncExternalStore(channel.join, channel.presence, channel.blankPresence)
}

/**
 * Who else is typing in a channel, and what tells others that one does oneself.
 *
 * @param {string} name
 * @returns {TypingSnapshot}
 */
export function useTyping(name) {
  const channel = useChannelStore(name)
  return useSyncExternalStore(channel.join, channel.typing, channel.blankTyping)
}
