// The dialog of login sessions: where one is logged in, and how to end that.

import { button, byId, element } from '/dom.js'
import { device } from '/device.js'
import { ago } from '/when.js'
import { say, sayError } from '/words.js'

export class SessionsDialog {
  #session
  #dialog = byId('sessions')
  #list = []

  constructor(session, scope) {
    this.#session = session
    scope.listen(byId('open-sessions'), 'click', () => this.#open())
    scope.listen(byId('close-sessions'), 'click', () => this.#dialog.close())
    scope.listen(byId('end-others'), 'click', () => this.#end(this.#others, say('sessionsEnded')))
    scope.listen(this.#dialog, 'click', ({ target }) => target === this.#dialog && this.#dialog.close()) // beside it
    scope.add(() => {
      this.#dialog.close()
      byId('session-list').replaceChildren()
    })
  }

  draw() {
    byId('session-list').replaceChildren(...this.#list.map((session) => this.#entry(session)))
    byId('end-others').hidden = this.#others.length === 0
  }

  get #others() {
    return this.#list.filter(({ current }) => !current)
  }

  async #open() {
    byId('account-menu').hidePopover()
    this.#list = []
    this.#say('')
    this.draw()
    byId('account').focus() // it comes back to where it was
    this.#dialog.showModal()
    await this.#load()
    if (this.#list.length === 1) this.#say(say('sessionsNone'))
  }

  async #load() {
    try {
      const { sessions } = await this.#session.ask('GET', '/sessions')
      this.#list = sessions.sort((a, b) => b.current - a.current || b.last_used_at.localeCompare(a.last_used_at))
      this.draw()
    } catch (error) {
      this.#say(sayError(error))
    }
  }

  async #end(sessions, done) {
    this.#dialog.inert = true
    try {
      for (const { id } of sessions) await this.#session.ask('DELETE', `/sessions/${id}`).catch(unlessGone)
      this.#say(done)
    } catch (error) {
      this.#say(sayError(error))
    }
    this.#dialog.inert = false
    await this.#load()
    byId('close-sessions').focus() // the button that was pressed is gone
  }

  #entry(session) {
    const { device: agent, address, last_used_at: used, current } = session
    const name = device(agent)
    const words = element('div', 'session-words', element('b', '', name), element('span', 'hint', say('sessionUsed', { ago: ago(new Date(used)), address })))
    const end = button('small-button', say('sessionEnd'), () => this.#end([session], say('sessionEnded', { device: name })))
    end.ariaLabel = say('sessionEndOf', { device: name })
    return element('li', 'session', words, current ? element('span', 'this-one', say('sessionThis')) : end)
  }

  #say(words) {
    byId('sessions-notice').textContent = words
  }
}

/** A session that has ended by itself has ended. */
function unlessGone(error) {
  if (error.status !== 404) throw error
}
