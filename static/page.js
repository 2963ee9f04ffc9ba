// The page: a door, and the home behind it for whoever is logged in.

import { byId } from '/dom.js'
import { openDoor } from '/door.js'
import { Home } from '/home.js'
import { comeBack } from '/session.js'
import { preferredLanguage, sayError, speak } from '/words.js'

/** While someone is logged in. */
let home = null

function goHome(session) {
  home = new Home(session, (notice) => {
    home = null
    openDoor(goHome, notice)
  })
}

byId('language').addEventListener('change', ({ target }) => {
  speak(target.value)
  home?.draw()
})

speak((byId('language').value = preferredLanguage()))
try {
  const session = await comeBack()
  if (session) goHome(session)
  else openDoor(goHome)
} catch (error) {
  openDoor(goHome, sayError(error))
}
