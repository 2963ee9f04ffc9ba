// What is there for whoever is logged in: a client, the channels, the one that
// is open, and everything around it.

import { Banner } from '/banner.js'
import { Channels } from '/channels.js'
import { createClient } from '/client/gatecast.js'
import { Composer } from '/composer.js'
import { avatar, byId, element } from '/dom.js'
import { openLive } from '/live.js'
import { LOBBY, isOpenable } from '/names.js'
import { Notice } from '/notice.js'
import { Room } from '/room.js'
import { Rooms } from '/rooms.js'
import { Scope } from '/scope.js'
import { SessionsDialog } from '/sessions.js'
import { Tabs } from '/tabs.js'
import { say, sayError } from '/words.js'

const UNAUTHORIZED = 4401 // close code of the protocol
const LIST_AGAIN = 60_000 // ms between looks at which rooms there are

export class Home {
  #session
  #onLeave
  #client
  #scope = new Scope()
  #banner
  #notice
  #sessions
  /** All of these are there once the server has said who this is. */
  #me = null
  #rooms = null
  #channels = null
  #composer = null
  #room = null
  #live = null

  /**
   * @param {any} session
   * @param {(notice?: string) => void} onLeave is told once, and why where it was not asked for
   */
  constructor(session, onLeave) {
    this.#session = session
    this.#onLeave = onLeave
    this.#client = createClient({ url: location.origin.replace(/^http/, 'ws') + '/ws', getToken: () => session.token() })
    this.#scope.add(this.#client.on('status', (change) => this.#turn(change)))
    this.#scope.add(this.#client.on('welcome', (welcome) => this.#welcome(welcome)))
    this.#banner = new Banner(this.#client, this.#scope)
    this.#client.connect().catch(() => {}) // the status tells
  }

  /** Draws what depends on the language. */
  draw() {
    this.#banner.draw()
    if (!this.#rooms) return
    this.#drawAccount()
    this.#notice.draw()
    this.#channels.draw()
    this.#room.draw()
    this.#sessions.draw()
    this.#live?.draw()
  }

  #turn({ current, code, reason }) {
    if (current === 'failed') this.#leave(sayError({ code: code === UNAUTHORIZED ? 'session_ended' : 'refused', message: reason || String(code) }))
  }

  #welcome({ userId }) {
    if (!this.#rooms) return this.#begin()
    // Tabs share the cookie: another one may have logged in as someone else.
    if (userId !== this.#me.userId) this.#leave(say('error.session_ended'))
  }

  #begin() {
    const [client, scope] = [this.#client, this.#scope]
    this.#me = client.user
    byId('home').hidden = byId('account').hidden = false
    this.#drawAccount()
    this.#notice = new Notice(scope)
    this.#composer = new Composer(client, scope, (error) => this.#notice.tell(error))
    this.#rooms = new Rooms(client, this.#session, scope)
    this.#channels = new Channels(this.#rooms, scope, (name) => this.#show(name))
    this.#sessions = new SessionsDialog(this.#session, scope)
    scope.add(this.#rooms.on('trouble', (error) => this.#notice.tell(error)))
    this.#open(this.#asked)
    scope.add(this.#rooms.on('change', () => this.#rooms.has(this.#room.name) || this.#show(LOBBY)))
    new Tabs(byId('tabs'), scope, (panel) => this.#turnTo(panel))
    this.#listen()
    this.#rooms.list()
    this.#write()
  }

  #listen() {
    const scope = this.#scope
    scope.listen(byId('log-out'), 'click', () => this.#logOut())
    scope.listen(byId('leave-room'), 'click', () => this.#rooms.leave(this.#room.name))
    scope.listen(window, 'hashchange', () => this.#open(this.#asked))
    scope.listen(document, 'visibilitychange', () => this.#watch())
    scope.listen(window, 'focus', () => this.#rooms.list())
    scope.listen(byId('channels'), 'toggle', ({ newState }) => newState === 'open' && this.#rooms.list()) // a phone's drawer
    scope.listen(matchMedia('(min-width: 60rem)'), 'change', closeDrawers)
    scope.listen(window, 'beforeunload', (event) => this.#isWaiting && event.preventDefault())
    scope.every(LIST_AGAIN, () => this.#rooms.list())
  }

  /** The channel in the page's address, which can be given to a friend; the lobby where it has none. */
  get #asked() {
    const name = location.hash.slice(1)
    return isOpenable(name) ? name : LOBBY
  }

  /** Opens a channel, and lets the browser's back button come back to this one. */
  #show(name) {
    location.hash = name
    this.#open(name)
  }

  #open(name) {
    if (this.#room?.name === name) return this.#write()
    this.#rooms.join(name)
    this.#notice.clear()
    this.#enter(name)
    this.#channels.mark(name)
    this.#watch()
    this.#write()
  }

  #enter(name) {
    this.#room?.close()
    this.#room = new Room(this.#client, name, this.#rooms.range(name), (error) => this.#notice.tell(error))
    this.#composer.turnTo(this.#room)
  }

  /** Lets one write at once, but where that would bring a keyboard up over half of the screen. */
  #write() {
    if (!matchMedia('(pointer: coarse)').matches) byId('message').focus()
  }

  #turnTo(panel) {
    this.#live?.close()
    this.#live = panel === 'live' ? openLive(byId('live'), this.#client) : null
    this.#watch()
  }

  /** What comes into the open channel is read while someone can see it. */
  #watch() {
    const isSeen = !document.hidden && !byId('chat').hidden
    this.#rooms.watch(isSeen ? this.#room.name : '')
  }

  /** Whether something that was written is not stored yet. */
  get #isWaiting() {
    return this.#rooms.joined.some((name) => this.#client.channel(name).outgoing.length > 0)
  }

  #drawAccount() {
    const { userId, username } = this.#me
    byId('account').replaceChildren(avatar(userId, username), element('span', 'account-label', username))
    byId('account').ariaLabel = say('account', { name: username })
    byId('account-name').textContent = username
  }

  async #logOut() {
    if (this.#isWaiting && !confirm(say('logOutLoses'))) return
    const menu = byId('account-menu')
    menu.inert = true
    await this.#client.disconnect() // before the server does: it ends the sockets of a session that ends
    try {
      await this.#session.logOut()
      this.#leave()
    } catch (error) {
      this.#stay()
      this.#notice.tell(error)
    } finally {
      menu.inert = false
      menu.hidePopover()
    }
  }

  /** Goes on after a disconnect, which has let down whatever was not in its channel yet. */
  #stay() {
    this.#client.connect().catch(() => {})
    this.#rooms.enterAgain()
    this.#enter(this.#room.name)
    if (this.#live) this.#turnTo('live')
  }

  #leave(notice) {
    this.#live?.close()
    this.#room?.close()
    this.#scope.close()
    this.#client.disconnect().catch(() => {}) // it may have ended already
    closeDrawers()
    byId('home').hidden = byId('account').hidden = true
    history.replaceState(null, '', location.pathname) // whoever comes next is not led into this one's rooms
    this.#onLeave(notice)
  }
}

function closeDrawers() {
  for (const drawer of document.querySelectorAll('[popover]:popover-open')) drawer.hidePopover()
}
