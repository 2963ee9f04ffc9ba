// An image that came as bytes.

import { element } from '/dom.js'
import { say } from '/words.js'

/** First bytes of the kinds of images that are shown, as Latin-1. An SVG is a document, and is not. */
const KINDS = [
  ['image/jpeg', /^\xff\xd8\xff/],
  ['image/webp', /^RIFF[^]{4}WEBP/],
  ['image/png', /^\x89PNG/],
]

export class Picture {
  #url = ''

  /** @param {any} data what came; anything can, not only an image */
  constructor(data) {
    const type = data instanceof Uint8Array && KINDS.find(([, first]) => first.test(String.fromCharCode(...data.subarray(0, 12))))?.[0]
    if (type) this.#url = URL.createObjectURL(new Blob([data], { type }))
  }

  /** The image, or words where there is none to show. */
  draw(username) {
    if (!this.#url) return element('span', 'text gone', say('imageUnreadable'))
    const image = element('img', 'picture')
    image.alt = say('imageFrom', { name: username })
    image.src = this.#url
    image.addEventListener('error', () => image.replaceWith(element('span', 'text gone', say('imageUnreadable'))), { once: true })
    return image
  }

  /** Lets go of the bytes. */
  close() {
    URL.revokeObjectURL(this.#url)
  }
}
