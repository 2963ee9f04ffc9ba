// An image that came as bytes, in a line and as large as the window.

import { byId, button, element } from '/dom.js'
import { say } from '/words.js'

/** First bytes of the kinds of images that are shown, as Latin-1. An SVG is a document, and is not. */
const KINDS = [
  ['image/jpeg', /^\xff\xd8\xff/],
  ['image/webp', /^RIFF[^]{4}WEBP/],
  ['image/png', /^\x89PNG/],
]

export class Picture {
  #url = ''
  #image = element('img')
  /** What is in the line: the same as long as that is, so that nothing flickers or loses the focus. */
  #shown = unreadable()

  /** @param {any} data what came; anything can, not only an image */
  constructor(data) {
    const type = data instanceof Uint8Array && KINDS.find(([, first]) => first.test(String.fromCharCode(...data.subarray(0, 12))))?.[0]
    if (type) this.#show(URL.createObjectURL(new Blob([data], { type })))
  }

  /** The image, or words where there is none to show. */
  draw(username) {
    this.#image.alt = say('imageFrom', { name: username })
    if (this.#shown.matches('.gone')) this.#shown.textContent = say('imageUnreadable')
    return this.#shown
  }

  /** Lets go of the bytes. */
  close() {
    const shown = byId('viewer-image')
    if (this.#url && shown.src === this.#url) {
      byId('viewer').close()
      shown.removeAttribute('src')
    }
    URL.revokeObjectURL(this.#url)
  }

  #show(url) {
    const picture = button('picture', '', () => enlarge(this.#image))
    picture.append(this.#image)
    this.#image.addEventListener('error', () => {
      picture.replaceWith((this.#shown = unreadable()))
    })
    this.#image.src = this.#url = url
    this.#shown = picture
  }
}

const unreadable = () => element('span', 'text gone', say('imageUnreadable'))

/** Shows an image as large as the window, until it is clicked or Escape is pressed. */
function enlarge({ src, alt }) {
  const viewer = byId('viewer')
  Object.assign(byId('viewer-image'), { src, alt })
  viewer.onclick = () => viewer.close()
  viewer.showModal()
}
