// One message as a line of the conversation. Text from people is only ever
// text, never markup.

import { avatar, button, element, worded } from '/dom.js'
import { Picture } from '/picture.js'
import { clock, day } from '/when.js'
import { say, sayError, spoken } from '/words.js'

const TOGETHER = 5 * 60_000 // ms within which messages of one person stand together

/** Whether the page has a way to show a message: others are of other programs. */
export const isShown = ({ event, data, isRemoved }) => isRemoved || (event === 'chat' && typeof data === 'string') || event === 'image'

export class Line {
  element = element('div', 'line')
  #actions
  #picture = null
  #drawn = [] // what it was drawn from

  /**
   * @param {{resend(id: string): void, discard(id: string): void, isOffline(): boolean}} actions
   * @param {boolean} isQuiet it is not read out to who listens to the page
   */
  constructor(actions, isQuiet) {
    this.#actions = actions
    if (isQuiet) this.element.ariaLive = 'off'
  }

  /**
   * @param {{message: any, isBehindGap: boolean, isFirstUnread: boolean}} item
   * @param {{message: any} | undefined} before the line above it
   */
  update({ message, isBehindGap, isFirstUnread }, before) {
    const previous = before?.message
    const isWaiting = message.state === 'pending' && this.#actions.isOffline()
    const drawn = [message, isBehindGap, isFirstUnread, previous, spoken(), new Date().toDateString(), isWaiting]
    if (drawn.every((value, i) => value === this.#drawn[i])) return
    this.#drawn = drawn
    const date = new Date(message.timestamp)
    const isNewDay = date.toDateString() !== (previous && new Date(previous.timestamp).toDateString())
    const goesOn = !isNewDay && !isBehindGap && !isFirstUnread && continues(message, previous)
    this.element.replaceChildren(
      ...(isBehindGap ? [worded('p', 'missing', 'note')] : []),
      ...(isNewDay ? [element('p', 'day', day(date))] : []),
      ...(isFirstUnread ? [worded('p', 'newFromHere', 'day fresh')] : []),
      this.#said(message, goesOn),
    )
  }

  close() {
    this.#picture?.close()
  }

  #said(message, goesOn) {
    const { userId, username, isOwn, state, isRemoved } = message
    const name = userId || isRemoved ? element('b', goesOn ? 'hidden' : '', username) : worded('b', 'deletedAccount', 'gone')
    const bubble = element('div', 'bubble', isRemoved ? null : name, this.#content(message), this.#state(message))
    const said = element('div', isOwn ? 'mine' : 'theirs', isOwn ? null : avatar(userId, username), bubble)
    said.classList.toggle('goes-on', goesOn)
    said.classList.toggle('failed', state === 'failed')
    said.classList.toggle('pending', state === 'pending')
    if (state === 'failed') said.append(this.#again(message))
    return said
  }

  #content(message) {
    if (message.isRemoved) return worded('span', 'removed', 'gone')
    if (message.event === 'chat') return element('span', 'text', message.data)
    this.#picture ??= new Picture(message.data)
    return this.#picture.draw(message.username)
  }

  #state({ state, timestamp }) {
    const words = { pending: say(this.#actions.isOffline() ? 'waiting' : 'sending'), failed: say('notSent') }
    const made = element('small', 'state', words[state] ?? clock(new Date(timestamp)))
    made.ariaLive = 'off' // the line itself has been read out
    return made
  }

  #again({ id, error }) {
    return element(
      'div',
      'again',
      element('span', 'why', error && !error.retryAfterMs ? sayError(error) : ''), // how long to wait is said elsewhere, and counted
      button('small-button', say('resend'), () => this.#actions.resend(id)),
      button('small-button', say('discard'), () => this.#actions.discard(id)),
    )
  }
}

/** Whether a message stands under the one before without a name of its own. */
function continues(message, previous) {
  if (!previous || message.isRemoved || previous.isRemoved || message.userId !== previous.userId) return false
  return Date.parse(message.timestamp) - Date.parse(previous.timestamp) < TOGETHER
}
