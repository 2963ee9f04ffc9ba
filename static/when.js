// Times in words.

import { say, spoken } from '/words.js'

const MINUTE = 60_000
const UNITS = [
  ['day', 24 * 60 * MINUTE],
  ['hour', 60 * MINUTE],
  ['minute', MINUTE],
]

/** The time of day. */
export const clock = (date) => date.toLocaleTimeString(spoken(), { hour: 'numeric', minute: '2-digit' })

/** A day: today, yesterday, or its name. */
export function day(date) {
  const days = Math.round((midnight(new Date()) - midnight(date)) / (24 * 60 * MINUTE)) // where clocks change a day is not 24 hours
  const name = days < 2 ? new Intl.RelativeTimeFormat(spoken(), { numeric: 'auto' }).format(-days, 'day') : date.toLocaleDateString(spoken(), { weekday: 'long', day: 'numeric', month: 'long' })
  return name[0].toUpperCase() + name.slice(1)
}

/** How long ago something was, in whole minutes, hours or days. */
export function ago(date) {
  const age = Date.now() - date // clocks differ: it may lie ahead
  const [unit, length] = UNITS.find(([, length]) => age >= length) ?? []
  return unit ? new Intl.RelativeTimeFormat(spoken()).format(-Math.floor(age / length), unit) : say('justNow')
}

const midnight = (date) => new Date(date).setHours(0, 0, 0, 0)
