// Channels' names, and how people call them.

export const LOBBY = 'lobby'
const ROOM = 'room:'
const LONGEST = 60 // letters of a name that someone types

/** What people call a channel. */
export const nameOf = (channel) => (channel.startsWith(ROOM) ? channel.slice(ROOM.length) : channel)

/** Whether the page can open a channel of this name. */
export const isOpenable = (channel) => channel === LOBBY || /^room:[\w.:@=~-]{1,200}$/.test(channel)

/**
 * The channel of a room that someone names: `room:tra-da` for Trà đá. It is
 * empty where nothing is left of the name.
 */
export function roomOf(text) {
  const plain = text.replace(/^(#|room:)/i, '').replace(/đ/gi, 'd').normalize('NFD').replace(/\p{M}/gu, '').toLowerCase()
  const slug = plain.replace(/[^a-z0-9]+/g, '-').slice(0, LONGEST).replace(/^-|-$/g, '')
  return slug && (slug === LOBBY ? LOBBY : ROOM + slug)
}
