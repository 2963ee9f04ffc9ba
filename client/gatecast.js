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
export { BusyError, ConnectionError, isGatecastError, QueueError, RateLimitError, RefusedError, UnauthorizedError } from './errors.js'

/**
 * @typedef {import('./client.js').Client} Client
 * @typedef {import('./client.js').ClientEvents} ClientEvents
 * @typedef {import('./client.js').Limits} Limits
 * @typedef {import('./client.js').Logger} Logger
 * @typedef {import('./client.js').Options} Options
 * @typedef {import('./client.js').User} User
 * @typedef {import('./connection.js').Status} Status
 * @typedef {import('./connection.js').StatusChange} StatusChange
 * @typedef {import('./credentials.js').GetToken} GetToken
 * @typedef {import('./credentials.js').Login} Login
 * @typedef {import('./errors.js').GatecastError} GatecastError
 * @typedef {import('./loss.js').LostConnection} LostConnection
 * @typedef {import('./message.js').EventMap} EventMap
 * @typedef {import('./presence.js').Presence} Presence
 * @typedef {import('./requests.js').Frame} Frame
 * @typedef {import('./requests.js').Welcome} Welcome
 * @typedef {import('./roster.js').Person} Person who is in a channel, or types there
 * @typedef {import('./subscription.js').Gap} Gap
 * @typedef {import('./subscription.js').SubscriptionChange} SubscriptionChange
 * @typedef {import('./subscription.js').SubscriptionStatus} SubscriptionStatus
 * @typedef {import('./typing.js').Typing} Typing
 */
/**
 * @template {import('./message.js').EventMap} [E=any]
 * @typedef {import('./message.js').Message<E>} Message
 */
/**
 * @template {import('./message.js').EventMap} [E=any]
 * @typedef {import('./channel.js').Channel<E>} Channel
 */
/**
 * @template {import('./message.js').EventMap} [E=any]
 * @typedef {import('./channel.js').ChannelEvents<E>} ChannelEvents
 */
/**
 * @template {import('./message.js').EventMap} [E=any]
 * @typedef {import('./timeline.js').Line<E>} Line a message of a Conversation
 */
