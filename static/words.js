// What the page says, in the languages that it speaks.

import { recall, remember } from '/memory.js'
import { english } from '/words-en.js'
import * as live from '/words-live.js'
import { vietnamese } from '/words-vi.js'

/** @type {Record<string, Record<string, string>>} */
export const languages = { en: { ...english, ...live.english }, vi: { ...vietnamese, ...live.vietnamese } }

let words = languages.en

/** The language that this visitor chose before, or that the browser asks for. */
export function preferredLanguage() {
  const wished = [recall('language'), ...navigator.languages.map((tag) => tag.slice(0, 2))]
  return wished.find((tag) => tag !== null && Object.hasOwn(languages, tag)) ?? 'en'
}

/** The language that is spoken. */
export const spoken = () => document.documentElement.lang

/** Speaks a language from now on, in everything that is on the page already. */
export function speak(/** @type {string} */ language) {
  words = languages[language]
  remember('language', language)
  document.documentElement.lang = language
  for (const element of document.querySelectorAll('[data-word]')) element.textContent = say(element.dataset.word)
  for (const element of document.querySelectorAll('[data-word-label]')) element.setAttribute('aria-label', say(element.dataset.wordLabel))
  for (const element of document.querySelectorAll('[data-word-title]')) element.title = say(element.dataset.wordTitle)
  for (const element of document.querySelectorAll('[data-word-placeholder]')) element.placeholder = say(element.dataset.wordPlaceholder)
}

/** The words for a key, with {name}s filled in. */
export function say(key, fill = {}) {
  return words[key].replace(/\{(\w+)\}/g, (_, name) => fill[name])
}

/**
 * An error in words: of the page, of the API, of the socket, or none that is known.
 *
 * @param {{code: string, message?: string, retryAfterMs?: number, fill?: Record<string, string>}} error
 * @param {string} [n] what to say in place of the seconds until it goes through
 */
export function sayError({ code, message, retryAfterMs = 1000, fill }, n = String(Math.ceil(retryAfterMs / 1000))) {
  const key = `error.${code}`
  return key in words ? say(key, { n, detail: message, ...fill }) : say('error.any', { detail: message })
}
