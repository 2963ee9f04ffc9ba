// What sensors measure: a gauge for each, and how its value went lately.

import { element } from '/dom.js'
import { isOfBackend, Panel } from '/panel.js'
import { Sparkline, svg } from '/sparkline.js'
import { say, spoken } from '/words.js'

const SHOWN = 8 // sensors at most
const NAMED = ['temperature', 'humidity', 'power', 'co2'] // that we have words for
const ARC = 'M 8 54 A 46 46 0 0 1 100 54' // half a circle

export class Sensors extends Panel {
  /** @type {Map<string, Gauge>} by the sensor's name */
  #gauges = new Map()
  #list = element('ul', 'gauges')

  constructor(client) {
    super(client, 'sensors')
    this.element.append(this.#list)
    this.join(client.channel('live:sensors'), (message) => this.#take(message))
    this.expect()
  }

  draw() {
    super.draw()
    this.#gauges.forEach((gauge) => gauge.draw())
  }

  #take(message) {
    if (message.event !== 'readings' || !isOfBackend(message) || !Array.isArray(message.data)) return
    this.heard()
    message.data.filter(isReading).forEach((reading) => this.#gaugeOf(reading.sensor)?.set(reading))
  }

  #gaugeOf(sensor) {
    if (!this.#gauges.has(sensor) && this.#gauges.size < SHOWN) {
      const gauge = new Gauge()
      this.#gauges.set(sensor, gauge)
      this.#list.append(gauge.element)
    }
    return this.#gauges.get(sensor)
  }
}

class Gauge {
  #name = element('h3')
  #value = element('p', 'value')
  #line = new Sparkline()
  #needle = svg('path', { class: 'needle', d: ARC, pathLength: 100 })
  #dial = svg('svg', { class: 'dial', viewBox: '0 0 108 58', role: 'meter' }, svg('path', { class: 'scale', d: ARC }), this.#needle)
  #last
  element = element('li', '', this.#name, this.#dial, this.#value, this.#line.element)

  set(reading) {
    this.#last = reading
    this.#line.add(reading.value)
    this.draw()
  }

  draw() {
    const { sensor, value, unit, min, max } = this.#last
    const name = NAMED.includes(sensor) ? say(`live.sensor.${sensor}`) : sensor
    const shown = Math.min(max, Math.max(min, value))
    const text = `${value.toLocaleString(spoken(), { minimumSignificantDigits: 3, maximumSignificantDigits: 3 })} ${unit}`
    this.#name.textContent = name
    this.#value.textContent = text
    this.#needle.setAttribute('stroke-dasharray', `${(100 * (shown - min)) / (max - min)} 200`)
    const aria = { label: name, valuemin: min, valuemax: max, valuenow: shown, valuetext: text }
    for (const [key, said] of Object.entries(aria)) this.#dial.setAttribute(`aria-${key}`, said)
  }
}

const isReading = ({ sensor, value, unit, min, max }) =>
  typeof sensor === 'string' && typeof unit === 'string' && [value, min, max].every(Number.isFinite) && min < max
