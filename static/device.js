// What a device calls itself, in words that its owner knows it by.

import { say } from '/words.js'

/** The first that is found counts: Edge says that it is Chrome, and Chrome that it is Safari. */
const BROWSERS = [
  ['Edge', /Edg/],
  ['Opera', /OPR\//],
  ['Samsung Internet', /SamsungBrowser/],
  ['Firefox', /Firefox|FxiOS/],
  ['Chrome', /Chrome|CriOS/],
  ['Safari', /Safari/],
  ['curl', /^curl/],
]
const SYSTEMS = [
  ['iPhone', /iPhone/],
  ['iPad', /iPad/],
  ['Android', /Android/],
  ['Windows', /Windows/],
  ['Mac', /Macintosh|Mac OS/],
  ['ChromeOS', /CrOS/],
  ['Linux', /Linux/],
]
const LONGEST = 60 // letters of a device that is shown as it is

/** @param {string} agent its User-Agent */
export function device(agent) {
  const found = (kinds) => kinds.find(([, mark]) => mark.test(agent))?.[0]
  const [browser, system] = [found(BROWSERS), found(SYSTEMS)]
  if (browser && system) return say('deviceOn', { browser, system })
  return browser ?? system ?? (agent.slice(0, LONGEST) || say('deviceUnknown'))
}
