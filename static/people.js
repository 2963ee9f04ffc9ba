// Who is in a channel now, and when others were last seen there.

import { avatar, byId, element } from '/dom.js'
import { Keyed } from '/keyed.js'
import { ago } from '/when.js'
import { say } from '/words.js'

const MINUTE = 60_000
// People that are listed at most.
const HERE = 200
const AWAY = 30

export class People {
  #client
  #room
  #talk
  /** @type {Map<string, {userId: string, username: string}>} who was here when this was last drawn, by user ID */
  #here = new Map()
  /** @type {Map<string, {userId: string, username: string, at: number}>} who left while the page was open, by user ID */
  #left = new Map()
  #online = new Keyed(byId('online'), keyOf, (who) => new Person(who))
  #away = new Keyed(byId('away'), keyOf, (who) => new Person(who))

  /**
   * @param {any} client
   * @param {any} room its channel
   * @param {any} talk its conversation: who wrote there was there
   * @param {import('/scope.js').Scope} scope
   */
  constructor(client, room, talk, scope) {
    this.#client = client
    this.#room = room
    this.#talk = talk
    scope.add(room.on('presence', () => this.draw()))
    scope.add(talk.on('change', () => this.draw()))
    scope.every(MINUTE, () => this.draw())
    scope.add(() => {
      this.#online.clear()
      this.#away.clear()
    })
    this.draw()
  }

  draw() {
    const { users, count } = this.#room.presence
    if (this.#client.status === 'connected') this.#follow(users)
    this.#online.draw([...users.slice(0, HERE).map((user) => this.#known(user)), ...this.#others(count - Math.min(users.length, HERE))])
    const away = this.#lastSeen()
    this.#away.draw(away)
    byId('away-part').hidden = away.length === 0
    byId('online-count').textContent = byId('people-count').textContent = String(count)
    byId('open-people').ariaLabel = say('peopleHere', { n: count })
    byId('room-count').textContent = say('hereNow', { n: count })
  }

  /** Notes who has gone since it was last called. */
  #follow(users) {
    const here = new Map(users.map((user) => [user.userId, user]))
    for (const [id, user] of this.#here) if (!here.has(id)) this.#note(id, user)
    for (const id of here.keys()) this.#left.delete(id)
    this.#here = here
  }

  /** Only the last ones to leave are ever listed. */
  #note(id, user) {
    this.#left.set(id, { ...user, at: Date.now() })
    if (this.#left.size > AWAY) this.#left.delete(this.#left.keys().next().value)
  }

  #known({ userId, username }) {
    return { userId, name: userId === this.#client.user?.userId ? `${username} (${say('you')})` : username, username }
  }

  /** In a crowd not everyone is named. */
  #others(n) {
    return n > 0 ? [{ userId: '', username: '…', name: say('others', { n }) }] : []
  }

  /** Who is not here: the last of what they wrote and when they left, the latest first. */
  #lastSeen() {
    const seen = new Map()
    const note = ({ userId, username, at }) => userId && !this.#here.has(userId) && !(seen.get(userId)?.at > at) && seen.set(userId, { userId, username, at })
    for (const { userId, username, timestamp } of this.#talk.messages) note({ userId, username, at: Date.parse(timestamp) })
    this.#left.forEach(note)
    const latest = [...seen.values()].sort((a, b) => b.at - a.at).slice(0, AWAY)
    return latest.map(({ at, ...who }) => ({ ...who, name: who.username, seen: say('lastSeen', { ago: ago(at) }) }))
  }
}

const keyOf = ({ userId }) => userId

/** One person in a list. */
class Person {
  #name = element('span', 'person-name')
  #seen = element('span', 'seen')

  constructor({ userId, username }) {
    this.element = element('li', '', avatar(userId, username), element('span', 'person', this.#name, this.#seen))
  }

  update({ name, seen = '' }) {
    if (this.#name.textContent !== name) this.#name.textContent = name
    if (this.#seen.textContent !== seen) this.#seen.textContent = seen
  }
}
