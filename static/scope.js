// A part of the page and what it has begun, which ends with it.

export class Scope {
  isClosed = false
  /** @type {(() => void)[]} */
  #undo = []

  /** Calls undo when the part closes. */
  add(undo) {
    this.#undo.push(undo)
  }

  /** Listens to an element, the document or the window. */
  listen(target, event, fn, options) {
    target.addEventListener(event, fn, options)
    this.add(() => target.removeEventListener(event, fn, options))
  }

  /** Calls fn again and again, with so many ms in between. */
  every(ms, fn) {
    const timer = setInterval(fn, ms)
    this.add(() => clearInterval(timer))
  }

  /** Ends everything, the last first. */
  close() {
    this.isClosed = true
    while (this.#undo.length > 0) this.#undo.pop()()
  }
}
