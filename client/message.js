// Messages, as the application sees them.

import { fromBase64 } from './binary.js'

/** @typedef {import('./requests.js').Frame} Frame */

/**
 * The types of what is published, by event.
 *
 * @typedef {Record<string, any>} EventMap
 */

/**
 * What a message says.
 *
 * @template {EventMap} [E=any]
 * @typedef {{[K in keyof E & string]: {event: K, data: E[K], isRemoved?: false}}[keyof E & string] | Removed} Content
 */

/** @typedef {{event: 'message', data: null, isRemoved: true}} Removed what is left of a message that went with its sender's account */

/**
 * What can be published where others get T: bytes may be in any form.
 *
 * @template T
 * @typedef {T extends Uint8Array ? import('./binary.js').Binary : T} Publishable
 */

/**
 * What is known of a message besides.
 *
 * @typedef {object} Envelope
 * @property {string} id the same whenever it comes; of own ones the key that they were sent with
 * @property {string} channel
 * @property {number} [seq] its number, where the channel keeps messages
 * @property {string} [epoch] the life of the channel that the number is of
 * @property {string} userId empty where the sender's account is deleted
 * @property {string} username
 * @property {string} [clientId] the connection that sent it
 * @property {string} timestamp in ISO 8601
 * @property {boolean} isOwn
 * @property {'pending' | 'sent' | 'failed' | 'discarded'} state the last is told by `outgoing` alone
 * @property {import('./errors.js').GatecastError} [error] why it failed
 */

/**
 * A message. Its data is typed by its event.
 *
 * @template {EventMap} [E=any]
 * @typedef {Envelope & Content<E>} Message
 */

/**
 * The message that a frame, or an entry of a list, holds.
 *
 * @param {Frame} frame of type chat, message or removed
 * @param {string | undefined} epoch of its number
 * @param {string | undefined} me the user ID of whom it came to
 * @returns {Message<any>}
 */
export function messageOf(frame, epoch, me) {
  const { type, channel, seq, userId = '', username = '', clientId, timestamp } = frame
  const isOwn = userId !== '' && userId === me
  return {
    id: identity(frame, epoch, isOwn),
    channel,
    ...content(frame),
    ...(seq && { seq, epoch }),
    userId,
    username,
    ...(clientId && { clientId }),
    timestamp,
    isOwn,
    state: 'sent',
    ...(type === 'removed' && { isRemoved: true }),
  }
}

/**
 * Others choose their keys as they like, so only own ones name a message.
 *
 * @param {Frame} frame
 * @param {string | undefined} epoch
 * @param {boolean} isOwn
 */
function identity({ seq, key }, epoch, isOwn) {
  if (isOwn && key) return key
  return seq ? `${epoch ?? ''}:${seq}` : newKey()
}

/** @param {Frame} frame */
function content({ type, event, data, message, encoding }) {
  if (type === 'chat') return { event: 'chat', data: message }
  if (type === 'removed') return { event: 'message', data: null }
  return { event, data: encoding === 'base64' ? fromBase64(data) : data }
}

/** A mark that no other message has. randomUUID is only there under https. */
export function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('')
}
