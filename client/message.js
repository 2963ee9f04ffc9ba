// Messages, as the application sees them.

import { fromBase64 } from './binary.js'

/**
 * The types of what is published, by event.
 *
 * @typedef {Record<string, any>} EventMap
 */

/**
 * What a message says.
 *
 * @template {EventMap} [E=EventMap]
 * @typedef {{[K in keyof E & string]: {event: K, data: E[K]}}[keyof E & string]} Content
 */

/**
 * What is known of a message besides: `id` is the same whenever it comes, and
 * for own ones the key that they were sent with. `seq` and `epoch` are there
 * where the channel keeps messages; `userId` is empty where the sender's account
 * is deleted. `isRemoved` tells that the message went with it, and data is null.
 *
 * @typedef {{
 *   id: string,
 *   channel: string,
 *   seq?: number,
 *   epoch?: string,
 *   userId: string,
 *   username: string,
 *   clientId?: string,
 *   timestamp: string,
 *   isOwn: boolean,
 *   state: 'pending' | 'sent' | 'failed' | 'discarded',
 *   error?: import('./errors.js').GatecastError,
 *   isRemoved?: boolean,
 * }} Envelope
 */

/**
 * A message. Its data is typed by its event.
 *
 * @template {EventMap} [E=EventMap]
 * @typedef {Envelope & Content<E>} Message
 */

/**
 * The message that a frame, or an entry of a list, holds.
 *
 * @param {any} frame of type chat, message or removed
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
 * @param {any} frame
 * @param {string | undefined} epoch
 * @param {boolean} isOwn
 */
function identity({ seq, key }, epoch, isOwn) {
  if (isOwn && key) return key
  return seq ? `${epoch ?? ''}:${seq}` : newKey()
}

/** @param {any} frame */
function content({ type, event, data, message, encoding }) {
  if (type === 'chat') return { event: 'chat', data: message }
  if (type === 'removed') return { event: 'message', data: null }
  return { event, data: encoding === 'base64' ? fromBase64(data) : data }
}

/** A mark that no other message has. randomUUID is only there under https. */
export function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('')
}
