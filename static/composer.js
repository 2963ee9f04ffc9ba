// Writing: a field that sends with Enter, and images that are chosen, pasted or
// dropped. What is typed in a channel stays until it is sent.

import { byId, show } from '/dom.js'
import { shrink } from '/image.js'
import { nameOf } from '/names.js'
import { say } from '/words.js'

const ENOUGH = 256_000 // bytes of an image where the server takes any

export class Composer {
  #client
  #tell
  #room = null
  /** @type {Map<string, string>} what is typed and not sent, by channel */
  #drafts = new Map()
  #dragged = 0 // elements of the room that something is dragged over

  constructor(client, scope, tell) {
    this.#client = client
    this.#tell = tell
    const [field, room] = [byId('message'), byId('room')]
    scope.listen(byId('composer'), 'submit', (event) => this.#submit(event))
    scope.listen(field, 'keydown', (event) => this.#press(event))
    scope.listen(field, 'input', () => this.#room.typed(field.value))
    // What is copied from a document is text, though its picture comes along.
    scope.listen(field, 'paste', (event) => event.clipboardData.types.includes('text/plain') || this.#take(event, event.clipboardData))
    scope.listen(byId('attach'), 'click', () => byId('file').click())
    scope.listen(byId('file'), 'change', ({ target }) => {
      this.#sendFiles([...target.files])
      target.value = '' // the same file may be chosen again
    })
    scope.listen(room, 'dragenter', (event) => this.#drag(event, 1))
    scope.listen(room, 'dragleave', (event) => this.#drag(event, -1))
    scope.listen(room, 'drop', (event) => {
      this.#dragged = 0
      show(byId('drop-here'))
      this.#take(event, event.dataTransfer)
    })
    // A file that is dropped beside the room would take the page's place.
    for (const event of ['dragover', 'drop']) scope.listen(window, event, (event) => hasFiles(event.dataTransfer) && event.preventDefault())
    scope.add(() => byId('composer').reset())
  }

  /** Writes to another channel from now on. */
  turnTo(room) {
    const field = byId('message')
    if (this.#room) this.#drafts.set(this.#room.name, field.value)
    this.#room = room
    field.value = this.#drafts.get(room.name) ?? ''
  }

  #submit(event) {
    event.preventDefault()
    const field = byId('message')
    const text = field.value.trim()
    if (!text) return
    field.value = ''
    this.#room.send(text)
    field.focus()
  }

  #press(event) {
    // An input method has its own Enter; Safari tells of it by the key code alone.
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing || event.keyCode === 229) return
    event.preventDefault()
    byId('composer').requestSubmit()
  }

  #drag(event, step) {
    if (!hasFiles(event.dataTransfer)) return
    event.preventDefault()
    this.#dragged = Math.max(0, this.#dragged + step)
    show(byId('drop-here'), this.#dragged > 0 ? say('dropHere', { name: nameOf(this.#room.name) }) : '')
  }

  /** Takes the files of a paste or a drop; text goes where it always goes. */
  #take(event, data) {
    const files = [...data.files]
    if (files.length === 0) return
    event.preventDefault()
    this.#sendFiles(files)
  }

  async #sendFiles(files) {
    const room = this.#room // whatever is opened meanwhile
    for (const file of files) {
      try {
        room.sendImage(await shrink(file, this.#client.limits.messageBytes || ENOUGH))
      } catch (error) {
        this.#tell(error)
      }
    }
  }
}

const hasFiles = (data) => data?.types.includes('Files')
