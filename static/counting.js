// Words with a number of seconds in them that passes.

import { element } from '/dom.js'

/** How often to look whether a number is another, in ms. */
export const COUNT_EVERY = 250

/**
 * Writes words into an element. They are read out once and not each second,
 * however the number changes.
 *
 * @param {HTMLElement} target
 * @param {(n: string) => string} words with the number in them, or without one
 * @param {number} seconds
 */
export function writeCounting(target, words, seconds) {
  const [before, after] = words('\n').split('\n')
  if (after === undefined) return target.replaceChildren(before)
  const number = element('span', 'seconds', String(seconds))
  number.ariaLive = 'off'
  target.replaceChildren(before, number, after)
}

/** Writes another number into words that are there. */
export function count(target, seconds) {
  const number = target.querySelector('.seconds')
  if (number && number.textContent !== String(seconds)) number.textContent = String(seconds)
}
