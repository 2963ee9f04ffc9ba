// The client: one connection, and the channels that are used on it.

import { CLOSE_UNAUTHORIZED } from './backoff.js'
import { decodeBinary, encodeBinary } from './binary.js'
import { Channel } from './channel.js'
import { Connection } from './connection.js'
import { logIn } from './credentials.js'
import { Emitter } from './emitter.js'
import { ConnectionError, RefusedError, UnauthorizedError } from './errors.js'
import { Lane } from './lane.js'
import { Loss } from './loss.js'
import { Budget } from './outbox.js'
import { Requests } from './requests.js'

const QUEUE_COUNT = 1_000
/** In ms. Within log.dedupe_window of the server, 5 min by default, a key is never forgotten. */
const QUEUE_AGE = 120_000

/**
 * @typedef {import('./requests.js').Ack} Ack
 * @typedef {import('./requests.js').Frame} Frame
 * @typedef {import('./message.js').Message<any>} Message
 * @typedef {import('./connection.js').Status} Status
 * @typedef {{debug?: (...args: any[]) => void, warn?: (...args: any[]) => void}} Logger
 * @typedef {{userId: string, username: string, clientId: string}} User
 * @typedef {{messageBytes: number, subscriptions: number, messages: {rate: number, burst: number}}} Limits
 * @typedef {{json?: string, bytes?: Uint8Array}} Encoded data: one of the two
 */

/**
 * @typedef {object} Options
 * @property {string} url of the socket, `ws(s)://host/ws`; the API is beside it
 * @property {import('./credentials.js').GetToken} [getToken] gives an access token: asked before each attempt and ahead
 *   of its end, never twice at a time; an UnauthorizedError that it throws ends the trying, and an error with
 *   retryAfterMs puts it off for as long
 * @property {import('./credentials.js').Login} [login] a username and a password, in place of getToken
 * @property {SocketConstructor} [WebSocket] takes headers, as that of the package ws; browsers, and where there is a
 *   WebSocket of the platform, need none
 * @property {Logger} [logger] nothing is logged without, and no token ever is
 * @property {{count?: number, ageMs?: number}} [queue] bounds the messages that wait to be sent: 1,000 of them for 2 min
 *   where nothing is said
 */

/** @typedef {new (url: string, protocols: string[], options: any) => any} SocketConstructor */

// Programs on the server may have types of frames of their own.
/** @typedef {import('./requests.js').Welcome} Welcome */
/** @typedef {{status: import('./connection.js').StatusChange, 'lost-connection': import('./loss.js').LostConnection, welcome: Welcome}} OwnEvents */
/** @typedef {OwnEvents & Record<import('./requests.js').FrameType, Frame> & {[type: string]: any}} ClientEvents */

/**
 * What a channel has of its client.
 *
 * @typedef {{
 *   isOpen: () => boolean,
 *   user: () => User | undefined,
 *   request: (type: string, fields?: object) => Promise<Frame>,
 *   ask: (type: string, fields: object, settle: import('./requests.js').Settle) => void,
 *   send: (type: string, fields?: object) => void,
 *   publish: (message: Message, content: Encoded, settle?: import('./requests.js').Settle<Ack>) => void,
 *   backlog: () => number,
 *   keep: (channel: Channel<any>, isBusy: boolean) => void,
 *   lane: Lane,
 *   budget: Budget,
 *   logger?: Logger,
 * }} Link
 */

/**
 * Makes a client, which connects when it is told to.
 *
 * @param {Options} options
 */
export function createClient(options) {
  return new Client(options)
}

/**
 * Tells `status`, `lost-connection`, and every frame by its type: docs/protocol.md
 * lists them.
 *
 * @extends {Emitter<ClientEvents>}
 */
export class Client extends Emitter {
  /** @type {User | undefined} whom the last connection was let in as */
  user
  /** @type {Limits | undefined} of the server, as of the last connection */
  limits

  #connection
  #requests = new Requests()
  #lane = new Lane(() => paceOf(this.limits))
  /** @type {import('./connection.js').StatusChange[]} the one that is being told, and those that wait */
  #changes = []
  /** @type {Promise<Welcome> | undefined} of all who wait to be let in */
  #entry
  #loss = new Loss((what) => this.emit('lost-connection', what))
  /** @type {Link} */
  #link
  /** @type {Map<string, WeakRef<Channel<any>>>} all that anyone has, by name */
  #channels = new Map()
  /** @type {Map<string, Channel<any>>} those that something is going on in, by name */
  #busy = new Map()
  /** @type {FinalizationRegistry<string>} */
  #gone = new FinalizationRegistry((name) => {
    if (!this.#channels.get(name)?.deref()) this.#channels.delete(name)
  })

  /** @param {Options} options */
  constructor({ url, getToken, login, WebSocket, logger, queue = {} }) {
    super()
    const given = getToken ?? (login && logIn(url, login))
    if (!given) throw new TypeError('createClient needs getToken or login')
    const { protocol, hash } = new URL(url)
    if (!/^wss?:$/.test(protocol) || hash) throw new TypeError(`url is ${url}; it must begin with ws:// or wss:// and have no #`)
    this.#connection = new Connection({ url, getToken: given, WebSocket, logger })
    this.#connection.on('status', (change) => this.#changed(change))
    this.#connection.on('frame', (frame) => this.#heed(frame))
    this.#connection.on('binary', (data) => this.#takeBinary(data))
    this.#link = this.#makeLink(new Budget(queue.count ?? QUEUE_COUNT, queue.ageMs ?? QUEUE_AGE), logger)
  }

  /** @returns {Status} */
  get status() {
    return this.#connection.status
  }

  /**
   * Opens the socket, or tries again at once where it waits to. It resolves with
   * the welcome, and rejects when it failed for good or was told to disconnect.
   *
   * @returns {Promise<Welcome>}
   */
  connect() {
    if (this.#connection.welcome) return Promise.resolve(this.#connection.welcome)
    const entry = (this.#entry ??= this.#enter())
    this.#connection.connect()
    return entry
  }

  /** @returns {Promise<Welcome>} */
  #enter() {
    const entry = new Promise((resolve, reject) => {
      const undo = [
        this.on('welcome', (frame) => settle(resolve, frame)),
        this.on('status', (change) => isOver(change.current) && change.current === this.status && settle(reject, endOf(change))),
      ]
      const settle = (/** @type {Function} */ how, /** @type {any} */ value) => {
        undo.forEach((off) => off())
        this.#entry = undefined
        how(value)
      }
    })
    entry.catch(() => {}) // `status` tells too
    return entry
  }

  /** Says goodbye and stays away. It resolves when the socket is closed; what was not sent has failed. */
  disconnect() {
    return this.#connection.disconnect()
  }

  /**
   * The channel of a name: the same one for as long as anyone has it.
   *
   * @template {import('./message.js').EventMap} [E=any]
   * @param {string} name
   * @returns {Channel<E>}
   */
  channel(name) {
    const known = this.#channels.get(name)?.deref()
    if (known) return known
    const channel = /** @type {Channel<any>} */ (new Channel(name, this.#link))
    this.#channels.set(name, new WeakRef(channel))
    this.#gone.register(channel, name)
    return channel
  }

  /**
   * Sends a frame of any type and resolves with its reply; rejects with a GatecastError.
   *
   * @param {string} type
   * @param {object} [fields]
   * @returns {Promise<Frame>}
   */
  request(type, fields) {
    return new Promise((resolve, reject) => this.#request(type, fields, (error, reply) => (error ? reject(error) : resolve(reply))))
  }

  /**
   * Sends a frame that nobody answers, if there is a connection.
   *
   * @param {string} type
   * @param {object} [fields]
   */
  send(type, fields) {
    this.#connection.send(JSON.stringify({ ...fields, type }))
  }

  /**
   * @param {string} type
   * @param {object | undefined} fields
   * @param {import('./requests.js').Settle} settle
   */
  #request(type, fields, settle) {
    const id = this.#requests.newId()
    this.#ask(JSON.stringify({ ...fields, type, id }), id, settle)
  }

  /**
   * @param {string | Uint8Array} frame
   * @param {number} id of the frame
   * @param {import('./requests.js').Settle} settle
   */
  #ask(frame, id, settle) {
    if (this.status !== 'connected') return settle(new ConnectionError('disconnected', 'there is no connection'))
    this.#requests.expect(id, settle)
    this.#connection.send(frame)
  }

  /**
   * @param {Message} message
   * @param {Encoded} content
   * @param {import('./requests.js').Settle<Ack>} [settle] nothing is answered without
   */
  #publish(message, content, settle) {
    const id = settle && this.#requests.newId()
    const frame = encode(message, content, id)
    const max = this.limits?.messageBytes || Infinity
    if (isLarger(frame, max)) settle?.(new RefusedError('too_large', `the message is larger than the ${max} bytes that the server takes`))
    else if (id && settle) this.#ask(frame, id, settle)
    else this.#connection.send(frame)
  }

  /**
   * @param {Budget} budget
   * @param {Logger} [logger]
   * @returns {Link}
   */
  #makeLink(budget, logger) {
    return {
      isOpen: () => this.status === 'connected',
      user: () => this.user,
      request: (type, fields) => this.request(type, fields),
      ask: (type, fields, settle) => this.#request(type, fields, settle),
      send: (type, fields) => this.send(type, fields),
      publish: (message, content, settle) => this.#publish(message, content, settle),
      backlog: () => this.#connection.backlog,
      keep: (channel, isBusy) => void (isBusy ? this.#busy.set(channel.name, channel) : this.#busy.delete(channel.name)),
      lane: this.#lane,
      budget,
      logger,
    }
  }

  /**
   * What a listener brings about is told when what it was told has been told to all.
   *
   * @param {import('./connection.js').StatusChange} change
   */
  #changed(change) {
    if (this.#changes.push(change) > 1) return
    for (; this.#changes.length > 0; this.#changes.shift()) this.#tell(this.#changes[0])
  }

  /** @param {import('./connection.js').StatusChange} change */
  #tell(change) {
    const { welcome } = this.#connection
    if (change.previous === 'connected') this.#closed()
    if (change.current === 'connected' && welcome) this.#welcomed(/** @type {Welcome} */ (welcome))
    if (isOver(change.current)) this.#end(endOf(change))
    this.#loss.heed(change)
    this.emit('status', change)
  }

  #closed() {
    this.#busy.forEach((channel) => channel.closed())
    this.#lane.clear()
    this.#requests.drop()
  }

  /** @param {UnauthorizedError | ConnectionError} error */
  #end(error) {
    this.#busy.forEach((channel) => channel.ended(error))
  }

  /**
   * What one user has written is not sent as another. Who waits to be in a channel
   * waits on: the server knows who may.
   *
   * @param {UnauthorizedError} error
   */
  #disown(error) {
    this.#busy.forEach((channel) => channel.disowned(error))
  }

  /**
   * A frame that is not as the protocol has it is passed over: no server's mistake
   * ends a program.
   *
   * @param {Frame} frame
   */
  #heed(frame) {
    try {
      this.#take(frame)
    } catch (error) {
      this.#link.logger?.warn?.(`gatecast: a frame of type ${frame.type} that makes no sense was passed over`, error)
    }
  }

  /** @param {Frame} frame */
  #take(frame) {
    this.#requests.answer(frame)
    this.#busy.get(frame.channel)?.take(frame)
    if (frame.type === 'expiring') this.#connection.renew((token) => this.request('refresh', { token }))
    if (frame.type !== 'status' && frame.type !== 'lost-connection') this.emit(frame.type, frame) // those names are ours
  }

  /** @param {ArrayBuffer} data */
  #takeBinary(data) {
    const { header, payload } = decodeBinary(data) ?? {}
    if (header) this.#heed({ ...header, type: 'message', data: payload })
  }

  /** @param {Welcome} welcome */
  #welcomed({ userId, username, clientId, limits }) {
    if (this.user && this.user.userId !== userId) this.#disown(new UnauthorizedError('the token is now of another user'))
    this.user = { userId, username, clientId }
    this.limits = limits
    this.#busy.forEach((channel) => channel.opened())
  }
}

/**
 * How many ms apart frames are within the rate limit, with some room for others.
 *
 * @param {Limits | undefined} limits
 */
function paceOf(limits) {
  const rate = limits?.messages?.rate
  return rate ? 1200 / rate : 0
}

/** @param {Status} status */
const isOver = (status) => status === 'failed' || status === 'disconnected'

/**
 * @param {import('./connection.js').StatusChange} change
 */
function endOf({ current, code, reason }) {
  if (current === 'failed' && code === CLOSE_UNAUTHORIZED) return new UnauthorizedError(reason)
  return new ConnectionError(current === 'failed' ? 'failed' : 'disconnected', reason ?? 'the client was told to disconnect')
}

/**
 * @param {string | Uint8Array} frame
 * @param {number} max in bytes
 */
function isLarger(frame, max) {
  if (typeof frame !== 'string') return frame.length > max
  return frame.length * 3 > max && new TextEncoder().encode(frame).length > max // a character has 3 bytes at most
}

/**
 * @param {Message} message
 * @param {Encoded} content
 * @param {number} [id]
 */
function encode({ channel, event, id: key }, { json, bytes }, id) {
  const header = { type: 'publish', ...(id && { id }), channel, event, key }
  if (bytes) return encodeBinary(header, bytes)
  return `${JSON.stringify(header).slice(0, -1)},"data":${json}}` // encoded once, however often it is sent
}
