// Prices that change: a table with a row a symbol.

import { element, worded } from '/dom.js'
import { isOfBackend, Panel } from '/panel.js'
import { Sparkline } from '/sparkline.js'
import { say, spoken } from '/words.js'

const SHOWN = 12 // symbols at most

export class Ticker extends Panel {
  /** @type {Map<string, Row>} by symbol */
  #rows = new Map()
  #body = element('tbody')

  constructor(client) {
    super(client, 'prices')
    const table = element('table', '', element('thead', '', element('tr', '', ...['symbol', 'price', 'change', 'course'].map(heading))), this.#body)
    table.setAttribute('aria-labelledby', 'live-prices')
    this.element.append(table)
    this.join(client.channel('live:prices'), (message) => this.#take(message))
    this.expect()
  }

  draw() {
    super.draw()
    this.#rows.forEach((row) => row.draw())
  }

  #take(message) {
    if (message.event !== 'prices' || !isOfBackend(message) || !Array.isArray(message.data)) return
    this.heard()
    message.data.filter(isPrice).forEach((price) => this.#rowOf(price.symbol)?.set(price))
  }

  #rowOf(symbol) {
    if (!this.#rows.has(symbol) && this.#rows.size < SHOWN) {
      const row = new Row(symbol)
      this.#rows.set(symbol, row)
      this.#body.append(row.element)
    }
    return this.#rows.get(symbol)
  }
}

class Row {
  #price = element('td', 'number')
  #change = element('td', 'number')
  #line = new Sparkline()
  #last

  constructor(symbol) {
    const name = element('th', '', symbol)
    name.scope = 'row'
    this.element = element('tr', '', name, this.#price, this.#change, element('td', 'course', this.#line.element))
  }

  set(last) {
    this.#last = last
    this.#line.add(last.price)
    this.draw()
  }

  /** A change has a sign, an arrow and a word, and a colour on top. */
  draw() {
    const { price, change } = this.#last
    const way = change > 0 ? 'up' : change < 0 ? 'down' : 'same'
    const arrow = element('span', '', { up: '▲ ', down: '▼ ', same: '' }[way])
    arrow.ariaHidden = 'true'
    const number = (change / 100).toLocaleString(spoken(), { style: 'percent', minimumFractionDigits: 2, signDisplay: 'exceptZero' })
    this.element.dataset.way = way
    this.#price.textContent = price.toLocaleString(spoken(), { minimumFractionDigits: 2, maximumFractionDigits: 2 })
    this.#change.replaceChildren(arrow, number, element('span', 'hidden', ` ${say(`live.${way}`)}`))
  }
}

function heading(word) {
  const cell = worded('th', `live.${word}`, word)
  cell.scope = 'col'
  return cell
}

const isPrice = (data) => typeof data?.symbol === 'string' && Number.isFinite(data.price) && Number.isFinite(data.change)
