// A part of the live tab: a heading, what a channel brings, and in words why it
// brings nothing.

import { element, worded } from '/dom.js'
import { Scope } from '/scope.js'
import { sayError } from '/words.js'

const SILENCE = 2_500 // ms without anything, after which people are told what to do

export class Panel {
  /** What is begun here ends with the panel. */
  scope = new Scope()
  #silent
  #refusal = element('p', 'notice')
  #refused
  #timer = 0
  #isClosed = false

  /**
   * @param {string} name what its words are called by
   */
  constructor(client, name) {
    this.client = client
    const title = worded('h2', `live.${name}`)
    title.id = `live-${name}`
    this.#silent = worded('p', 'live.silent', 'silent')
    this.#silent.hidden = this.#refusal.hidden = true
    this.element = element('section', `panel ${name}`, title, worded('p', `live.${name}About`, 'about'), this.#silent, this.#refusal)
    this.element.setAttribute('aria-labelledby', title.id)
    this.scope.add(() => clearTimeout(this.#timer))
  }

  /** Draws what depends on the language, but for elements of ours that speak for themselves. */
  draw() {
    if (this.#refused) this.#refusal.textContent = sayError(this.#refused)
  }

  close() {
    this.#isClosed = true
    this.scope.close()
    this.element.remove()
  }

  /** Is in a channel for as long as the panel is there. */
  async join(channel, onMessage) {
    if (this.#isClosed) return
    this.scope.add(channel.on('message', onMessage))
    this.scope.add(() => channel.unsubscribe().catch(() => {})) // nobody is left to be told
    try {
      await channel.subscribe()
    } catch (error) {
      this.#refuse(error)
    }
  }

  /** Expects something to come now and then, and says what to do where it does not. */
  expect() {
    if (this.#isClosed) return
    this.scope.add(this.client.on('status', ({ current }) => current === 'connected' && this.heard()))
    this.heard()
  }

  /** Something has come, or may come now. */
  heard() {
    this.#silent.hidden = true
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.#silent.hidden = !this.isPuzzling
    }, SILENCE)
  }

  /** Whether people would wonder why nothing comes. */
  get isPuzzling() {
    return this.client.status === 'connected' && this.#refused === undefined
  }

  #refuse(error) {
    if (this.#isClosed || error.code === 'disconnected') return // nobody is to be told, or the page tells
    this.#refused = error
    this.#refusal.hidden = false
    this.#silent.hidden = true // it may have taken its time
    this.draw()
  }
}

/** Whether a backend said it. Everyone may speak in these channels, and none may have such an ID. */
export const isOfBackend = ({ userId }) => userId.startsWith('service:')
