// The connection: its light in the header, and a banner while there is none.

import { COUNT_EVERY, count, writeCounting } from '/counting.js'
import { byId } from '/dom.js'
import { say } from '/words.js'

const BACK_STAYS = 3_000 // ms that the good news stays
const OVER_LIMIT = 4429 // close code of the protocol

export class Banner {
  #client
  #triesAt = 0 // by performance.now(), in ms
  #mayHurry = false // or the server has asked to wait
  #wasLost = false
  #wasTooMuch = false // the server has closed the connection for that
  #isBack = false
  #backTimer

  constructor(client, scope) {
    this.#client = client
    scope.add(client.on('status', (change) => this.#turn(change)))
    scope.listen(byId('try-now'), 'click', () => this.#tryNow())
    scope.listen(window, 'online', () => this.draw())
    scope.listen(window, 'offline', () => this.draw())
    scope.every(COUNT_EVERY, () => this.#count())
    scope.add(() => {
      clearTimeout(this.#backTimer)
      byId('banner-text').replaceChildren()
      byId('try-now').hidden = byId('status').hidden = true
    })
    this.draw()
  }

  draw() {
    const { status } = this.#client
    byId('status').hidden = false
    byId('status').dataset.status = byId('banner').dataset.status = status
    byId('status-text').textContent = say(`status.${status}`)
    byId('try-now').hidden = !this.#isWaiting || !this.#mayHurry
    writeCounting(byId('banner-text'), (n) => this.#words(n), this.#secondsLeft)
  }

  #words(n) {
    const { status } = this.#client
    if (status === 'connected') return this.#isBack ? say('banner.back') : ''
    if (!navigator.onLine) return say('banner.offline')
    if (this.#isWaiting) return say(this.#wasTooMuch ? 'banner.tooMuch' : 'banner.waiting', { n })
    if (status === 'reconnecting') return say('banner.trying')
    return status === 'connecting' ? say('banner.connecting') : ''
  }

  #turn({ current, code, retryInMs, mayHurry = false }) {
    this.#wasTooMuch = code === OVER_LIMIT
    this.#mayHurry = mayHurry
    if (retryInMs !== undefined) this.#triesAt = performance.now() + retryInMs
    if (current === 'reconnecting') this.#wasLost = true
    if (current === 'connected' && this.#wasLost) this.#welcomeBack()
    this.draw()
  }

  #welcomeBack() {
    this.#wasLost = false
    this.#isBack = true
    this.#backTimer = setTimeout(() => {
      this.#isBack = false
      this.draw()
    }, BACK_STAYS)
  }

  #tryNow() {
    this.#triesAt = 0
    this.#client.connect().catch(() => {}) // the status tells
    this.draw()
  }

  #count() {
    if (this.#isWaiting) count(byId('banner-text'), this.#secondsLeft)
    else if (byId('banner-text').querySelector('.seconds')) this.draw()
  }

  get #isWaiting() {
    return this.#client.status === 'reconnecting' && this.#secondsLeft > 0
  }

  get #secondsLeft() {
    return Math.max(0, Math.ceil((this.#triesAt - performance.now()) / 1000))
  }
}
