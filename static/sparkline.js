// Lines and arcs, drawn as SVG.

const KEPT = 60 // values of a line
const [WIDTH, HEIGHT] = [100, 24] // of a line's own units; it is stretched to where it stands

/** An element of SVG. */
export function svg(tag, attributes, ...children) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', tag)
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value)
  made.append(...children)
  return made
}

/** How a value went lately. It says nothing that the last value beside it does not, so that it is hidden from who listens. */
export class Sparkline {
  #values = []
  #line = svg('polyline', {})
  element = svg('svg', { class: 'sparkline', viewBox: `0 -2 ${WIDTH} ${HEIGHT + 4}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' }, this.#line)

  add(value) {
    this.#values = [...this.#values, value].slice(-KEPT)
    const [low, high] = [Math.min(...this.#values), Math.max(...this.#values)]
    const x = (i) => (WIDTH * i) / Math.max(1, this.#values.length - 1)
    const y = (v) => (high > low ? HEIGHT * (1 - (v - low) / (high - low)) : HEIGHT / 2)
    this.#line.setAttribute('points', this.#values.map((v, i) => `${x(i).toFixed(1)},${y(v).toFixed(1)}`).join(' '))
  }
}
