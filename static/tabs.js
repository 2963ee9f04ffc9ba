// Tabs, as screen readers and keyboards know them: arrows go from one to the next.

import { byId } from '/dom.js'

const STEPS = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }

export class Tabs {
  #tabs
  #onShow

  /**
   * @param {HTMLElement} list its buttons name their panels in aria-controls
   * @param {import('/scope.js').Scope} scope
   * @param {(panel: string) => void} onShow is told which panel is shown
   */
  constructor(list, scope, onShow) {
    this.#tabs = [...list.querySelectorAll('[role=tab]')]
    this.#onShow = onShow
    scope.listen(list, 'click', ({ target }) => this.#tabs.includes(target) && this.show(target))
    scope.listen(list, 'keydown', (event) => this.#step(event))
    list.hidden = false
    scope.add(() => (list.hidden = true))
    this.show(this.#tabs[0])
  }

  show(tab) {
    for (const other of this.#tabs) {
      const isShown = other === tab
      other.ariaSelected = String(isShown)
      other.tabIndex = isShown ? 0 : -1
      byId(other.getAttribute('aria-controls')).hidden = !isShown
    }
    this.#onShow(tab.getAttribute('aria-controls'))
  }

  #step(event) {
    const step = STEPS[event.key]
    if (step === undefined) return
    event.preventDefault()
    const count = this.#tabs.length
    const from = this.#tabs.findIndex((tab) => tab.ariaSelected === 'true')
    const to = Number.isFinite(step) ? (from + step + count) % count : step < 0 ? 0 : count - 1
    this.#tabs[to].focus()
    this.show(this.#tabs[to])
  }
}
