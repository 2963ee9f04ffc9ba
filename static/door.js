// The door: signing up and logging in.

import { byId, show } from '/dom.js'
import { Scope } from '/scope.js'
import { enter } from '/session.js'
import { sayError } from '/words.js'

/**
 * Shows the door until someone is in.
 *
 * @param {(session: any) => void} onIn
 * @param {string} [notice] why they are here
 */
export function openDoor(onIn, notice) {
  const scope = new Scope()
  const form = byId('door-form')
  scope.listen(form, 'submit', async (event) => {
    event.preventDefault()
    const action = event.submitter?.value ?? 'login'
    form.inert = true
    try {
      const session = await enter(action, form.username.value, form.password.value)
      scope.close()
      onIn(session)
    } catch (error) {
      show(byId('door-notice'), sayError(error))
      form.inert = false
      form.password.focus()
    }
  })
  scope.add(() => {
    byId('door').hidden = true
    form.inert = false
    form.password.value = ''
    show(byId('door-notice'))
  })
  byId('door').hidden = false
  show(byId('door-notice'), notice)
  form.username.focus()
}
