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
import { Room } from './room.js'
import { Stay } from './stay.js'

/**
 * @typedef {import('./client.js').Client} Client
 * @typedef {import('./client.js').Options} Options
 * @typedef {import('./connection.js').Status} Status
 * @typedef {import('./loss.js').LostConnection} LostConnection
 * @typedef {import('./room.js').PresenceSnapshot} PresenceSnapshot
 * @typedef {import('./room.js').TypingSnapshot} TypingSnapshot
 */
/**
 * @template {import('./message.js').EventMap} [E=any]
 * @typedef {import('./room.js').RoomSnapshot<E>} ChannelSnapshot
 */

/** What the components of a provider share. */
class Store {
  /** @type {LostConnection | undefined} */
  loss
  /** @type {Map<string, Room>} by name of the channel */
  #rooms = new Map()
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
  room(name, options) {
    const room = this.#rooms.get(name) ?? this.#makeRoom(name)
    this.#rooms.set(name, room)
    room.options ??= options
    return room
  }

  /** @param {string} name */
  #makeRoom(name) {
    const room = new Room(this.client, name, {
      begun: () => this.#rooms.set(name, room),
      ended: () => this.#rooms.get(name) === room && this.#rooms.delete(name),
    })
    return room
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
function useRoom(name, options) {
  const store = useStore()
  return useMemo(() => store.room(name, options), [store, name])
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
  const room = useRoom(name, options)
  return useSyncExternalStore(room.open, room.whole, room.blank)
}

/**
 * Who is in a channel, oneself included. The component is in it too, and is drawn
 * again only when that changes.
 *
 * @param {string} name
 * @returns {PresenceSnapshot}
 */
export function usePresence(name) {
  const room = useRoom(name)
  return useSyncExternalStore(room.join, room.presence, room.blankPresence)
}

/**
 * Who else is typing in a channel, and what tells others that one does oneself.
 *
 * @param {string} name
 * @returns {TypingSnapshot}
 */
export function useTyping(name) {
  const room = useRoom(name)
  return useSyncExternalStore(room.join, room.typing, room.blankTyping)
}
