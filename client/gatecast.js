// The Gatecast client: one socket that comes back by itself, and channels that
// miss nothing on it.
//
//   const client = createClient({ url: 'ws://localhost:3000/ws', getToken: async () => token })
//   const lobby = client.channel('lobby')
//   lobby.on('message', ({ username, data }) => console.log(username, data))
//   client.connect()
//   await lobby.subscribe()
//   await lobby.send('Xin chào')
//
// It runs as it is in browsers, Node, Deno and Bun.

export { createClient } from './client.js'
export { Conversation } from './conversation.js'
export { BusyError, ConnectionError, QueueError, RateLimitError, RefusedError, UnauthorizedError } from './errors.js'
export { Presence } from './presence.js'

/**
 * @typedef {import('./client.js').Client} Client
 * @typedef {import('./client.js').Options} Options
 * @typedef {import('./client.js').User} User
 * @typedef {import('./client.js').Limits} Limits
 * @typedef {import('./client.js').Logger} Logger
 * @typedef {import('./connection.js').Status} Status
 * @typedef {import('./connection.js').StatusChange} StatusChange
 * @typedef {import('./loss.js').LostConnection} LostConnection
 * @typedef {import('./subscription.js').Gap} Gap
 * @typedef {import('./errors.js').GatecastError} GatecastError
 * @typedef {import('./message.js').EventMap} EventMap
 */
/**
 * @template {import('./message.js').EventMap} [E=import('./message.js').EventMap]
 * @typedef {import('./message.js').Message<E>} Message
 */
/**
 * @template {import('./message.js').EventMap} [E=import('./message.js').EventMap]
 * @typedef {import('./channel.js').Channel<E>} Channel
 */
