// Making and finding elements. Text is only ever text, never markup.

import { say } from '/words.js'

export const byId = (id) => document.getElementById(id)

/** An element with children, which may be texts; null ones are left out. */
export function element(tag, className = '', ...children) {
  const made = document.createElement(tag)
  made.className = className
  made.append(...children.filter((child) => child !== null))
  return made
}

/** An element that says words of ours, in whatever language is spoken. */
export function worded(tag, word, className = '') {
  const made = element(tag, className, say(word))
  made.dataset.word = word
  return made
}

/** A button that does something. */
export function button(className, label, onClick) {
  const made = element('button', className, label)
  made.type = 'button'
  made.addEventListener('click', onClick)
  return made
}

/** A disc with the first letter of a name, in a colour of the user's own. */
export function avatar(userId, username) {
  const made = element('span', 'avatar')
  made.ariaHidden = 'true'
  made.dataset.initial = [...username][0]?.toUpperCase() ?? '?'
  made.dataset.hue = hueOf(userId)
  return made
}

/** Which of the eight colours of style.css is a user's own. */
export const hueOf = (userId) => String([...userId].reduce((sum, letter) => sum + letter.charCodeAt(0), 0) % 8)

/** Shows a text, or hides the element that has none to show. */
export function show(target, text) {
  target.hidden = !text
  target.textContent = text ?? ''
}
