// The demo page: the door (sign up, log in) and the room behind it.

import { createClient } from '/client/gatecast.js'
import { Room } from '/room.js'
import { comeBack, enter } from '/session.js'
import { preferredLanguage, say, sayError, speak } from '/words.js'

const byId = (id) => document.getElementById(id)

/** The login session, its client and what that feeds, while someone is in the room. */
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

function showRoom(session) {
  byId('door').hidden = true
  byId('room').hidden = byId('log-out').hidden = false
  const client = createClient({
    url: location.origin.replace(/^http/, 'ws') + '/ws',
    getTicket: () => session.ticket(),
    getToken: () => session.renew(),
  })
  client.on('status', ({ current, code, reason }) => {
    showStatus(current)
    if (current === 'failed') leave(sayError({ code: code === 4401 ? 'session_ended' : 'refused', message: reason }))
  })
  let me // tabs share the cookie: another one may have logged in as someone else
  client.on('welcome', ({ userId }) => {
    me ??= userId
    if (userId !== me) leave(say('error.session_ended'))
  })
  const room = new Room(client, (text) => showNotice('room-notice', text))
  visit = { session, client, room }
  byId('message').focus()
  client.connect().catch(() => {}) // the status tells
}

function leave(notice) {
  const { client, room } = visit
  visit = null
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
    const session = await enter(action, form.username.value, form.password.value)
    showNotice('door-notice')
    showRoom(session)
  } catch (error) {
    showNotice('door-notice', sayError(error))
    form.inert = false
    form.password.focus()
  } finally {
    form.inert = false
  }
})

byId('log-out').addEventListener('click', async ({ target }) => {
  const { session, client, room } = visit
  target.disabled = true
  client.disconnect() // before the server does: it ends the sockets of a session that ends
  try {
    await session.logOut()
    leave()
  } catch (error) {
    client.connect().catch(() => {})
    room.tell(error)
  } finally {
    target.disabled = false
  }
})

byId('language').addEventListener('change', (event) => {
  speak(event.target.value)
  if (visit) {
    showStatus(visit.client.status)
    visit.room.draw()
  }
})

speak((byId('language').value = preferredLanguage()))
showStatus('connecting')
try {
  const session = await comeBack()
  if (session) showRoom(session)
  else showDoor()
} catch (error) {
  showDoor(sayError(error))
}
