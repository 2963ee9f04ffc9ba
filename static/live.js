// The live tab: what channels are for besides talk.

import { Cursors } from '/cursors.js'
import { element } from '/dom.js'
import { Notifications } from '/notifications.js'
import { Sensors } from '/sensors.js'
import { Ticker } from '/ticker.js'

/**
 * Fills root with the live tab, which is in its channels from now on.
 *
 * @param {HTMLElement} root
 * @returns {{draw(): void, close(): void}} draw is for another language; close leaves root as it was
 */
export function openLive(root, client) {
  const panels = [new Ticker(client), new Sensors(client), new Cursors(client), new Notifications(client)]
  const grid = element('div', 'live', ...panels.map((panel) => panel.element))
  root.append(grid)
  return {
    draw: () => panels.forEach((panel) => panel.draw()),
    close() {
      panels.forEach((panel) => panel.close())
      grid.remove()
    },
  }
}
