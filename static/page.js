// The demo page: the door (sign up, log in) and the room behind it.

import { createClient, UnauthorizedError } from '/client/gatecast.js'
import { CodedError, enter, isGood } from '/door.js'
import { Room } from '/room.js'
import { preferredLanguage, say, sayError, speak } from '/words.js'

const byId = (id) => document.getElementById(id)

/** The grant of the last login. It lives in this variable alone, and goes with the page. */
let grant = null
/** The client and what it feeds, while someone is in the room. */
let visit = null

function showDoor(notice) {
  byId('door').hidden = false
  byId('room').hidden = byId('log-out').hidden = byId('status').hidden = true
  showNotice('door-notice', notice)
  byId('password').value = ''
  byId('username').focus()
}

function showNotice(id, text) {
  byId(id).hidden = !text
  byId(id).textContent = text ?? ''
}

function showStatus(status) {
  byId('status').hidden = false
  byId('status').dataset.status = status
  byId('status-text').textContent = say(`status.${status}`)
}

function showRoom() {
  byId('door').hidden = true
  byId('room').hidden = byId('log-out').hidden = false
  const client = createClient({ url: location.origin.replace(/^http/, 'ws') + '/ws', getToken: currentToken })
  const room = new Room(client, (text) => showNotice('room-notice', text))
  client.on('status', ({ current }) => {
    showStatus(current)
    if (current === 'failed') leave(say('comeAgain'))
  })
  visit = { client, room }
  byId('message').focus()
  client.connect().catch(() => {}) // the status tells
}

async function currentToken() {
  const { token, expiresAt } = grant
  const again = visit.client.status === 'reconnecting'
  if (Date.now() >= expiresAt || (again && !(await isGood(token)))) throw new UnauthorizedError('the token is no longer good')
  return token
}

function leave(notice) {
  const { client, room } = visit
  visit = grant = null
  if (client.status !== 'failed') client.disconnect()
  room.close()
  showDoor(notice)
}

byId('door-form').addEventListener('submit', async (event) => {
  event.preventDefault()
  const form = event.target
  const action = event.submitter?.value ?? 'login'
  form.inert = true
  try {
    grant = await enter(action, form.username.value, form.password.value)
    showNotice('door-notice')
    showRoom()
  } catch (error) {
    showNotice('door-notice', error instanceof CodedError ? sayError(error) : say('unreachable'))
    form.inert = false
    form.password.focus()
  } finally {
    form.inert = false
  }
})

byId('log-out').addEventListener('click', () => leave())

byId('language').addEventListener('change', (event) => {
  speak(event.target.value)
  if (visit) {
    showStatus(visit.client.status)
    visit.room.draw()
  }
})

speak((byId('language').value = preferredLanguage()))
showDoor()
